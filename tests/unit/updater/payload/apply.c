/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/payload/apply.h"

#include "tests/unit/updater/payload/payload.h"

#define OTHER_HEX "ff112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

typedef struct {
	GByteArray *image;
	guint64 progress;
	gboolean fail;
} Sink;

static gboolean sink_take(const guint8 *data, gsize size, gpointer user_data, GError **error)
{
	Sink *sink = user_data;

	g_assert_cmpuint((guintptr)data % 4096, ==, 0);
	g_assert_cmpuint(size % 4096, ==, 0);
	if (sink->fail)
		return proa_fail(error, PROA_REASON_IO, "the slot is broken");
	g_byte_array_append(sink->image, data, (guint)size);
	return TRUE;
}

static void sink_progress(guint64 done, gpointer user_data)
{
	Sink *sink = user_data;

	g_assert_cmpuint(done, >, sink->progress);
	sink->progress = done;
}

/* What a manifest would say of @whole. */
typedef struct {
	ProaPayloadExpect expect;
	char *sha256, *header_sha256;
} Said;

static void said_clear(Said *said)
{
	g_free(said->sha256);
	g_free(said->header_sha256);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Said, said_clear)

static Said say(const GByteArray *whole, gboolean with_header)
{
	Said said = { .sha256 = proa_sha256_hex(whole->data, whole->len) };

	if (with_header)
		said.header_sha256 = proa_sha256_hex(whole->data, 64 + 4 * 40);
	said.expect = (ProaPayloadExpect){ .size = whole->len,
		.sha256 = said.sha256,
		.header_sha256 = said.header_sha256,
		.image_size = IMAGE_SIZE,
		.root_hash = ROOT_HASH };
	return said;
}

static gboolean apply(const GByteArray *whole, const ProaPayloadExpect *expect, Sink *sink, GError **error)
{
	g_autoptr(GBytes) bytes = g_bytes_new(whole->data, whole->len);
	g_autoptr(ProaStream) stream = proa_stream_of_bytes(bytes);

	sink->image = g_byte_array_new();
	return proa_payload_apply(stream, expect, sink_take, sink_progress, sink, error);
}

static void makes_the_image(gconstpointer with_header)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(GByteArray) whole = payload_new();
	g_autofree guint8 *image = payload_image(IMAGE_SIZE);
	g_auto(Said) said = say(whole, with_header != NULL);
	Sink sink = { 0 };

	g_assert_true(apply(whole, &said.expect, &sink, &error));
	g_assert_no_error(error);
	g_assert_cmpmem(sink.image->data, sink.image->len, image, IMAGE_SIZE);
	g_assert_cmpuint(sink.progress, ==, whole->len);
	g_byte_array_unref(sink.image);
}

static void expect_failure(const GByteArray *whole, const ProaPayloadExpect *expect, ProaReason reason)
{
	g_autoptr(GError) error = NULL;
	Sink sink = { 0 };

	g_assert_false(apply(whole, expect, &sink, &error));
	g_assert_error(error, PROA_ERROR, (int)reason);
	g_byte_array_unref(sink.image);
}

/* One flipped bit anywhere, frame table included, is the wrong digest; with a signed header it is nothing
 * else. */
static void every_flipped_byte_refused(void)
{
	g_autoptr(GByteArray) whole = payload_new();
	g_auto(Said) said = say(whole, TRUE);

	for (guint at = 0; at < whole->len; at += at < 300 ? 1 : 61) {
		g_autoptr(GError) error = NULL;
		Sink sink = { 0 };
		whole->data[at] ^= 0x10;
		g_assert_false(apply(whole, &said.expect, &sink, &error));
		if (at >= PROA_PAYLOAD_HEADER_SIZE)
			g_assert_error(error, PROA_ERROR, PROA_REASON_PAYLOAD_DIGEST);
		g_byte_array_unref(sink.image);
		whole->data[at] ^= 0x10;
	}
}

/* Without a signed header the digest of the whole has the last word. */
static void forged_frame_refused_at_the_end(void)
{
	g_autoptr(GByteArray) whole = payload_new();
	g_auto(Said) said = say(whole, FALSE);

	g_free(said.sha256);
	said.expect.sha256 = said.sha256 = g_strdup(OTHER_HEX);
	expect_failure(whole, &said.expect, PROA_REASON_PAYLOAD_DIGEST);
}

static void every_cut_refused(void)
{
	g_autoptr(GByteArray) whole = payload_new();
	g_auto(Said) said = say(whole, TRUE);
	guint length = whole->len;

	for (guint size = 0; size < length; size += size < 300 ? 1 : 61) {
		g_autoptr(GByteArray) cut = g_byte_array_new();
		g_byte_array_append(cut, whole->data, size);
		expect_failure(cut, &said.expect, PROA_REASON_PAYLOAD_TRUNCATED);
	}
}

