/* SPDX-License-Identifier: Apache-2.0 */
#include "boot/journal.h"

#include <string.h>
#include <systemd/sd-id128.h>
#include <systemd/sd-journal.h>

#define MAX_FIELD 512
/* The kernel says its command line as one of its first messages, of at most a kibibyte. */
#define MAX_COMMAND_LINE 4096
#define MAX_FIRST_MESSAGES 300
#define MAX_BOOTS 200
#define BOOT_MATCH "_BOOT_ID="
#define KERNEL_MATCH "_TRANSPORT=kernel"

/* The value of @field of the current message, control characters made spaces; NULL if it has none. */
static char *field_text(sd_journal *journal, const char *field, gsize max)
{
	const void *data;
	size_t size, prefix = strlen(field) + 1;

	if (sd_journal_get_data(journal, field, &data, &size) < 0 || size < prefix)
		return NULL;
	char *text = g_utf8_make_valid((const char *)data + prefix, (gssize)MIN(size - prefix, max));
	for (char *p = text; *p; p++)
		if (g_ascii_iscntrl(*p))
			*p = ' ';
	return text;
}

static void add_line(sd_journal *journal, GString *text)
{
	g_autofree char *who = field_text(journal, "SYSLOG_IDENTIFIER", MAX_FIELD);
	g_autofree char *what = field_text(journal, "MESSAGE", MAX_FIELD);
	uint64_t microseconds = 0;

	if (sd_journal_get_monotonic_usec(journal, &microseconds, NULL) < 0)
		microseconds = 0;
	g_string_append_printf(text, "[%6" G_GUINT64_FORMAT ".%03u] %s: %s\n", microseconds / G_USEC_PER_SEC,
		(guint)(microseconds % G_USEC_PER_SEC / 1000), who ? who : "?", what ? what : "");
}

/* Only messages of the boot @id from now on, and with @match (may be NULL); whether the first one is found.
 */
static gboolean go_to_boot(sd_journal *journal, const char *id, const char *match)
{
	g_autofree char *boot = g_strconcat(BOOT_MATCH, id, NULL);

	sd_journal_flush_matches(journal);
	return sd_journal_add_match(journal, boot, 0) >= 0 &&
	       (!match || sd_journal_add_match(journal, match, 0) >= 0) &&
	       sd_journal_seek_head(journal) >= 0 && sd_journal_next(journal) > 0;
}

/* The last messages of the boot @id, under a line that says which that is; NULL: there are none. */
static char *collect(sd_journal *journal, const char *id)
{
	uint64_t began = 0;

	if (!go_to_boot(journal, id, NULL))
		return NULL;
	if (sd_journal_get_realtime_usec(journal, &began) < 0)
		began = 0;
	g_autoptr(GDateTime) time = g_date_time_new_from_unix_utc((gint64)(began / G_USEC_PER_SEC));
	g_autofree char *when = time ? g_date_time_format_iso8601(time) : g_strdup("at an unknown time");
	if (sd_journal_seek_tail(journal) < 0 ||
		sd_journal_previous_skip(journal, PROA_JOURNAL_MAX_LINES) <= 0)
		return NULL;
	g_autoptr(GString) text = g_string_new(NULL);
	for (int i = 0; i < PROA_JOURNAL_MAX_LINES; i++) {
		add_line(journal, text);
		if (sd_journal_next(journal) <= 0)
			break;
	}
	const char *newest = text->str;
	if (text->len > PROA_JOURNAL_MAX_TEXT)
		newest = strchr(text->str + text->len - PROA_JOURNAL_MAX_TEXT, '\n') + 1;
	return g_strdup_printf("boot %s, which began %s\n%s", id, when, newest);
}

char *proa_journal_tail(void)
{
	char id[SD_ID128_STRING_MAX];
	sd_journal *journal = NULL;
	sd_id128_t boot;

	if (sd_id128_get_boot(&boot) < 0 || sd_journal_open(&journal, SD_JOURNAL_LOCAL_ONLY) < 0)
		return NULL;
	char *text = collect(journal, sd_id128_to_string(boot, id));
	sd_journal_close(journal);
	return text;
}

/* Whether the kernel of the boot @id was started for @root_hash. */
static gboolean is_of_release(sd_journal *journal, const char *id, const char *root_hash)
{
	g_autofree char *word = g_strconcat("roothash=", root_hash, NULL);

	if (!go_to_boot(journal, id, KERNEL_MATCH))
		return FALSE;
	for (int i = 0; i < MAX_FIRST_MESSAGES; i++) {
		g_autofree char *text = field_text(journal, "MESSAGE", MAX_COMMAND_LINE);
		if (text && strstr(text, word))
			return TRUE;
		if (sd_journal_next(journal) <= 0)
			break;
	}
	return FALSE;
}

/* Identifiers of the boots that there are messages of. */
static GPtrArray *list_boots(sd_journal *journal)
{
	GPtrArray *boots = g_ptr_array_new_with_free_func(g_free);
	const void *data;
	size_t size;

	if (sd_journal_query_unique(journal, "_BOOT_ID") < 0)
		return boots;
	while (boots->len < MAX_BOOTS && sd_journal_enumerate_unique(journal, &data, &size) > 0)
		if (size > strlen(BOOT_MATCH))
			g_ptr_array_add(boots, g_strndup((const char *)data + strlen(BOOT_MATCH),
						       size - strlen(BOOT_MATCH)));
	return boots;
}

/* When the last message of the boot @id came, as a number that only ever grows: no clock has a part in it. */
static guint64 place_of(sd_journal *journal, const char *id)
{
	uint64_t number = 0;
	sd_id128_t writer;

	if (!go_to_boot(journal, id, NULL) || sd_journal_seek_tail(journal) < 0 ||
		sd_journal_previous(journal) <= 0 || sd_journal_get_seqnum(journal, &number, &writer) < 0)
		return 0;
	return number;
}

char *proa_journal_of_release(const char *root_hash)
{
	char own[SD_ID128_STRING_MAX];
	sd_journal *journal = NULL;
	const char *last = NULL;
	guint64 last_place = 0;
	sd_id128_t boot;

	if (sd_id128_get_boot(&boot) < 0 || sd_journal_open(&journal, SD_JOURNAL_LOCAL_ONLY) < 0)
		return NULL;
	sd_id128_to_string(boot, own);
	g_autoptr(GPtrArray) boots = list_boots(journal);
	for (guint i = 0; i < boots->len; i++) {
		const char *id = g_ptr_array_index(boots, i);
		if (strcmp(id, own) == 0 || !is_of_release(journal, id, root_hash))
			continue;
		guint64 place = place_of(journal, id);
		if (place > last_place) {
			last_place = place;
			last = id;
		}
	}
	char *text = last ? collect(journal, last) : NULL;
	sd_journal_close(journal);
	return text;
}
