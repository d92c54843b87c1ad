/* SPDX-License-Identifier: Apache-2.0 */
#include "boot/operator.h"

#include "base/digest.h"
#include "base/file.h"
#include "base/pin.h"
#include "base/version.h"
#include "boot/disk.h"
#include "boot/rollback.h"

#include <string.h>

#define LOCK_SECONDS 30

static gboolean is_named(const ProaStateRelease *release, const char *word)
{
	return release->root_hash &&
	       (g_strcmp0(release->root_hash, word) == 0 || g_strcmp0(release->version, word) == 0);
}

static void copy_release(ProaStateRelease *to, const ProaStateRelease *from)
{
	proa_state_set_release(to, from->version, from->root_hash, from->slot);
}

/* Finds what @word names among all that this node knows of. */
static gboolean find_release(const ProaNode *node, const char *word, ProaStateRelease *ret, GError **error)
{
	g_autoptr(ProaState) state = proa_state_load(node->state_dir, NULL);
	g_autoptr(GPtrArray) rejected = proa_rejected_load(node->state_dir, NULL);
	const ProaStateRelease *known[] = { &node->booted, &node->other, state ? &state->staged : NULL,
		state ? &state->good : NULL };

	for (gsize i = 0; i < G_N_ELEMENTS(known); i++)
		if (known[i] && is_named(known[i], word)) {
			copy_release(ret, known[i]);
			return TRUE;
		}
	for (guint i = rejected ? rejected->len : 0; i-- > 0;) {
		const ProaRejected *entry = g_ptr_array_index(rejected, i);
		const ProaStateRelease release = { entry->version, entry->root_hash, NULL };
		if (is_named(&release, word)) {
			copy_release(ret, &release);
			return TRUE;
		}
	}
	if (!proa_sha256_hex_valid(word))
		return proa_fail(error, PROA_REASON_NO_SUCH_RELEASE,
			"this node knows no release %s; a root hash names one that it does not know", word);
	proa_state_set_release(ret, "unknown", word, NULL);
	return TRUE;
}

static void warn(const char *doing, GError **error)
{
	if (*error)
		g_warning("%s: %s", doing, (*error)->message);
	g_clear_error(error);
}

static void tell(const ProaNode *node, const char *event, const ProaStateRelease *release, const char *reason,
	const char *detail)
{
	g_autoptr(GError) error = NULL;

	if (!proa_history_append(node->state_dir, event, release, reason, detail, &error))
		warn("writing the history", &error);
}

static void forget_staged(ProaState *state, gpointer data)
{
	const ProaStateRelease *rejected = data;

	if (g_strcmp0(state->staged.root_hash, rejected->root_hash) != 0)
		return;
	if (state->kind == PROA_STATE_STAGED)
		state->kind = g_strcmp0(state->good.root_hash, state->booted.root_hash) == 0
				      ? PROA_STATE_GOOD
				      : PROA_STATE_IDLE;
	if (state->kind != PROA_STATE_TRIAL)
		proa_state_set_release(&state->staged, NULL, NULL, NULL);
}

/* Whether another release is left to boot that came to health once: one on trial may not. */
static gboolean has_another(const ProaNode *node, const char *root_hash, GError **error)
{
	const ProaEntry *other = proa_entry_find_other(node->entries, root_hash);

	for (guint i = 0; i < node->entries->len; i++) {
		const ProaEntry *entry = g_ptr_array_index(node->entries, i);
		if (entry->tries_left < 0 && entry->root_hash && strcmp(entry->root_hash, root_hash) != 0)
			return TRUE;
	}
	return proa_fail(error, other ? PROA_REASON_TRIAL_BOOT : PROA_REASON_NOTHING_TO_ROLL_BACK,
		other ? "the only other release on this node, %s, has not come to health yet"
		      : "no other release on this node would boot%s",
		other ? other->version : "");
}

/*
 * First the entries, then the memory: a power cut between leaves an entry that is set aside and that nobody
 * remembers, which the next boot takes for a failure. The other way round a rejected release would be tried.
 */
static gboolean reject(ProaNode *node, const ProaStateRelease *release, GError **error)
{
	PROA_AUTO_FD int lock = proa_esp_lock(node->run_dir, LOCK_SECONDS, error);
	g_autoptr(GError) inner = NULL;

	if (lock < 0 || !proa_node_reload(node, error))
		return FALSE;
	if (proa_entry_find(node->entries, release->root_hash) &&
		(!has_another(node, release->root_hash, error) ||
			!proa_node_set_aside(node, release->root_hash, error)))
		return FALSE;
	if (!proa_rejected_add(node->state_dir, release->root_hash, release->version,
		    proa_reason_to_string(PROA_REASON_REJECTED), "an operator rejected it", error))
		return FALSE;
	if (!proa_state_update(node->state_dir, forget_staged, (gpointer)(gsize)release, &inner))
		warn("recording that it is not staged any more", &inner);
	tell(node, "rejected", release, proa_reason_to_string(PROA_REASON_REJECTED), NULL);
	return TRUE;
}

gboolean proa_operator_reject(ProaNode *node, const char *word, ProaStateRelease *ret_release, GError **error)
{
	ProaStateRelease release = { 0 };
	PROA_AUTO_FD int lock = proa_node_lock_install(node, error);

	if (lock < 0)
		return FALSE;
	if (!word && !node->other.root_hash)
		return proa_fail(error, PROA_REASON_NO_SUCH_RELEASE,
			"the other slot holds no release; name the one to reject");
	if (!find_release(node, word ? word : node->other.root_hash, &release, error))
		return FALSE;
	if (!reject(node, &release, error)) {
		proa_state_set_release(&release, NULL, NULL, NULL);
		return FALSE;
	}
	*ret_release = release;
	return TRUE;
}

