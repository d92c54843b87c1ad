/* SPDX-License-Identifier: Apache-2.0 */
/* Operations written by hand, in frames whose streams are stored as they are: what each makes, and what is
 * refused. */
#include "updater/payload/delta-ops.h"

#include "tests/unit/updater/payload/frame.h"
#include "updater/payload/delta-work.h"

#define OTHER_HASH "ff112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
#define OLD "the old image, all of it"

static gboolean read_old(guint64 offset, guint8 *data, gsize size, gpointer user_data, GError **error)
{
	g_assert_cmpuint(offset, <=, strlen(OLD));
	g_assert_cmpuint(size, <=, strlen(OLD) - offset);
	memcpy(data, OLD + offset, size);
	return TRUE;
}

static gboolean read_new(guint64 offset, guint8 *data, gsize size, gpointer user_data, GError **error)
{
	g_assert_not_reached();
}

static gboolean take(const guint8 *data, gsize size, gpointer user_data, GError **error)
{
	g_byte_array_append(user_data, data, (guint)size);
	return TRUE;
}

/* Applies the frame to OLD; @made gets what it makes of it. */
static gboolean apply(
	const Frame *frame, guint64 length, const char *old_hash, GByteArray *made, GError **error)
{
	g_autoptr(GByteArray) payload = payload_of(frame, length, strlen(OLD));
	g_autofree char *sha256 = proa_sha256_hex(payload->data, payload->len);
	g_autoptr(GBytes) bytes = g_bytes_new(payload->data, payload->len);
	g_autoptr(ProaStream) stream = proa_stream_of_bytes(bytes);
	const ProaPayloadExpect expect = {
		.size = payload->len, .sha256 = sha256, .image_size = length, .root_hash = HASH
	};
	const ProaDeltaTarget target = { .old_hash = old_hash,
		.read_old = read_old,
		.read_new = read_new,
		.sink = take,
		.user_data = made };

	return proa_delta_apply(stream, &expect, &target, error);
}

static void makes_what_is_written(void)
{
	static const char expected[] = "the old NEW\0\0\0old thf image";
	g_autoptr(GError) error = NULL;
	g_autoptr(GByteArray) made = g_byte_array_new();
	g_auto(Frame) frame = frame_new();

	put_op(&frame, PROA_DELTA_COPY, 8);
	put_op(&frame, PROA_DELTA_NEW, 3);
	put_bytes(&frame, PROA_DELTA_LITERAL, "NEW");
	put_op(&frame, PROA_DELTA_ZERO, 3);
	put_op(&frame, PROA_DELTA_COPY_AT, 4);
	put_seek(&frame, -4);
	put_op(&frame, PROA_DELTA_PATCH_AT, 3);
	put_seek(&frame, -8);
	g_byte_array_append(frame.stream[PROA_DELTA_DIFF], (const guint8 *)"\0\0\1", 3);
	put_op(&frame, PROA_DELTA_COPY_AT, 6);
	put_seek(&frame, 4);
	g_assert_true(apply(&frame, sizeof expected - 1, HASH, made, &error));
	g_assert_no_error(error);
	g_assert_cmpmem(made->data, made->len, expected, sizeof expected - 1);
}

