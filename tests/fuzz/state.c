/* SPDX-License-Identifier: Apache-2.0 */
// link: base
#include "base/state.h"

#include <glib/gstdio.h>

int LLVMFuzzerTestOneInput(const guint8 *data, size_t size);

static char *path_of(const char *dir, const char *name, const guint8 *data, size_t size)
{
	char *path = g_build_filename(dir, name, NULL);

	g_assert(g_file_set_contents_full(
		path, (const char *)data, (gssize)size, G_FILE_SET_CONTENTS_NONE, 0644, NULL));
	return path;
}

/* Any bytes in the state files: read or BAD_STATE, and whatever was read can be saved and read again. */
int LLVMFuzzerTestOneInput(const guint8 *data, size_t size)
{
	static char *dir;
	g_autoptr(GError) error = NULL;

	if (!dir)
		dir = g_dir_make_tmp("proa-fuzz-XXXXXX", NULL);
	g_autofree char *state_path = path_of(dir, "state.json", data, size);
	g_autofree char *rejected_path = path_of(dir, "rejected.json", data, size);

	g_autoptr(ProaState) state = proa_state_load(dir, &error);
	g_assert(state || g_error_matches(error, PROA_ERROR, PROA_REASON_BAD_STATE));
	if (state) {
		g_assert(proa_state_save(dir, state, NULL));
		g_autoptr(ProaState) again = proa_state_load(dir, NULL);
		g_assert(again && again->kind == state->kind);
	}
	g_clear_error(&error);
	g_autoptr(GPtrArray) rejected = proa_rejected_load(dir, &error);
	g_assert(rejected || g_error_matches(error, PROA_ERROR, PROA_REASON_BAD_STATE));
	return 0;
}
