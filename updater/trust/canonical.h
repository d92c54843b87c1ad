/* SPDX-License-Identifier: Apache-2.0 */
/*
 * canonical: the strict JSON reader of signed metadata, and the OLPC canonical form over which signatures are
 * made.
 *
 * One pass reads the raw bytes once and gives both the values and the canonical bytes, so that what was
 * signed and what is believed can't differ. json-glib's own parser is not used here: of two members with one
 * name it quietly takes the last, and it wraps integers that do not fit.
 *
 * Refused: duplicate members, fractions and exponents (canonical JSON has integers only), NUL in strings,
 * lone surrogates, invalid UTF-8, nesting over PROA_CANONICAL_MAX_DEPTH, more than PROA_CANONICAL_MAX_VALUES
 * values, anything after the value. An integer
 * outside of 64 bits keeps its digits in the canonical form, and is no integer to whoever reads the value.
 */
#pragma once

#include "base/json.h"

#define PROA_CANONICAL_MAX_DEPTH PROA_JSON_MAX_DEPTH
/* Values in a document; what a byte or two of text takes in memory is bounded by it, to some 80 MB. */
#define PROA_CANONICAL_MAX_VALUES 250000

/*
 * Reads @size bytes whose value is an object. @what names the document in errors, which are BAD_METADATA.
 * @ret_object gets the object (json_object_unref()). @ret_canonical, if not NULL, gets the canonical form of
 * the object, or, if @member is not NULL, of that member; a missing one is an error.
 */
gboolean proa_canonical_parse(const char *text, gsize size, const char *what, const char *member,
	JsonObject **ret_object, GBytes **ret_canonical, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* The canonical form of an object made in memory; NULL with BAD_METADATA if it has none (fractions). */
GBytes *proa_canonical_encode(JsonObject *object, GError **error) G_GNUC_WARN_UNUSED_RESULT;
