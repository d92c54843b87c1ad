/* SPDX-License-Identifier: Apache-2.0 */
/*
 * delta-format: the `delta` payload on the wire (docs/formats.md, "Payload `delta`"): header, frame table,
 * and the streams that a frame holds. Who applies one and who makes one share it.
 */
#pragma once

#include "base/digest.h"
#include "base/reason.h"

#define PROA_DELTA_MAGIC "PROAPAY1"
#define PROA_DELTA_FORMAT_VERSION 2
#define PROA_DELTA_TYPE 2
#define PROA_DELTA_HEADER_SIZE 112
#define PROA_DELTA_FRAME_ENTRY_SIZE 48
#define PROA_DELTA_STREAM_ENTRY_SIZE 12

/*
 * Caps of the parser. Bytes, but for numbers of things. What applying takes at most is their sum, which is
 * added up in delta.c.
 */
#define PROA_DELTA_MAX_FRAMES 16384u
#define PROA_DELTA_MAX_FRAME_SIZE (2u * 1024 * 1024)   /* of a frame on the wire */
#define PROA_DELTA_MAX_STREAM_SIZE (64u * 1024 * 1024) /* of a stream unpacked; it is never held whole */
#define PROA_DELTA_MAX_DICTIONARY_LOG 20               /* of a stream: 1 MiB */
#define PROA_DELTA_MAX_DICTIONARIES (2u * 1024 * 1024) /* of a frame's streams together */
#define PROA_DELTA_MIN_DICTIONARY_LOG 12               /* liblzma's smallest */
#define PROA_DELTA_MAX_IMAGE_SIZE (16ull * 1024 * 1024 * 1024)
/* Of the blocks of a file that is made as a whole (delta-ops.h). */
#define PROA_DELTA_MIN_UNIT 4096u
#define PROA_DELTA_MAX_UNIT (6u * 1024 * 1024)
/* Of that file and what is kept of its older self's tables meanwhile. */
#define PROA_DELTA_MAX_UNIT_MEMORY (8u * 1024 * 1024)
#define PROA_DELTA_MAX_TAIL 4096u /* of a file's last bytes */
/* Last bytes of modules that are kept until the image comes to them: how many, and their bytes. */
#define PROA_DELTA_MAX_TAILS 1024u
#define PROA_DELTA_MAX_TAIL_BYTES (256u * 1024)

/*
 * What a frame's bytes are sorted into before they are compressed: like lies with like. All are sequences of
 * variable-length numbers (7 bits a byte, lowest first; signed ones fold the sign into the lowest bit), but
 * for DIFF and LITERAL, which are bytes.
 */
typedef enum {
	PROA_DELTA_OPS,     /* operations and their lengths */
	PROA_DELTA_SEEK,    /* where in the old image, relative to where the last operation ended */
	PROA_DELTA_DIFF,    /* new bytes minus old ones (delta-ops.h) */
	PROA_DELTA_LITERAL, /* bytes that are in no old file */
	PROA_DELTA_SYMBOL_OPS,
	PROA_DELTA_SYMBOL_NAME,
	PROA_DELTA_SYMBOL_VALUE,
	PROA_DELTA_RELA_OPS,
	PROA_DELTA_RELA_OFFSET,
	PROA_DELTA_RELA_SYMBOL,
	PROA_DELTA_RELA_ADDEND,
	PROA_DELTA_WORDS, /* new number of 32 bits minus old one, 4 bytes each */
	_PROA_DELTA_STREAM_MAX,
} ProaDeltaStream;

typedef struct {
	guint32 packed_size; /* bytes on the wire */
	guint64 length;      /* bytes of the new image that it makes */
	guint8 sha256[PROA_SHA256_SIZE];
} ProaDeltaFrame;

typedef struct {
	guint64 new_size, old_size;        /* bytes of the images */
	guint8 new_hash[PROA_SHA256_SIZE]; /* root hash of a root image, SHA-256 of a UKI */
	guint8 old_hash[PROA_SHA256_SIZE];
	guint32 n_frames;
	ProaDeltaFrame *frames;
} ProaDeltaHeader;

/* A header with room for @n_frames frames, all zero. */
ProaDeltaHeader *proa_delta_header_new(guint32 n_frames);
void proa_delta_header_free(ProaDeltaHeader *header);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ProaDeltaHeader, proa_delta_header_free)

/* Parses the fixed part; BAD_PAYLOAD for a wrong magic, version, type, size or number of frames. */
ProaDeltaHeader *proa_delta_header_parse(
	const guint8 data[PROA_DELTA_HEADER_SIZE], GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Parses the frame table, proa_delta_table_size() bytes. BAD_PAYLOAD unless its lengths make the image. */
gboolean proa_delta_table_parse(
	ProaDeltaHeader *header, const guint8 *table, GError **error) G_GNUC_WARN_UNUSED_RESULT;
gsize proa_delta_table_size(const ProaDeltaHeader *header);

/* Bytes of the payload: header, table and frames. */
guint64 proa_delta_total_size(const ProaDeltaHeader *header);

/* Header and table as they stand at the beginning of the file. */
GBytes *proa_delta_header_serialize(const ProaDeltaHeader *header);

/* One entry of a frame's stream table. */
typedef struct {
	guint32 size, packed_size; /* bytes, unpacked and on the wire */
	gboolean packed;           /* raw LZMA; otherwise stored as it is */
	guint8 lc, lp, pb;         /* of LZMA */
	guint8 dictionary_log;     /* 2^n bytes */
} ProaDeltaStreamEntry;

#define PROA_DELTA_STREAM_TABLE_SIZE ((gsize)_PROA_DELTA_STREAM_MAX * PROA_DELTA_STREAM_ENTRY_SIZE)

/* Parses the stream table at the start of a frame of @size bytes; BAD_PAYLOAD unless it accounts for all. */
gboolean proa_delta_streams_parse(const guint8 *frame, gsize size,
	ProaDeltaStreamEntry entries[_PROA_DELTA_STREAM_MAX], GError **error) G_GNUC_WARN_UNUSED_RESULT;
void proa_delta_streams_serialize(const ProaDeltaStreamEntry entries[_PROA_DELTA_STREAM_MAX], guint8 *table);

/*
 * Reads header and table of the payload file @path and checks the file's size. @ret_sha256 (may be NULL): the
 * digest of both together. NULL with BAD_PAYLOAD, PAYLOAD_TRUNCATED or a file error.
 */
ProaDeltaHeader *proa_delta_file_header(
	const char *path, char **ret_sha256, GError **error) G_GNUC_WARN_UNUSED_RESULT;
