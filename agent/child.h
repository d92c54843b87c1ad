/* SPDX-License-Identifier: Apache-2.0 */
/*
 * child: one helper process on an event loop: its standard output comes in pieces, its standard error is
 * passed on.
 *
 * A child runs in a process group of its own (a Ctrl-C meant for the CLI does not hit it), with an empty
 * signal mask, only descriptors 0 to 2 open, and is told to stop if we die.
 */
#pragma once

#include "base/reason.h"

#include <systemd/sd-event.h>

typedef struct ProaChild ProaChild;

typedef struct {
	/* The next @size bytes of standard output. */
	void (*output)(const char *bytes, gsize size, gpointer data);
	/*
	 * It has ended and all its output has been given; @code and @status are si_code and si_status of
	 * waitid(2). @last_words is the last line of its standard error ("" if it wrote none). The child may
	 * be freed in here.
	 */
	void (*ended)(int code, int status, const char *last_words, gpointer data);
} ProaChildWatcher;

/*
 * Starts @argv (argv[0] an absolute path). SIGCHLD must be blocked in this process. @watcher must outlive the
 * child.
 * @time_limit: seconds until it is told to stop; 0: none.
 * NULL with NOT_FOUND, PERMISSION or IO when it cannot be started.
 */
ProaChild *proa_child_start(sd_event *event, const char *const *argv, guint time_limit,
	const ProaChildWatcher *watcher, gpointer data, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Tells it to stop (SIGTERM); one that has not ended after a grace of 20 seconds is killed. May be called
 * again. */
void proa_child_stop(ProaChild *child);

/* Frees it. One that still runs is killed and reaped; ended() is not called. */
void proa_child_free(ProaChild *child);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ProaChild, proa_child_free)
