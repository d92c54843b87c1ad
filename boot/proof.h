/* SPDX-License-Identifier: Apache-2.0 */
/*
 * proof: whether the release in the other slot is still what it was: every block of the slot read and
 * compared with its hash tree and root hash. The outcome is kept in /var/lib/proa/scrub.json
 * (docs/formats.md).
 */
#pragma once

#include "boot/node.h"
#include "verity/scrub.h"

#include <json-glib/json-glib.h>

/*
 * Scrubs the other slot and records what came of it. @rate and @progress as for proa_scrub(). TRUE also for a
 * slot that is damaged: see ret_scrub->bad. Fails with NOTHING_TO_ROLL_BACK (it holds no release), NO_SLOT,
 * CANCELLED (a transaction began to write it), or as proa_scrub().
 */
gboolean proa_proof_other(ProaNode *node, guint64 rate, ProaScrubProgress progress, gpointer data,
	ProaScrub *ret_scrub, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/*
 * Whether a rollback (proa_rollback()) would work: it would not be refused, and the release to go to is
 * sound: its boot image is whole (BAD_UKI, IO), its /etc can be read (IO), and so is its root (ROOT_CORRUPT).
 * *@ret_next as for proa_rollback(); *@ret_note (free with g_free()) is a sentence about what is missing but
 * hinders nothing, or NULL. Changes nothing but scrub.json.
 */
gboolean proa_proof_rollback(ProaNode *node, const char *version, ProaScrubProgress progress, gpointer data,
	const ProaStateRelease **ret_next, char **ret_note, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* What scrub.json says of @root_hash: {"time","sound","blocks","bad","first_bad"}, or NULL. */
JsonObject *proa_proof_load(const char *state_dir, const char *root_hash);
