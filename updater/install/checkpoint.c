/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/install/checkpoint.h"

#include "base/digest.h"
#include "base/file.h"
#include "base/json.h"

#include <errno.h>
#include <fcntl.h>
#include <lzma.h>
#include <stdio.h>
#include <string.h>

#define FILE_NAME "checkpoint.json"
#define BLOCK 4096u
#define CHUNK (512u * 1024)

struct ProaCheckpoint {
	char *durable, *quick; /* paths of the files */
	char *root_hash, *slot, *slot_path;
	guint64 image_size, done;
	guint64 sum;    /* of the first @done bytes */
	gboolean delta; /* one made some of them */
	gsize tail_size;
	guint8 tail[PROA_CHECKPOINT_MAX_TAIL]; /* what follows them */
};

ProaCheckpoint *proa_checkpoint_new(const char *state_dir, const char *run_dir, const char *root_hash,
	const char *slot, const char *slot_path, guint64 image_size)
{
	ProaCheckpoint *checkpoint = g_new0(ProaCheckpoint, 1);

	checkpoint->durable = g_build_filename(state_dir, FILE_NAME, NULL);
	checkpoint->quick = g_build_filename(run_dir, FILE_NAME, NULL);
	checkpoint->root_hash = g_strdup(root_hash);
	checkpoint->slot = g_strdup(slot);
	checkpoint->slot_path = g_strdup(slot_path);
	checkpoint->image_size = image_size;
	return checkpoint;
}

void proa_checkpoint_free(ProaCheckpoint *checkpoint)
{
	if (!checkpoint)
		return;
	g_free(checkpoint->durable);
	g_free(checkpoint->quick);
	g_free(checkpoint->root_hash);
	g_free(checkpoint->slot);
	g_free(checkpoint->slot_path);
	g_free(checkpoint);
}

gboolean proa_checkpoint_parse(const char *text, gsize size, ProaCheckpointClaim *ret_claim, GError **error)
{
	g_autoptr(JsonObject) object =
		proa_json_parse(text, size, "the checkpoint", PROA_REASON_BAD_STATE, error);
	guint8 tail_bytes[PROA_CHECKPOINT_MAX_TAIL];
	gboolean delta = FALSE;
	gint64 done = 0;

	if (!object)
		return FALSE;
	const char *root_hash = proa_json_string(object, "root_hash", PROA_REASON_BAD_STATE, error);
	const char *slot = root_hash ? proa_json_string(object, "slot", PROA_REASON_BAD_STATE, error) : NULL;
	const char *sum = slot ? proa_json_string(object, "crc64", PROA_REASON_BAD_STATE, error) : NULL;
	if (!sum || !proa_json_int(object, "done", 0, G_MAXINT64, &done, PROA_REASON_BAD_STATE, error))
		return FALSE;
	if (!proa_json_bool(object, "delta", FALSE, &delta, PROA_REASON_BAD_STATE, error))
		return FALSE;
	if (!proa_sha256_hex_valid(root_hash) || !proa_hex_valid(sum, 16) ||
		strlen(slot) >= sizeof ret_claim->slot || done % BLOCK != 0)
		return proa_fail(error, PROA_REASON_BAD_STATE, "the checkpoint is malformed");
	const char *tail = proa_json_string_or(object, "tail", "");
	gsize tail_size = strlen(tail) / 2;
	if (tail_size >= PROA_CHECKPOINT_MAX_TAIL || !proa_hex_decode(tail, tail_bytes, tail_size))
		return proa_fail(error, PROA_REASON_BAD_STATE, "the checkpoint's tail is malformed");
	ret_claim->tail_size = tail_size;
	memcpy(ret_claim->tail, tail_bytes, tail_size);
	g_strlcpy(ret_claim->root_hash, root_hash, sizeof ret_claim->root_hash);
	g_strlcpy(ret_claim->slot, slot, sizeof ret_claim->slot);
	ret_claim->sum = g_ascii_strtoull(sum, NULL, 16);
	ret_claim->done = (guint64)done;
	ret_claim->delta = delta;
	return TRUE;
}

/* What the file claims of this release in this slot; done is 0 if it claims nothing. */
static ProaCheckpointClaim read_claim(const ProaCheckpoint *checkpoint, const char *path)
{
	const ProaCheckpointClaim none = { .done = 0 };
	ProaCheckpointClaim claim = none;
	gsize size = 0;
	g_autofree char *text = proa_file_read(path, PROA_CHECKPOINT_MAX_SIZE, &size, NULL);

	if (!text || !proa_checkpoint_parse(text, size, &claim, NULL))
		return none;
	if (strcmp(claim.root_hash, checkpoint->root_hash) != 0 ||
		strcmp(claim.slot, checkpoint->slot) != 0 || claim.done > checkpoint->image_size ||
		claim.tail_size > checkpoint->image_size - claim.done)
		return none;
	return claim;
}

/* Takes the slot's bytes up to @claim->done into the sum; TRUE if they are what is claimed. */
static gboolean holds(ProaCheckpoint *checkpoint, int fd, guint8 *chunk, const ProaCheckpointClaim *claim,
	ProaCheckpointProgress progress, gpointer data)
{
	while (checkpoint->done < claim->done) {
		gsize n = (gsize)MIN((guint64)CHUNK, claim->done - checkpoint->done);
		if (!proa_pread_all(fd, chunk, n, (goffset)checkpoint->done, NULL))
			return FALSE;
		proa_checkpoint_took(checkpoint, chunk, n);
		if (progress)
			progress(checkpoint->done, data);
	}
	return lzma_crc64(claim->tail, claim->tail_size, checkpoint->sum) == claim->sum;
}

