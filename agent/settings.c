/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/settings.h"

#include <string.h>

static void read_window(ProaSettings *settings)
{
	const char *text = proa_config_string(settings->config, "update", "reboot_window");

	settings->has_window = proa_window_parse(text, &settings->window);
	if (settings->has_window || !*text)
		return;
	settings->reboot_automatic = FALSE;
	g_ptr_array_add(settings->problems,
		g_strdup_printf(
			"update.conf: reboot_window=%s in [update] is not a time span such as 22:30-04:00; no "
			"automatic reboot until it is",
			text));
}

ProaSettings *proa_settings_load(const char *root)
{
	ProaSettings *settings = g_new0(ProaSettings, 1);
	ProaConfig *config = proa_update_config_load(root);

	settings->config = config;
	settings->problems = g_ptr_array_new_with_free_func(g_free);
	for (const char *const *problem = proa_config_problems(config); *problem; problem++)
		g_ptr_array_add(settings->problems, g_strdup(*problem));
	settings->automatic = proa_automatic_from_string(proa_config_string(config, "update", "automatic"));
	settings->check_interval = proa_config_integer(config, "update", "check_interval");
	settings->jitter = proa_config_integer(config, "update", "jitter");
	settings->startup_delay = proa_config_integer(config, "update", "startup_delay");
	settings->reboot_delay = proa_config_integer(config, "update", "reboot_delay");
	settings->reboot_automatic = strcmp(proa_config_string(config, "update", "reboot"), "automatic") == 0;
	read_window(settings);
	return settings;
}

void proa_settings_free(ProaSettings *settings)
{
	proa_config_free(settings->config);
	g_ptr_array_unref(settings->problems);
	g_free(settings);
}

char *proa_settings_problems(const ProaSettings *settings)
{
	g_autoptr(GString) text = g_string_new(NULL);

	for (guint i = 0; i < settings->problems->len; i++)
		g_string_append_printf(
			text, "%s%s", i ? "\n" : "", (char *)g_ptr_array_index(settings->problems, i));
	return g_string_free(g_steal_pointer(&text), FALSE);
}
