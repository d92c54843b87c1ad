/* SPDX-License-Identifier: Apache-2.0 */
#include "base/until.h"

#include <string.h>

gboolean proa_until_parse(const char *text, gint64 *ret_until)
{
	g_autofree char *whole =
		strlen(text) == strlen("2026-12-31") ? g_strconcat(text, "T23:59:59Z", NULL) : g_strdup(text);
	g_autoptr(GTimeZone) utc = g_time_zone_new_utc();
	g_autoptr(GDateTime) when = g_date_time_new_from_iso8601(whole, utc);

	if (!when || g_date_time_to_unix(when) <= g_get_real_time() / G_USEC_PER_SEC)
		return FALSE;
	*ret_until = g_date_time_to_unix(when);
	return TRUE;
}
