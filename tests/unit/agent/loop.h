/* SPDX-License-Identifier: Apache-2.0 */
/* loop: an event loop that reaps children, and scripts for them to run. For unit tests only. */
#pragma once

#include "tests/unit/scratch.h"

#include <signal.h>
#include <systemd/sd-event.h>

/* SIGCHLD is blocked, as it is in proad; unref with sd_event_unref(). */
static inline sd_event *loop_new(void)
{
	sd_event *event = NULL;
	sigset_t children;

	sigemptyset(&children);
	sigaddset(&children, SIGCHLD);
	g_assert_cmpint(sigprocmask(SIG_BLOCK, &children, NULL), ==, 0);
	g_assert_cmpint(sd_event_new(&event), >=, 0);
	return event;
}

/* Writes a shell script that can be run as @name; returns its path. */
static inline char *loop_script(const Scratch *scratch, const char *name, const char *text)
{
	g_autofree char *script = g_strconcat("#!/bin/sh\n", text, "\n", NULL);
	char *path = scratch_write(scratch, name, script, -1);

	g_assert_cmpint(g_chmod(path, 0755), ==, 0);
	return path;
}
