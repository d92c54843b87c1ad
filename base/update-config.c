/* SPDX-License-Identifier: Apache-2.0 */
#include "base/update-config.h"

/* clang-format off */
const ProaConfigKey proa_update_config_keys[] = {
	/* group, key, type, default, min, max, choices */
	{ "feed", "url", PROA_CONFIG_STRING, NULL, 0, 0, NULL },
	{ "feed", "channel", PROA_CONFIG_STRING, "stable", 0, 0, NULL },
	{ "feed", "pool", PROA_CONFIG_STRING, NULL, 0, 0, NULL },

	/* How releases are fetched. Bytes a second, 0: no limit. */
	{ "fetch", "payload", PROA_CONFIG_CHOICE, "auto", 0, 0, "auto|full|blocks|delta" },
	{ "fetch", "kernel_repack", PROA_CONFIG_CHOICE, "auto", 0, 0, "auto|always|never" },
	{ "fetch", "max_speed", PROA_CONFIG_BYTES, "0", 0, 1024ll * 1024 * 1024 * 1024, NULL },
	{ "fetch", "retries", PROA_CONFIG_INTEGER, "8", 0, 1000, NULL },
	{ "fetch", "io_priority", PROA_CONFIG_CHOICE, "low", 0, 0, "idle|low|normal" },
	{ "fetch", "cpu_priority", PROA_CONFIG_CHOICE, "low", 0, 0, "low|normal" },

	{ "update", "automatic", PROA_CONFIG_CHOICE, "yes", 0, 0, "yes|no|check-only" },
	{ "update", "check_interval", PROA_CONFIG_DURATION, "1h", 60, 4 * 604800, NULL },
	{ "update", "jitter", PROA_CONFIG_DURATION, "10min", 0, 7 * 86400, NULL },
	{ "update", "startup_delay", PROA_CONFIG_DURATION, "30s", 0, 86400, NULL },
	{ "update", "reboot", PROA_CONFIG_CHOICE, "manual", 0, 0, "manual|automatic" },
	{ "update", "reboot_delay", PROA_CONFIG_DURATION, "1min", 0, 86400, NULL },
	{ "update", "reboot_window", PROA_CONFIG_STRING, NULL, 0, 0, NULL },
	{ NULL, NULL, PROA_CONFIG_STRING, NULL, 0, 0, NULL },
};
/* clang-format on */

ProaConfig *proa_update_config_load(const char *root)
{
	return proa_config_load(root, PROA_UPDATE_CONFIG_NAME, proa_update_config_keys);
}
