/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/paths.h"

#include "base/file.h"
#include "base/state.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>

ProaPaths *proa_paths_new(const char *root, const char *libexec)
{
	ProaPaths *paths = g_new0(ProaPaths, 1);

	/* Children may run elsewhere: a relative root would then mean another directory. */
	paths->root = root && *root ? g_canonicalize_filename(root, NULL) : g_strdup("");
	paths->libexec =
		libexec && *libexec ? g_canonicalize_filename(libexec, NULL) : g_strdup(PROA_LIBEXEC_DIR);
	paths->state_dir = g_strconcat(paths->root, PROA_STATE_DIR, NULL);
	paths->run_dir = g_strconcat(paths->root, "/run/proa", NULL);
	paths->lock = g_build_filename(paths->run_dir, "install.lock", NULL);
	return paths;
}

void proa_paths_free(ProaPaths *paths)
{
	g_free(paths->root);
	g_free(paths->libexec);
	g_free(paths->state_dir);
	g_free(paths->run_dir);
	g_free(paths->lock);
	g_strfreev(paths->decision);
	g_free(paths);
}

char **proa_paths_command(const ProaPaths *paths, const char *program, const char *verb, const char *version)
{
	g_autoptr(GPtrArray) argv = g_ptr_array_new();

	g_ptr_array_add(argv, g_build_filename(paths->libexec, program, NULL));
	if (verb)
		g_ptr_array_add(argv, g_strdup(verb));
	if (*paths->root) {
		g_ptr_array_add(argv, g_strdup("--root"));
		g_ptr_array_add(argv, g_strdup(paths->root));
	}
	if (version && *version) {
		g_ptr_array_add(argv, g_strdup("--to"));
		g_ptr_array_add(argv, g_strdup(version));
	}
	for (char **word = paths->decision; word && *word && g_str_equal(program, "proa-install"); word++)
		g_ptr_array_add(argv, g_strdup(*word));
	g_ptr_array_add(argv, NULL);
	return (char **)g_ptr_array_steal(argv, NULL);
}

gboolean proa_paths_install_running(const ProaPaths *paths)
{
	PROA_AUTO_FD int fd = open(paths->lock, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return FALSE;
	/* A shared lock, let go at once: two who ask at the same time do not mistake each other for a
	 * transaction. */
	return flock(fd, LOCK_SH | LOCK_NB) < 0 && errno == EWOULDBLOCK;
}