static void more_bytes_refused(void)
{
	g_autoptr(GByteArray) whole = payload_new();
	g_auto(Said) said = say(whole, TRUE);

	g_byte_array_append(whole, (const guint8 *)"x", 1);
	expect_failure(whole, &said.expect, PROA_REASON_BAD_PAYLOAD);
}

static void other_image_refused(void)
{
	g_autoptr(GByteArray) whole = payload_new();
	g_auto(Said) said = say(whole, TRUE);

	said.expect.root_hash = OTHER_HEX;
	expect_failure(whole, &said.expect, PROA_REASON_BAD_PAYLOAD);
	said.expect.root_hash = ROOT_HASH;
	said.expect.image_size = IMAGE_SIZE + 4096;
	expect_failure(whole, &said.expect, PROA_REASON_BAD_PAYLOAD);
}

static void other_size_refused(void)
{
	g_autoptr(GByteArray) whole = payload_new();
	g_auto(Said) said = say(whole, TRUE);

	said.expect.size++;
	expect_failure(whole, &said.expect, PROA_REASON_BAD_PAYLOAD);
}

static void sink_failure_passed_on(void)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(GByteArray) whole = payload_new();
	g_auto(Said) said = say(whole, TRUE);
	Sink sink = { .fail = TRUE };

	g_assert_false(apply(whole, &said.expect, &sink, &error));
	g_assert_error(error, PROA_ERROR, PROA_REASON_IO);
	g_byte_array_unref(sink.image);
}

/* A payload of one frame whose bytes are @packed, all digests right. */
static void expect_bad_frame(const void *packed, gsize size, guint64 image_size)
{
	guint8 hash[PROA_SHA256_SIZE];
	g_autoptr(GByteArray) frames = g_byte_array_new();

	g_assert_true(proa_hex_decode(ROOT_HASH, hash, sizeof hash));
	g_autoptr(ProaPayloadHeader) header = proa_payload_header_new(image_size, FRAME_SIZE, hash);
	payload_add_frame(header, 0, frames, packed, size);
	g_autoptr(GByteArray) whole = payload_join(header, frames);
	ProaPayloadExpect expect = { .size = whole->len, .image_size = image_size, .root_hash = ROOT_HASH };
	g_autofree char *digest = proa_sha256_hex(whole->data, whole->len);
	expect.sha256 = digest;
	expect_failure(whole, &expect, PROA_REASON_BAD_PAYLOAD);
}

static void hostile_frames_refused(void)
{
	guint8 packed[2 * ZSTD_COMPRESSBOUND(FRAME_SIZE)];
	g_autofree guint8 *image = payload_image(2 * FRAME_SIZE);
	gsize size = ZSTD_compress(packed, sizeof packed, image, 4096, 3);

	/* not zstd; a frame that says it is longer; a cut one; two frames; a skippable frame */
	expect_bad_frame("not zstd at all, but of the right digest", 40, 4096);
	expect_bad_frame(packed, size, 8192);
	expect_bad_frame(packed, size - 5, 4096);
	gsize first = ZSTD_compress(packed, sizeof packed, image, 2048, 3);
	gsize second = ZSTD_compress(packed + first, sizeof packed - first, image + 2048, 2048, 3);
	expect_bad_frame(packed, first + second, 4096);
	expect_bad_frame("\x50\x2a\x4d\x18\x04\x00\x00\x00skip", 12, 4096);
	/* a bomb: a frame of zeros far longer than its place */
	g_autofree guint8 *zeros = g_malloc0(64 << 20);
	gsize bomb = ZSTD_compress(packed, sizeof packed, zeros, 64 << 20, 3);
	g_assert_false(ZSTD_isError(bomb));
	expect_bad_frame(packed, bomb, 4096);
}

/* A job whose payload is in memory. */
typedef struct {
	Sink sink;
	const GByteArray *whole;
	guint64 opened;    /* bytes of ranges asked for */
	gboolean no_parts; /* all of it is given or nothing */
} Memory;

static ProaStream *open_memory(const ProaPayloadRange *ranges, guint n, gpointer user_data, GError **error)
{
	Memory *memory = user_data;

	g_assert_cmpuint(n, ==, 1);
	g_assert_cmpuint(ranges->offset + ranges->length, <=, memory->whole->len);
	if (memory->no_parts && ranges->length < memory->whole->len) {
		proa_fail(error, PROA_REASON_FEED_ERROR, "the server does not serve parts of files");
		return NULL;
	}
	memory->opened += ranges->length;
	g_autoptr(GBytes) bytes = g_bytes_new(memory->whole->data + ranges->offset, (gsize)ranges->length);
	return proa_stream_of_bytes(bytes);
}

