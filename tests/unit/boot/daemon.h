/* SPDX-License-Identifier: Apache-2.0 */
/* `proa-bootd run` on a node of files. */
#pragma once

#include "boot/daemon.h"

#include "tests/unit/boot/fixture.h"

/* The shortest deadline that the configuration takes. */
#define CONFIGURATION "[health]\ndeadline=10s\ninterval=1s\nnonsense=1\n[containerd]\nenabled=no\n"

static gint64 patience;
static const char *configuration = CONFIGURATION;
static const char *manager_address = "unix:path=/nonexistent/private";

static inline int run(const Fixture *fixture)
{
	g_autofree char *root = fixture_root(fixture);
	g_autofree char *path =
		scratch_write(&fixture->scratch, "root/etc/proa/health.conf", configuration, -1);
	ProaDaemonOptions options = { .node = { .root = root, .esp = fixture->esp, .disk = fixture->disk },
		.systemd = manager_address,
		.no_reboot = TRUE,
		.patience = patience };

	g_assert_nonnull(path);
	g_log_set_always_fatal(G_LOG_LEVEL_ERROR);
	return proa_daemon_run(&options);
}
