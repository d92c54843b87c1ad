/* SPDX-License-Identifier: Apache-2.0 */
/*
 * envelope: {"signatures": [...], "signed": {...}} while signatures are gathered: made here, signed there,
 * and put together again.
 */
#pragma once

#include "images/feed/signer.h"

/* More than any role's file. Bytes. */
#define PROA_ENVELOPE_MAX_SIZE ((gsize)8 * 1024 * 1024)

/* An envelope without signatures around @content. */
JsonObject *proa_envelope_new(JsonObject *content);
JsonObject *proa_envelope_content(JsonObject *envelope);

/* Reads a file that is an envelope; BAD_METADATA if it is none. */
JsonObject *proa_envelope_read(const char *path, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* As it is served: one line. */
GBytes *proa_envelope_bytes(JsonObject *envelope);

/* Whether both are around the same content. */
gboolean proa_envelope_same(JsonObject *a, JsonObject *b);

/*
 * Signs with those of @signers whose key one of @roles (array of const ProaRoleKeys *) lists, under the id
 * that it has there. Keys that signed before do so no second time; a signature under their id that is worth
 * nothing is replaced. *@ret_added (may be NULL): how many were added.
 */
gboolean proa_envelope_sign(JsonObject *envelope, const GPtrArray *signers, const GPtrArray *roles,
	guint *ret_added, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* The same with all of @signers, on a machine that knows no more than the envelope. */
gboolean proa_envelope_sign_all(JsonObject *envelope, const GPtrArray *signers, guint *ret_added,
	GError **error) G_GNUC_WARN_UNUSED_RESULT;

/*
 * Takes over those signatures of @from, which is around the same content, that @into has no good ones of and
 * that are good ones of keys of @roles (ProaRoleKeys, or NULL); how many. One that is worth nothing would
 * stand in the way of the true one under its id. *@ret_worthless: how many of @from's are no such ones.
 */
guint proa_envelope_merge(JsonObject *into, JsonObject *from, const GPtrArray *roles, guint *ret_worthless);
