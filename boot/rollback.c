/* SPDX-License-Identifier: Apache-2.0 */
#include "boot/rollback.h"

#include "base/file.h"
#include "base/version.h"

#include <string.h>

#define LOCK_SECONDS 30

typedef struct {
	const ProaStateRelease *from; /* what would boot now */
	const ProaStateRelease *to;
	gboolean forward; /* to is the newer one */
	gboolean to_other;
} Plan;

static gboolean next_is_booted(const ProaNode *node)
{
	const ProaEntry *next = proa_entry_next(node->entries);

	return next && g_strcmp0(next->root_hash, node->booted.root_hash) == 0;
}

/* A release that an operator went back from had come to health. */
static gboolean left_by_operator(const ProaNode *node, const char *root_hash)
{
	g_autoptr(GPtrArray) list = proa_rejected_load(node->state_dir, NULL);
	const ProaRejected *entry = list ? proa_rejected_find(list, root_hash) : NULL;

	return entry && strcmp(entry->reason, proa_reason_to_string(PROA_REASON_ROLLED_BACK)) == 0;
}

gboolean proa_rollback_is_next(const ProaNode *node, const char *version, const ProaStateRelease **ret_next)
{
	const ProaEntry *entry = proa_entry_next(node->entries);
	gboolean booted = next_is_booted(node);
	const ProaStateRelease *next = booted ? &node->booted : &node->other;
	const ProaStateRelease *target = booted ? &node->other : &node->booted;

	/* Two builds of one version: whoever names it means to change something. */
	if (!version || !entry || !proa_entry_bootable(entry) ||
		g_strcmp0(next->root_hash, entry->root_hash) != 0 || strcmp(entry->version, version) != 0 ||
		g_strcmp0(target->version, version) == 0)
		return FALSE;
	*ret_next = next;
	return TRUE;
}

static gboolean make_plan(const ProaNode *node, const char *version, Plan *ret_plan, GError **error)
{
	Plan plan = { .from = &node->booted, .to = &node->other, .to_other = TRUE };

	*ret_plan = plan;
	if (!node->other_entry)
		return proa_fail(error, PROA_REASON_NOTHING_TO_ROLL_BACK,
			"%s holds no release that a boot entry leads to",
			node->other_slot ? node->other_slot : "the other slot");
	if (!node->booted_entry)
		return proa_fail(
			error, PROA_REASON_NO_BOOT_ENTRY, "no entry on the ESP boots the running release");

	if (!next_is_booted(node))
		plan = (Plan){ .from = &node->other, .to = &node->booted };
	if (version && strcmp(version, plan.to->version) != 0)
		return proa_fail(error, PROA_REASON_NO_BOOT_ENTRY, "the release to go to is %s, not %s",
			plan.to->version, version);
	if (plan.to_other && proa_node_on_trial(node) && node->other_entry->tries_left >= 0 &&
		!left_by_operator(node, node->other.root_hash))
		return proa_fail(error, PROA_REASON_TRIAL_BOOT,
			"release %s is still on trial, and %s was never blessed or was set aside",
			node->booted.version, node->other.version);
	plan.forward = proa_version_compare(plan.to->version, plan.from->version) > 0;
	*ret_plan = plan;
	return TRUE;
}

gboolean proa_rollback_plan(
	const ProaNode *node, const char *version, const ProaStateRelease **ret_next, GError **error)
{
	Plan plan = { 0 };

	if (proa_rollback_is_next(node, version, ret_next))
		return TRUE;
	if (!make_plan(node, version, &plan, error))
		return FALSE;
	*ret_next = plan.to;
	return TRUE;
}

/* Whether it is the one that came to health last, which needs no trial: an operator who changed his mind. */
static gboolean was_good(const ProaNode *node, const char *root_hash)
{
	g_autoptr(ProaState) state = proa_state_load(node->state_dir, NULL);

	return state && g_strcmp0(state->good.root_hash, root_hash) == 0;
}

/*
 * The order keeps an entry that boots on the ESP at every moment: first the target gets its tries (now both
 * boot, the old choice first or, if the target is newer, the target already), only then is the other one set
 * aside. Also one that was blessed is on trial again: what a newer release left in /var may be more than it
 * understands, and with the other one set aside nothing else would ever end its boots. Once its tries are
 * used up the firmware takes the newest of those set aside, which is the one that was left.
 */
