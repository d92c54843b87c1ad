/* SPDX-License-Identifier: Apache-2.0 */
#include "boot/journal.h"

#include <string.h>
#include <systemd/sd-id128.h>
#include <systemd/sd-journal.h>

#define MAX_FIELD 512
#define MATCH "_BOOT_ID="

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

static sd_journal *open_journal(char *ret_match)
{
	sd_journal *journal = NULL;
	sd_id128_t boot;

	if (sd_id128_get_boot(&boot) < 0 || sd_journal_open(&journal, SD_JOURNAL_LOCAL_ONLY) < 0)
		return NULL;
	memcpy(ret_match, MATCH, sizeof MATCH);
	sd_id128_to_string(boot, ret_match + strlen(MATCH));
	return journal;
}

/* Messages from where @journal is on, at most PROA_JOURNAL_MAX_LINES; those of @not_boot are left out. */
static char *collect(sd_journal *journal, const char *not_boot)
{
	GString *text = g_string_new(NULL);

	for (int i = 0; i < PROA_JOURNAL_MAX_LINES; i++) {
		g_autofree char *boot = not_boot ? field_text(journal, "_BOOT_ID") : NULL;
		if (!boot || strcmp(boot, not_boot) != 0)
			add_line(journal, text);
		if (sd_journal_next(journal) <= 0)
			break;
	}
	return g_string_free(text, FALSE);
}

char *proa_journal_tail(void)
{
	char match[sizeof MATCH + SD_ID128_STRING_MAX];
	sd_journal *journal = open_journal(match);
	char *text = NULL;

	if (!journal)
		return NULL;
	if (sd_journal_add_match(journal, match, 0) >= 0 && sd_journal_seek_tail(journal) >= 0 &&
		sd_journal_previous_skip(journal, PROA_JOURNAL_MAX_LINES) >= 0)
		text = collect(journal, NULL);
	sd_journal_close(journal);
	return text;
}

char *proa_journal_before(void)
{
	char match[sizeof MATCH + SD_ID128_STRING_MAX];
	sd_journal *journal = open_journal(match);
	uint64_t began = 0;
	char *text = NULL;

	if (!journal)
		return NULL;
	/* Where this boot began; what was written before that is of others. */
	if (sd_journal_add_match(journal, match, 0) >= 0 && sd_journal_seek_head(journal) >= 0 &&
		sd_journal_next(journal) > 0 && sd_journal_get_realtime_usec(journal, &began) >= 0) {
		sd_journal_flush_matches(journal);
		if (sd_journal_seek_realtime_usec(journal, began) >= 0 &&
			sd_journal_previous_skip(journal, PROA_JOURNAL_MAX_LINES) > 0)
			text = collect(journal, match + strlen(MATCH));
	}
	sd_journal_close(journal);
	return text;
}
