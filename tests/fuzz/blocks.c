/* SPDX-License-Identifier: Apache-2.0 */
// link: payload
#include "updater/payload/blocks.h"

#include <string.h>

/* So that the fuzzer's time goes into parsing, not into zeroing memory. */
#define MAX_IMAGE (1u << 20)

int LLVMFuzzerTestOneInput(const guint8 *data, size_t size);

typedef struct {
	const guint8 *bytes;
	gsize size;
	guint64 given;
} Input;

typedef struct {
	ProaStream stream;
	const Input *input;
	GArray *ranges;
	guint index;
	guint64 at;
} Ranges;

static gssize read_ranges(ProaStream *stream, void *data, gsize size, GError **error)
{
	Ranges *self = (Ranges *)stream;

	for (; self->index < self->ranges->len; self->index++, self->at = 0) {
		const ProaPayloadRange *range = &g_array_index(self->ranges, ProaPayloadRange, self->index);
		guint64 at = range->offset + self->at;
		if (at >= self->input->size)
			return 0;
		gsize left = (gsize)MIN(range->length - self->at, (guint64)self->input->size - at);
		gsize n = MIN(size, left);
		if (n == 0)
			continue;
		memcpy(data, self->input->bytes + at, n);
		self->at += n;
		return (gssize)n;
	}
	return 0;
}

static void close_ranges(ProaStream *stream)
{
	g_array_unref(((Ranges *)stream)->ranges);
	g_free(stream);
}

static ProaStream *open_ranges(const ProaPayloadRange *ranges, guint n, gpointer input, GError **error)
{
	static const ProaStreamKind kind = { read_ranges, close_ranges };
	Ranges *self = g_new0(Ranges, 1);

	self->stream.kind = &kind;
	self->input = input;
	self->ranges = g_array_new(FALSE, FALSE, sizeof *ranges);
	g_array_append_vals(self->ranges, ranges, n);
	return &self->stream;
}

static gboolean read_old(guint64 offset, guint8 *data, gsize size, gpointer input, GError **error)
{
	return proa_fail(error, PROA_REASON_IO, "there is no old image");
}

static gboolean read_new(guint64 offset, guint8 *data, gsize size, gpointer input, GError **error)
{
	g_assert(offset <= ((Input *)input)->given && size <= ((Input *)input)->given - offset);
	memset(data, 0x61, size);
	return TRUE;
}

static gboolean count(const guint8 *data, gsize size, gpointer input, GError **error)
{
	/* Every byte is looked at: one that was never written would be seen by a sanitizer. */
	guint8 sum = 0;

	for (gsize i = 0; i < size; i++)
		sum ^= data[i];
	((Input *)input)->given += size;
	*(volatile guint8 *)&sum = sum;
	return TRUE;
}

/* Digests of frames, groups' way to the root hash: set right, so that the fuzzer gets past them. */
static void mend(guint8 *bytes, gsize size, ProaBlocksHeader *header)
{
	guint64 at = proa_blocks_head_size(header);
	g_autoptr(ProaVerityHash) hash = proa_verity_hash_new(header->salt);

	for (guint32 i = 0; i < header->n_frames && at < size; i++) {
		guint8 *entry = bytes + PROA_BLOCKS_HEADER_SIZE + (gsize)i * PROA_BLOCKS_FRAME_ENTRY_SIZE;
		gsize n = (gsize)MIN((guint64)header->frames[i].packed_size, size - at);
		proa_blocks_frame_digest(bytes + at, n, entry + 4);
		at += n;
	}
	proa_verity_root_of_groups(hash, header->groups, proa_blocks_n_groups(header), bytes + 32);
}

int LLVMFuzzerTestOneInput(const guint8 *data, size_t size)
{
	g_autofree guint8 *bytes = g_memdup2(data, size);
	Input input = { bytes, size, 0 };

	if (size < PROA_BLOCKS_HEADER_SIZE)
		return 0;
	g_autoptr(ProaBlocksHeader) header = proa_blocks_header_parse(bytes, NULL);
	if (!header || header->image_size > MAX_IMAGE || size < proa_blocks_head_size(header) ||
		!proa_blocks_tables_parse(header, bytes + PROA_BLOCKS_HEADER_SIZE, NULL))
		return 0;
	mend(bytes, size, header);
	guint64 head_size = proa_blocks_head_size(header);
	g_autofree char *root_hash = proa_hex_encode(bytes + 32, PROA_SHA256_SIZE);
	g_autofree char *head_sha256 = proa_sha256_hex(bytes, head_size);
	const ProaPayloadExpect expect = { .size = proa_blocks_total_size(header),
		.header_sha256 = head_sha256,
		.header_size = head_size,
		.image_size = header->image_size,
		.root_hash = root_hash };
	const ProaPayloadJob job = { .expect = &expect,
		.open = open_ranges,
		.read_old = read_old,
		.read_new = read_new,
		.sink = count,
		.user_data = &input };
	g_autoptr(GError) error = NULL;
	g_autoptr(ProaBlocksPlan) plan = proa_blocks_plan_new(&job, NULL, &error);
	g_assert(plan || error);
	if (plan && proa_blocks_apply(plan, &job, NULL, &error))
		g_assert(input.given == header->image_size);
	else
		g_assert(error && input.given <= header->image_size);
	return 0;
}
