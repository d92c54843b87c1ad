/* SPDX-License-Identifier: Apache-2.0 */
/*
 * trust: the face of the TUF 1.0 client. Who wants to know what a feed offers needs this header and no other
 * of the folder.
 *
 * The order of calls is open, refresh, then list or find, then check what was downloaded. The bytes come from
 * a function that the caller gives: nothing in this folder talks to the network. docs/trust.md describes the
 * rules and the store. Messages of errors are printable (proa_printable()), whatever a feed says.
 */
#pragma once

#include "base/reason.h"

#include <json-glib/json-glib.h>

typedef struct ProaTrust ProaTrust;

/*
 * Fetches @path, relative to the feed's metadata/ ("timestamp.json", "2.root.json"; already percent-encoded),
 * of which no more than @max_size bytes are wanted. Returns TRUE and the whole body in *@ret_bytes. Otherwise
 * FALSE with NOT_FOUND when the server said 404 (or 403), with TOO_LARGE when there was more than @max_size,
 * or with what went wrong (FEED_UNREACHABLE, FEED_ERROR, CANCELLED ...).
 *
 * @etag is NULL but for a file that may well be the one known. Then *@etag is the entity tag that came with
 * the known one, or NULL; if the server says that its file still has it (HTTP 304), return TRUE with
 * *@ret_bytes NULL. With a body, replace *@etag by its entity tag, or NULL if it has none. Who does not care
 * leaves both alone.
 */
typedef gboolean (*ProaTrustFetch)(
	const char *path, gsize max_size, char **etag, GBytes **ret_bytes, gpointer data, GError **error);

/* A file that the feed's metadata vouches for. */
typedef struct {
	char *path;          /* "stable/1.0.1/manifest.json" */
	gint64 length;       /* bytes */
	char *sha256;        /* 64 hexadecimal digits; NULL if the metadata names only sha512 */
	char *sha512;        /* 128 hexadecimal digits, or NULL; at least one of the two is there */
	gboolean consistent; /* its file name begins with its digest (TUF 6.2); so it is in every feed of ours
			      */
	JsonObject *custom;  /* signed, but not TUF's business (docs/formats.md); NULL if there is none */
} ProaTrustTarget;

/*
 * Opens the trusted store @store_dir (on a node /var/lib/proa/trust), making it if needed. The chain of roots
 * begins with
 * @shipped_root_path (on a node /usr/lib/proa/trust/root.json), which the image vouches for, and goes on
 * through the roots that the store remembers; each is verified again, so the store can't put keys of its own
 * in place.
 * @shipped_root_path may be NULL for a tool whose only beginning is the store's own root.json.
 * @build_time: seconds since 1970 when the running image was built; expiry is never judged against an earlier
 * time. Returns a client to be freed with proa_trust_free(); NULL with NO_TRUST when there is no root to
 * begin with, BAD_METADATA or BAD_SIGNATURE when the root there does not hold, or a file error. Nothing is
 * fetched.
 */
ProaTrust *proa_trust_open(const char *store_dir, const char *shipped_root_path, gint64 build_time,
	GError **error) G_GNUC_WARN_UNUSED_RESULT;
void proa_trust_free(ProaTrust *trust);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ProaTrust, proa_trust_free)

/*
 * Brings the store up to date: root, timestamp, snapshot and top-level targets, in that order (TUF 5.3
 * to 5.6). What was verified is kept even when a later step fails. @fetch and @data must stay valid until the
 * client is freed: a look-up may need a delegated role. Fails with CLOCK_UNUSABLE (the system clock is before
 * the build time and the feed seems stale because of it or was signed in the clock's future), BAD_METADATA,
 * BAD_SIGNATURE, METADATA_ROLLBACK, METADATA_MISMATCH, STALE_FEED, TOO_LARGE, a file error, or whatever
 * @fetch gave.
 */
gboolean proa_trust_refresh(
	ProaTrust *trust, ProaTrustFetch fetch, gpointer data, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/*
 * Asks for timestamp.json alone, and whether it changed, so that an idle poll costs one request and a few
 * hundred bytes. *@ret_news is FALSE if the feed still has the timestamp that is trusted, to the byte, and
 * everything stored still holds; then look-ups may be made as after a refresh. Otherwise it is TRUE, nothing
 * was changed, and proa_trust_refresh() is due; so it is, without any request, as long as the store holds no
 * timestamp. A publisher who changes root signs a new timestamp with it, so a poll leads to a revocation; but
 * one whose timestamp was fetched while its root was not there yet is missed until the next timestamp, or
 * until this one expires (docs/trust.md, "Polls"). Fails as proa_trust_refresh() does.
 */
gboolean proa_trust_poll(ProaTrust *trust, ProaTrustFetch fetch, gpointer data, gboolean *ret_news,
	GError **error) G_GNUC_WARN_UNUSED_RESULT;

/*
 * An operator's decision for a site without a fresh mirror: until @until (seconds since 1970) expired
 * metadata is accepted. Signatures, rollback and digests are judged as ever. Whoever calls this logs it; 0
 * takes it back.
 */
void proa_trust_accept_stale(ProaTrust *trust, gint64 until);

/* Whether the last refresh or look-up accepted something expired because of proa_trust_accept_stale(). */
gboolean proa_trust_was_stale(const ProaTrust *trust);

/*
 * All targets whose path begins with @prefix ("stable/"; "" for all), sorted by path, but for those that
 * nobody here could check (proa_trust_find_target()). To be called after a successful refresh. Returns an
 * array of const ProaTrustTarget *; release it with g_ptr_array_unref(). The targets themselves belong to
 * @trust and live until the next refresh. NULL with an error as of proa_trust_refresh() if a delegated role
 * cannot be had.
 */
GPtrArray *proa_trust_list_targets(
	ProaTrust *trust, const char *prefix, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/*
 * The target of exactly that path, searched as TUF 5.6.7 says; NULL with NOT_FOUND if no role vouches for it,
 * METADATA_MISMATCH if the one that does names no digest of a kind that we know, else errors as above. Owned
 * by @trust, until the next refresh.
 */
const ProaTrustTarget *proa_trust_find_target(
	ProaTrust *trust, const char *path, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* A role whose metadata is trusted now. */
typedef struct {
	char *name;
	gint64 version;
	gint64 expires; /* seconds since 1970 */
} ProaTrustRole;

/*
 * Root, timestamp, snapshot, targets, and the delegated roles that look-ups have needed so far, in that
 * order; an array of ProaTrustRole that owns them. To be called after a successful refresh.
 */
GPtrArray *proa_trust_roles(const ProaTrust *trust);

/*
 * Where the target lies below the feed's top: "targets/<dir>/<digest>.<name>" (TUF 6.2, consistent
 * snapshots). Not percent-encoded. Free with g_free(). Of the two digests sha256 is taken if there is one.
 */
char *proa_trust_target_url_path(const ProaTrustTarget *target);

/* Whether @content is the target: its length and every digest named. METADATA_MISMATCH if it is not. */
gboolean proa_trust_check_target(
	const ProaTrustTarget *target, GBytes *content, GError **error) G_GNUC_WARN_UNUSED_RESULT;
