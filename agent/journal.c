/* SPDX-License-Identifier: Apache-2.0 */
#define SD_JOURNAL_SUPPRESS_LOCATION
#include "agent/journal.h"

#include "agent/text.h"

#include <stdio.h>
#include <string.h>
#include <sys/uio.h>
#include <systemd/sd-journal.h>

static void add_field(GPtrArray *fields, const char *name, const char *value)
{
	if (value && *value)
		g_ptr_array_add(fields, g_strdup_printf("%s=%s", name, value));
}

void proa_journal(const ProaMessage *fields, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	g_autofree char *raw = g_strdup_vprintf(format, args);
	va_end(args);
	g_autofree char *message = proa_text_safe(raw);

	/* systemd sets this where our standard error is the journal. */
	if (!g_getenv("JOURNAL_STREAM")) {
		fprintf(stderr, "proad: %s\n", message);
		return;
	}
	g_autoptr(GPtrArray) texts = g_ptr_array_new_with_free_func(g_free);
	g_autofree char *priority = g_strdup_printf("%d", fields->priority);
	char id[SD_ID128_STRING_MAX];
	add_field(texts, "MESSAGE", message);
	add_field(texts, "PRIORITY", priority);
	add_field(texts, "SYSLOG_IDENTIFIER", "proad");
	if (!sd_id128_is_null(fields->id))
		add_field(texts, "MESSAGE_ID", sd_id128_to_string(fields->id, id));
	add_field(texts, "PROA_OPERATION", fields->operation);
	add_field(texts, "PROA_REASON", fields->reason);
	add_field(texts, "PROA_VERSION", fields->version);

	g_autofree struct iovec *parts = g_new0(struct iovec, texts->len);
	for (guint i = 0; i < texts->len; i++) {
		char *text = g_ptr_array_index(texts, i);
		parts[i] = (struct iovec){ text, strlen(text) };
	}
	/* Nobody is left to tell if the journal does not take it. */
	sd_journal_sendv(parts, (int)texts->len);
}
