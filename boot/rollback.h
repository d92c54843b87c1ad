/* SPDX-License-Identifier: Apache-2.0 */
/* rollback: an operator's way to the other slot, and forward again. */
#pragma once

#include "boot/node.h"

/*
 * Makes the release that is not next the firmware's next choice: usually the other slot's; the running one,
 * if the other was staged or rolled back to before this reboot. @version, if not NULL, must be that release's
 * version; if that is the one that boots next already, nothing is changed. Does not reboot.
 *
 * Refuses with NOTHING_TO_ROLL_BACK (the other slot holds no release that an entry boots), NO_BOOT_ENTRY (it
 * is not
 * @version), TRIAL_BOOT (the running release is on trial and the other one was never blessed) or BUSY (a
 * transaction is under way). On success *@ret_next is the release that boots next; its members are owned by
 * @node.
 */
gboolean proa_rollback(ProaNode *node, const char *version, const ProaStateRelease **ret_next,
	GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Whether @version (NULL: never) is what boots next already; *@ret_next as above. */
gboolean proa_rollback_is_next(const ProaNode *node, const char *version, const ProaStateRelease **ret_next);

/* The same refusals (but BUSY) and the same *@ret_next, and changes nothing. */
gboolean proa_rollback_plan(const ProaNode *node, const char *version, const ProaStateRelease **ret_next,
	GError **error) G_GNUC_WARN_UNUSED_RESULT;
