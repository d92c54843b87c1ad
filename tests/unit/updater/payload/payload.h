/* SPDX-License-Identifier: Apache-2.0 */
/* payload: small full payloads, with whatever is wrong with them put in by the test. For unit tests only. */
#pragma once

#include "updater/payload/apply.h"

#include <string.h>
#include <zstd.h>

#define FRAME_SIZE 16384u
#define IMAGE_SIZE (3 * FRAME_SIZE + 4096u)
#define ROOT_HASH "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

static inline guint8 *payload_image(gsize size)
{
	guint8 *image = g_malloc(size);
	guint32 state = 7;

	for (gsize i = 0; i < size; i++) {
		state = state * 1664525u + 1013904223u;
		image[i] = (i / 512) % 2 ? (guint8)(state >> 24) : 'p';
	}
	return image;
}

static inline void payload_digest(const guint8 *data, gsize size, guint8 *out)
{
	g_autofree char *hex = proa_sha256_hex(data, size);

	g_assert_true(proa_hex_decode(hex, out, PROA_SHA256_SIZE));
}

/* Sets the digest and size of a frame of @header, and adds the frame to @frames. */
static inline void payload_add_frame(
	ProaPayloadHeader *header, guint index, GByteArray *frames, const void *packed, gsize size)
{
	header->frames[index].compressed_size = (guint32)size;
	payload_digest(packed, size, header->frames[index].sha256);
	g_byte_array_append(frames, packed, (guint)size);
}

static inline GByteArray *payload_join(const ProaPayloadHeader *header, const GByteArray *frames)
{
	g_autoptr(GBytes) head = proa_payload_header_serialize(header);
	GByteArray *whole = g_byte_array_new();

	g_byte_array_append(whole, g_bytes_get_data(head, NULL), (guint)g_bytes_get_size(head));
	g_byte_array_append(whole, frames->data, frames->len);
	return whole;
}

/* A good payload of payload_image(IMAGE_SIZE). */
static inline GByteArray *payload_new(void)
{
	guint8 hash[PROA_SHA256_SIZE];
	g_autofree guint8 *image = payload_image(IMAGE_SIZE);
	g_autoptr(GByteArray) frames = g_byte_array_new();

	g_assert_true(proa_hex_decode(ROOT_HASH, hash, sizeof hash));
	g_autoptr(ProaPayloadHeader) header = proa_payload_header_new(IMAGE_SIZE, FRAME_SIZE, hash);
	for (guint i = 0; i < header->n_frames; i++) {
		guint8 packed[ZSTD_COMPRESSBOUND(FRAME_SIZE)];
		gsize size = ZSTD_compress(packed, sizeof packed, image + (gsize)i * FRAME_SIZE,
			proa_payload_frame_length(header, i), 3);
		payload_add_frame(header, i, frames, packed, size);
	}
	return payload_join(header, frames);
}
