/* SPDX-License-Identifier: Apache-2.0 */
/*
 * evidence: EFI/proa/gave-up.json, which tells the next boot why this one ended (docs/formats.md, "ESP"). It
 * lies on the ESP, since whoever gives up on a root may have no /var.
 */
#pragma once

#include "boot/esp.h"

#define PROA_EVIDENCE_NAME "gave-up.json"
#define PROA_EVIDENCE_MAX_SIZE 4096
/* Of the detail this much is kept. Bytes. */
#define PROA_EVIDENCE_MAX_DETAIL 1024

typedef struct {
	char *root_hash; /* of the release that was given up on */
	char *version;   /* may be NULL */
	char *reason;    /* a reason word */
	char *detail;    /* one sentence; may be NULL */
	char *where;     /* "guard", "initrd" or "system" */
	gint64 time;     /* seconds since 1970 */
} ProaEvidence;

void proa_evidence_free(ProaEvidence *evidence);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ProaEvidence, proa_evidence_free)

/* Writes the file durably. Written without json-glib, so that it can be linked into the initrd's programs. */
gboolean proa_evidence_write(
	const ProaEsp *esp, const ProaEvidence *evidence, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Reads the text of such a file. NULL with BAD_STATE. (evidence-read.c, with those below) */
ProaEvidence *proa_evidence_parse(const char *text, gsize size, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/*
 * Reads the file of the ESP: NULL without an error if there is none. One that cannot be understood is
 * BAD_STATE; the caller says so and removes it.
 */
ProaEvidence *proa_evidence_read(const ProaEsp *esp, GError **error);

/* Removes the file durably. */
gboolean proa_evidence_remove(const ProaEsp *esp, GError **error) G_GNUC_WARN_UNUSED_RESULT;
