/* SPDX-License-Identifier: Apache-2.0 */
/* Trees built by libcryptsetup; what proa_verity_check() says of each is the judge. */
#include "verity/scrub.h"

#include "tests/unit/verity/tree.h"

#include <fcntl.h>
#include <unistd.h>

static ProaScrub scrub(const Fixture *f, const char *root_hash)
{
	ProaScrub result = { 0 };
	g_autoptr(GError) error = NULL;

	g_assert_true(proa_scrub(f->data, f->hash, root_hash, 0, NULL, NULL, &result, &error));
	g_assert_no_error(error);
	return result;
}

static char *build(const Fixture *f)
{
	char *root_hash = NULL;
	g_autoptr(GError) error = NULL;

	g_assert_true(proa_verity_build(f->data, f->hash, &f->params, &root_hash, &error));
	g_assert_no_error(error);
	return root_hash;
}

static void flip(const char *path, goffset at)
{
	guint8 byte;
	PROA_AUTO_FD int fd = open(path, O_RDWR | O_CLOEXEC);

	g_assert_cmpint(pread(fd, &byte, 1, at), ==, 1);
	byte ^= 1;
	g_assert_cmpint(pwrite(fd, &byte, 1, at), ==, 1);
}

/* One level, none, two and three. */
static void a_sound_slot_has_no_bad_block(Fixture *f, gconstpointer size)
{
	g_autofree char *root_hash = build(f);
	ProaScrub result = scrub(f, root_hash);

	g_assert_cmpuint(result.bad, ==, 0);
	g_assert_cmpuint(result.blocks, ==, GPOINTER_TO_SIZE(size) / 4096);
	g_assert_true(result.first_bad == G_MAXUINT64);
}

static void every_flipped_bit_is_found(Fixture *f, gconstpointer size)
{
	g_autofree char *root_hash = build(f);
	guint64 blocks = GPOINTER_TO_SIZE(size) / 4096;

	for (guint64 block = 0; block < blocks; block += MAX(blocks / 7, 1)) {
		goffset at = (goffset)block * 4096 + (goffset)(block % 4096);
		flip(f->data, at);
		ProaScrub result = scrub(f, root_hash);
		g_assert_cmpuint(result.bad, ==, 1);
		g_assert_cmpuint(result.first_bad, ==, block);
		g_assert_false(proa_verity_check(f->data, f->hash, root_hash, NULL));
		flip(f->data, at);
	}
	g_assert_cmpuint(scrub(f, root_hash).bad, ==, 0);
}

static void a_damaged_tree_is_found(Fixture *f, gconstpointer size)
{
	g_autofree char *root_hash = build(f);
	goffset tree = (goffset)proa_verity_tree_size(GPOINTER_TO_SIZE(size));

	for (goffset at = 4096 + 5; at < tree; at += 4096) {
		flip(f->hash, at);
		g_assert_cmpuint(scrub(f, root_hash).bad, >, 0);
		flip(f->hash, at);
	}
	g_autofree char *other = g_strnfill(64, 'a');
	g_assert_cmpuint(scrub(f, other).bad, >, 0);
}

static void a_slot_cut_short_is_bad_not_an_error(Fixture *f, gconstpointer size)
{
	g_autofree char *root_hash = build(f);

	g_assert_cmpint(truncate(f->data, (off_t)GPOINTER_TO_SIZE(size) - 100), ==, 0);
	ProaScrub result = scrub(f, root_hash);
	g_assert_cmpuint(result.bad, ==, 1);
	g_assert_cmpuint(result.first_bad, ==, GPOINTER_TO_SIZE(size) / 4096 - 1);
}

static void expect_refused(const Fixture *f, ProaReason reason)
{
	g_autofree char *root_hash = g_strnfill(64, 'a');
	g_autoptr(GError) error = NULL;
	ProaScrub result;

	g_assert_false(proa_scrub(f->data, f->hash, root_hash, 0, NULL, NULL, &result, &error));
	g_assert_error(error, PROA_ERROR, (int)reason);
}