/* The rejected release that @word names, or the newest. */
static const ProaRejected *find_rejected(const GPtrArray *list, const char *word)
{
	for (guint i = list->len; i-- > 0;) {
		const ProaRejected *entry = g_ptr_array_index(list, i);
		const ProaStateRelease release = { entry->version, entry->root_hash, NULL };
		if (!word || is_named(&release, word))
			return entry;
	}
	return NULL;
}

gboolean proa_operator_unreject(
	ProaNode *node, const char *word, ProaStateRelease *ret_release, GError **error)
{
	g_autoptr(GPtrArray) list = proa_rejected_load(node->state_dir, error);
	ProaStateRelease release = { 0 };
	gboolean found = FALSE;

	if (!list)
		return FALSE;
	const ProaRejected *entry = find_rejected(list, word);
	if (!entry)
		return proa_fail(error, PROA_REASON_NO_SUCH_RELEASE,
			word ? "%s is not rejected" : "%snothing is rejected", word ? word : "");
	/* The good release may not have been blessed since: its own health may suffer from what is mended
	 * now. */
	if (!proa_node_prune_generations(node, error))
		return FALSE;
	if (!proa_rejected_lift(node->state_dir, entry->root_hash, &found, error))
		return FALSE;
	proa_state_set_release(&release, entry->version, entry->root_hash,
		proa_disk_slot_of(node->partitions, entry->root_hash));
	tell(node, "unrejected", &release, entry->reason, NULL);
	*ret_release = release;
	return TRUE;
}

/* The reason within the reason: what lost its turn to a pin gets it back when the pin goes, unlike what an
 * operator left. */
static const char held_back[] = "the node was held to another release (pin)";

/*
 * A node that is held to what runs must not go into another release at its next boot, which may be years away
 * from the word. *@ret_left is the version that had its turn, or NULL.
 */
static gboolean stay_with_booted(ProaNode *node, char **ret_left, GError **error)
{
	const ProaEntry *next = proa_entry_next(node->entries);
	const ProaStateRelease *stays = NULL;

	if (!next || strcmp(next->version, node->booted.version) == 0 || !node->other.root_hash ||
		g_strcmp0(next->root_hash, node->other.root_hash) != 0)
		return TRUE;
	g_autofree char *left = g_strdup(next->version), *booted = g_strdup(node->booted.version);
	g_autofree char *root_hash = g_strdup(next->root_hash);
	g_autoptr(GError) inner = NULL;
	if (!proa_rollback(node, booted, &stays, error))
		return FALSE;
	if (!proa_rejected_add(node->state_dir, root_hash, left,
		    proa_reason_to_string(PROA_REASON_ROLLED_BACK), held_back, &inner))
		g_warning("noting that release %s waits for the pin to go: %s", left, inner->message);
	*ret_left = g_steal_pointer(&left);
	return TRUE;
}

/* What a transaction arms a moment later would not be looked at any more. */
static gboolean no_transaction(const ProaNode *node, GError **error)
{
	PROA_AUTO_FD int lock = proa_node_lock_install(node, error);

	return lock >= 0;
}

gboolean proa_operator_pin(
	ProaNode *node, const char *version, ProaStateRelease *ret_release, char **ret_left, GError **error)
{
	g_autofree char *wanted = g_strdup(version ? version : node->booted.version);
	ProaStateRelease release = { 0 };

	*ret_left = NULL;
	if (!proa_version_valid(wanted))
		return proa_fail(error, PROA_REASON_USAGE, "\"%s\" is not a version", wanted);
	if (strcmp(wanted, node->booted.version) == 0 &&
		(!no_transaction(node, error) || !stay_with_booted(node, ret_left, error)))
		return FALSE;
	if (!proa_pin_save(node->state_dir, wanted, error))
		return FALSE;
	proa_state_set_release(&release, wanted, NULL, NULL);
	tell(node, "pinned", &release, NULL, NULL);
	*ret_release = release;
	return TRUE;
}

/* An update that comes late is a risk of its own: what only waited for the pin to go is taken again. */
static gboolean let_go(ProaNode *node, GError **error)
{
	g_autoptr(GPtrArray) list = proa_rejected_load(node->state_dir, error);

	for (guint i = 0; list && i < list->len; i++) {
		const ProaRejected *entry = g_ptr_array_index(list, i);
		ProaStateRelease release = { 0 };
		if (g_strcmp0(entry->detail, held_back) != 0)
			continue;
		if (!proa_operator_unreject(node, entry->root_hash, &release, error))
			return FALSE;
		proa_state_set_release(&release, NULL, NULL, NULL);
	}
	return list != NULL;
}

gboolean proa_operator_unpin(ProaNode *node, ProaStateRelease *ret_release, GError **error)
{
	g_autofree char *pinned = proa_pin_load(node->state_dir);
	ProaStateRelease release = { 0 };

	if (!pinned)
		return proa_fail(error, PROA_REASON_NO_UPDATE, "this node is not pinned");
	if (!let_go(node, error) || !proa_pin_save(node->state_dir, NULL, error))
		return FALSE;
	proa_state_set_release(&release, pinned, NULL, NULL);
	tell(node, "unpinned", &release, NULL, NULL);
	*ret_release = release;
	return TRUE;
}
