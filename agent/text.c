/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/text.h"

#include <string.h>

char *proa_text_safe(const char *text)
{
	if (!text)
		return g_strdup("");
	g_autofree char *bounded = g_strndup(text, PROA_TEXT_MAX);
	g_autofree char *valid = g_utf8_make_valid(bounded, -1);
	g_autoptr(GString) out = g_string_new(NULL);

	for (const char *p = valid; *p; p = g_utf8_next_char(p)) {
		gunichar c = g_utf8_get_char(p);
		/* C1 controls (0x80 to 0x9f) start escape sequences too; formatting characters can reverse a
		 * line. */
		gboolean bad = g_unichar_iscntrl(c) || g_unichar_type(c) == G_UNICODE_FORMAT ||
			       g_unichar_type(c) == G_UNICODE_LINE_SEPARATOR ||
			       g_unichar_type(c) == G_UNICODE_PARAGRAPH_SEPARATOR;
		g_string_append_unichar(out, bad ? ' ' : c);
		if (out->len > PROA_TEXT_MAX) {
			g_string_truncate(out,
				(gsize)(g_utf8_find_prev_char(out->str, out->str + out->len) - out->str));
			break;
		}
	}
	return g_strstrip(g_string_free(g_steal_pointer(&out), FALSE));
}

char *proa_text_bytes(guint64 bytes)
{
	static const char *const units[] = { "kB", "MB", "GB", "TB", "PB", "EB" };
	guint unit = 0;
	double value = (double)bytes / 1000;

	if (bytes < 1000)
		return g_strdup_printf("%" G_GUINT64_FORMAT " B", bytes);
	/* 999950 would be written as 1000.0 kB. */
	while (value >= 999.95 && unit + 1 < G_N_ELEMENTS(units)) {
		value /= 1000;
		unit++;
	}
	return g_strdup_printf("%.1f %s", value, units[unit]);
}

char *proa_text_span(gint64 seconds)
{
	if (seconds < 0)
		seconds = 0;
	if (seconds < 60)
		return g_strdup_printf("%d s", (int)seconds);
	if (seconds < 3600)
		return g_strdup_printf("%d min %d s", (int)(seconds / 60), (int)(seconds % 60));
	if (seconds < 86400)
		return g_strdup_printf("%d h %d min", (int)(seconds / 3600), (int)(seconds % 3600 / 60));
	return g_strdup_printf("%" G_GINT64_FORMAT " d %d h", seconds / 86400, (int)(seconds % 86400 / 3600));
}

char *proa_text_time(gint64 time)
{
	g_autoptr(GDateTime) date = time > 0 ? g_date_time_new_from_unix_utc(time) : NULL;
	char *text = date ? g_date_time_format(date, "%Y-%m-%d %H:%M:%S UTC") : NULL;

	return text ? text : g_strdup("never");
}

char *proa_text_time_from(gint64 time, gint64 now)
{
	g_autofree char *when = proa_text_time(time);

	if (strcmp(when, "never") == 0)
		return g_steal_pointer(&when);
	g_autofree char *span = proa_text_span(time > now ? time - now : now - time);
	return time > now ? g_strdup_printf("%s (in %s)", when, span)
			  : g_strdup_printf("%s (%s ago)", when, span);
}
