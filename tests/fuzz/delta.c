/* SPDX-License-Identifier: Apache-2.0 */
// link: payload
#include "tests/unit/images/payload/delta.h"
#include "updater/payload/delta.h"

#include <string.h>

/* So that the fuzzer's time goes into parsing, not into zeroing memory. */
#define MAX_IMAGE (1u << 20)
#define HASH "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

int LLVMFuzzerTestOneInput(const guint8 *data, size_t size);

typedef struct {
	GByteArray *old_image, *made;
} Slots;

static gboolean read_from(const GByteArray *image, guint64 offset, guint8 *data, gsize size)
{
	g_assert(offset <= image->len && size <= image->len - offset);
	memcpy(data, image->data + offset, size);
	return TRUE;
}

static gboolean read_old(guint64 offset, guint8 *data, gsize size, gpointer user_data, GError **error)
{
	return read_from(((Slots *)user_data)->old_image, offset, data, size);
}

static gboolean read_new(guint64 offset, guint8 *data, gsize size, gpointer user_data, GError **error)
{
	return read_from(((Slots *)user_data)->made, offset, data, size);
}

static gboolean take(const guint8 *data, gsize size, gpointer user_data, GError **error)
{
	/* Every byte is looked at: one that was never written would be seen by a sanitizer. */
	guint8 sum = 0;

	for (gsize i = 0; i < size; i++)
		sum ^= data[i];
	*(volatile guint8 *)&sum = sum;
	g_byte_array_append(((Slots *)user_data)->made, data, (guint)size);
	return TRUE;
}

/* The old image: a module, whose last 1000 bytes could be its tail, and what follows it. */
static GByteArray *old_image(void)
{
	static GByteArray *image;

	if (!image) {
		g_autoptr(GByteArray) rest = image_new(3, 20000);
		image = module_new(40, G_MAXUINT, G_MAXUINT);
		g_byte_array_append(image, rest->data, rest->len);
	}
	return image;
}

/* The image's size (3 bytes), then the frame's bytes: all digests are made right, so that the fuzzer gets to
 * it. */
int LLVMFuzzerTestOneInput(const guint8 *data, size_t size)
{
	if (size < 3 + PROA_DELTA_STREAM_TABLE_SIZE || size > PROA_DELTA_MAX_FRAME_SIZE)
		return 0;
	g_autoptr(ProaDeltaHeader) header = proa_delta_header_new(1);
	Slots slots = { old_image(), g_byte_array_new() };
	guint8 hash[PROA_SHA256_SIZE];

	g_assert(proa_hex_decode(HASH, hash, sizeof hash));
	memcpy(header->new_hash, hash, sizeof hash);
	memcpy(header->old_hash, hash, sizeof hash);
	header->old_size = slots.old_image->len;
	header->new_size = MAX(1, (data[0] | (guint)data[1] << 8 | (guint)data[2] << 16) % MAX_IMAGE);
	header->frames[0].length = header->new_size;
	header->frames[0].packed_size = (guint32)(size - 3);
	g_autofree char *frame_hex = proa_sha256_hex(data + 3, size - 3);
	g_assert(proa_hex_decode(frame_hex, header->frames[0].sha256, PROA_SHA256_SIZE));
	g_autoptr(GBytes) head = proa_delta_header_serialize(header);
	GByteArray *whole = g_byte_array_new();
	g_byte_array_append(whole, g_bytes_get_data(head, NULL), (guint)g_bytes_get_size(head));
	g_byte_array_append(whole, data + 3, (guint)(size - 3));
	g_autoptr(GBytes) bytes = g_byte_array_free_to_bytes(whole);
	g_autofree char *sha256 = g_compute_checksum_for_bytes(G_CHECKSUM_SHA256, bytes);
	g_autoptr(ProaStream) stream = proa_stream_of_bytes(bytes);
	g_autoptr(GError) error = NULL;
	const ProaPayloadExpect expect = { .size = g_bytes_get_size(bytes),
		.sha256 = sha256,
		.image_size = header->new_size,
		.root_hash = HASH };
	const ProaDeltaTarget target = { .old_hash = HASH,
		.read_old = read_old,
		.read_new = read_new,
		.sink = take,
		.user_data = &slots };
	if (proa_delta_apply(stream, &expect, &target, &error))
		g_assert(slots.made->len == header->new_size);
	else
		g_assert(error && slots.made->len <= header->new_size);
	g_byte_array_unref(slots.made);
	return 0;
}
