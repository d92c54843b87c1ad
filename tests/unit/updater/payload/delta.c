/* SPDX-License-Identifier: Apache-2.0 */
/* A payload whose papers are right and whose frames mean harm; and what the sink, the room and the old image
 * do to it. What is made of good ones: property.c, and tests/unit/images/payload/delta.c. */
#include "updater/payload/delta.h"

#include "tests/unit/updater/payload/frame.h"

#include <lzma.h>
#include <sys/resource.h>

#define SIZE (4u * 4096)

typedef struct {
	GByteArray *made;
	guint64 fails_at; /* bytes of the image; G_MAXUINT64: never */
	gboolean no_room, old_fails;
} Node;

static gboolean read_old(guint64 offset, guint8 *data, gsize size, gpointer user_data, GError **error)
{
	g_assert_cmpuint(offset + size, <=, SIZE);
	if (((Node *)user_data)->old_fails)
		return proa_fail(error, PROA_REASON_IO, "the old slot does not answer");
	memset(data, 'o', size);
	return TRUE;
}

static gboolean read_new(guint64 offset, guint8 *data, gsize size, gpointer user_data, GError **error)
{
	g_assert_not_reached();
}

static gboolean take(const guint8 *data, gsize size, gpointer user_data, GError **error)
{
	Node *node = user_data;

	if (node->made->len + size > node->fails_at)
		return proa_fail(error, PROA_REASON_IO, "the slot is full");
	g_byte_array_append(node->made, data, (guint)size);
	return TRUE;
}

static guint8 *room(gsize *ret_size, gpointer user_data, GError **error)
{
	static guint8 place[4096] __attribute__((aligned(4096)));

	if (((Node *)user_data)->no_room) {
		proa_fail(error, PROA_REASON_CANCELLED, "no room");
		return NULL;
	}
	*ret_size = sizeof place;
	return place;
}

/* Applies a payload of that frame; the head's digest is right, whatever is in it. */
static gboolean apply(const Frame *frame, Node *node, gboolean in_room, GError **error)
{
	g_autoptr(GByteArray) payload = payload_of(frame, SIZE, SIZE);
	g_autofree char *sha256 =
		proa_sha256_hex(payload->data, PROA_DELTA_HEADER_SIZE + PROA_DELTA_FRAME_ENTRY_SIZE);
	g_autoptr(GBytes) bytes = g_bytes_new(payload->data, payload->len);
	g_autoptr(ProaStream) stream = proa_stream_of_bytes(bytes);
	const ProaPayloadExpect expect = { .size = payload->len,
		.header_sha256 = sha256,
		.header_size = PROA_DELTA_HEADER_SIZE + PROA_DELTA_FRAME_ENTRY_SIZE,
		.image_size = SIZE,
		.root_hash = HASH };
	const ProaDeltaTarget target = { .old_hash = HASH,
		.read_old = read_old,
		.read_new = read_new,
		.sink = take,
		.room = in_room ? room : NULL,
		.user_data = node };

	node->made = g_byte_array_new();
	gboolean ok = proa_delta_apply(stream, &expect, &target, error);
	if (ok)
		g_assert_cmpuint(node->made->len, ==, SIZE);
	g_byte_array_unref(node->made);
	return ok;
}

/* @size zeros packed, and what is said of them. */
static void put_packed(Frame *frame, ProaDeltaStream id, gsize size, gsize said)
{
	ProaDeltaStreamEntry entry = { .packed = TRUE, .lc = 3, .dictionary_log = 16 };
	lzma_options_lzma options;
	const lzma_filter filters[] = { { LZMA_FILTER_LZMA1, &options }, { LZMA_VLI_UNKNOWN, NULL } };
	g_autofree guint8 *zeros = g_malloc0(size), *packed = g_malloc(size + 1024);
	gsize n = 0;

	g_assert_false(lzma_lzma_preset(&options, 1));
	options.dict_size = 1u << entry.dictionary_log;
	options.lc = entry.lc;
	options.lp = options.pb = 0;
	g_assert_cmpint(
		lzma_raw_buffer_encode(filters, NULL, zeros, size, packed, &n, size + 1024), ==, LZMA_OK);
	g_byte_array_append(frame->stream[id], packed, (guint)n);
	entry.size = (guint32)said;
	entry.packed_size = (guint32)n;
	frame->packed[id] = entry;
}

static void refused(const Frame *frame, ProaReason reason)
{
	for (guint in_room = 0; in_room < 2; in_room++) {
		g_autoptr(GError) error = NULL;
		/* All of it in one piece: the first write is one too many. Room is given block by block. */
		Node node = { .fails_at = in_room ? G_MAXUINT64 : 0 };
		g_assert_false(apply(frame, &node, in_room == 1, &error));
		g_assert_error(error, PROA_ERROR, (int)reason);
		g_assert_nonnull(strstr(error->message, "frame"));
	}
}

