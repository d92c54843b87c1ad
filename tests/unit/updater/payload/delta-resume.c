/* SPDX-License-Identifier: Apache-2.0 */
/* A delta that is broken off between two frames, wherever these end: it goes on with the next one. */
#include "tests/unit/updater/payload/frame.h"

#define IMAGE_SIZE (16u * 4096)

/* Frames that end within blocks, twice within the same one, and at a block's end. */
static const guint lengths[] = { 5000, 3000, 192, 100, 4096 * 3, 700,
	IMAGE_SIZE - 5000 - 3000 - 192 - 100 - 4096 * 3 - 700 };
#define N_FRAMES G_N_ELEMENTS(lengths)

typedef struct {
	GByteArray *payload, *slot;
	guint64 head_size, ends[N_FRAMES + 1]; /* where frames begin in the payload, and its end */
	guint8 tail[4096];
	gsize tail_size;
	guint left;      /* reads of frames that are answered */
	guint64 fetched; /* bytes, heads left out */
	gboolean in_room;
	guint8 *place;
} Node;

static guint8 byte_at(guint64 at)
{
	return (guint8)(at * 31 + at / 256);
}

static GByteArray *pack_frame(guint64 at, guint length)
{
	ProaDeltaStreamEntry entries[_PROA_DELTA_STREAM_MAX] = { 0 };
	GByteArray *packed = g_byte_array_new();
	g_auto(Frame) frame = frame_new();

	put_op(&frame, PROA_DELTA_NEW, length);
	for (guint i = 0; i < length; i++) {
		guint8 byte = byte_at(at + i);
		g_byte_array_append(frame.stream[PROA_DELTA_LITERAL], &byte, 1);
	}
	g_byte_array_set_size(packed, (guint)PROA_DELTA_STREAM_TABLE_SIZE);
	for (guint i = 0; i < _PROA_DELTA_STREAM_MAX; i++) {
		entries[i].size = entries[i].packed_size = frame.stream[i]->len;
		g_byte_array_append(packed, frame.stream[i]->data, frame.stream[i]->len);
	}
	proa_delta_streams_serialize(entries, packed->data);
	return packed;
}

static void set_up(Node *node)
{
	g_autoptr(ProaDeltaHeader) header = proa_delta_header_new(N_FRAMES);
	g_autoptr(GByteArray) frames = g_byte_array_new();
	guint64 at = 0;

	*node = (Node){ .payload = g_byte_array_new(), .slot = g_byte_array_new() };
	node->place = g_aligned_alloc(1, 8192, 4096);
	g_assert_true(proa_hex_decode(HASH, header->new_hash, PROA_SHA256_SIZE));
	g_assert_true(proa_hex_decode(HASH, header->old_hash, PROA_SHA256_SIZE));
	header->old_size = header->new_size = IMAGE_SIZE;
	for (guint i = 0; i < N_FRAMES; at += lengths[i++]) {
		g_autoptr(GByteArray) packed = pack_frame(at, lengths[i]);
		header->frames[i].length = lengths[i];
		header->frames[i].packed_size = packed->len;
		g_autofree char *hex = proa_sha256_hex(packed->data, packed->len);
		g_assert_true(proa_hex_decode(hex, header->frames[i].sha256, PROA_SHA256_SIZE));
		g_byte_array_append(frames, packed->data, packed->len);
		node->ends[i + 1] = frames->len;
	}
	g_autoptr(GBytes) head = proa_delta_header_serialize(header);
	node->head_size = g_bytes_get_size(head);
	g_byte_array_append(node->payload, g_bytes_get_data(head, NULL), (guint)node->head_size);
	g_byte_array_append(node->payload, frames->data, frames->len);
}

static void tear_down(Node *node)
{
	g_byte_array_unref(node->payload);
	g_byte_array_unref(node->slot);
	g_aligned_free(node->place);
}

/* A part of the payload that ends after the frames that are answered. */
static ProaStream *open_part(const ProaPayloadRange *ranges, guint n, gpointer user_data, GError **error)
{
	Node *node = user_data;
	guint64 begin = ranges[0].offset, end = begin + ranges[0].length, from = MAX(begin, node->head_size);

	g_assert_cmpuint(n, ==, 1);
	for (guint i = 0; end > node->head_size && i <= N_FRAMES; i++) {
		if (node->head_size + node->ends[i] < from)
			continue;
		/* What is asked for begins where a frame does, and no more comes than is answered. */
		g_assert_cmpuint(node->head_size + node->ends[i], ==, from);
		end = MIN(end, node->head_size + node->ends[MIN(i + node->left, N_FRAMES)]);
		node->fetched += end - from;
		break;
	}
	g_autoptr(GBytes) bytes = g_bytes_new(node->payload->data + begin, end - begin);
	return proa_stream_of_bytes(bytes);
}

