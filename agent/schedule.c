/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/schedule.h"

#include <string.h>

#define DAY_SECONDS 86400

gint64 proa_schedule_check(
	gint64 now, gint64 last_check, gint64 interval, gint64 jitter, gint64 least, guint32 random)
{
	gint64 wait = 0;

	if (last_check > 0 && last_check <= now)
		wait = interval - (now - last_check);
	return MAX(wait, least) + (jitter > 0 ? (gint64)random % (jitter + 1) : 0);
}

/* "HH:MM" at @text; -1 if it is not. */
static int parse_minute(const char *text)
{
	for (int i = 0; i < 5; i++)
		if (i == 2 ? text[i] != ':' : !g_ascii_isdigit(text[i]))
			return -1;
	int hour = (text[0] - '0') * 10 + text[1] - '0';
	int minute = (text[3] - '0') * 10 + text[4] - '0';
	return hour < 24 && minute < 60 ? hour * 60 + minute : -1;
}

gboolean proa_window_parse(const char *text, ProaWindow *ret_window)
{
	if (!text || strlen(text) != strlen("HH:MM-HH:MM") || text[5] != '-')
		return FALSE;
	ProaWindow window = { parse_minute(text), parse_minute(text + 6) };
	if (window.start < 0 || window.end < 0 || window.start == window.end)
		return FALSE;
	*ret_window = window;
	return TRUE;
}

gint64 proa_window_wait(const ProaWindow *window, int second_of_day)
{
	int start = window->start * 60, end = window->end * 60;
	gboolean open = start < end ? second_of_day >= start && second_of_day < end
				    : second_of_day >= start || second_of_day < end;

	if (open)
		return 0;
	return second_of_day < start ? start - second_of_day : DAY_SECONDS - second_of_day + start;
}