static gint64 peak(void)
{
	struct rusage usage;

	g_assert_cmpint(getrusage(RUSAGE_SELF, &usage), ==, 0);
	return usage.ru_maxrss;
}

/* A kilobyte that unpacks to sixty megabytes is not unpacked further than operations ask for. */
static void bombs_take_no_memory(void)
{
	g_auto(Frame) more = frame_new(), over = frame_new(), less = frame_new();

	put_op(&more, PROA_DELTA_NEW, SIZE);
	put_packed(&more, PROA_DELTA_LITERAL, 60u << 20, 60u << 20);
	gint64 before = peak();
	for (guint in_room = 0; in_room < 2; in_room++) {
		g_autoptr(GError) error = NULL;
		Node node = { .fails_at = G_MAXUINT64 };
		g_assert_false(apply(&more, &node, in_room == 1, &error));
		g_assert_error(error, PROA_ERROR, PROA_REASON_BAD_PAYLOAD);
	}
	g_assert_cmpint(peak() - before, <, 20 * 1024);
	put_op(&over, PROA_DELTA_NEW, SIZE);
	put_packed(&over, PROA_DELTA_LITERAL, SIZE, PROA_DELTA_MAX_STREAM_SIZE + 1);
	refused(&over, PROA_REASON_BAD_PAYLOAD);
	put_op(&less, PROA_DELTA_NEW, SIZE);
	put_packed(&less, PROA_DELTA_LITERAL, SIZE / 2, SIZE);
	refused(&less, PROA_REASON_BAD_PAYLOAD);
}

/* Lengths and places whose sums go round 64 bits, and operations that reach over the frame's end. */
static void overflows_refused(void)
{
	static const struct {
		ProaDeltaOp op;
		guint64 length;
		gint64 step;
	} bad[] = {
		{ PROA_DELTA_COPY_AT, SIZE, G_MAXINT64 },
		{ PROA_DELTA_COPY_AT, SIZE, G_MININT64 },
		{ PROA_DELTA_COPY_AT, SIZE, 1 },
		{ PROA_DELTA_COPY_AT, SIZE, -1 },
		{ PROA_DELTA_COPY_AT, SIZE + 1, 0 },
		{ PROA_DELTA_ZERO, G_MAXUINT64 >> PROA_DELTA_OP_BITS, 0 },
		{ PROA_DELTA_UNIT, SIZE, 0 },
		{ PROA_DELTA_UNIT, G_MAXUINT64 >> PROA_DELTA_OP_BITS, 0 },
	};

	for (guint i = 0; i < G_N_ELEMENTS(bad); i++) {
		g_auto(Frame) frame = frame_new();
		put_op(&frame, bad[i].op, bad[i].length);
		put_seek(&frame, bad[i].step);
		refused(&frame, PROA_REASON_BAD_PAYLOAD);
	}
}

static void put_good(Frame *frame)
{
	put_op(frame, PROA_DELTA_COPY, SIZE / 2);
	put_op(frame, PROA_DELTA_ZERO, SIZE / 2);
}

/* What others fail with is passed on as it is. */
static void failures_passed_on(void)
{
	g_autoptr(GError) sink = NULL, no_room = NULL, old = NULL, none = NULL;
	g_auto(Frame) frame = frame_new();
	Node full = { .fails_at = 4096 }, crowded = { .fails_at = G_MAXUINT64, .no_room = TRUE },
	     rotten = { .fails_at = G_MAXUINT64, .old_fails = TRUE }, good = { .fails_at = G_MAXUINT64 };

	put_good(&frame);
	g_assert_false(apply(&frame, &full, TRUE, &sink));
	g_assert_error(sink, PROA_ERROR, PROA_REASON_IO);
	g_assert_false(apply(&frame, &crowded, TRUE, &no_room));
	g_assert_error(no_room, PROA_ERROR, PROA_REASON_CANCELLED);
	g_assert_false(apply(&frame, &rotten, FALSE, &old));
	g_assert_error(old, PROA_ERROR, PROA_REASON_IO);
	g_assert_true(apply(&frame, &good, TRUE, &none));
	g_assert_no_error(none);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/payload/delta/bombs-take-no-memory", bombs_take_no_memory);
	g_test_add_func("/payload/delta/overflows-refused", overflows_refused);
	g_test_add_func("/payload/delta/failures-passed-on", failures_passed_on);
	return g_test_run();
}