static gboolean switch_entries(ProaNode *node, const char *to_hash, GError **error)
{
	PROA_AUTO_FD int lock = proa_esp_lock(node->run_dir, LOCK_SECONDS, error);

	if (lock < 0 || !proa_node_reload(node, error))
		return FALSE;
	const ProaEntry *target = proa_entry_find(node->entries, to_hash);
	if (!target)
		return proa_fail(
			error, PROA_REASON_NO_BOOT_ENTRY, "the entry of the release to go to has gone");
	gboolean good = was_good(node, to_hash);
	if (target->tries_left == 0 || (target->tries_left < 0 && !good)) {
		if (!(good ? proa_entry_bless(node->esp, target, error)
			   : proa_entry_rearm(node->esp, target, error)) ||
			!proa_node_reload(node, error))
			return FALSE;
	}
	for (guint i = 0; i < node->entries->len; i++) {
		const ProaEntry *first = proa_entry_next(node->entries);
		if (g_strcmp0(first->root_hash, to_hash) == 0)
			return TRUE;
		if (!proa_entry_set_aside(node->esp, first, error) || !proa_node_reload(node, error))
			return FALSE;
	}
	return proa_fail(
		error, PROA_REASON_NO_BOOT_ENTRY, "the firmware would not choose the release to go to");
}

static void record_switch(ProaState *state, gpointer data)
{
	const Plan *plan = data;

	if (plan->to_other) {
		state->kind = PROA_STATE_STAGED;
		proa_state_set_release(
			&state->staged, plan->to->version, plan->to->root_hash, plan->to->slot);
		return;
	}
	gboolean good = g_strcmp0(state->good.root_hash, plan->to->root_hash) == 0;
	state->kind = good ? PROA_STATE_GOOD : PROA_STATE_IDLE;
	proa_state_set_release(&state->staged, NULL, NULL, NULL);
}

/* Before the switch: what is to run must not be a rejected release; but if it stays set aside, not a failed
 * one. */
static gboolean forgive(const ProaNode *node, const char *root_hash, GError **error)
{
	gboolean found = FALSE;

	return proa_rejected_lift(node->state_dir, root_hash, &found, error);
}

/* After the switch: a rejected release must not be on trial, not even until the power comes back. */
static gboolean remember(const ProaNode *node, const Plan *plan, GError **error)
{
	g_autofree char *detail = g_strdup_printf("an operator went back to %s", plan->to->version);

	return plan->forward || proa_rejected_add(node->state_dir, plan->from->root_hash, plan->from->version,
					proa_reason_to_string(PROA_REASON_ROLLED_BACK), detail, error);
}

gboolean proa_rollback(ProaNode *node, const char *version, const ProaStateRelease **ret_next, GError **error)
{
	g_autoptr(GError) inner = NULL;
	Plan plan = { 0 };
	PROA_AUTO_FD int lock = proa_node_lock_install(node, error);

	if (lock < 0)
		return FALSE;
	if (proa_rollback_is_next(node, version, ret_next))
		return TRUE;
	if (!make_plan(node, version, &plan, error))
		return FALSE;
	/* A copy: reading the entries again renews what the plan points to. */
	g_autofree char *to_hash = g_strdup(plan.to->root_hash);
	/* A full /var must not keep an operator from going back. */
	if (!forgive(node, to_hash, &inner))
		g_warning("forgetting that %s was rejected: %s", plan.to->version, inner->message);
	g_clear_error(&inner);
	if (!switch_entries(node, to_hash, error))
		return FALSE;
	if (!remember(node, &plan, &inner))
		g_warning("remembering the release left: %s", inner->message);
	g_clear_error(&inner);
	g_autofree char *detail = g_strdup_printf("to %s", plan.to->version);
	if (!proa_state_update(node->state_dir, record_switch, &plan, &inner) ||
		!proa_history_append(node->state_dir, "rolled-back", plan.from,
			proa_reason_to_string(PROA_REASON_ROLLED_BACK), detail, &inner))
		g_warning("recording the way back: %s", inner->message);
	*ret_next = plan.to;
	return TRUE;
}