static gboolean read_old(guint64 offset, guint8 *data, gsize size, gpointer user_data, GError **error)
{
	g_assert_not_reached();
}

static gboolean read_new(guint64 offset, guint8 *data, gsize size, gpointer user_data, GError **error)
{
	const Node *node = user_data;

	g_assert_cmpuint(offset + size, <=, node->slot->len);
	memcpy(data, node->slot->data + offset, size);
	return TRUE;
}

static gboolean take(const guint8 *data, gsize size, gpointer user_data, GError **error)
{
	Node *node = user_data;

	g_assert_cmpuint(size % 4096, ==, 0);
	g_byte_array_append(node->slot, data, (guint)size);
	node->tail_size = 0;
	return TRUE;
}

static guint8 *room(gsize *ret_size, gpointer user_data, GError **error)
{
	*ret_size = 8192;
	return ((Node *)user_data)->place;
}

static void keep(const guint8 *tail, gsize size, gpointer user_data)
{
	Node *node = user_data;

	g_assert_cmpuint(size, >, 0);
	g_assert_cmpuint(size, <, sizeof node->tail);
	memcpy(node->tail, tail, size);
	node->tail_size = size;
}

static gboolean go_on(Node *node)
{
	g_autofree char *head = proa_sha256_hex(node->payload->data, node->head_size);
	g_autofree guint8 *tail = g_memdup2(node->tail, sizeof node->tail);
	const ProaPayloadExpect expect = { .size = node->payload->len,
		.header_sha256 = head,
		.header_size = node->head_size,
		.image_size = IMAGE_SIZE,
		.root_hash = HASH };
	const ProaPayloadJob job = { .expect = &expect,
		.open = open_part,
		.read_old = read_old,
		.read_new = read_new,
		.sink = take,
		.room = node->in_room ? room : NULL,
		.from = node->slot->len,
		.keep = keep,
		.tail = tail,
		.tail_size = node->slot->len > 0 ? node->tail_size : 0,
		.user_data = node };
	g_autoptr(GError) error = NULL;
	guint64 cost = 0;

	if (job.from > 0) {
		g_assert_true(proa_delta_cost(&job, HASH, &cost, &error));
		guint64 frames = cost - node->head_size;
		g_assert_cmpuint(frames, <=, node->payload->len - node->head_size - node->fetched);
	}
	if (proa_delta_apply_job(&job, HASH, &error))
		return TRUE;
	g_assert_error(error, PROA_ERROR, PROA_REASON_PAYLOAD_TRUNCATED);
	return FALSE;
}

static void check_slot(const Node *node)
{
	for (guint i = 0; i < node->slot->len; i++)
		g_assert_cmpuint(node->slot->data[i], ==, byte_at(i));
	for (guint i = 0; i < node->tail_size; i++)
		g_assert_cmpuint(node->tail[i], ==, byte_at(node->slot->len + i));
}

/* After each frame or each two of them it breaks: no frame comes twice. */
static void no_frame_twice(gconstpointer at_once)
{
	for (guint in_room = 0; in_room < 2; in_room++) {
		Node node;
		guint breaks = 0;

		set_up(&node);
		node.left = GPOINTER_TO_UINT(at_once);
		node.in_room = in_room == 1;
		for (; !go_on(&node); breaks++) {
			check_slot(&node);
			g_assert_cmpuint(breaks, <, N_FRAMES);
		}
		check_slot(&node);
		g_assert_cmpuint(node.slot->len, ==, IMAGE_SIZE);
		g_assert_cmpuint(node.fetched, ==, node.payload->len - node.head_size);
		g_assert_cmpuint(breaks, ==, (N_FRAMES - 1) / node.left);
		tear_down(&node);
	}
}

/* A tail that is not at hand any more costs the frame before, and nothing else. */
static void goes_on_without_a_tail(void)
{
	Node node;

	set_up(&node);
	node.left = 2;
	g_assert_false(go_on(&node));
	g_assert_cmpuint(node.slot->len, ==, 4096);
	g_assert_cmpuint(node.tail_size, ==, 8000 - 4096);
	node.tail_size = 0;
	guint64 before = node.fetched;
	node.fetched = 0;
	node.left = N_FRAMES;
	g_assert_true(go_on(&node));
	check_slot(&node);
	g_assert_cmpuint(node.fetched + before, ==,
		node.payload->len - node.head_size + (node.ends[2] - node.ends[0]));
	tear_down(&node);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_data_func("/payload/delta-resume/no-frame-twice", GUINT_TO_POINTER(1), no_frame_twice);
	g_test_add_data_func(
		"/payload/delta-resume/no-two-frames-twice", GUINT_TO_POINTER(2), no_frame_twice);
	g_test_add_func("/payload/delta-resume/goes-on-without-a-tail", goes_on_without_a_tail);
	return g_test_run();
}
