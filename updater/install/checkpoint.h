/* SPDX-License-Identifier: Apache-2.0 */
/*
 * checkpoint: how much of a release lies in the other slot already, so that an interrupted transaction goes
 * on there.
 *
 * Two files say so. /run/proa/checkpoint.json is written often and is gone after a reboot: it is of use after
 * a killed process, when what was handed to the kernel is still there. /var/lib/proa/checkpoint.json is
 * written only after the slot was flushed: it is of use after a power cut too. Neither is believed: what they
 * claim is read back and compared, and the root hash has the last word. So a checksum is enough that finds
 * lost and torn writes; a digest would cost as much again as verifying does.
 */
#pragma once

#include "base/reason.h"

#define PROA_CHECKPOINT_MAX_SIZE (16 * 1024)
/* Bytes of a block that is not whole yet; fewer than that. */
#define PROA_CHECKPOINT_MAX_TAIL 4096

/*
 * Files of the state directory that hold what was fetched and is of use after a break too: the head of a
 * `blocks` payload, and what there is of each file that the boot image can come by, so that a fallback takes
 * nothing from another. Who uses them checks what they hold.
 */
#define PROA_CHECKPOINT_HEAD "blocks.part"
#define PROA_CHECKPOINT_BOOT_IMAGE "boot-image.part" /* as it is */
#define PROA_CHECKPOINT_BOOT_IMAGE_KERNEL "boot-image-kernel.part"
#define PROA_CHECKPOINT_BOOT_IMAGE_DELTA "boot-image-delta.part"
#define PROA_CHECKPOINT_BOOT_IMAGE_FULL "boot-image-full.part"

typedef struct ProaCheckpoint ProaCheckpoint;

/* Told while the slot is read back: bytes so far. */
typedef void (*ProaCheckpointProgress)(guint64 done, gpointer data);

/*
 * Of the release @root_hash (64 hexadecimal digits), @image_size bytes, in @slot ("root-b"), whose data lies
 * at
 * @slot_path. The strings are copied.
 */
ProaCheckpoint *proa_checkpoint_new(const char *state_dir, const char *run_dir, const char *root_hash,
	const char *slot, const char *slot_path, guint64 image_size);
void proa_checkpoint_free(ProaCheckpoint *checkpoint);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ProaCheckpoint, proa_checkpoint_free)

/*
 * Reads what the files claim and reads the slot back: the bytes from its start that are what was written
 * there, a multiple of 4096; 0 if there are none, or the files are of another release or slot, or cannot be
 * understood. What follows is taken by proa_checkpoint_took() from there on. @progress (may be NULL) is told
 * how far it has read.
 */
guint64 proa_checkpoint_resume(ProaCheckpoint *checkpoint, ProaCheckpointProgress progress, gpointer data);

/* The next @size bytes were written to the slot; what was kept of them is forgotten. */
void proa_checkpoint_took(ProaCheckpoint *checkpoint, const guint8 *data, gsize size);

/* What is written from now on is made by a delta, too; proa_checkpoint_resume() tells it of what lies there.
 */
void proa_checkpoint_set_delta(ProaCheckpoint *checkpoint);
gboolean proa_checkpoint_delta(const ProaCheckpoint *checkpoint);

/* Bytes taken so far, those of proa_checkpoint_resume() among them. */
guint64 proa_checkpoint_done(const ProaCheckpoint *checkpoint);

/*
 * @size bytes that follow those taken, the beginning of a block that is not written yet, are written down as
 * well; fewer than PROA_CHECKPOINT_MAX_TAIL.
 */
void proa_checkpoint_keep(ProaCheckpoint *checkpoint, const guint8 *tail, gsize size);

/* What was kept, that of proa_checkpoint_resume() too: *@ret_size bytes (0: nothing), valid until more is
 * taken or kept. */
const guint8 *proa_checkpoint_tail(const ProaCheckpoint *checkpoint, gsize *ret_size);

/*
 * Writes down what was taken. @durable: the slot has been flushed, and a power cut must not lose this. A
 * failure costs only time later; the caller may warn of it.
 */
gboolean proa_checkpoint_save(
	const ProaCheckpoint *checkpoint, gboolean durable, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Forgets both files, durably: the slot is armed, or what lies there is no good. */
gboolean proa_checkpoint_forget(
	const char *state_dir, const char *run_dir, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Forgets what was fetched and is kept in files: it is of no use any more. */
gboolean proa_checkpoint_forget_parts(const char *state_dir, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* What a file claims. */
typedef struct {
	char root_hash[65], slot[17];
	guint64 done;   /* bytes of the slot, a multiple of 4096 */
	guint64 sum;    /* CRC-64 (ECMA-182, as in .xz files) of them and of @tail */
	gboolean delta; /* one made some of it; FALSE as well if the file is of a release that did not say */
	gsize tail_size;
	guint8 tail[PROA_CHECKPOINT_MAX_TAIL]; /* the image's bytes behind them */
} ProaCheckpointClaim;

/* Parses a file. BAD_STATE if it is malformed. */
gboolean proa_checkpoint_parse(const char *text, gsize size, ProaCheckpointClaim *ret_claim,
	GError **error) G_GNUC_WARN_UNUSED_RESULT;
