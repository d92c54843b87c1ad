/* SPDX-License-Identifier: Apache-2.0 */
/* paths: where proad and proa find configuration, state and the programs that they run. */
#pragma once

#include <glib.h>

#define PROA_LIBEXEC_DIR "/usr/lib/proa"

typedef struct {
	char *root;      /* prefix of everything below; "" on a node, a directory in tests */
	char *libexec;   /* folder of proa-install and proa-bootd; not below root */
	char *state_dir; /* ROOT/var/lib/proa */
	char *run_dir;   /* ROOT/run/proa: gone with each reboot */
	char **decision; /* more arguments for proa-install: what an operator decided; NULL: none */
	char *lock; /* ROOT/run/proa/install.lock: held by proa-install for as long as a transaction lasts */
} ProaPaths;

/* @root NULL or "" is a node's own root, @libexec NULL the installed folder. Never fails; free with
 * proa_paths_free(). */
ProaPaths *proa_paths_new(const char *root, const char *libexec);
void proa_paths_free(ProaPaths *paths);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ProaPaths, proa_paths_free)

/*
 * The command line of a helper program: LIBEXEC/@program, then @verb (may be NULL), then --root if the root
 * is not the node's own, then --to @version (may be NULL or ""), then the decision, which is for proa-install
 * alone. Free with g_strfreev().
 */
char **proa_paths_command(const ProaPaths *paths, const char *program, const char *verb, const char *version);

/*
 * Whether some proa-install holds the lock of the transaction right now. Ask only if there is a sign of one:
 * asking takes the lock for a moment, and one that begins in that moment would be refused.
 */
gboolean proa_paths_install_running(const ProaPaths *paths);
