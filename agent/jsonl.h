/* SPDX-License-Identifier: Apache-2.0 */
/*
 * jsonl: a reader of JSON Lines that come in pieces from a pipe.
 *
 * The writer is another process that handles bytes from the network, so nothing is taken for granted: a line
 * has a cap, a line that is no JSON object is dropped and counted, and memory stays bounded whatever is sent.
 */
#pragma once

#include <json-glib/json-glib.h>

/* A longer line is dropped. Bytes, without the newline. */
#define PROA_JSONL_MAX_LINE (64 * 1024)

/* Called for each line that is a JSON object; @object is owned by the reader. */
typedef void (*ProaJsonlLine)(JsonObject *object, gpointer data);

typedef struct ProaJsonl ProaJsonl;

ProaJsonl *proa_jsonl_new(ProaJsonlLine line, gpointer data);
void proa_jsonl_free(ProaJsonl *jsonl);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ProaJsonl, proa_jsonl_free)

/* Takes the next @size bytes. */
void proa_jsonl_feed(ProaJsonl *jsonl, const char *bytes, gsize size);

/* The end of the input: a last line without a newline counts as a line. */
void proa_jsonl_end(ProaJsonl *jsonl);

/* How many lines were dropped: too long, not JSON, not an object. Empty lines are neither taken nor counted.
 */
guint proa_jsonl_dropped(const ProaJsonl *jsonl);
