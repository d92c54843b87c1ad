/* SPDX-License-Identifier: Apache-2.0 */
/* run: one program run to its end within a time limit, with what it said. */
#pragma once

#include "base/reason.h"

/* Of what a program says this much is kept: its beginning. Bytes. */
#define PROA_RUN_MAX_OUTPUT (16 * 1024)

typedef struct {
	int status;         /* its exit status; 128 + N if signal N ended it; -1 if the time limit did */
	gboolean timed_out; /* it was still running, and was killed with all that it had started */
	char *output;       /* standard output and error together, valid UTF-8; never NULL */
} ProaRun;

void proa_run_clear(ProaRun *run);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(ProaRun, proa_run_clear)

/*
 * Runs @argv (the first is a path, or is looked up in PATH) in a process group of its own with no input, for
 * at most @seconds. @environment: "NAME=VALUE" in addition to this program's; may be NULL. What it leaves
 * running in the background is not waited for. FALSE with NOT_FOUND, PERMISSION or IO if it cannot be
 * started.
 */
gboolean proa_run(const char *const *argv, const char *const *environment, guint seconds, ProaRun *ret_run,
	GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Whether one more may be started: FALSE with IO once several hang in the kernel, killed and not gone. */
gboolean proa_run_may_start(GError **error) G_GNUC_WARN_UNUSED_RESULT;

/*
 * Waits for the child @pid; with @kill_first it, and the process group that it leads, is killed, and waited
 * for only two seconds: one that a dead disk or server holds in the kernel cannot be ended, and must not hold
 * us up. FALSE: it is left behind, and reaped when it goes. @ret_status (may be NULL): as in ProaRun.
 */
gboolean proa_run_end(pid_t pid, gboolean kill_first, int *ret_status);

/* Whether @pid was left behind and is still there. */
gboolean proa_run_is_left_behind(pid_t pid);

/* The last line of @output that is not blank, its control characters made spaces; g_free(). "" if there is
 * none. */
char *proa_run_last_line(const char *output);
