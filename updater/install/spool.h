/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spool: a file of the feed as it comes, kept in the state directory, so that after a break only what misses
 * is fetched. What was kept is no better known than what comes over the network: whoever reads it checks it
 * all the same, and drops what was wrong.
 */
#pragma once

#include "updater/fetch/stream.h"

typedef struct ProaSpool ProaSpool;

/* Opens the @size bytes of the file from @offset on. */
typedef ProaStream *(*ProaSpoolOpen)(guint64 offset, guint64 size, gpointer user_data, GError **error);

/*
 * What is kept at @path of the file of @size bytes whose digest is @sha256 (64 hexadecimal digits); what is
 * kept there of another is forgotten. Never NULL: where nothing can be written, or PROA_FILE_RESERVE would
 * not stay free, nothing is kept, and nothing left in the file.
 */
ProaSpool *proa_spool_new(const char *path, const char *sha256, guint64 size);
void proa_spool_free(ProaSpool *spool);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ProaSpool, proa_spool_free)

/* Bytes from the start of the file that are kept. */
guint64 proa_spool_have(const ProaSpool *spool);

/* Forgets what is kept behind the first @have bytes. */
void proa_spool_drop(ProaSpool *spool, guint64 have);

/*
 * The first @size bytes of the file: those that are kept, then what @open gives, which is kept as it comes,
 * durably every 256 KiB. Nothing is opened if all is kept. Where a server gives no parts of files
 * (FEED_ERROR), all is asked for, and what is kept passed over. @spool must outlive the stream, and have no
 * other one meanwhile. Never NULL.
 */
ProaStream *proa_spool_stream(ProaSpool *spool, guint64 size, ProaSpoolOpen open, gpointer user_data);
