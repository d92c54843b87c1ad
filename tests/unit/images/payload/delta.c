/* SPDX-License-Identifier: Apache-2.0 */
#include "images/payload/delta.h"

#include "tests/unit/images/payload/delta.h"
#include "tests/unit/scratch.h"
#include "updater/payload/delta.h"

#include <string.h>

#define OLD_HASH "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
#define NEW_HASH "ff112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
#define OTHER_HASH "aa112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

/* A stream that gives at most so many bytes at a time. */
typedef struct {
	ProaStream stream;
	const guint8 *data;
	gsize size, at, most;
} Trickle;

static gssize trickle_read(ProaStream *stream, void *data, gsize size, GError **error)
{
	Trickle *trickle = (Trickle *)stream;
	gsize n = MIN(MIN(size, trickle->most), trickle->size - trickle->at);

	memcpy(data, trickle->data + trickle->at, n);
	trickle->at += n;
	return (gssize)n;
}

static void trickle_close(ProaStream *stream)
{
}

static const ProaStreamKind trickle_kind = { trickle_read, trickle_close };

typedef struct {
	const GByteArray *old_image, *delta;
	GByteArray *made;
	Trickle again;  /* the payload, opened anew */
	guint64 opened; /* bytes asked for so */
} Node;

static ProaStream *reopen(const ProaPayloadRange *ranges, guint n, gpointer user_data, GError **error)
{
	Node *node = user_data;

	g_assert_cmpuint(n, ==, 1);
	node->opened += ranges[0].length;
	node->again = (Trickle){ { &trickle_kind }, node->delta->data,
		(gsize)(ranges[0].offset + ranges[0].length), (gsize)ranges[0].offset, 1000 };
	return &node->again.stream;
}

static gboolean read_old(guint64 offset, guint8 *data, gsize size, gpointer user_data, GError **error)
{
	const GByteArray *image = ((Node *)user_data)->old_image;

	g_assert_cmpuint(offset + size, <=, image->len);
	memcpy(data, image->data + offset, size);
	return TRUE;
}

static gboolean read_new(guint64 offset, guint8 *data, gsize size, gpointer user_data, GError **error)
{
	const GByteArray *image = ((Node *)user_data)->made;

	g_assert_cmpuint(offset + size, <=, image->len);
	memcpy(data, image->data + offset, size);
	return TRUE;
}

static gboolean take(const guint8 *data, gsize size, gpointer user_data, GError **error)
{
	g_assert_cmpuint((guintptr)data % 4096, ==, 0);
	g_assert_cmpuint(((Node *)user_data)->made->len % 4096, ==, 0);
	g_byte_array_append(((Node *)user_data)->made, data, (guint)size);
	return TRUE;
}

static GByteArray *make(const GByteArray *old_image, const GByteArray *new_image, guint threads)
{
	g_autoptr(GError) error = NULL;
	g_auto(Scratch) scratch = scratch_new();
	g_autofree char *from = scratch_write(&scratch, "old", (const char *)old_image->data, old_image->len);
	g_autofree char *to = scratch_write(&scratch, "new", (const char *)new_image->data, new_image->len);
	g_autofree char *out = scratch_file(&scratch, "delta");
	const ProaDeltaMaker maker = { .threads = threads };
	const ProaDeltaImage images[] = { { from, OLD_HASH }, { to, NEW_HASH } };
	char *whole = NULL;
	gsize size = 0;

	g_assert_true(proa_delta_make(&maker, &images[0], &images[1], out, &error));
	g_assert_no_error(error);
	g_assert_true(g_file_get_contents(out, &whole, &size, NULL));
	return g_byte_array_new_take((guint8 *)whole, size);
}