/* What is added is carried within four bytes from the first that differs, over pieces, and no further. */
static void difference_is_carried(void)
{
	static const struct {
		const char *diff, *expected;
	} all[] = {
		/* "the old " */
		{ "\1\0\0\0\0\0\0\0", "uhe old " },
		{ "\x8c\0\0\0\0\0\0\0", "\0ie old " },
		{ "\x8c\x97\0\0\0\0\0\0", "\0\0f old " },
		{ "\x8c\x97\x9a\xdf\0\0\0\0", "\0\0\0\0old " },
		{ "\x8c\x97\x9a\xdf\x91\0\0\0", "\0\0\0\0\0md " },
		{ "\0\0\0\0\0\0\0\xe0", "the old\0" },
		{ "\0\0\0\0\0\0\x9c\xdf", "the ol\0\0" },
		{ "\xff\xff\xff\xff\0\0\0\0", "she old " },
	};

	for (guint i = 0; i < G_N_ELEMENTS(all); i++) {
		g_autoptr(GError) error = NULL;
		g_autoptr(GByteArray) made = g_byte_array_new();
		g_auto(Frame) frame = frame_new();
		ProaDeltaDiff diff = { 0 };
		put_op(&frame, PROA_DELTA_PATCH, 8);
		/* Carried into nothing of what follows. */
		put_op(&frame, PROA_DELTA_PATCH, 1);
		g_byte_array_append(frame.stream[PROA_DELTA_DIFF], (const guint8 *)all[i].diff, 8);
		g_byte_array_append(frame.stream[PROA_DELTA_DIFF], (const guint8 *)"", 1);
		g_assert_true(apply(&frame, 9, HASH, made, &error));
		g_assert_no_error(error);
		g_assert_cmpmem(made->data, made->len - 1, all[i].expected, 8);
		g_assert_cmpint(made->data[8], ==, 'i');
		for (guint k = 0; k < 8; k++)
			g_assert_cmpint(
				proa_delta_diff_take(&diff, (guint8)OLD[k], (guint8)all[i].expected[k]), ==,
				(guint8)all[i].diff[k]);
	}
}

/* Whatever is taken from whatever gives it back when it is added. */
static void differences_come_back(void)
{
	ProaDeltaDiff take_state = { 0 }, add_state = { 0 };
	guint32 dice = 1;

	for (guint i = 0; i < 200000; i++) {
		dice = dice * 1664525u + 1013904223u;
		guint8 old_byte = (guint8)(dice >> 24),
		       new_byte = dice >> 20 & 1 ? old_byte : (guint8)(dice >> 12);
		guint8 difference = proa_delta_diff_take(&take_state, old_byte, new_byte);
		g_assert_cmpint(proa_delta_diff_add(&add_state, old_byte, difference), ==, new_byte);
		g_assert_cmpuint(take_state.left, ==, add_state.left);
	}
}

static void expect_refused(const Frame *frame, guint64 length, const char *old_hash)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(GByteArray) made = g_byte_array_new();

	g_assert_false(apply(frame, length, old_hash, made, &error));
	g_assert_error(error, PROA_ERROR, PROA_REASON_BAD_PAYLOAD);
	g_assert_cmpuint(made->len, ==, 0);
}

/* One operation that reads @length old bytes after going @step from the start of the image. */
static void expect_read_refused(gint64 step, guint64 length)
{
	static const ProaDeltaOp ops[] = { PROA_DELTA_COPY_AT, PROA_DELTA_PATCH_AT };

	for (guint i = 0; i < G_N_ELEMENTS(ops); i++) {
		g_auto(Frame) frame = frame_new();
		put_op(&frame, ops[i], length);
		put_seek(&frame, step);
		g_byte_array_set_size(frame.stream[PROA_DELTA_DIFF], (guint)length);
		memset(frame.stream[PROA_DELTA_DIFF]->data, 0, length);
		expect_refused(&frame, length, HASH);
	}
}

static void reads_outside_of_old_image_refused(void)
{
	const gint64 end = (gint64)strlen(OLD);

	expect_read_refused(-1, 1);
	expect_read_refused(end, 1);
	expect_read_refused(end - 3, 4);
	expect_read_refused(0, strlen(OLD) + 1);
	expect_read_refused(G_MAXINT64, 1);
	expect_read_refused(G_MININT64, 1);
	expect_read_refused(-3, 8); /* wraps round to its start */
}