guint64 proa_checkpoint_resume(ProaCheckpoint *checkpoint, ProaCheckpointProgress progress, gpointer data)
{
	/* The shorter first: the longer goes on where it ends. */
	ProaCheckpointClaim claims[2] = { read_claim(checkpoint, checkpoint->durable),
		read_claim(checkpoint, checkpoint->quick) };
	g_autofree guint8 *chunk = NULL;
	guint64 shorter_sum = 0;

	if (claims[0].done + claims[0].tail_size > claims[1].done + claims[1].tail_size) {
		ProaCheckpointClaim longer = claims[0];
		claims[0] = claims[1];
		claims[1] = longer;
	}
	PROA_AUTO_FD int fd = claims[1].done > 0 ? open(checkpoint->slot_path, O_RDONLY | O_CLOEXEC) : -1;
	checkpoint->done = checkpoint->sum = checkpoint->tail_size = 0;
	checkpoint->delta = FALSE;
	if (fd < 0)
		return 0;
	/* What the device holds, not what is cached of it. */
	(void)posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	chunk = g_malloc(CHUNK);
	const ProaCheckpointClaim *held = NULL;
	if (claims[0].done > 0 && holds(checkpoint, fd, chunk, &claims[0], progress, data)) {
		held = &claims[0];
		shorter_sum = checkpoint->sum;
	}
	if (holds(checkpoint, fd, chunk, &claims[1], progress, data)) {
		held = &claims[1];
	} else {
		checkpoint->done = held ? held->done : 0;
		checkpoint->sum = shorter_sum;
	}
	if (held) {
		proa_checkpoint_keep(checkpoint, held->tail, held->tail_size);
		checkpoint->delta = held->delta;
	}
	(void)posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	return checkpoint->done;
}

void proa_checkpoint_took(ProaCheckpoint *checkpoint, const guint8 *data, gsize size)
{
	checkpoint->sum = lzma_crc64(data, size, checkpoint->sum);
	checkpoint->done += size;
	checkpoint->tail_size = 0;
}

void proa_checkpoint_keep(ProaCheckpoint *checkpoint, const guint8 *tail, gsize size)
{
	g_assert(size < PROA_CHECKPOINT_MAX_TAIL);
	memcpy(checkpoint->tail, tail, size);
	checkpoint->tail_size = size;
}

const guint8 *proa_checkpoint_tail(const ProaCheckpoint *checkpoint, gsize *ret_size)
{
	*ret_size = checkpoint->tail_size;
	return checkpoint->tail;
}

void proa_checkpoint_set_delta(ProaCheckpoint *checkpoint)
{
	checkpoint->delta = TRUE;
}

gboolean proa_checkpoint_delta(const ProaCheckpoint *checkpoint)
{
	return checkpoint->delta;
}

guint64 proa_checkpoint_done(const ProaCheckpoint *checkpoint)
{
	return checkpoint->done;
}

/* Whole under its name at any time, but not on the disk: for a file that a reboot may lose. */
static gboolean replace_quickly(const char *path, const char *text, GError **error)
{
	g_autofree char *temporary = g_strconcat(path, ".tmp", NULL);
	PROA_AUTO_FD int fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	if (fd < 0)
		return proa_fail_errno(error, PROA_REASON_IO, errno, "creating %s", temporary);
	if (!proa_write_all(fd, text, strlen(text), error))
		return FALSE;
	return rename(temporary, path) == 0
		       ? TRUE
		       : proa_fail_errno(error, PROA_REASON_IO, errno, "renaming %s", temporary);
}

gboolean proa_checkpoint_save(const ProaCheckpoint *checkpoint, gboolean durable, GError **error)
{
	g_autoptr(JsonObject) object = json_object_new();
	guint64 crc64 = lzma_crc64(checkpoint->tail, checkpoint->tail_size, checkpoint->sum);
	g_autofree char *sum = g_strdup_printf("%016" G_GINT64_MODIFIER "x", crc64);
	g_autofree char *tail = proa_hex_encode(checkpoint->tail, checkpoint->tail_size);

	json_object_set_string_member(object, "root_hash", checkpoint->root_hash);
	json_object_set_string_member(object, "slot", checkpoint->slot);
	json_object_set_int_member(object, "done", (gint64)checkpoint->done);
	json_object_set_string_member(object, "crc64", sum);
	if (checkpoint->delta)
		json_object_set_boolean_member(object, "delta", TRUE);
	if (checkpoint->tail_size > 0)
		json_object_set_string_member(object, "tail", tail);
	g_autofree char *text = proa_json_to_text(object);
	if (!durable)
		return replace_quickly(checkpoint->quick, text, error);
	return proa_file_replace(checkpoint->durable, text, strlen(text), 0644, error);
}

gboolean proa_checkpoint_forget(const char *state_dir, const char *run_dir, GError **error)
{
	g_autofree char *durable = g_build_filename(state_dir, FILE_NAME, NULL);
	g_autofree char *quick = g_build_filename(run_dir, FILE_NAME, NULL);

	return proa_file_remove(durable, error) && proa_file_remove(quick, error);
}

gboolean proa_checkpoint_forget_parts(const char *state_dir, GError **error)
{
	static const char *const names[] = { PROA_CHECKPOINT_HEAD, PROA_CHECKPOINT_BOOT_IMAGE,
		PROA_CHECKPOINT_BOOT_IMAGE_KERNEL, PROA_CHECKPOINT_BOOT_IMAGE_DELTA,
		PROA_CHECKPOINT_BOOT_IMAGE_FULL };

	for (guint i = 0; i < G_N_ELEMENTS(names); i++) {
		g_autofree char *path = g_build_filename(state_dir, names[i], NULL);
		if (!proa_file_remove(path, error))
			return FALSE;
	}
	return TRUE;
}
