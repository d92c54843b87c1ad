/* SPDX-License-Identifier: Apache-2.0 */
/*
 * operator: what an operator says of a release beside "go back to it": never again, again after all, this one
 * and no other. Needs the ESP and /var, and nobody else.
 *
 * @release names one: a version that this node knows (in a slot, staged, rejected), or a root hash of 64
 * digits.
 */
#pragma once

#include "boot/node.h"

/*
 * Rejects a release; NULL: the other slot's. No entry of it boots by its own turn any more, it is not
 * installed again, and if it is the running one, the other slot is next. *@ret_release is a copy that the
 * caller clears with proa_state_set_release(). Refuses with NO_SUCH_RELEASE, NOTHING_TO_ROLL_BACK (nothing
 * else would boot), TRIAL_BOOT (what would has not come to health yet) or BUSY.
 */
gboolean proa_operator_reject(ProaNode *node, const char *release, ProaStateRelease *ret_release,
	GError **error) G_GNUC_WARN_UNUSED_RESULT;

/*
 * Takes a rejection back, whatever its reason; NULL: the newest. It may then be installed or rolled back to;
 * nothing is done to its boot entry. NO_SUCH_RELEASE if it is not rejected.
 */
gboolean proa_operator_unreject(ProaNode *node, const char *release, ProaStateRelease *ret_release,
	GError **error) G_GNUC_WARN_UNUSED_RESULT;

/*
 * Holds the node to a version; NULL: the running one. @version need not be known here. If it is the running
 * one, a release of another version that would boot next loses its turn as by a rollback; *@ret_left is its
 * version then (free with g_free()), otherwise NULL. USAGE if @version is none; for the running one BUSY, and
 * as proa_rollback().
 */
gboolean proa_operator_pin(ProaNode *node, const char *version, ProaStateRelease *ret_release,
	char **ret_left, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Takes that back. NO_UPDATE if it was not pinned. */
gboolean proa_operator_unpin(
	ProaNode *node, ProaStateRelease *ret_release, GError **error) G_GNUC_WARN_UNUSED_RESULT;
