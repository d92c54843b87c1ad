/* SPDX-License-Identifier: Apache-2.0 */
/*
 * keyset: the keys of a role and its threshold, and where they stand in the content of root (the four roles)
 * and of targets (channels, and the break-glass role).
 */
#pragma once

#include "images/feed/signer.h"

/* The member of targets' "proa" that lists whose tokens are accepted (docs/formats.md, "Token"). */
#define PROA_BREAK_GLASS "break-glass"
/* A file of public keys longer than this is not looked at. Bytes. */
#define PROA_KEYSET_MAX_PUBLIC ((gsize)256 * 1024)

typedef struct {
	GPtrArray *ids;     /* char *, in order */
	GPtrArray *objects; /* JsonObject *, the public key of each id */
	guint threshold;    /* keys, as TUF counts */
} ProaKeyset;

ProaKeyset *proa_keyset_new(void);
void proa_keyset_free(ProaKeyset *keyset);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ProaKeyset, proa_keyset_free)

ProaKeyset *proa_keyset_copy(const ProaKeyset *keyset);

/* Adds a public key; one that is there already is not added again. */
gboolean proa_keyset_add(ProaKeyset *keyset, JsonObject *object, GError **error) G_GNUC_WARN_UNUSED_RESULT;
gboolean proa_keyset_add_signers(
	ProaKeyset *keyset, const GPtrArray *signers, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/*
 * Adds the keys of a file that proa_keyset_write_public() wrote, at most PROA_KEYSET_MAX_PUBLIC bytes and 64
 * keys. TOO_LARGE, or BAD_METADATA, also for a key that no node would accept.
 */
gboolean proa_keyset_add_public(
	ProaKeyset *keyset, const char *path, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* The same of @size bytes; @what names them in errors. */
gboolean proa_keyset_parse_public(ProaKeyset *keyset, const char *text, gsize size, const char *what,
	GError **error) G_GNUC_WARN_UNUSED_RESULT;
gboolean proa_keyset_write_public(
	const ProaKeyset *keyset, const char *path, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/*
 * Removes the key whose id begins with @which (8 digits or more), or, if that is no such id, those keys whose
 * public halves the file @which holds. NOT_FOUND if there is not exactly one such, or not all of the file's.
 */
gboolean proa_keyset_remove(ProaKeyset *keyset, const char *which, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* How many people hold these keys: a hybrid holder has one of each kind. */
guint proa_keyset_holders(const ProaKeyset *keyset);

/*
 * Sets the threshold so that @holders of the holders must sign. With hybrid keys it is above the number of
 * keys of either kind, so that neither kind alone is ever enough: for that more than half of the holders must
 * sign. USAGE if that can't be.
 */
gboolean proa_keyset_set_holders(ProaKeyset *keyset, guint holders, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* The keys of one of the four roles in the content of a root; @content is changed by set alone. */
ProaKeyset *proa_keyset_of_root(JsonObject *content, const char *role, GError **error);
void proa_keyset_to_root(const ProaKeyset *keyset, JsonObject *content, const char *role);

/*
 * The keys of a channel or of PROA_BREAK_GLASS in the content of targets. NULL with NOT_FOUND if there is
 * none such. A channel that is new speaks for its own manifests and is terminating.
 */
ProaKeyset *proa_keyset_of_targets(JsonObject *content, const char *name, GError **error);
void proa_keyset_to_targets(const ProaKeyset *keyset, JsonObject *content, const char *name);
