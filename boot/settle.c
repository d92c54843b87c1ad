/* SPDX-License-Identifier: Apache-2.0 */
#include "boot/settle.h"

#include "base/file.h"
#include "base/json.h"
#include "boot/blackbox.h"
#include "boot/crashes.h"
#include "boot/disk.h"
#include "boot/evidence.h"
#include "boot/journal.h"
#include "boot/pstore.h"
#include "boot/volatile.h"

#include <string.h>
#include <unistd.h>

#define MARKER "settled"
#define BOOT_ID "/proc/sys/kernel/random/boot_id"
#define MAX_BOOT_ID 64
#define LOCK_SECONDS 30
#define HISTORY "history.jsonl"
#define MAX_HISTORY (2 * 1024 * 1024)

typedef struct {
	ProaNode *node;
	ProaEvidence *evidence; /* NULL: none */
	GPtrArray *rejected;
	ProaSettled *settled;
	gboolean judged;       /* the members below are set */
	gboolean trial;        /* this boot is one of a trial */
	gboolean interrupted;  /* a transaction ended with the power */
	gboolean unrecorded;   /* /var did not take what must not be lost */
	ProaStateRelease lost; /* the release of that transaction */
} Settling;

static void clear_release(ProaStateRelease *release)
{
	proa_state_set_release(release, NULL, NULL, NULL);
}

void proa_settled_free(ProaSettled *settled)
{
	clear_release(&settled->failed);
	g_free(settled->reason);
	g_free(settled->detail);
	g_free(settled);
}

static gboolean same(const char *a, const char *b)
{
	return a && b && strcmp(a, b) == 0;
}

static void set_failed(
	Settling *s, const char *version, const char *root_hash, const char *reason, const char *detail)
{
	ProaSettled *settled = s->settled;

	proa_state_set_release(&settled->failed, version ? version : "unknown", root_hash,
		proa_disk_slot_of(s->node->partitions, root_hash));
	settled->fell_back = TRUE;
	settled->reason = g_strdup(reason);
	settled->detail = g_strdup(detail);
}

/* A release that says nothing of itself never came far enough to. */
static void set_failed_by_verdict(Settling *s, const ProaEntry *entry)
{
	g_autoptr(ProaRejected) verdict = proa_blackbox_verdict(s->node->state_dir, entry->root_hash);

	if (verdict)
		set_failed(s, entry->version, entry->root_hash, verdict->reason, verdict->detail);
	else
		set_failed(s, entry->version, entry->root_hash,
			proa_reason_to_string(PROA_REASON_BOOT_FAILED),
			"its boots ended without a word: panic, hang or power");
}

/* Set aside under each of its names: a power cut may have left it a second one (boot/entry.c). */
static gboolean is_aside(const Settling *s, const ProaEntry *entry)
{
	const ProaEntry *first = proa_entry_find(s->node->entries, entry->root_hash);

	return first && first->tries_left == 0;
}

static gboolean was_tried(const ProaState *state)
{
	return state->kind == PROA_STATE_STAGED || state->kind == PROA_STATE_TRIAL ||
	       state->kind == PROA_STATE_STAGING;
}

/* The release that failed, by the three rules of the header, the surest first. */
static void find_failed(Settling *s, const ProaState *state)
{
	const ProaNode *node = s->node;
	const char *booted = node->booted.root_hash;

	if (s->evidence && !same(s->evidence->root_hash, booted)) {
		set_failed(s, s->evidence->version, s->evidence->root_hash, s->evidence->reason,
			s->evidence->detail);
		return;
	}
	const ProaEntry *staged = proa_entry_find(node->entries, state->staged.root_hash);
	if (was_tried(state) && staged && staged->tries_left == 0 && !same(staged->root_hash, booted) &&
		!proa_rejected_find(s->rejected, staged->root_hash)) {
		set_failed_by_verdict(s, staged);
		return;
	}
	for (guint i = 0; i < node->entries->len; i++) {
		const ProaEntry *entry = g_ptr_array_index(node->entries, i);
		if (is_aside(s, entry) && !same(entry->root_hash, booted) &&
			!proa_rejected_find(s->rejected, entry->root_hash) &&
			!proa_rejected_lifted(node->state_dir, entry->root_hash)) {
			set_failed_by_verdict(s, entry);
			return;
		}
	}
}

