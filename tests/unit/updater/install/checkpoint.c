/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/install/checkpoint.h"

#include "tests/unit/scratch.h"

#include <string.h>

#define HASH "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
#define OTHER "ff112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
#define SIZE (2u << 20)

typedef struct {
	Scratch scratch;
	char *state, *run, *slot;
	guint8 *image;
} Fixture;

static void set_up(Fixture *f, gconstpointer data)
{
	f->scratch = scratch_new();
	f->state = scratch_file(&f->scratch, "state");
	f->run = scratch_file(&f->scratch, "run");
	f->image = g_malloc(SIZE);
	for (gsize i = 0; i < SIZE; i++)
		f->image[i] = (guint8)(i * 7 + i / 4096);
	g_assert_cmpint(g_mkdir(f->state, 0755), ==, 0);
	g_assert_cmpint(g_mkdir(f->run, 0755), ==, 0);
	f->slot = scratch_write(&f->scratch, "slot", (const char *)f->image, SIZE);
}

static void tear_down(Fixture *f, gconstpointer data)
{
	scratch_clear(&f->scratch);
	g_free(f->state);
	g_free(f->run);
	g_free(f->slot);
	g_free(f->image);
}

static ProaCheckpoint *new_one(const Fixture *f, const char *hash, const char *slot)
{
	return proa_checkpoint_new(f->state, f->run, hash, slot, f->slot, SIZE);
}

static void save(const ProaCheckpoint *checkpoint, gboolean durable)
{
	g_autoptr(GError) error = NULL;

	g_assert_true(proa_checkpoint_save(checkpoint, durable, &error));
	g_assert_no_error(error);
}

/* A durable checkpoint at 512 KiB, a quick one at 1 MiB. */
static void write_both(const Fixture *f)
{
	g_autoptr(ProaCheckpoint) checkpoint = new_one(f, HASH, "root-b");

	proa_checkpoint_took(checkpoint, f->image, 512 * 1024);
	save(checkpoint, TRUE);
	proa_checkpoint_took(checkpoint, f->image + 512 * 1024, 512 * 1024);
	save(checkpoint, FALSE);
	g_assert_cmpuint(proa_checkpoint_done(checkpoint), ==, 1 << 20);
}

static guint64 resumed(const Fixture *f, const char *hash, const char *slot)
{
	g_autoptr(ProaCheckpoint) checkpoint = new_one(f, hash, slot);

	return proa_checkpoint_resume(checkpoint, NULL, NULL);
}

static void alter(const Fixture *f, gsize at)
{
	f->image[at] ^= 1;
	g_assert_true(g_file_set_contents(f->slot, (const char *)f->image, SIZE, NULL));
}

static void nothing_to_resume(Fixture *f, gconstpointer data)
{
	g_assert_cmpuint(resumed(f, HASH, "root-b"), ==, 0);
}

static void goes_on_at_the_longer(Fixture *f, gconstpointer data)
{
	write_both(f);
	g_assert_cmpuint(resumed(f, HASH, "root-b"), ==, 1 << 20);
}

static void falls_to_the_shorter(Fixture *f, gconstpointer data)
{
	write_both(f);
	alter(f, 512 * 1024);
	g_assert_cmpuint(resumed(f, HASH, "root-b"), ==, 512 * 1024);
}

static void believes_neither(Fixture *f, gconstpointer data)
{
	write_both(f);
	alter(f, 1);
	g_assert_cmpuint(resumed(f, HASH, "root-b"), ==, 0);
}

static void other_release_or_slot(Fixture *f, gconstpointer data)
{
	write_both(f);
	g_assert_cmpuint(resumed(f, OTHER, "root-b"), ==, 0);
	g_assert_cmpuint(resumed(f, HASH, "root-a"), ==, 0);
}

/* After going on, the next checkpoint covers what was there and what came. */
static void sums_over_a_break(Fixture *f, gconstpointer data)
{
	g_autoptr(ProaCheckpoint) checkpoint = NULL;

	write_both(f);
	alter(f, 700000);
	checkpoint = new_one(f, HASH, "root-b");
	g_assert_cmpuint(proa_checkpoint_resume(checkpoint, NULL, NULL), ==, 512 * 1024);
	proa_checkpoint_took(checkpoint, f->image + 512 * 1024, SIZE - 512 * 1024);
	save(checkpoint, TRUE);
	g_assert_cmpuint(resumed(f, HASH, "root-b"), ==, SIZE);
}

/* What follows the last whole block is there again, if the file is whole; the next block takes its place. */
static void keeps_a_tail(Fixture *f, gconstpointer data)
{
	g_autoptr(ProaCheckpoint) checkpoint = new_one(f, HASH, "root-b"), again = new_one(f, HASH, "root-b");
	g_autoptr(ProaCheckpoint) other = new_one(f, HASH, "root-b"), after = new_one(f, HASH, "root-b");
	g_autofree char *path = g_build_filename(f->state, "checkpoint.json", NULL), *text = NULL;
	gsize size = 0;

	proa_checkpoint_took(checkpoint, f->image, 512 * 1024);
	proa_checkpoint_keep(checkpoint, f->image + 512 * 1024, 4095);
	save(checkpoint, TRUE);
	g_assert_cmpuint(proa_checkpoint_resume(again, NULL, NULL), ==, 512 * 1024);
	const guint8 *tail = proa_checkpoint_tail(again, &size);
	g_assert_cmpmem(tail, size, f->image + 512 * 1024, 4095);
	/* One digit of it is another. */
	g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
	char *digit = strstr(text, "\"tail\"") + 20;
	*digit = *digit == '0' ? '1' : '0';
	g_assert_true(g_file_set_contents(path, text, -1, NULL));
	g_assert_cmpuint(proa_checkpoint_resume(other, NULL, NULL), ==, 0);
	proa_checkpoint_tail(other, &size);
	g_assert_cmpuint(size, ==, 0);
	proa_checkpoint_took(again, f->image + 512 * 1024, 4096);
	save(again, TRUE);
	g_assert_cmpuint(proa_checkpoint_resume(after, NULL, NULL), ==, 512 * 1024 + 4096);
	proa_checkpoint_tail(after, &size);
	g_assert_cmpuint(size, ==, 0);
}

