/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gpt: the two copies of a GPT as areas of bytes (UEFI Specification 2.10, section 5.3), so that they can be
 * written one after the other with a flush between. What they hold is libfdisk's business.
 */
#pragma once

#include "base/reason.h"

/* Bytes of 128 partition entries: no table of ours has more. */
#define PROA_GPT_ENTRIES_SIZE (128 * 128)

typedef struct {
	guint32 sector_size; /* bytes */
	guint64 disk_size;   /* bytes */
	guint8 *primary;     /* from sector 0 on: protective MBR, header, entries */
	guint8 *backup;      /* up to the last sector: entries, header */
} ProaGptCopies;

void proa_gpt_copies_clear(ProaGptCopies *gpt);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(ProaGptCopies, proa_gpt_copies_clear)

/* Reads both areas of the disk open at @fd. */
gboolean proa_gpt_copies_read(int fd, guint32 sector_size, guint64 disk_size, ProaGptCopies *ret_gpt,
	GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Whether the copy has its signature, its place and both checksums right. */
gboolean proa_gpt_copies_primary_valid(const ProaGptCopies *gpt);
gboolean proa_gpt_copies_backup_valid(const ProaGptCopies *gpt);

/*
 * Writes @gpt, both of whose copies must be valid (DISK_LAYOUT otherwise), to @fd, durably. If @primary_first
 * is FALSE the backup is written and flushed first. The protective MBR is not written.
 */
gboolean proa_gpt_copies_write(
	int fd, const ProaGptCopies *gpt, gboolean primary_first, GError **error) G_GNUC_WARN_UNUSED_RESULT;
