/* SPDX-License-Identifier: Apache-2.0 */
// link: payload
#include "updater/payload/apply.h"

#include <string.h>

/* So that the fuzzer's time goes into parsing, not into zeroing memory. */
#define MAX_IMAGE (1u << 20)

int LLVMFuzzerTestOneInput(const guint8 *data, size_t size);

static gboolean count(const guint8 *data, gsize size, gpointer total, GError **error)
{
	/* Every byte is looked at: one that was never written would be seen by a sanitizer. */
	guint8 sum = 0;

	for (gsize i = 0; i < size; i++)
		sum ^= data[i];
	*(guint64 *)total += size;
	*(volatile guint8 *)&sum = sum;
	return TRUE;
}

/* The digest of each frame that the input holds is set right, so that the fuzzer gets past it. */
static void mend(guint8 *bytes, gsize size, const ProaPayloadHeader *header)
{
	gsize at = PROA_PAYLOAD_HEADER_SIZE + proa_payload_table_size(header);

	for (guint32 i = 0; i < header->n_frames && at < size; i++) {
		guint8 *entry = bytes + PROA_PAYLOAD_HEADER_SIZE + (gsize)i * PROA_PAYLOAD_FRAME_ENTRY_SIZE;
		gsize n = MIN((gsize)header->frames[i].compressed_size, size - at);
		g_autofree char *hex = proa_sha256_hex(bytes + at, n);
		g_assert(proa_hex_decode(hex, entry + 8, PROA_SHA256_SIZE));
		at += n;
	}
}

int LLVMFuzzerTestOneInput(const guint8 *data, size_t size)
{
	g_autofree guint8 *bytes = g_memdup2(data, size);
	guint64 total = 0;

	if (size < PROA_PAYLOAD_HEADER_SIZE)
		return 0;
	g_autoptr(ProaPayloadHeader) header = proa_payload_header_parse(bytes, NULL);
	if (!header || header->image_size > MAX_IMAGE ||
		size < PROA_PAYLOAD_HEADER_SIZE + proa_payload_table_size(header) ||
		!proa_payload_table_parse(header, bytes + PROA_PAYLOAD_HEADER_SIZE, NULL))
		return 0;
	mend(bytes, size, header);
	g_autofree char *root_hash = proa_hex_encode(header->root_hash, PROA_SHA256_SIZE);
	g_autofree char *sha256 = proa_sha256_hex(bytes, size);
	const ProaPayloadExpect expect = { .size = proa_payload_total_size(header),
		.sha256 = sha256,
		.image_size = header->image_size,
		.root_hash = root_hash };
	g_autoptr(GBytes) input = g_bytes_new(bytes, size);
	g_autoptr(ProaStream) stream = proa_stream_of_bytes(input);
	g_autoptr(GError) error = NULL;
	if (proa_payload_apply(stream, &expect, count, NULL, &total, &error))
		g_assert(total == header->image_size && size == expect.size);
	else
		g_assert(error && total <= header->image_size);
	return 0;
}
