/* SPDX-License-Identifier: Apache-2.0 */
/* daemon: `proa-bootd run`: settles the last boot, waits for this one's health, then blesses, or records why
 * and reboots. */
#pragma once

#include "boot/health/health.h"
#include "boot/node.h"

/* What `run` does beside looking at the node; a test gives its own address and forbids the reboot. */
typedef struct {
	ProaNodeOptions node;
	const char *systemd; /* D-Bus address of the system manager; NULL: PID 1's own */
	gboolean no_reboot;
	gint64 patience; /* seconds that a trial may get nowhere; 0: what the deadline and some minutes give
			  */
} ProaDaemonOptions;

/* Returns the exit status: OK when the node is healthy or reboots, FAILED when a healthy trial cannot be
 * blessed. */
int proa_daemon_run(const ProaDaemonOptions *options);

/* This boot goes on: notes how long it has lasted, so that its release ages on a node without a clock, too.
 * @root is "" on a node. IO. */
gboolean proa_daemon_goes_on(const char *root, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/*
 * This boot is about to end because someone asked for it: it counts neither as a crash nor as one of those
 * that never came to health, unless `run` found it unhealthy by a fault of the node, or left a trial. @root
 * is "" on a node. IO, NOT_VERIFIED.
 */
gboolean proa_daemon_going_down(const char *root, GError **error) G_GNUC_WARN_UNUSED_RESULT;
