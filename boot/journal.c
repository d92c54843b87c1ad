/* SPDX-License-Identifier: Apache-2.0 */
#include "boot/journal.h"

#include <string.h>
#include <systemd/sd-id128.h>
#include <systemd/sd-journal.h>

#define MAX_FIELD 512

/* The value of @field of the current message, control characters made spaces; NULL if it has none. */
static char *field_text(sd_journal *journal, const char *field)
{
	const void *data;
	size_t size, prefix = strlen(field) + 1;

	if (sd_journal_get_data(journal, field, &data, &size) < 0 || size < prefix)
		return NULL;
	char *text = g_utf8_make_valid((const char *)data + prefix, (gssize)MIN(size - prefix, MAX_FIELD));
	for (char *p = text; *p; p++)
		if (g_ascii_iscntrl(*p))
			*p = ' ';
	return text;
}

static void add_line(sd_journal *journal, GString *text)
{
	g_autofree char *who = field_text(journal, "SYSLOG_IDENTIFIER");
	g_autofree char *what = field_text(journal, "MESSAGE");
	uint64_t microseconds = 0;

	if (sd_journal_get_monotonic_usec(journal, &microseconds, NULL) < 0)
		microseconds = 0;
	g_string_append_printf(text, "[%6" G_GUINT64_FORMAT ".%03u] %s: %s\n", microseconds / G_USEC_PER_SEC,
		(guint)(microseconds % G_USEC_PER_SEC / 1000), who ? who : "?", what ? what : "");
}

static sd_journal *open_this_boot(void)
{
	sd_journal *journal = NULL;
	sd_id128_t boot;
	char match[9 + SD_ID128_STRING_MAX] = "_BOOT_ID=";

	if (sd_id128_get_boot(&boot) < 0 || sd_journal_open(&journal, SD_JOURNAL_LOCAL_ONLY) < 0)
		return NULL;
	sd_id128_to_string(boot, match + strlen(match));
	if (sd_journal_add_match(journal, match, 0) >= 0 && sd_journal_seek_tail(journal) >= 0 &&
		sd_journal_previous_skip(journal, PROA_JOURNAL_MAX_LINES) >= 0)
		return journal;
	sd_journal_close(journal);
	return NULL;
}

char *proa_journal_tail(void)
{
	sd_journal *journal = open_this_boot();
	GString *text;

	if (!journal)
		return NULL;
	text = g_string_new(NULL);
	for (int i = 0; i < PROA_JOURNAL_MAX_LINES; i++) {
		add_line(journal, text);
		if (sd_journal_next(journal) <= 0)
			break;
	}
	sd_journal_close(journal);
	return g_string_free(text, FALSE);
}