static gboolean waits_on(const Settling *s, const ProaState *state)
{
	const ProaEntry *entry = proa_entry_find(s->node->entries, state->staged.root_hash);

	return entry && proa_entry_bootable(entry);
}

/* Where the node is when what runs is neither new nor the outcome of a failure. */
static ProaStateKind settled_kind(const ProaState *state, const ProaStateRelease *booted)
{
	if (state->kind == PROA_STATE_FALLEN_BACK)
		return PROA_STATE_FALLEN_BACK;
	return same(state->good.root_hash, booted->root_hash) ? PROA_STATE_GOOD : PROA_STATE_IDLE;
}

static void settle_state(ProaState *state, gpointer data)
{
	Settling *s = data;
	const ProaStateRelease *booted = &s->node->booted;

	s->judged = TRUE;
	find_failed(s, state);
	proa_state_set_release(&state->booted, booted->version, booted->root_hash, booted->slot);
	if (same(state->staged.root_hash, s->settled->failed.root_hash))
		clear_release(&state->staged);

	if (proa_node_on_trial(s->node) &&
		!(s->settled->fell_back && same(state->good.root_hash, booted->root_hash))) {
		s->trial = TRUE;
		state->kind = PROA_STATE_TRIAL;
		proa_state_set_release(&state->staged, booted->version, booted->root_hash, booted->slot);
	} else if (s->settled->fell_back) {
		state->kind = PROA_STATE_FALLEN_BACK;
		clear_release(&state->staged);
	} else if (same(state->staged.root_hash, booted->root_hash)) {
		/* Blessed before: an operator's way back, or a power cut between the blessing and its record.
		 */
		state->kind = PROA_STATE_GOOD;
		clear_release(&state->staged);
	} else if (was_tried(state) && waits_on(s, state)) {
		state->kind = PROA_STATE_STAGED;
	} else {
		/* One that an operator rejected while it ran was not interrupted. */
		s->interrupted =
			was_tried(state) && !(state->staged.root_hash &&
						    proa_rejected_find(s->rejected, state->staged.root_hash));
		proa_state_set_release(
			&s->lost, state->staged.version, state->staged.root_hash, state->staged.slot);
		state->kind = settled_kind(state, booted);
		clear_release(&state->staged);
	}
	s->settled->kind = state->kind;
}

static void warn(const char *doing, GError **error)
{
	if (*error)
		g_warning("%s: %s", doing, (*error)->message);
	g_clear_error(error);
}

/* The evidence stays on the ESP then, for a boot that has a /var. */
static void forgot(Settling *s, const char *doing, GError **error)
{
	s->unrecorded = TRUE;
	warn(doing, error);
}

/* These fail only where /var does; the node goes on, and says so. */
static void record(const Settling *s, const char *event, const ProaStateRelease *release, const char *reason,
	const char *detail)
{
	g_autoptr(GError) error = NULL;

	if (!proa_history_append(s->node->state_dir, event, release, reason, detail, &error))
		warn("writing the history", &error);
}

/* Evidence against the running root, when no other slot could take over: told, but no ground to reject it. */
static void record_evidence(const Settling *s)
{
	const ProaEvidence *evidence = s->evidence;
	ProaStateRelease release = { evidence->version, evidence->root_hash, NULL };
	gboolean corrupt = strcmp(evidence->reason, proa_reason_to_string(PROA_REASON_ROOT_CORRUPT)) == 0;
	g_autofree char *detail = g_strdup_printf(
		"%s (%s)", evidence->detail ? evidence->detail : "no detail", evidence->where);

	record(s, corrupt ? "root-corrupt" : "gave-up", &release, evidence->reason, detail);
}

char *proa_boot_entries_text(const ProaNode *node)
{
	GString *text = g_string_new(NULL);

	for (guint i = 0; i < node->entries->len; i++) {
		const ProaEntry *entry = g_ptr_array_index(node->entries, i);
		g_string_append_printf(
			text, "%s  %s\n", entry->name, entry->root_hash ? entry->root_hash : "(no root)");
	}
	return g_string_free(text, FALSE);
}