/* It is known of the bytes that are gone on with, and of no others. */
static void tells_of_a_delta(Fixture *f, gconstpointer data)
{
	g_autoptr(ProaCheckpoint) checkpoint = new_one(f, HASH, "root-b"),
				  longer = new_one(f, HASH, "root-b"), shorter = new_one(f, HASH, "root-b");

	proa_checkpoint_took(checkpoint, f->image, 512 * 1024);
	save(checkpoint, TRUE);
	proa_checkpoint_set_delta(checkpoint);
	proa_checkpoint_took(checkpoint, f->image + 512 * 1024, 512 * 1024);
	save(checkpoint, FALSE);
	g_assert_cmpuint(proa_checkpoint_resume(longer, NULL, NULL), ==, 1 << 20);
	g_assert_true(proa_checkpoint_delta(longer));
	save(longer, FALSE);
	g_assert_cmpuint(proa_checkpoint_resume(longer, NULL, NULL), ==, 1 << 20);
	g_assert_true(proa_checkpoint_delta(longer));
	alter(f, 700000);
	g_assert_cmpuint(proa_checkpoint_resume(shorter, NULL, NULL), ==, 512 * 1024);
	g_assert_false(proa_checkpoint_delta(shorter));
}

static void forgets(Fixture *f, gconstpointer data)
{
	g_autoptr(GError) error = NULL;

	write_both(f);
	g_assert_true(proa_checkpoint_forget(f->state, f->run, &error));
	g_assert_true(proa_checkpoint_forget(f->state, f->run, &error));
	g_assert_cmpuint(resumed(f, HASH, "root-b"), ==, 0);
}

static void slot_gone(Fixture *f, gconstpointer data)
{
	write_both(f);
	g_assert_cmpint(g_unlink(f->slot), ==, 0);
	g_assert_cmpuint(resumed(f, HASH, "root-b"), ==, 0);
}

static void claims_too_much(Fixture *f, gconstpointer data)
{
	write_both(f);
	g_autoptr(ProaCheckpoint) small =
		proa_checkpoint_new(f->state, f->run, HASH, "root-b", f->slot, 256 * 1024);
	g_assert_cmpuint(proa_checkpoint_resume(small, NULL, NULL), ==, 0);
}

static void refuses(gconstpointer text)
{
	g_autoptr(GError) error = NULL;
	ProaCheckpointClaim claim = { .done = 1 };

	g_assert_false(proa_checkpoint_parse(text, strlen(text), &claim, &error));
	g_assert_error(error, PROA_ERROR, PROA_REASON_BAD_STATE);
	g_assert_cmpuint(claim.done, ==, 1);
}

#define SUM "0123456789abcdef"
#define FILE(hash, slot, done, sum)                                                                          \
	"{\"root_hash\":\"" hash "\",\"slot\":\"" slot "\",\"done\":" done ",\"crc64\":\"" sum "\"}"

#define FILE_TAIL(tail)                                                                                      \
	"{\"root_hash\":\"" HASH "\",\"slot\":\"root-b\",\"done\":4096,\"crc64\":\"" SUM                     \
	"\",\"tail\":\"" tail "\"}"

static const struct {
	const char *name, *text;
} bad[] = {
	{ "empty", "" },
	{ "no-object", "[]" },
	{ "no-members", "{}" },
	{ "hash-short", FILE("00", "root-b", "4096", SUM) },
	{ "sum-malformed", FILE(HASH, "root-b", "4096", "0123456789abcdeg") },
	{ "sum-long", FILE(HASH, "root-b", "4096", "0123456789abcdef0") },
	{ "slot-long", FILE(HASH, "root-b-root-b-root-b", "4096", SUM) },
	{ "done-odd", FILE(HASH, "root-b", "4097", SUM) },
	{ "done-negative", FILE(HASH, "root-b", "-4096", SUM) },
	{ "tail-odd", FILE_TAIL("abc") },
	{ "tail-no-digits", FILE_TAIL("zz") },
	{ "delta-number", "{\"root_hash\":\"" HASH "\",\"slot\":\"root-b\",\"done\":4096,\"crc64\":\"" SUM
			  "\",\"delta\":1}" },
	{ "done-string", FILE(HASH, "root-b", "\"4096\"", SUM) },
};

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
#define ADD(name, test) g_test_add("/install/checkpoint/" name, Fixture, NULL, set_up, test, tear_down)
	ADD("nothing-to-resume", nothing_to_resume);
	ADD("goes-on-at-the-longer", goes_on_at_the_longer);
	ADD("falls-to-the-shorter", falls_to_the_shorter);
	ADD("believes-neither", believes_neither);
	ADD("other-release-or-slot", other_release_or_slot);
	ADD("sums-over-a-break", sums_over_a_break);
	ADD("keeps-a-tail", keeps_a_tail);
	ADD("forgets", forgets);
	ADD("slot-gone", slot_gone);
	ADD("tells-of-a-delta", tells_of_a_delta);
	ADD("claims-too-much", claims_too_much);
	for (guint i = 0; i < G_N_ELEMENTS(bad); i++) {
		g_autofree char *name = g_strconcat("/install/checkpoint/refuses-", bad[i].name, NULL);
		g_test_add_data_func(name, bad[i].text, refuses);
	}
	return g_test_run();
}