static void hostile_superblocks_are_refused(Fixture *f, gconstpointer size)
{
	static const goffset fields[] = { 0, 8, 12, 32, 64, 68, 76, 79, 81 };
	g_autofree char *root_hash = build(f);

	for (gsize i = 0; i < G_N_ELEMENTS(fields); i++) {
		PROA_AUTO_FD int fd = open(f->hash, O_RDWR | O_CLOEXEC);
		guint8 byte, bad = 0xff;
		g_assert_cmpint(pread(fd, &byte, 1, fields[i]), ==, 1);
		g_assert_cmpint(pwrite(fd, &bad, 1, fields[i]), ==, 1);
		expect_refused(f, PROA_REASON_ROOT_HASH_MISMATCH);
		g_assert_cmpint(pwrite(fd, &byte, 1, fields[i]), ==, 1);
	}
	g_assert_cmpuint(scrub(f, root_hash).bad, ==, 0);
	g_assert_cmpint(truncate(f->hash, 100), ==, 0);
	expect_refused(f, PROA_REASON_IO);
	g_unlink(f->hash);
	expect_refused(f, PROA_REASON_NOT_FOUND);
}

static gboolean stop_in_the_middle(guint64 done, guint64 total, gpointer data)
{
	guint64 *seen = data;

	g_assert_cmpuint(done, >=, *seen);
	g_assert_cmpuint(done, <=, total);
	*seen = done;
	return done < total / 2;
}

static void it_can_be_stopped_and_slowed(Fixture *f, gconstpointer size)
{
	g_autofree char *root_hash = build(f);
	g_autoptr(GError) error = NULL;
	ProaScrub result;
	guint64 seen = 0;
	gint64 began = g_get_monotonic_time();

	g_assert_false(
		proa_scrub(f->data, f->hash, root_hash, 0, stop_in_the_middle, &seen, &result, &error));
	g_assert_error(error, PROA_ERROR, PROA_REASON_CANCELLED);
	g_assert_cmpuint(seen, >=, GPOINTER_TO_SIZE(size) / 2);
	g_clear_error(&error);
	/* Four times its size a second: a quarter of a second, however fast the disk is. */
	g_assert_true(proa_scrub(
		f->data, f->hash, root_hash, GPOINTER_TO_SIZE(size) * 4, NULL, NULL, &result, &error));
	g_assert_cmpint(g_get_monotonic_time() - began, >=, G_USEC_PER_SEC / 4);
}

#define SIZE(blocks) GSIZE_TO_POINTER((gsize)(blocks) * 4096)

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		gsize blocks;
		void (*run)(Fixture *f, gconstpointer size);
	} tests[] = {
		{ "/verity/scrub/a-sound-slot-has-no-bad-block/1", 1, a_sound_slot_has_no_bad_block },
		{ "/verity/scrub/a-sound-slot-has-no-bad-block/2", 2, a_sound_slot_has_no_bad_block },
		{ "/verity/scrub/a-sound-slot-has-no-bad-block/128", 128, a_sound_slot_has_no_bad_block },
		{ "/verity/scrub/a-sound-slot-has-no-bad-block/129", 129, a_sound_slot_has_no_bad_block },
		{ "/verity/scrub/a-sound-slot-has-no-bad-block/16385", 16385, a_sound_slot_has_no_bad_block },
		{ "/verity/scrub/every-flipped-bit-is-found/1", 1, every_flipped_bit_is_found },
		{ "/verity/scrub/every-flipped-bit-is-found/700", 700, every_flipped_bit_is_found },
		{ "/verity/scrub/a-damaged-tree-is-found", 700, a_damaged_tree_is_found },
		{ "/verity/scrub/a-slot-cut-short-is-bad-not-an-error", 300,
			a_slot_cut_short_is_bad_not_an_error },
		{ "/verity/scrub/hostile-superblocks-are-refused", 300, hostile_superblocks_are_refused },
		{ "/verity/scrub/it-can-be-stopped-and-slowed", 2048, it_can_be_stopped_and_slowed },
	};

	g_test_init(&argc, &argv, NULL);
	for (gsize i = 0; i < G_N_ELEMENTS(tests); i++)
		g_test_add(tests[i].name, Fixture, SIZE(tests[i].blocks), set_up, tests[i].run, tear_down);
	return g_test_run();
}