/* Applies @delta with reads of at most @most bytes; what came of it. */
static GByteArray *apply(const GByteArray *old_image, const GByteArray *delta, guint64 new_size,
	const char *old_hash, const char *header_sha256, gsize most, GError **error)
{
	Trickle in = { { &trickle_kind }, delta->data, delta->len, 0, most };
	Node node = { .old_image = old_image, .delta = delta, .made = g_byte_array_new() };
	g_autofree char *sha256 = proa_sha256_hex(delta->data, delta->len);
	const ProaPayloadExpect expect = { .size = delta->len,
		.sha256 = sha256,
		.header_sha256 = header_sha256,
		.image_size = new_size,
		.root_hash = NEW_HASH };
	const ProaDeltaTarget target = { .old_hash = old_hash,
		.read_old = read_old,
		.read_new = read_new,
		.sink = take,
		.user_data = &node };

	if (proa_delta_apply(&in.stream, &expect, &target, error))
		return node.made;
	g_byte_array_unref(node.made);
	return NULL;
}

/* apply(make(a, b), a) == b, however the stream is split. Returns the payload's size. */
static guint check(const GByteArray *old_image, const GByteArray *new_image)
{
	static const gsize splits[] = { 1, 7, 4096, G_MAXSSIZE };
	g_autoptr(GByteArray) delta = make(old_image, new_image, 2);

	for (guint i = 0; i < G_N_ELEMENTS(splits); i++) {
		g_autoptr(GError) error = NULL;
		g_autoptr(GByteArray) made =
			apply(old_image, delta, new_image->len, OLD_HASH, NULL, splits[i], &error);
		g_assert_no_error(error);
		g_assert_cmpmem(made->data, made->len, new_image->data, new_image->len);
	}
	return delta->len;
}

/* The parts of @image in another order: @order holds their numbers, -1 ends it. */
static GByteArray *shuffled(const GByteArray *image, gsize part, const int *order)
{
	GByteArray *made = g_byte_array_new();

	for (; *order >= 0; order++)
		g_byte_array_append(made, image->data + (gsize)*order * part, (guint)part);
	return made;
}

static void plain_images(void)
{
	static const int moved[] = { 3, 4, 5, 0, 1, 2, 6, 7, -1 },
			 inserted[] = { 0, 1, 7, 2, 3, 4, 5, 6, 7, -1 }, truncated[] = { 0, 1, 2, -1 },
			 repeated[] = { 2, 2, 2, 2, 2, -1 };
	const int *const orders[] = { moved, inserted, truncated, repeated };
	g_autoptr(GByteArray) image = image_new(1, 80000), other = image_new(2, 50001);
	g_autoptr(GByteArray) zeros = g_byte_array_new(), edited = image_new(1, 80000);

	g_byte_array_set_size(zeros, 30000);
	memset(zeros->data, 0, zeros->len);
	for (guint i = 0; i < edited->len; i += 977)
		edited->data[i] ^= 0x55;
	for (guint i = 0; i < G_N_ELEMENTS(orders); i++) {
		g_autoptr(GByteArray) changed = shuffled(image, 10000, orders[i]);
		g_assert_cmpuint(check(image, changed), <, 2000);
	}
	g_assert_cmpuint(check(image, image), <, 500);
	g_assert_cmpuint(check(image, zeros), <, 500);
	g_assert_cmpuint(check(image, edited), <, 2500);
	check(zeros, image);
	check(image, other);
}