/*
 * When the release that failed was last brought here or gone back to, by the history; 0: unknown. What a
 * kernel left before that is of an earlier failure: it was kept, at the latest, when the boot began that did
 * this.
 */
static gint64 tried_since(const Settling *s)
{
	g_autofree char *path = g_build_filename(s->node->state_dir, HISTORY, NULL);
	g_autofree char *text = proa_file_read(path, MAX_HISTORY, NULL, NULL);
	g_auto(GStrv) lines = g_strsplit(text ? text : "", "\n", -1);
	gint64 since = 0;

	for (char **line = lines; *line; line++) {
		gboolean staged = strstr(*line, "\"staged\"") && strstr(*line, s->settled->failed.root_hash);
		if (!staged && !strstr(*line, "\"rolled-back\""))
			continue;
		g_autoptr(JsonObject) event =
			proa_json_parse(*line, strlen(*line), HISTORY, PROA_REASON_BAD_STATE, NULL);
		const char *word = event ? proa_json_string_or(event, "event", "") : "";
		if (strcmp(word, staged ? "staged" : "rolled-back") == 0)
			since = proa_json_int_or(event, "time", 0);
	}
	/* A clock that was ahead then, or is behind now, says nothing. */
	return since <= g_get_real_time() / G_USEC_PER_SEC ? since : 0;
}

/* All that is left of the boots that failed: what they said of themselves, and what outlived them. */
static char *gather_evidence(const Settling *s)
{
	const ProaNode *node = s->node;
	g_autofree char *checks = proa_blackbox_checks(node->state_dir, s->settled->failed.root_hash);
	g_autofree char *entries = proa_boot_entries_text(node);
	g_autofree char *kernel = proa_pstore_read(node->root, tried_since(s), PROA_BLACKBOX_MAX_TEXT);
	g_autofree char *journal = proa_journal_of_release(s->settled->failed.root_hash);

	return proa_blackbox_evidence(checks, entries, kernel, journal);
}

static void record_failure(Settling *s)
{
	const ProaSettled *settled = s->settled;
	const char *dir = s->node->state_dir;
	g_autoptr(GError) error = NULL;

	record(s, "fell-back", &settled->failed, settled->reason, settled->detail);
	if (!proa_rejected_add(dir, settled->failed.root_hash, settled->failed.version, settled->reason,
		    settled->detail, &error))
		forgot(s, "remembering the rejected release", &error);
	/* Who left it may not have come to it. */
	if (!proa_crashes_forget(dir, settled->failed.root_hash, &error))
		warn("forgetting its crashes", &error);
	g_autofree char *text = gather_evidence(s);
	if (!proa_blackbox_write(dir, &settled->failed, settled->reason, settled->detail, text, &error))
		warn("writing the black box", &error);
}

/*
 * Evidence may speak of a release whose tries are not used up: one whose boot had no /var. What is rejected
 * must not be tried again by itself. The entry may well be the last that boots; then it stays.
 */
static void set_failed_aside(Settling *s)
{
	ProaNode *node = s->node;
	const char *root_hash = s->settled->failed.root_hash;
	const ProaEntry *entry = proa_entry_find(node->entries, root_hash);
	g_autoptr(GError) error = NULL;

	if (!entry || !proa_entry_bootable(entry) || !proa_entry_find_other(node->entries, root_hash))
		return;
	PROA_AUTO_FD int lock = proa_esp_lock(node->run_dir, LOCK_SECONDS, &error);
	if (lock < 0 || !proa_node_set_aside(node, root_hash, &error))
		warn("setting the release that failed aside", &error);
}

static void record_trial(const Settling *s)
{
	const ProaEntry *entry = s->node->booted_entry;
	g_autofree char *detail =
		g_strdup_printf("try %d, %d left", MAX(entry->tries_done, 1), entry->tries_left);

	record(s, "trial", &s->node->booted, NULL, detail);
}

char *proa_boot_id(void)
{
	char *id = proa_file_read(BOOT_ID, MAX_BOOT_ID, NULL, NULL);

	return id ? g_strchomp(id) : g_strdup("unknown");
}

static gboolean settled_before(const ProaNode *node)
{
	g_autofree char *path = g_build_filename(node->run_dir, MARKER, NULL);
	g_autofree char *text = proa_file_read(path, MAX_BOOT_ID, NULL, NULL);
	g_autofree char *id = proa_boot_id();

	return text && strcmp(text, id) == 0;
}

