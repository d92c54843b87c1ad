/* SPDX-License-Identifier: Apache-2.0 */
/* Which boot's messages are taken. The journal is one in memory: these functions take the place of
 * libsystemd's. */
#include "boot/journal.h"

#include <string.h>
#include <systemd/sd-id128.h>
#include <systemd/sd-journal.h>

#define BAD "1111111111111111111111111111111111111111111111111111111111111111"
#define GOOD "2222222222222222222222222222222222222222222222222222222222222222"
#define BOOT_1 "0000000000000000000000000000000a"
#define BOOT_2 "0000000000000000000000000000000b"
#define BOOT_3 "0000000000000000000000000000000c"

typedef struct {
	const char *boot;
	gboolean kernel;
	gint64 time; /* seconds since 1970, as the clock said then */
	char *message;
} Message;

struct sd_journal {
	char *boot, *transport;
	gssize at;
	guint unique;
	char data[64 * 1024];
};

static GArray *messages;
static gboolean unreadable;

static void say(const char *boot, gboolean kernel, gint64 time, const char *message)
{
	Message added = { boot, kernel, time, g_strdup(message) };

	g_array_append_val(messages, added);
}

static gboolean matches(const sd_journal *journal, gssize at)
{
	if (at < 0 || at >= (gssize)messages->len)
		return FALSE;
	const Message *message = &g_array_index(messages, Message, (guint)at);
	return (!journal->boot || strcmp(journal->boot, message->boot) == 0) &&
	       (!journal->transport || message->kernel);
}

static int step(sd_journal *journal, int direction)
{
	for (gssize at = journal->at + direction; at >= 0 && at < (gssize)messages->len; at += direction)
		if (matches(journal, at)) {
			journal->at = at;
			return 1;
		}
	return 0;
}

int sd_journal_open(sd_journal **ret, int flags)
{
	g_assert_cmpint(flags, ==, SD_JOURNAL_LOCAL_ONLY);
	if (unreadable)
		return -EACCES;
	*ret = g_new0(sd_journal, 1);
	return 0;
}

void sd_journal_close(sd_journal *journal)
{
	sd_journal_flush_matches(journal);
	g_free(journal);
}

void sd_journal_flush_matches(sd_journal *journal)
{
	g_clear_pointer(&journal->boot, g_free);
	g_clear_pointer(&journal->transport, g_free);
}

int sd_journal_add_match(sd_journal *journal, const void *data, size_t size)
{
	g_assert_cmpuint(size, ==, 0);
	if (g_str_has_prefix(data, "_BOOT_ID="))
		g_set_str(&journal->boot, (const char *)data + strlen("_BOOT_ID="));
	else
		g_set_str(&journal->transport, data);
	return 0;
}

int sd_journal_seek_head(sd_journal *journal)
{
	journal->at = -1;
	return 0;
}

int sd_journal_seek_tail(sd_journal *journal)
{
	journal->at = messages->len;
	return 0;
}

int sd_journal_next(sd_journal *journal)
{
	return step(journal, 1);
}

int sd_journal_previous(sd_journal *journal)
{
	return step(journal, -1);
}

int sd_journal_previous_skip(sd_journal *journal, uint64_t skip)
{
	int done = 0;

	while ((uint64_t)done < skip && step(journal, -1) > 0)
		done++;
	return done;
}

int sd_journal_get_data(sd_journal *journal, const char *field, const void **data, size_t *size)
{
	const Message *message = &g_array_index(messages, Message, (guint)journal->at);
	const char *value = strcmp(field, "MESSAGE") == 0 ? message->message : "someone";

	g_snprintf(journal->data, sizeof journal->data, "%s=%s", field, value);
	*data = journal->data;
	*size = strlen(journal->data);
	return 0;
}

int sd_journal_query_unique(sd_journal *journal, const char *field)
{
	g_assert_cmpstr(field, ==, "_BOOT_ID");
	journal->unique = 0;
	return 0;
}

int sd_journal_enumerate_unique(sd_journal *journal, const void **data, size_t *size)
{
	for (; journal->unique < messages->len; journal->unique++) {
		const Message *message = &g_array_index(messages, Message, journal->unique);
		if (journal->unique > 0 && strcmp((message - 1)->boot, message->boot) == 0)
			continue;
		g_snprintf(journal->data, sizeof journal->data, "_BOOT_ID=%s", message->boot);
		*data = journal->data;
		*size = strlen(journal->data);
		journal->unique++;
		return 1;
	}
	return 0;
}