/* Goes on where @from bytes are there, the payload being opened anew or read through. */
static void check_going_on(const GByteArray *old_image, const GByteArray *new_image, const GByteArray *delta,
	guint64 from, gboolean anew)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(GByteArray) made = g_byte_array_new();
	guint8 fixed[PROA_DELTA_HEADER_SIZE];

	memcpy(fixed, delta->data, sizeof fixed);
	g_autoptr(ProaDeltaHeader) header = proa_delta_header_parse(fixed, &error);
	g_assert_no_error(error);
	g_autofree char *sha256 =
		proa_sha256_hex(delta->data, PROA_DELTA_HEADER_SIZE + proa_delta_table_size(header));
	Trickle in = { { &trickle_kind }, delta->data, delta->len, 0, 5000 };
	g_byte_array_append(made, new_image->data, (guint)from);
	Node node = { .old_image = old_image, .delta = delta, .made = made };
	const ProaPayloadExpect expect = { .size = delta->len,
		.header_sha256 = sha256,
		.image_size = new_image->len,
		.root_hash = NEW_HASH };
	const ProaDeltaTarget target = { .old_hash = OLD_HASH,
		.read_old = read_old,
		.read_new = read_new,
		.sink = take,
		.from = from,
		.open = anew ? reopen : NULL,
		.user_data = &node };
	g_assert_true(proa_delta_apply(&in.stream, &expect, &target, &error));
	g_assert_no_error(error);
	g_assert_cmpmem(made->data, made->len, new_image->data, new_image->len);
}

/* The same as a job: what it is told to cost is what is asked for. */
static void check_job(const GByteArray *old_image, const GByteArray *new_image, const GByteArray *delta,
	guint64 head_size, guint64 from)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(GByteArray) made = g_byte_array_new();
	g_autofree char *sha256 = proa_sha256_hex(delta->data, head_size);
	Node node = { .old_image = old_image, .delta = delta, .made = made };
	const ProaPayloadExpect expect = { .size = delta->len,
		.header_sha256 = sha256,
		.header_size = head_size,
		.image_size = new_image->len,
		.root_hash = NEW_HASH };
	const ProaPayloadJob job = { .expect = &expect,
		.open = reopen,
		.read_old = read_old,
		.read_new = read_new,
		.from = from,
		.sink = take,
		.user_data = &node };
	guint64 cost = 0;

	g_byte_array_append(made, new_image->data, (guint)from);
	g_assert_true(proa_delta_cost(&job, OLD_HASH, &cost, &error));
	g_assert_no_error(error);
	node.opened = 0;
	g_assert_true(proa_delta_apply_job(&job, OLD_HASH, &error));
	g_assert_no_error(error);
	g_assert_cmpmem(made->data, made->len, new_image->data, new_image->len);
	g_assert_cmpuint(node.opened, ==, from < new_image->len ? cost : 0);
	g_assert_cmpuint(cost, <=, delta->len);
	if (from < new_image->len) {
		g_assert_false(proa_delta_apply_job(&job, NEW_HASH, &error));
		g_assert_error(error, PROA_ERROR, PROA_REASON_BAD_PAYLOAD);
	}
}

/* More news than one frame takes. */
static void many_frames(void)
{
	g_autoptr(GByteArray) old_image = image_new(5, 300000), new_image = image_new(6, 4 << 20);
	g_autoptr(GError) error = NULL;
	guint8 fixed[PROA_DELTA_HEADER_SIZE];
	g_autoptr(GByteArray) delta = make(old_image, new_image, 3), one = make(old_image, new_image, 1);

	g_assert_cmpmem(delta->data, delta->len, one->data, one->len);
	memcpy(fixed, delta->data, sizeof fixed);
	g_autoptr(ProaDeltaHeader) header = proa_delta_header_parse(fixed, &error);
	g_assert_no_error(error);
	g_assert_cmpuint(header->n_frames, >, 1);
	g_autoptr(GByteArray) made = apply(old_image, delta, new_image->len, OLD_HASH, NULL, 100000, &error);
	g_assert_cmpmem(made->data, made->len, new_image->data, new_image->len);
	for (guint64 from = 4096; from < new_image->len; from += 211 * 4096) {
		check_going_on(old_image, new_image, delta, from, TRUE);
		check_going_on(old_image, new_image, delta, from, FALSE);
	}
	check_going_on(old_image, new_image, delta, new_image->len, TRUE);
	gsize head_size = PROA_DELTA_HEADER_SIZE + proa_delta_table_size(header);
	for (guint64 from = 0; from <= new_image->len; from += 1u << 20)
		check_job(old_image, new_image, delta, head_size, from);
}