static void mark_settled(const ProaNode *node)
{
	g_autofree char *path = g_build_filename(node->run_dir, MARKER, NULL);
	g_autofree char *id = proa_boot_id();
	g_autoptr(GError) error = NULL;

	if (!proa_file_make_dirs(node->run_dir, &error) ||
		!proa_file_replace(path, id, strlen(id), 0644, &error))
		warn("noting that this boot is settled", &error);
}

/*
 * A power cut in the middle of a rename left the boot image of this trial a second name (boot/entry.c). When
 * its tries are used up that one would boot as if it had been blessed, and the firmware cannot count down to
 * a name that is taken.
 */
static gboolean drop_second_names(ProaNode *node, GError **error)
{
	PROA_AUTO_FD int lock = -1;

	for (guint i = 0; i < node->entries->len; i++) {
		const ProaEntry *entry = g_ptr_array_index(node->entries, i);
		if (entry == node->booted_entry || !proa_entry_bootable(entry) ||
			!same(entry->root_hash, node->booted.root_hash))
			continue;
		if (lock < 0 && (lock = proa_esp_lock(node->run_dir, LOCK_SECONDS, error)) < 0)
			return FALSE;
		if (!proa_entry_set_aside(node->esp, entry, error))
			return FALSE;
	}
	return lock < 0 || proa_node_reload(node, error);
}

static void load(Settling *s)
{
	g_autoptr(GError) error = NULL;

	s->evidence = proa_evidence_read(s->node->esp, &error);
	warn("reading the evidence on the ESP", &error);
	s->rejected = proa_rejected_load(s->node->state_dir, &error);
	warn("reading what was rejected", &error);
	if (!s->rejected)
		s->rejected = g_ptr_array_new_with_free_func((GDestroyNotify)proa_rejected_free);
}

/* A /var that takes no change keeps nobody from judging by what it says, nor from setting entries aside. */
static void judge(Settling *s)
{
	g_autoptr(GError) error = NULL;

	if (!proa_state_update(s->node->state_dir, settle_state, s, &error))
		forgot(s, "recording the outcome of the last boot", &error);
	if (s->judged)
		return;
	g_autoptr(ProaState) state = proa_state_load(s->node->state_dir, NULL);
	if (!state)
		state = proa_state_new();
	settle_state(state, s);
}

static void settle_now(Settling *s)
{
	g_autofree char *volatile_var = g_build_filename(s->node->root, "/" PROA_VOLATILE_VAR, NULL);
	g_autoptr(GError) error = NULL;

	load(s);
	/* What is written to memory is not recorded. */
	s->unrecorded = access(volatile_var, F_OK) == 0;
	judge(s);
	if (s->trial && !drop_second_names(s->node, &error))
		warn("setting second names of the boot image aside", &error);
	if (s->evidence)
		record_evidence(s);
	if (s->settled->fell_back) {
		set_failed_aside(s);
		record_failure(s);
	}
	if (s->interrupted)
		record(s, "failed", &s->lost, proa_reason_to_string(PROA_REASON_CANCELLED),
			"the node restarted meanwhile");
	if (s->trial)
		record_trial(s);
	s->settled->unrecorded = s->unrecorded;
	if (!s->unrecorded) {
		mark_settled(s->node);
		if (!proa_evidence_remove(s->node->esp, &error))
			warn("removing the evidence from the ESP", &error);
	}
	g_clear_pointer(&s->evidence, proa_evidence_free);
	g_clear_pointer(&s->rejected, g_ptr_array_unref);
	clear_release(&s->lost);
}

ProaSettled *proa_settle(ProaNode *node, GError **error)
{
	g_autoptr(ProaSettled) settled = g_new0(ProaSettled, 1);
	Settling s = { .node = node, .settled = settled };

	if (!settled_before(node)) {
		settle_now(&s);
		return g_steal_pointer(&settled);
	}
	g_autoptr(ProaState) state = proa_state_load(node->state_dir, error);
	if (!state)
		return NULL;
	settled->kind = state->kind;
	return g_steal_pointer(&settled);
}
