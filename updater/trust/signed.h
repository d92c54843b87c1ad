/* SPDX-License-Identifier: Apache-2.0 */
/*
 * signed: the envelope of all TUF metadata, {"signed": {...}, "signatures": [...]}, and the thresholds of
 * keys that must have signed it (TUF 4.2).
 */
#pragma once

#include "updater/trust/key.h"

/* Caps of what is looked at, whatever the size limits of a role let through. */
#define PROA_SIGNED_MAX_SIGNATURES 256
#define PROA_SIGNED_MAX_SIGNATURE_SIZE 8192 /* bytes; ML-DSA-87 needs 4627 */
#define PROA_SIGNED_MAX_KEYS 2048           /* two for each of the most delegated roles */

/* The keys that may sign for a role, and how many of them must. */
typedef struct {
	GPtrArray *keys; /* ProaKey, only those that the metadata defines */
	guint threshold; /* 1 or more */
} ProaRoleKeys;

/*
 * Reads {"keyids": [...], "threshold": N} out of @role; @keys maps key ids to ProaKey. BAD_METADATA for a
 * keyid that comes twice or a threshold below 1. A keyid without a key is left out: it can't sign, and so
 * can't count.
 */
ProaRoleKeys *proa_role_keys_new(
	JsonObject *role, GHashTable *keys, GError **error) G_GNUC_WARN_UNUSED_RESULT;
void proa_role_keys_free(ProaRoleKeys *role);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ProaRoleKeys, proa_role_keys_free)

/* Reads the object {KEYID: KEY, ...}: a table of ids to ProaKey that owns both. */
GHashTable *proa_keys_parse(JsonObject *keys, GError **error) G_GNUC_WARN_UNUSED_RESULT;

typedef struct {
	GBytes *bytes;         /* the file as served */
	JsonObject *content;   /* the member "signed" */
	GBytes *canonical;     /* its canonical form: what the signatures are of */
	GPtrArray *signatures; /* the private business of signed.c */
} ProaSigned;

/*
 * Takes the envelope apart; nothing is verified. @what names the file in errors. BAD_METADATA, also for two
 * signatures of one key id, or TOO_LARGE if there are more than @max bytes. A signature that is empty or no
 * hexadecimal text is left out: it does no harm.
 */
ProaSigned *proa_signed_parse(
	GBytes *bytes, gsize max, const char *what, GError **error) G_GNUC_WARN_UNUSED_RESULT;
void proa_signed_free(ProaSigned *file);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ProaSigned, proa_signed_free)

/* Whether @file holds a good signature of @key under the id that the key is listed under. */
gboolean proa_signed_by(const ProaSigned *file, const ProaKey *key);

/* How many distinct keys of @role signed @file; more than the threshold are not counted. */
guint proa_signed_count(const ProaSigned *file, const ProaRoleKeys *role);

/*
 * Whether at least the threshold of distinct keys of @role signed @file; BAD_SIGNATURE if not. A key counts
 * once, however many ids or signatures it has.
 */
gboolean proa_signed_check(const ProaSigned *file, const ProaRoleKeys *role, const char *what,
	GError **error) G_GNUC_WARN_UNUSED_RESULT;