/* More than the image holds, nothing at all, numbers at the edge, and operations that may not come here. */
static void bad_operations_refused(void)
{
	const struct {
		guint op;
		guint64 length;
	} bad[] = { { PROA_DELTA_COPY, 9 }, { PROA_DELTA_ZERO, 9 }, { PROA_DELTA_ZERO, G_MAXUINT64 >> 3 },
		{ PROA_DELTA_NEW, G_MAXUINT64 >> 3 }, { PROA_DELTA_COPY, 0 }, { PROA_DELTA_ZERO, 0 },
		{ PROA_DELTA_UNIT, 8 }, { PROA_DELTA_PATCH_WORDS, 8 } };

	for (guint i = 0; i < G_N_ELEMENTS(bad); i++) {
		g_auto(Frame) frame = frame_new();
		put_op(&frame, (ProaDeltaOp)bad[i].op, bad[i].length);
		put_seek(&frame, 0);
		put_number(&frame, PROA_DELTA_WORDS, 0);
		expect_refused(&frame, 8, HASH);
	}
}

/* A stream that ends early, and one that goes on when the image is made. */
static void streams_must_fit_operations(void)
{
	g_auto(Frame) early = frame_new(), late = frame_new(), none = frame_new();

	put_op(&early, PROA_DELTA_NEW, 8);
	put_bytes(&early, PROA_DELTA_LITERAL, "seven b");
	expect_refused(&early, 8, HASH);
	put_op(&late, PROA_DELTA_NEW, 8);
	put_bytes(&late, PROA_DELTA_LITERAL, "nine byte");
	expect_refused(&late, 8, HASH);
	expect_refused(&none, 8, HASH);
}

static void delta_from_another_image_refused(void)
{
	g_auto(Frame) frame = frame_new();

	put_op(&frame, PROA_DELTA_COPY, 8);
	expect_refused(&frame, 8, OTHER_HASH);
}

/* What is made with a module and comes later takes no more memory than is said. */
static void last_bytes_kept_are_bounded(void)
{
	static const struct {
		guint n;
		gsize size;
	} most[] = { { PROA_DELTA_MAX_TAIL_BYTES / PROA_DELTA_MAX_TAIL, PROA_DELTA_MAX_TAIL },
		{ PROA_DELTA_MAX_TAILS, 1 } };
	guint8 data[PROA_DELTA_MAX_TAIL] = { 0 };

	for (guint i = 0; i < G_N_ELEMENTS(most); i++) {
		g_autoptr(GError) error = NULL;
		ProaDeltaWork work = { .tails = g_array_new(FALSE, FALSE, sizeof(ProaDeltaTail)) };
		for (guint k = 0; k < most[i].n; k++)
			g_assert_true(proa_delta_keep_tail(&work, 1000 - k % 7, data, most[i].size, &error));
		g_assert_false(proa_delta_keep_tail(&work, 5, data, 1, &error));
		g_assert_error(error, PROA_ERROR, PROA_REASON_BAD_PAYLOAD);
		for (guint k = 0; k < most[i].n; k++)
			g_free(g_array_index(work.tails, ProaDeltaTail, k).data);
		g_array_unref(work.tails);
	}
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/payload/delta-ops/makes-what-is-written", makes_what_is_written);
	g_test_add_func("/payload/delta-ops/difference-is-carried", difference_is_carried);
	g_test_add_func("/payload/delta-ops/differences-come-back", differences_come_back);
	g_test_add_func(
		"/payload/delta-ops/reads-outside-of-old-image-refused", reads_outside_of_old_image_refused);
	g_test_add_func("/payload/delta-ops/bad-operations-refused", bad_operations_refused);
	g_test_add_func("/payload/delta-ops/streams-must-fit-operations", streams_must_fit_operations);
	g_test_add_func(
		"/payload/delta-ops/delta-from-another-image-refused", delta_from_another_image_refused);
	g_test_add_func("/payload/delta-ops/last-bytes-kept-are-bounded", last_bytes_kept_are_bounded);
	return g_test_run();
}