/* From any block on, what is left comes out, and no frame before it is asked for. */
static void goes_on_anywhere(void)
{
	g_autoptr(GByteArray) whole = payload_new();
	g_autofree guint8 *image = payload_image(IMAGE_SIZE);
	g_auto(Said) said = say(whole, TRUE);
	guint64 head = 64 + 4 * 40;

	for (guint64 from = 0; from <= IMAGE_SIZE; from += 4096) {
		g_autoptr(GError) error = NULL;
		g_autoptr(GByteArray) made = g_byte_array_new();
		Memory memory = { .sink = { .image = made }, .whole = whole };
		said.expect.header_size = head;
		const ProaPayloadJob job = { .expect = &said.expect,
			.open = open_memory,
			.from = from,
			.sink = sink_take,
			.user_data = &memory };
		guint64 cost = 0;
		g_assert_true(proa_full_cost(&job, &cost, &error));
		memory.opened = 0;
		g_assert_true(proa_full_apply(&job, &error));
		g_assert_no_error(error);
		g_assert_cmpuint(memory.opened, ==, cost);
		g_assert_cmpmem(made->data, made->len, image + from, IMAGE_SIZE - from);
		if (from >= IMAGE_SIZE)
			g_assert_cmpuint(memory.opened, ==, 0);
		else if (from >= FRAME_SIZE)
			g_assert_cmpuint(memory.opened, <, whole->len);
	}
}

/* Nothing says how long the head is: it begins at the start, and gives only what is missing. */
static void begins_anew_without_a_head_size(void)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(GByteArray) whole = payload_new(), made = g_byte_array_new();
	g_autofree guint8 *image = payload_image(IMAGE_SIZE);
	g_auto(Said) said = say(whole, TRUE);
	Memory memory = { .sink = { .image = made }, .whole = whole };
	const ProaPayloadJob job = { .expect = &said.expect,
		.open = open_memory,
		.from = FRAME_SIZE + 4096,
		.sink = sink_take,
		.user_data = &memory };

	guint64 cost = 0;
	g_assert_true(proa_full_cost(&job, &cost, &error));
	g_assert_cmpuint(cost, ==, whole->len);
	g_assert_true(proa_full_apply(&job, &error));
	g_assert_no_error(error);
	g_assert_cmpuint(memory.opened, ==, whole->len);
	g_assert_cmpmem(made->data, made->len, image + FRAME_SIZE + 4096, IMAGE_SIZE - FRAME_SIZE - 4096);
}

/* An interrupted transaction ends well over a server that gives no parts of files, too. */
static void goes_on_without_parts(void)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(GByteArray) whole = payload_new(), made = g_byte_array_new();
	g_autofree guint8 *image = payload_image(IMAGE_SIZE);
	g_auto(Said) said = say(whole, TRUE);
	Memory memory = { .sink = { .image = made }, .whole = whole, .no_parts = TRUE };
	const ProaPayloadJob job = { .expect = &said.expect,
		.open = open_memory,
		.from = 2 * FRAME_SIZE,
		.sink = sink_take,
		.user_data = &memory };
	guint64 cost = 0;

	said.expect.header_size = 64 + 4 * 40;
	g_assert_true(proa_full_cost(&job, &cost, &error));
	g_assert_cmpuint(cost, ==, whole->len);
	g_assert_true(proa_full_apply(&job, &error));
	g_assert_no_error(error);
	g_assert_cmpuint(memory.opened, ==, whole->len);
	g_assert_cmpmem(made->data, made->len, image + 2 * FRAME_SIZE, IMAGE_SIZE - 2 * FRAME_SIZE);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_data_func("/payload/apply/makes-the-image", "with header", makes_the_image);
	g_test_add_data_func("/payload/apply/makes-the-image-without-header-digest", NULL, makes_the_image);
	g_test_add_func("/payload/apply/every-flipped-byte-refused", every_flipped_byte_refused);
	g_test_add_func("/payload/apply/forged-frame-refused-at-the-end", forged_frame_refused_at_the_end);
	g_test_add_func("/payload/apply/every-cut-refused", every_cut_refused);
	g_test_add_func("/payload/apply/more-bytes-refused", more_bytes_refused);
	g_test_add_func("/payload/apply/other-image-refused", other_image_refused);
	g_test_add_func("/payload/apply/other-size-refused", other_size_refused);
	g_test_add_func("/payload/apply/sink-failure-passed-on", sink_failure_passed_on);
	g_test_add_func("/payload/apply/hostile-frames-refused", hostile_frames_refused);
	g_test_add_func("/payload/apply/goes-on-anywhere", goes_on_anywhere);
	g_test_add_func("/payload/apply/goes-on-without-parts", goes_on_without_parts);
	g_test_add_func("/payload/apply/begins-anew-without-a-head-size", begins_anew_without_a_head_size);
	return g_test_run();
}