int sd_journal_get_realtime_usec(sd_journal *journal, uint64_t *ret)
{
	*ret = (uint64_t)g_array_index(messages, Message, (guint)journal->at).time * G_USEC_PER_SEC;
	return 0;
}

int sd_journal_get_monotonic_usec(sd_journal *journal, uint64_t *ret, sd_id128_t *boot)
{
	*ret = 1500000;
	return 0;
}

int sd_journal_get_seqnum(sd_journal *journal, uint64_t *ret, sd_id128_t *ret_writer)
{
	*ret = (uint64_t)journal->at + 1;
	return 0;
}

static void forget(void)
{
	for (guint i = 0; messages && i < messages->len; i++)
		g_free(g_array_index(messages, Message, i).message);
	g_clear_pointer(&messages, g_array_unref);
	messages = g_array_new(FALSE, FALSE, sizeof(Message));
}

static const char *own_boot(void)
{
	static char id[SD_ID128_STRING_MAX];
	sd_id128_t boot;

	g_assert_cmpint(sd_id128_get_boot(&boot), ==, 0);
	return sd_id128_to_string(boot, id);
}

static void boot(const char *id, const char *root_hash, gint64 time, const char *word)
{
	g_autofree char *line =
		g_strdup_printf("Command line: console=ttyS0 panic=10 roothash=%s quiet", root_hash);

	say(id, TRUE, time, "Linux version 6.12");
	say(id, TRUE, time, line);
	say(id, FALSE, time + 1, word);
}

/* Two tries that failed, one of them with a clock of 1970, then the good release, twice. */
static void the_release_s_last_boot_and_no_other(void)
{
	forget();
	boot(BOOT_1, BAD, 1780000000, "first try");
	boot(BOOT_2, BAD, 100, "second try");
	boot(BOOT_3, GOOD, 1780000200, "of the good one");
	boot(own_boot(), GOOD, 1780000300, "of this boot");
	g_autofree char *text = proa_journal_of_release(BAD);
	g_assert_true(g_str_has_prefix(text, "boot " BOOT_2 ", which began 1970-01-01T00:01:40Z\n"));
	g_assert_nonnull(strstr(text, "[     1.500] someone: second try\n"));
	g_assert_null(strstr(text, "first try"));
	g_assert_null(strstr(text, "good one"));
	g_autofree char *good = proa_journal_of_release(GOOD);
	g_assert_nonnull(strstr(good, "of the good one"));
	g_assert_null(strstr(good, "of this boot"));
	g_autofree char *tail = proa_journal_tail();
	g_assert_nonnull(strstr(tail, "of this boot"));
	g_assert_null(strstr(tail, "of the good one"));
}

/* The good release's own words are no evidence against another. */
static void none_are_none(void)
{
	forget();
	boot(BOOT_3, GOOD, 1780000200, "roothash=" BAD " is what a program says");
	boot(own_boot(), GOOD, 1780000300, "of this boot");
	g_assert_null(proa_journal_of_release(BAD));
	unreadable = TRUE;
	g_assert_null(proa_journal_of_release(GOOD));
	g_assert_null(proa_journal_tail());
	unreadable = FALSE;
	forget();
	g_assert_null(proa_journal_tail());
}

static void a_long_one_keeps_its_end_and_its_name(void)
{
	g_autofree char *line = g_strnfill(2000, 'x');

	forget();
	boot(BOOT_1, BAD, 1780000000, "soon forgotten");
	for (int i = 0; i < 1000; i++)
		say(BOOT_1, FALSE, 1780000001, line);
	say(BOOT_1, FALSE, 1780000002, "the last\nword");
	g_autofree char *text = proa_journal_of_release(BAD);
	g_assert_true(g_str_has_prefix(text, "boot " BOOT_1 ", which began "));
	g_assert_true(g_str_has_suffix(text, "someone: the last word\n"));
	g_assert_cmpuint(strlen(text), <, PROA_JOURNAL_MAX_TEXT + 200);
	g_assert_null(strstr(text, "soon forgotten"));
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func(
		"/journal/the-release-s-last-boot-and-no-other", the_release_s_last_boot_and_no_other);
	g_test_add_func("/journal/none-are-none", none_are_none);
	g_test_add_func(
		"/journal/a-long-one-keeps-its-end-and-its-name", a_long_one_keeps_its_end_and_its_name);
	int status = g_test_run();
	forget();
	g_clear_pointer(&messages, g_array_unref);
	return status;
}
