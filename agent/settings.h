/* SPDX-License-Identifier: Apache-2.0 */
/* settings: the keys of update.conf that the agent obeys, read and judged. */
#pragma once

#include "agent/machine.h"
#include "agent/schedule.h"
#include "base/update-config.h"

typedef struct {
	ProaConfig *config;
	ProaAutomatic automatic;
	gint64 check_interval, jitter, startup_delay, reboot_delay; /* seconds */
	gboolean reboot_automatic;
	gboolean has_window;
	ProaWindow window;
	GPtrArray
		*problems; /* char *: one sentence each; what proa_config_problems() says, and a bad window */
} ProaSettings;

/*
 * Reads update.conf below @root ("" on a node). Never fails: what is wrong is in problems and the default
 * holds, but a reboot window that cannot be understood switches automatic reboots off: whoever wrote it meant
 * "not at any time".
 */
ProaSettings *proa_settings_load(const char *root);
void proa_settings_free(ProaSettings *settings);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ProaSettings, proa_settings_free)

/* The problems as one text, a line each; "" if there is none. Free with g_free(). */
char *proa_settings_problems(const ProaSettings *settings);
