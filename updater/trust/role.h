/* SPDX-License-Identifier: Apache-2.0 */
/*
 * role: what all metadata has in common: its type, specification version, version and expiry (TUF 4.3), and
 * the descriptions of other metadata files with their version, length and digests (METAFILES).
 */
#pragma once

#include "updater/trust/signed.h"

/* Most that is fetched or read of a role whose size no signed parent tells; python-tuf's limits or more.
 * Bytes. */
#define PROA_ROOT_MAX_SIZE ((gsize)512 * 1024)
#define PROA_TIMESTAMP_MAX_SIZE ((gsize)64 * 1024)
#define PROA_SNAPSHOT_MAX_SIZE ((gsize)2 * 1024 * 1024)
#define PROA_TARGETS_MAX_SIZE ((gsize)5 * 1024 * 1024)

/* No version of ours or theirs is higher; leaves room to add one. */
#define PROA_ROLE_MAX_VERSION (G_MAXINT64 - 1)

typedef struct {
	gint64 version; /* 1 or more */
	gint64 expires; /* seconds since 1970 */
} ProaRoleHead;

/* Reads and checks the head of @content; @type is the value that "_type" must have. BAD_METADATA otherwise.
 */
gboolean proa_role_head_parse(JsonObject *content, const char *type, ProaRoleHead *ret_head,
	GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* "YYYY-MM-DDTHH:MM:SSZ" and back; the text is to be freed with g_free(). */
gboolean proa_role_time_parse(const char *text, gint64 *ret_seconds);
char *proa_role_time_format(gint64 seconds);

/* What a signed parent says of a file; digests are lower-case hexadecimal. */
typedef struct {
	gint64 version;   /* 0 for target files, which have none */
	gint64 length;    /* bytes; -1: not told */
	char *sha256;     /* NULL: not told */
	char *sha512;     /* NULL: not told */
	gboolean unknown; /* digests are told, but none of a kind that we know: no file can be checked */
} ProaFileInfo;

/* Reads an element of METAFILES. BAD_METADATA for no version, or no digest where there is a list of them. */
ProaFileInfo *proa_file_info_parse_meta(JsonObject *object, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Reads an element of TARGETS: length and at least one digest. */
ProaFileInfo *proa_file_info_parse_target(JsonObject *object, GError **error) G_GNUC_WARN_UNUSED_RESULT;
void proa_file_info_free(ProaFileInfo *info);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ProaFileInfo, proa_file_info_free)

/* Whether a file can be checked against @info at all; METADATA_MISMATCH if not. @what names the file. */
gboolean proa_file_info_usable(
	const ProaFileInfo *info, const char *what, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/*
 * Whether @bytes have the length and every digest that @info tells, as far as we know its kind;
 * METADATA_MISMATCH if not, and if we know none.
 */
gboolean proa_file_info_check(
	const ProaFileInfo *info, GBytes *bytes, const char *what, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* All of METAFILES: file name ("targets.json") to ProaFileInfo; owns both. */
GHashTable *proa_meta_parse(JsonObject *content, GError **error) G_GNUC_WARN_UNUSED_RESULT;
