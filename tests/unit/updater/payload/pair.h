/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pair: an old image with its hash tree, and a new one with its `blocks` payload, made by the publisher's own
 * code and held in memory. For unit tests only.
 */
#pragma once

#include "base/file.h"
#include "images/payload/blocks-maker.h"
#include "tests/unit/scratch.h"
#include "updater/payload/blocks.h"
#include "verity/build.h"

#include <string.h>

#define BLOCK 4096u
#define SALT "ababababababababababababababababababababababababababababababab01"
#define UUID "3a2f4b5c-1111-4222-8333-444455556666"

/* What the node would be given, and what came of it. */
typedef struct {
	Scratch scratch;
	GByteArray *old_image, *new_image;
	GByteArray *payload;
	char *root_hash, *head_sha256, *sha256;
	ProaVerityLeaves leaves;
	ProaPayloadExpect expect;
	ProaPayloadJob job;
	GByteArray *made;
	guint64 opened;   /* bytes of ranges asked for */
	guint max_read;   /* the payload comes in reads of 1 to so many bytes; 0: as they are asked for */
	GArray *edges;    /* of guint64: no read goes over one of these places of the payload; NULL: none */
	guint64 cut_at;   /* the stream ends after so many bytes; 0: never */
	guint64 progress; /* the last told */
} Pair;

/* A stream of ranges of the payload. */
typedef struct {
	ProaStream stream;
	Pair *pair;
	GArray *ranges;
	guint index;
	guint64 at, given;
	GRand *random;
} PairStream;

static inline gssize pair_stream_read(ProaStream *stream, void *data, gsize size, GError **error)
{
	PairStream *self = (PairStream *)stream;
	Pair *pair = self->pair;

	while (self->index < self->ranges->len) {
		const ProaPayloadRange *range = &g_array_index(self->ranges, ProaPayloadRange, self->index);
		gsize n = (gsize)MIN((guint64)size, range->length - self->at);
		gsize most = pair->max_read > 0
				     ? (gsize)g_rand_int_range(self->random, 1, (gint32)pair->max_read + 1)
				     : size;
		n = MIN(n, most);
		for (guint i = 0; pair->edges && i < pair->edges->len; i++) {
			guint64 edge = g_array_index(pair->edges, guint64, i), at = range->offset + self->at;
			if (edge > at)
				n = (gsize)MIN((guint64)n, edge - at);
		}
		if (range->offset + self->at >= pair->payload->len)
			return 0;
		n = (gsize)MIN((guint64)n, pair->payload->len - (range->offset + self->at));
		if (pair->cut_at > 0 && self->given + n > pair->cut_at)
			n = (gsize)(pair->cut_at - self->given);
		if (n == 0 && pair->cut_at > 0)
			return 0;
		if (n > 0) {
			memcpy(data, pair->payload->data + range->offset + self->at, n);
			self->at += n;
			self->given += n;
			return (gssize)n;
		}
		self->index++;
		self->at = 0;
	}
	return 0;
}

static inline void pair_stream_close(ProaStream *stream)
{
	PairStream *self = (PairStream *)stream;

	g_array_unref(self->ranges);
	g_rand_free(self->random);
	g_free(self);
}

static inline ProaStream *pair_open(
	const ProaPayloadRange *ranges, guint n, gpointer user_data, GError **error)
{
	static const ProaStreamKind kind = { pair_stream_read, pair_stream_close };
	PairStream *self = g_new0(PairStream, 1);

	self->stream.kind = &kind;
	self->pair = user_data;
	self->random = g_rand_new_with_seed(n);
	self->ranges = g_array_new(FALSE, FALSE, sizeof(ProaPayloadRange));
	g_array_append_vals(self->ranges, ranges, n);
	g_assert_cmpuint(n, >, 0);
	for (guint i = 0; i < n; i++)
		self->pair->opened += ranges[i].length;
	return &self->stream;
}

static inline gboolean pair_read(
	const GByteArray *image, guint64 offset, guint8 *data, gsize size, GError **error)
{
	if (offset > image->len || size > image->len - offset)
		return proa_fail(error, PROA_REASON_IO, "read past the end of the image");
	memcpy(data, image->data + offset, size);
	return TRUE;
}

static inline gboolean pair_read_old(
	guint64 offset, guint8 *data, gsize size, gpointer user_data, GError **error)
{
	return pair_read(((Pair *)user_data)->old_image, offset, data, size, error);
}

static inline gboolean pair_read_new(
	guint64 offset, guint8 *data, gsize size, gpointer user_data, GError **error)
{
	return pair_read(((Pair *)user_data)->made, offset, data, size, error);
}

static inline gboolean pair_sink(const guint8 *data, gsize size, gpointer user_data, GError **error)
{
	g_assert_cmpuint((guintptr)data % BLOCK, ==, 0);
	g_assert_cmpuint(size % BLOCK, ==, 0);
	g_byte_array_append(((Pair *)user_data)->made, data, (guint)size);
	return TRUE;
}