/* Two root images as they are really made, with modules among their files. */
static GByteArray *root_image(
	const Scratch *scratch, const char *name, const char *version, guint without, guint edited)
{
	g_autofree char *folder = scratch_file(scratch, name), *path = g_strconcat(folder, ".img", NULL);
	for (guint i = 0; i < 12; i++) {
		g_autofree char *file_name =
			i < 6 ? g_strdup_printf("%s/lib/modules/%s/m%u.ko", name, version, i)
			      : g_strdup_printf("%s/usr/share/f%u", name, i);
		g_autoptr(GByteArray) file =
			i < 6 ? module_new(100 + 40 * i, without, edited) : image_new(i, i * 1700);
		if (i == 8 && edited != G_MAXUINT)
			file->data[5000] ^= 1;
		g_free(scratch_write(scratch, file_name, (const char *)file->data, file->len));
	}
	return erofs_new(folder, path);
}

static void root_images(void)
{
	g_auto(Scratch) scratch = scratch_new();
	g_autoptr(GByteArray) old_image = root_image(&scratch, "a", "6.12.1", G_MAXUINT, G_MAXUINT);
	g_autoptr(GByteArray) new_image = root_image(&scratch, "b", "6.12.2", 30, 60);
	guint size = check(old_image, new_image);

	g_test_message("%u bytes for %u", size, new_image->len);
	/* Six modules whose symbols and relocations all moved: their tables alone are 230 kB. */
	g_assert_cmpuint(size, <, 16000);
	check(new_image, old_image);
}

static void expect_refused(const GByteArray *old_image, const GByteArray *delta, guint64 new_size,
	const char *old_hash, const char *header_sha256, ProaReason reason)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(GByteArray) made =
		apply(old_image, delta, new_size, old_hash, header_sha256, G_MAXSSIZE, &error);

	g_assert_null(made);
	g_assert_error(error, PROA_ERROR, (int)reason);
}

static void damage_refused(void)
{
	g_autoptr(GByteArray) old_image = image_new(1, 60000), new_image = image_new(1, 60000);

	new_image->data[3000] = 1;
	g_autoptr(GByteArray) delta = make(old_image, new_image, 1);
	g_autofree char *header_sha256 =
		proa_sha256_hex(delta->data, PROA_DELTA_HEADER_SIZE + PROA_DELTA_FRAME_ENTRY_SIZE);
	for (guint at = PROA_DELTA_HEADER_SIZE; at < delta->len; at++) {
		delta->data[at] ^= 4;
		expect_refused(old_image, delta, new_image->len, OLD_HASH, header_sha256,
			PROA_REASON_PAYLOAD_DIGEST);
		delta->data[at] ^= 4;
	}
	expect_refused(old_image, delta, new_image->len, OTHER_HASH, header_sha256, PROA_REASON_BAD_PAYLOAD);
	expect_refused(
		old_image, delta, new_image->len + 1, OLD_HASH, header_sha256, PROA_REASON_BAD_PAYLOAD);
	while (delta->len > 0) {
		g_byte_array_set_size(delta, delta->len - 1);
		g_autoptr(GError) error = NULL;
		g_autoptr(GByteArray) made =
			apply(old_image, delta, new_image->len, OLD_HASH, header_sha256, 64, &error);
		g_assert_null(made);
		g_assert_true(g_error_matches(error, PROA_ERROR, PROA_REASON_PAYLOAD_TRUNCATED) ||
			      g_error_matches(error, PROA_ERROR, PROA_REASON_BAD_PAYLOAD));
	}
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/payload/delta/plain-images", plain_images);
	g_test_add_func("/payload/delta/many-frames", many_frames);
	g_test_add_func("/payload/delta/root-images", root_images);
	g_test_add_func("/payload/delta/damage-refused", damage_refused);
	return g_test_run();
}
