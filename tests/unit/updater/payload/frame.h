/* SPDX-License-Identifier: Apache-2.0 */
/* frame: frames of a delta written by hand, their streams stored as they are. For unit tests only. */
#pragma once

#include "base/digest.h"
#include "updater/payload/delta-ops.h"
#include "updater/payload/delta.h"

#include <string.h>

#define HASH "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

/* A frame that is being written. */
typedef struct {
	GByteArray *stream[_PROA_DELTA_STREAM_MAX];
	ProaDeltaStreamEntry packed[_PROA_DELTA_STREAM_MAX]; /* where `packed` is set: what is said of it */
} Frame;

static inline Frame frame_new(void)
{
	Frame frame = { 0 };

	for (guint i = 0; i < _PROA_DELTA_STREAM_MAX; i++)
		frame.stream[i] = g_byte_array_new();
	return frame;
}

static inline void frame_clear(Frame *frame)
{
	for (guint i = 0; i < _PROA_DELTA_STREAM_MAX; i++)
		g_byte_array_unref(frame->stream[i]);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Frame, frame_clear)

static inline void put_number(Frame *frame, ProaDeltaStream id, guint64 value)
{
	do {
		guint8 byte = (guint8)((value & 0x7f) | (value > 0x7f ? 0x80 : 0));
		g_byte_array_append(frame->stream[id], &byte, 1);
		value >>= 7;
	} while (value > 0);
}

static inline void put_op(Frame *frame, ProaDeltaOp op, guint64 length)
{
	put_number(frame, PROA_DELTA_OPS, length << PROA_DELTA_OP_BITS | op);
}

static inline void put_seek(Frame *frame, gint64 step)
{
	put_number(frame, PROA_DELTA_SEEK, step < 0 ? (guint64)(-(step + 1)) * 2 + 1 : (guint64)step * 2);
}

static inline void put_bytes(Frame *frame, ProaDeltaStream id, const char *bytes)
{
	g_byte_array_append(frame->stream[id], (const guint8 *)bytes, (guint)strlen(bytes));
}

/* A payload of that one frame, made of an old image of @old_size bytes, which is said to make @length bytes.
 */
static inline GByteArray *payload_of(const Frame *frame, guint64 length, guint64 old_size)
{
	ProaDeltaStreamEntry entries[_PROA_DELTA_STREAM_MAX] = { 0 };
	g_autoptr(GByteArray) packed = g_byte_array_new();
	g_autoptr(ProaDeltaHeader) header = proa_delta_header_new(1);
	GByteArray *payload = g_byte_array_new();

	g_byte_array_set_size(packed, (guint)PROA_DELTA_STREAM_TABLE_SIZE);
	for (guint i = 0; i < _PROA_DELTA_STREAM_MAX; i++) {
		entries[i].size = entries[i].packed_size = frame->stream[i]->len;
		if (frame->packed[i].packed)
			entries[i] = frame->packed[i];
		g_byte_array_append(packed, frame->stream[i]->data, frame->stream[i]->len);
	}
	proa_delta_streams_serialize(entries, packed->data);
	g_assert_true(proa_hex_decode(HASH, header->new_hash, PROA_SHA256_SIZE));
	g_assert_true(proa_hex_decode(HASH, header->old_hash, PROA_SHA256_SIZE));
	header->old_size = old_size;
	header->new_size = header->frames[0].length = length;
	header->frames[0].packed_size = packed->len;
	g_autofree char *hex = proa_sha256_hex(packed->data, packed->len);
	g_assert_true(proa_hex_decode(hex, header->frames[0].sha256, PROA_SHA256_SIZE));
	g_autoptr(GBytes) head = proa_delta_header_serialize(header);
	g_byte_array_append(payload, g_bytes_get_data(head, NULL), (guint)g_bytes_get_size(head));
	g_byte_array_append(payload, packed->data, packed->len);
	return payload;
}
