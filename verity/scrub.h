/* SPDX-License-Identifier: Apache-2.0 */
/*
 * scrub: reads a whole slot and its hash tree from the disk and checks every block, while others need the
 * disk more. What proa_verity_check() says of a slot, with progress, a limit of the rate, and the number of
 * bad blocks.
 */
#pragma once

#include "base/reason.h"

typedef struct {
	guint64 blocks;    /* of data; 4096 bytes each */
	guint64 bad;       /* of data and tree together, unreadable ones too */
	guint64 first_bad; /* index of the first bad block of data; G_MAXUINT64: none of data is bad */
} ProaScrub;

/* How far it is, in bytes of data; FALSE stops it. */
typedef gboolean (*ProaScrubProgress)(guint64 done, guint64 total, gpointer data);

/*
 * Checks the data at @data_path against the tree at @hash_path (superblock first, docs/formats.md) and
 * @root_hash (64 hexadecimal digits). @rate: at most so many bytes a second; 0: no limit. Memory does not
 * grow with the size, and what was read does not stay in the page cache. TRUE, with bad > 0, for a slot that
 * is damaged. FALSE with ROOT_HASH_MISMATCH (no superblock of ours), CANCELLED (@progress said so),
 * NOT_FOUND, IO or PERMISSION.
 */
gboolean proa_scrub(const char *data_path, const char *hash_path, const char *root_hash, guint64 rate,
	ProaScrubProgress progress, gpointer data, ProaScrub *ret_scrub,
	GError **error) G_GNUC_WARN_UNUSED_RESULT;