static inline void pair_progress(guint64 done, gpointer user_data)
{
	Pair *pair = user_data;

	g_assert_cmpuint(done, >, pair->progress);
	pair->progress = done;
}

/* Writes @image as @name, makes its hash tree beside it; returns the root hash, to be freed with g_free(). */
static inline char *pair_tree(Pair *pair, const GByteArray *image, const char *name, const char *salt)
{
	g_autoptr(GError) error = NULL;
	g_autofree char *tree_name = g_strconcat(name, ".verity", NULL);
	g_autofree char *path =
		scratch_write(&pair->scratch, name, (const char *)image->data, (gssize)image->len);
	g_autofree char *tree = scratch_write(&pair->scratch, tree_name, "", 0);
	ProaVerityParams params = { .data_size = image->len };
	char *root_hash = NULL;

	g_assert_true(proa_hex_decode(salt, params.salt, sizeof params.salt));
	g_strlcpy(params.uuid, UUID, sizeof params.uuid);
	g_assert_true(proa_verity_build(path, tree, &params, &root_hash, &error));
	g_assert_no_error(error);
	return root_hash;
}

/* Sets what the manifest says of the payload as it is now. */
static inline void pair_say(Pair *pair, guint64 head_size)
{
	g_free(pair->sha256);
	g_free(pair->head_sha256);
	pair->sha256 = proa_sha256_hex(pair->payload->data, pair->payload->len);
	pair->head_sha256 = proa_sha256_hex(pair->payload->data, head_size);
	pair->expect = (ProaPayloadExpect){ .size = pair->payload->len,
		.sha256 = pair->sha256,
		.header_sha256 = pair->head_sha256,
		.header_size = head_size,
		.image_size = pair->new_image->len,
		.root_hash = pair->root_hash };
}

/* Takes both images. @old_salt: of the old image's tree. */
static inline Pair *pair_new(
	GByteArray *old_image, GByteArray *new_image, const ProaBlocksMaker *maker, const char *old_salt)
{
	g_autoptr(GError) error = NULL;
	Pair *pair = g_new0(Pair, 1);
	gsize size = 0;
	char *bytes = NULL;

	pair->scratch = scratch_new();
	pair->old_image = old_image;
	pair->new_image = new_image;
	pair->made = g_byte_array_new();
	g_autofree char *old_hash = pair_tree(pair, old_image, "old", old_salt);
	pair->root_hash = pair_tree(pair, new_image, "new", SALT);
	g_autofree char *image = scratch_file(&pair->scratch, "new");
	g_autofree char *tree = scratch_file(&pair->scratch, "old.verity");
	g_autofree char *out = scratch_file(&pair->scratch, "payload");
	g_assert_true(proa_blocks_make(maker, image, pair->root_hash, SALT, out, &error));
	g_assert_no_error(error);
	g_assert_true(g_file_get_contents(out, &bytes, &size, NULL));
	pair->payload = g_byte_array_new_take((guint8 *)bytes, size);
	g_assert_true(proa_verity_leaves_open(tree, &pair->leaves, &error));
	g_autoptr(ProaBlocksHeader) header = proa_blocks_file_header(out, NULL, &error);
	g_assert_no_error(error);
	pair_say(pair, proa_blocks_head_size(header));
	pair->job = (ProaPayloadJob){ .expect = &pair->expect,
		.open = pair_open,
		.read_old = pair_read_old,
		.read_new = pair_read_new,
		.sink = pair_sink,
		.progress = pair_progress,
		.user_data = pair };
	return pair;
}

static inline void pair_free(Pair *pair)
{
	proa_verity_leaves_clear(&pair->leaves);
	g_byte_array_unref(pair->old_image);
	g_byte_array_unref(pair->new_image);
	g_byte_array_unref(pair->payload);
	g_byte_array_unref(pair->made);
	g_clear_pointer(&pair->edges, g_array_unref);
	g_free(pair->root_hash);
	g_free(pair->sha256);
	g_free(pair->head_sha256);
	scratch_clear(&pair->scratch);
	g_free(pair);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Pair, pair_free)

/* An image of @blocks blocks that differ, half of each random. */
static inline GByteArray *pair_image(guint blocks, guint32 seed)
{
	g_autoptr(GRand) random = g_rand_new_with_seed(seed);
	GByteArray *image = g_byte_array_sized_new(blocks * BLOCK);

	g_byte_array_set_size(image, blocks * BLOCK);
	for (guint i = 0; i < image->len; i += 4) {
		guint32 word = i % BLOCK < BLOCK / 2 ? g_rand_int(random) : 0x61626364;
		memcpy(image->data + i, &word, 4);
	}
	return image;
}

static inline GByteArray *pair_copy(const GByteArray *image)
{
	return g_byte_array_append(g_byte_array_new(), image->data, image->len);
}
