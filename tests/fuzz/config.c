/* SPDX-License-Identifier: Apache-2.0 */
// link: base
#include "base/config.h"

#include <glib/gstdio.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const guint8 *data, size_t size);

static const ProaConfigKey keys[] = {
	{ "feed", "url", PROA_CONFIG_STRING, "http://feed.example/", 0, 0, NULL },
	{ "feed", "enabled", PROA_CONFIG_BOOLEAN, "yes", 0, 0, NULL },
	{ "feed", "interval", PROA_CONFIG_DURATION, "6h", 60, 604800, NULL },
	{ "feed", "limit", PROA_CONFIG_BYTES, "10M", 1024, G_GINT64_CONSTANT(1) << 41, NULL },
	{ "feed", "tries", PROA_CONFIG_INTEGER, "3", 1, 100, NULL },
	{ "update", "reboot", PROA_CONFIG_CHOICE, "ask", 0, 0, "ask|now|never" },
	{ NULL, NULL, PROA_CONFIG_STRING, NULL, 0, 0, NULL },
};

/* Any file: every value stays in its range, every problem names the file. */
int LLVMFuzzerTestOneInput(const guint8 *data, size_t size)
{
	static char *root, *path;

	if (!root) {
		root = g_dir_make_tmp("proa-fuzz-XXXXXX", NULL);
		g_autofree char *folder = g_build_filename(root, "etc/proa", NULL);
		g_assert(root && g_mkdir_with_parents(folder, 0755) == 0);
		path = g_build_filename(folder, "update.conf", NULL);
	}
	g_assert(g_file_set_contents_full(
		path, (const char *)data, (gssize)size, G_FILE_SET_CONTENTS_NONE, 0644, NULL));
	g_autoptr(ProaConfig) config = proa_config_load(root, "update", keys);
	gint64 interval = proa_config_integer(config, "feed", "interval");
	gint64 limit = proa_config_integer(config, "feed", "limit");
	gint64 tries = proa_config_integer(config, "feed", "tries");

	g_assert(interval >= 60 && interval <= 604800);
	g_assert(limit >= 1024 && limit <= G_GINT64_CONSTANT(1) << 41);
	g_assert(tries >= 1 && tries <= 100);
	g_assert(proa_config_string(config, "feed", "url") != NULL);
	for (guint i = 0; proa_config_problems(config)[i]; i++)
		g_assert(strstr(proa_config_problems(config)[i], "update.conf:"));
	return 0;
}
