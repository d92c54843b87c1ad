/* SPDX-License-Identifier: Apache-2.0 */
#include "boot/daemon.h"

#include "base/file.h"
#include "base/json.h"
#include "boot/attempts.h"
#include "boot/blackbox.h"
#include "boot/crashes.h"
#include "boot/evidence.h"
#include "boot/generation.h"
#include "boot/giveup.h"
#include "boot/health/check.h"
#include "boot/journal.h"
#include "boot/pairing.h"
#include "boot/patience.h"
#include "boot/settle.h"
#include "boot/starts.h"
#include "boot/volatile.h"

#include <signal.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define BOOT_COMPLETE "boot-complete.target"
/* A blessed release that is not healthy is looked at this often, for as long as it takes. */
#define SLOW_SECONDS 30
/* The system manager is given so long to begin the reboot that it was asked for. */
#define REBOOT_SECONDS 30
#define SYNC_SECONDS 5
#define LOCK_SECONDS 30
/* A check that takes so much longer than a whole trial and its own time limit, or what is remembered of it,
 * does not end. */
#define STUCK_SECONDS 300
#define RECORD_SECONDS 60
/* Where nothing of an operator's comes before it, boot-complete.target is reached at once. */
#define COMPLETE_SECONDS 2
#define COMPLETE_POLL_US 100000
/* Below the run directory: this boot was found unhealthy, by a fault of the node. */
#define UNHEALTHY_MARK "unhealthy"

typedef struct {
	const ProaDaemonOptions *options;
	ProaNode *node;
	ProaConfig *config;
	ProaSystemd *systemd;
	gboolean unsettled;    /* /var did not take what the last boot came to */
	gboolean judging;      /* the trial goes on */
	gboolean completing;   /* the start of boot-complete.target was asked for */
	GHashTable *memory;    /* of the checks */
	ProaHealthResult last; /* the result that stands */
	const char *last_check;
	JsonArray *report; /* what each check said last */
	char *told;        /* the report as last written */
} Daemon;

static gint64 now(void)
{
	return g_get_monotonic_time() / G_USEC_PER_SEC;
}

static void warn(const char *doing, GError **error)
{
	if (*error)
		g_warning("%s: %s", doing, (*error)->message);
	g_clear_error(error);
}

/* For what may take up to @seconds by itself. */
static void renew_patience(const Daemon *daemon, gint64 seconds)
{
	gint64 given = daemon->options->patience;
	gint64 deadline = proa_config_integer(daemon->config, "health", "deadline");

	if (proa_node_on_trial(daemon->node))
		proa_patience_renew(
			(given > 0 ? given : deadline + STUCK_SECONDS) + seconds, daemon->options->no_reboot);
	else
		proa_patience_end();
}

static void check_begins(gint64 seconds, gpointer data)
{
	const Daemon *daemon = data;

	/* Where nothing is to be left, no check is stuck too long. */
	if (daemon->judging)
		renew_patience(daemon, seconds);
}

/* Whether boot-complete.target is reached, now or within @seconds. */
static gboolean wait_boot_complete(Daemon *daemon, gint64 seconds)
{
	gint64 end = g_get_monotonic_time() + seconds * G_USEC_PER_SEC;

	for (;;) {
		g_autofree char *state = proa_systemd_unit_state(daemon->systemd, BOOT_COMPLETE, NULL);
		if (g_strcmp0(state, "active") == 0)
			return TRUE;
		if (g_strcmp0(state, "failed") == 0 || g_get_monotonic_time() >= end)
			return FALSE;
		g_usleep(COMPLETE_POLL_US);
	}
}

/*
 * Our own checks come first; then boot-complete.target, before which a package or an operator may order
 * checks of theirs (systemd.special(7)).
 */
static void check_boot_complete(Daemon *daemon, ProaHealthResult *result)
{
	g_autoptr(GError) error = NULL;

	gint64 seconds = daemon->completing ? 0 : COMPLETE_SECONDS;
	if (!daemon->completing && !proa_systemd_start(daemon->systemd, BOOT_COMPLETE, "replace", &error)) {
		proa_health_set(result, PROA_HEALTH_WAIT, PROA_REASON_HEALTH_CHECK, g_strdup(error->message));
		return;
	}
	daemon->completing = TRUE;
	if (wait_boot_complete(daemon, seconds))
		return;
	g_auto(GStrv) elsewhere = proa_health_units_elsewhere(daemon->config);
	g_autofree char *failed =
		proa_systemd_failed_units(daemon->systemd, (const char *const *)elsewhere, NULL);
	gboolean named = failed && *failed;
	proa_health_set(result, named ? PROA_HEALTH_FAIL : PROA_HEALTH_WAIT, PROA_REASON_HEALTH_CHECK,
		g_strdup_printf(BOOT_COMPLETE " is not reached%s%s", named ? "; failed units: " : "",
			named ? failed : ""));
}

/* For `proa health`: what each check said, when it says something else than before. */
static void write_report(Daemon *daemon)
{
	g_autofree char *path = g_build_filename(daemon->node->run_dir, PROA_HEALTH_REPORT_NAME, NULL);
	g_autofree char *said = proa_health_report_to_text(daemon->report);
	g_autoptr(JsonObject) top = json_object_new();
	g_autoptr(GError) error = NULL;

	if (g_strcmp0(said, daemon->told) == 0)
		return;
	json_object_set_int_member(top, "time", g_get_real_time() / G_USEC_PER_SEC);
	json_object_set_string_member(top, "root_hash", daemon->node->booted.root_hash);
	json_object_set_array_member(top, "checks", json_array_ref(daemon->report));
	g_autofree char *text = proa_json_to_text(top);
	if (!proa_file_make_dirs(daemon->node->run_dir, &error) ||
		!proa_file_replace(path, text, strlen(text), 0644, &error))
		warn("writing what the checks say", &error);
	g_set_str(&daemon->told, said);
}

static void run_checks(Daemon *daemon, gboolean settled)
{
	ProaHealthContext context = { .config = daemon->config,
		.systemd = daemon->systemd,
		.root = daemon->options->node.root,
		.memory = daemon->memory,
		.begins = check_begins,
		.begins_data = daemon };
	g_autofree char *before = g_strdup(daemon->last.detail);

	proa_health_result_clear(&daemon->last);
	g_clear_pointer(&daemon->report, json_array_unref);
	proa_health_run(&context, &daemon->last, &daemon->last_check, &daemon->report);
	write_report(daemon);
	/* Settled in spite of a fault elsewhere: the release is kept, and its own checks are due. */
	if (settled &&
		(proa_health_good(daemon->last.verdict) || daemon->last.fault == PROA_FAULT_OF_ELSEWHERE)) {
		check_boot_complete(daemon, &daemon->last);
		daemon->last_check = BOOT_COMPLETE;
	}
	if (daemon->last.detail && g_strcmp0(before, daemon->last.detail) != 0)
		g_message("not healthy yet: %s: %s%s", daemon->last_check, daemon->last.detail,
			daemon->last.fault == PROA_FAULT_OF_ELSEWHERE ? " (not this node's fault)" : "");
}

/* Until the checks have been right for their settling time, and boot-complete.target after them; or until it
 * is too late. */
static ProaHealthDecision wait_for_health(Daemon *daemon)
{
	gint64 interval = proa_config_integer(daemon->config, "health", "interval");
	ProaHealthDecision decision = PROA_HEALTH_UNDECIDED;
	ProaHealthTrial trial;
	gboolean settled = FALSE;

	proa_health_trial_begin(&trial, daemon->config, now());
	for (;;) {
		gint64 began = now();
		renew_patience(daemon, 0);
		run_checks(daemon, settled);
		decision =
			proa_health_trial_add(&trial, daemon->last.verdict, daemon->last.fault, began, now());
		if (decision == PROA_UNHEALTHY)
			return decision;
		/* To wait for boot-complete.target unsettles nothing; what the checks say does. */
		gboolean right = decision == PROA_HEALTHY || proa_health_good(daemon->last.verdict);
		if (settled && right)
			return PROA_HEALTHY;
		if (decision == PROA_HEALTHY) {
			settled = TRUE;
			continue;
		}
		if (!right && g_strcmp0(daemon->last_check, BOOT_COMPLETE) != 0)
			settled = FALSE;
		g_usleep((gulong)interval * G_USEC_PER_SEC);
	}
}

/* For the next boot, should this one's /var not keep it. Set aside or not is the firmware's count: no entry
 * is touched. */
static void leave_word(Daemon *daemon, const char *reason)
{
	const ProaNode *node = daemon->node;
	ProaEvidence word = { .root_hash = node->booted.root_hash,
		.version = node->booted.version,
		.reason = (char *)(gsize)reason,
		.detail = daemon->last.detail,
		.where = (char *)(gsize) "system",
		.time = g_get_real_time() / G_USEC_PER_SEC };
	g_autoptr(GError) error = NULL;
	PROA_AUTO_FD int lock = proa_esp_lock(node->run_dir, LOCK_SECONDS, &error);

	if (lock < 0 || !proa_evidence_write(node->esp, &word, &error))
		warn("leaving word on the ESP", &error);
}

/* Whoever reboots such a node in good order does not make it a good one. */
static void mark_unhealthy(const char *run_dir)
{
	g_autofree char *path = g_build_filename(run_dir, UNHEALTHY_MARK, NULL);
	g_autoptr(GError) error = NULL;

	if (!proa_file_make_dirs(run_dir, &error) || !proa_file_replace(path, "", 0, 0644, &error))
		warn("noting that this boot is not healthy", &error);
}

/* @leaves: by a reboot of the daemon's own. Then it counts whosever fault it was: with a firmware that cannot
 * rename, these boots are all that ends the trial. */
static void record_unhealthy(Daemon *daemon, gboolean leaves)
{
	g_autofree char *lost = g_build_filename(daemon->node->root, "/" PROA_VOLATILE_VAR, NULL);
	gboolean kept = access(lost, F_OK) < 0;
	const ProaStateRelease *booted = &daemon->node->booted;
	const char *reason = proa_reason_to_string(daemon->last.reason), *dir = daemon->node->state_dir;
	g_autofree char *checks = proa_health_report_to_text(daemon->report);
	g_autoptr(GError) error = NULL;

	g_warning("release %s is not healthy (%s): %s", booted->version, reason, daemon->last.detail);
	/* A disk that does not answer may hold up for good what is to be written to it. */
	gboolean told = daemon->last.reason == PROA_REASON_IO && proa_node_on_trial(daemon->node);
	if (told)
		leave_word(daemon, reason);
	if (leaves || daemon->last.fault == PROA_FAULT_OF_NODE)
		mark_unhealthy(daemon->node->run_dir);
	if (!proa_blackbox_set_verdict(dir, booted, reason, daemon->last.detail, checks, &error)) {
		kept = FALSE;
		warn("remembering why", &error);
	}
	if (!kept && !told && proa_node_on_trial(daemon->node))
		leave_word(daemon, reason);
	if (!proa_history_append(dir, "unhealthy", booted, reason, daemon->last.detail, &error))
		warn("writing the history", &error);
	/* What reads comes after what must be written: a disk that dies may hold a read up for ever. */
	g_autofree char *journal = proa_journal_tail();
	g_autofree char *entries = proa_boot_entries_text(daemon->node);
	g_autofree char *text = proa_blackbox_evidence(checks, entries, NULL, journal);
	if (!proa_blackbox_write(dir, booted, reason, daemon->last.detail, text, &error))
		warn("writing the black box", &error);
}

/* Asks the system manager; should it be as broken as the rest, reboots without it. */
static void reboot_node(Daemon *daemon)
{
	g_autoptr(GError) error = NULL;

	if (daemon->options->no_reboot)
		return;
	g_message("rebooting, so that this try counts");
	if (!proa_systemd_start(daemon->systemd, "reboot.target", "replace-irreversibly", &error))
		warn("asking for the reboot", &error);
	else
		g_usleep((gulong)REBOOT_SECONDS * G_USEC_PER_SEC); /* its SIGTERM ends this process */
	proa_reboot_now(SYNC_SECONDS);
}

/* With no entry that boots by its own turn, the firmware takes the newest: an operator went back to an older
 * release, and it is not healthy. */
static gboolean next_is_another(const ProaNode *node)
{
	const ProaEntry *next = proa_entry_next(node->entries);

	return next && g_strcmp0(next->root_hash, node->booted.root_hash) != 0;
}

/* A release on trial, or one set aside that the firmware took for want of another, is left only if another
 * one boots. */
static gboolean may_leave(Daemon *daemon)
{
	g_autoptr(GError) error = NULL;

	/* An operator may have blessed it meanwhile. */
	if (!proa_node_reload(daemon->node, &error)) {
		warn("reading the boot entries", &error);
		return FALSE;
	}
	/* With a partition table that cannot be read nobody knows what the other slot holds; its entry must
	 * do. */
	const ProaNode *node = daemon->node;
	gboolean other = node->partitions->len > 0
				 ? proa_node_other_bootable(node)
				 : proa_entry_find_other(node->entries, node->booted.root_hash) != NULL;
	return proa_node_on_trial(node) &&
	       (other || node->booted_entry->tries_left > 0 || next_is_another(node));
}

/* Health takes back what a failed boot said of a release, but not what an operator did. */
static gboolean rejected_by_operator(const Daemon *daemon)
{
	g_autoptr(GPtrArray) list = proa_rejected_load(daemon->node->state_dir, NULL);
	const ProaRejected *entry = list ? proa_rejected_find(list, daemon->node->booted.root_hash) : NULL;

	return entry && strcmp(entry->reason, proa_reason_to_string(PROA_REASON_REJECTED)) == 0;
}

/*
 * A trial that cannot be blessed must not look like one that ended well: the unit starts this program again,
 * a few times, then reboots. A blessed release has nothing to lose.
 */
static int bless(Daemon *daemon)
{
	g_autoptr(GError) error = NULL;

	if (rejected_by_operator(daemon)) {
		g_message("release %s is healthy, but an operator rejected it: not blessed",
			daemon->node->booted.version);
		return PROA_EXIT_OK;
	}
	if (!proa_node_bless(daemon->node, &error)) {
		g_warning("release %s is healthy but cannot be blessed: %s", daemon->node->booted.version,
			error->message);
		return proa_node_on_trial(daemon->node) ? PROA_EXIT_FAILED : PROA_EXIT_OK;
	}
	g_message("release %s is healthy: blessed", daemon->node->booted.version);
	return PROA_EXIT_OK;
}

static void settle(Daemon *daemon)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(ProaSettled) settled = proa_settle(daemon->node, &error);

	daemon->unsettled = settled && settled->unrecorded;
	if (!settled)
		warn("settling the last boot", &error);
	else if (settled->fell_back)
		g_warning("fell back from release %s (%s): %s", settled->failed.version, settled->reason,
			settled->detail ? settled->detail : "no detail");
}

/* A boot whose /etc lies in memory is not healthy, but what the last one came to can be kept once there is
 * room. */
static gboolean var_takes_it(const Daemon *daemon)
{
	g_autofree char *lost = g_build_filename(daemon->node->root, "/" PROA_VOLATILE_VAR, NULL);
	ProaHealthContext context = { .config = daemon->config,
		.systemd = daemon->systemd,
		.root = daemon->options->node.root,
		.memory = daemon->memory };
	ProaHealthResult result = { 0 };

	if (access(lost, F_OK) == 0)
		return FALSE;
	proa_health_disk_paths(&context, &result);
	gboolean right = proa_health_good(result.verdict);
	proa_health_result_clear(&result);
	return right;
}

static void settle_again(Daemon *daemon)
{
	if (daemon->unsettled && var_takes_it(daemon))
		settle(daemon);
}

/* A blessed release that is not healthy goes on; proa-etc counts such boots, and health resets the count. */
static void wait_on(Daemon *daemon)
{
	g_message("no other release to go to, or this one is blessed: it goes on");
	for (;;) {
		g_usleep((gulong)SLOW_SECONDS * G_USEC_PER_SEC);
		run_checks(daemon, TRUE);
		settle_again(daemon);
		if (proa_health_good(daemon->last.verdict))
			return;
	}
}

/* Notes that this boot began, and judges the one before; whether it ended unasked once too often. */
static gboolean crashes_too_often(Daemon *daemon, gint64 *ret_limit)
{
	const ProaNode *node = daemon->node;
	gint64 limit = proa_config_integer(daemon->config, "crashes", "limit");
	gint64 within = proa_config_integer(daemon->config, "crashes", "within");
	/* Where no crash counts, none is waited for. */
	gint64 hold = limit > 0 ? MIN(within, proa_config_integer(daemon->config, "crashes", "hold")) : 0;
	ProaMoment moment = proa_moment_now(node->root);
	g_auto(ProaCrash) crash = { 0 };
	g_autoptr(GError) error = NULL;

	if (!proa_crashes_begin(
		    node->state_dir, node->booted.root_hash, &moment, within, hold, &crash, &error))
		warn("noting that this boot began", &error);
	if (crash.count == 0)
		return FALSE;
	gboolean same = strcmp(crash.root_hash, node->booted.root_hash) == 0;
	ProaStateRelease release = { same ? node->booted.version : NULL, crash.root_hash, NULL };
	g_autofree char *detail =
		g_strdup_printf("the node went down unasked %u times since it was blessed", crash.count);
	if (!proa_history_append(node->state_dir, "crashed", &release,
		    proa_reason_to_string(PROA_REASON_CRASHED), detail, &error))
		warn("writing the history", &error);
	*ret_limit = limit;
	return same && limit > 0 && crash.count >= limit;
}

/* The same act as that of all who give up on a root (boot/giveup.h). */
static gboolean leave_crashing(Daemon *daemon, gint64 limit)
{
	ProaNode *node = daemon->node;
	g_autofree char *detail = g_strdup_printf(
		"it was blessed, but the node went down unasked %" G_GINT64_FORMAT " times soon after",
		limit);
	ProaGiveUp what = { .root_hash = node->booted.root_hash,
		.reason = PROA_REASON_CRASHED,
		.detail = detail,
		.where = "system" };
	gboolean switched = FALSE;
	g_autoptr(GError) error = NULL;
	PROA_AUTO_FD int lock = proa_esp_lock(node->run_dir, LOCK_SECONDS, &error);

	if (lock < 0 || !proa_give_up(node->esp, &what, &switched, &error))
		warn("leaving a release that crashes", &error);
	else if (!switched)
		g_warning("release %s crashes, but no other release boots: it goes on", node->booted.version);
	if (switched && !proa_crashes_forget(node->state_dir, node->booted.root_hash, &error))
		warn("forgetting its crashes", &error);
	return switched;
}

static int bless_with_patience(Daemon *daemon)
{
	renew_patience(daemon, 0);
	settle_again(daemon);
	int status = bless(daemon);
	proa_patience_end();
	return status;
}

static int run(Daemon *daemon)
{
	gint64 limit = 0;

	renew_patience(daemon, 0);
	settle(daemon);
	if (crashes_too_often(daemon, &limit) && leave_crashing(daemon, limit)) {
		g_warning(
			"release %s crashed too often: the other slot is next", daemon->node->booted.version);
		reboot_node(daemon);
		return PROA_EXIT_OK;
	}
	daemon->judging = TRUE;
	ProaHealthDecision decision = wait_for_health(daemon);
	daemon->judging = FALSE;
	if (decision == PROA_HEALTHY)
		return bless_with_patience(daemon);
	gboolean leaves = may_leave(daemon);
	if (leaves)
		proa_patience_renew(
			daemon->options->patience > 0 ? daemon->options->patience : RECORD_SECONDS,
			daemon->options->no_reboot);
	else
		proa_patience_end();
	record_unhealthy(daemon, leaves);
	proa_patience_end();
	if (leaves) {
		reboot_node(daemon);
		return PROA_EXIT_OK;
	}
	wait_on(daemon);
	return bless(daemon);
}

/* Of a node whose ESP cannot be read, by what /var remembers: the release that runs if it is on trial, or
 * NULL. More boots than a trial has are none of one. */
static ProaState *load_trial(const char *root)
{
	g_autofree char *dir = g_strconcat(root, PROA_STATE_DIR, NULL);
	g_autofree char *root_hash = proa_booted_root_hash(root, NULL);
	g_autoptr(ProaState) state = proa_state_load(dir, NULL);

	if (!root_hash || !state || g_strcmp0(state->staged.root_hash, root_hash) != 0 ||
		(state->kind != PROA_STATE_STAGED && state->kind != PROA_STATE_TRIAL) ||
		proa_attempts_read(dir, root_hash) > PROA_ENTRY_TRIES)
		return NULL;
	return g_steal_pointer(&state);
}

/* No kernel of this release may ever open the ESP: the boot is one try, and the firmware has counted it. */
static void give_up_trial(const char *root, const ProaStateRelease *release, const GError *why)
{
	g_autofree char *dir = g_strconcat(root, PROA_STATE_DIR, NULL);
	g_autofree char *run_dir = g_strconcat(root, PROA_ESP_RUN_DIR, NULL);
	const char *reason = proa_reason_to_string(proa_reason_of(why));
	g_autoptr(GError) error = NULL;

	g_warning("release %s is on trial and cannot be judged (%s): %s", release->version, reason,
		why->message);
	mark_unhealthy(run_dir);
	if (!proa_blackbox_set_verdict(dir, release, reason, why->message, NULL, &error))
		warn("remembering why", &error);
	if (!proa_history_append(dir, "unhealthy", release, reason, why->message, &error))
		warn("writing the history", &error);
}

/*
 * Without its ESP a node can't be blessed, left or rolled back, but it may work well: no reason to stop it.
 * Unless it is on trial: nobody else would ever end that. NULL: the deadline has passed, and this was told.
 */
static ProaNode *wait_for_node(const ProaNodeOptions *options, gint64 deadline)
{
	g_autofree char *before = NULL;
	gint64 began = now();

	for (;;) {
		g_autoptr(GError) error = NULL;
		ProaNode *node = proa_node_open(options, &error);
		if (node)
			return node;
		gint64 left = MAX(deadline - (now() - began), 0);
		g_autoptr(ProaState) trial = load_trial(options->root);
		if (trial && left == 0) {
			give_up_trial(options->root, &trial->staged, error);
			return NULL;
		}
		if (g_strcmp0(before, error->message) != 0)
			g_warning("%s; trying again every %d seconds", error->message, SLOW_SECONDS);
		g_free(before);
		before = g_strdup(error->message);
		g_usleep((gulong)(trial ? MIN(left, SLOW_SECONDS) : SLOW_SECONDS) * G_USEC_PER_SEC);
	}
}

int proa_daemon_run(const ProaDaemonOptions *options)
{
	g_autoptr(ProaConfig) config =
		proa_config_load(options->node.root, PROA_HEALTH_CONFIG_NAME, proa_health_config_keys);
	for (const char *const *problem = proa_config_problems(config); *problem; problem++)
		g_warning("%s", *problem);
	g_autoptr(ProaSystemd) systemd = proa_systemd_new(
		options->systemd, (guint)proa_config_integer(config, "health", "unit-timeout"));
	Daemon daemon = { .options = options, .config = config, .systemd = systemd };
	g_autoptr(ProaState) trial = load_trial(options->node.root);
	gint64 deadline = proa_config_integer(config, "health", "deadline");
	if (trial)
		proa_patience_renew(options->patience > 0 ? options->patience : deadline + STUCK_SECONDS,
			options->no_reboot);
	g_autoptr(ProaNode) node = wait_for_node(&options->node, deadline);
	if (!node) {
		reboot_node(&daemon);
		return PROA_EXIT_OK;
	}
	daemon.node = node;
	daemon.memory = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
	int status = run(&daemon);
	proa_health_result_clear(&daemon.last);
	g_clear_pointer(&daemon.report, json_array_unref);
	g_hash_table_unref(daemon.memory);
	g_free(daemon.told);
	return status;
}

/* As they are now, an operator may have brought others since the blessing. */
static void keep_extensions(const char *root, const char *dir)
{
	g_autofree char *etc_dir = g_build_filename(dir, "etc", NULL);
	g_autofree char *root_hash = proa_booted_root_hash(root, NULL);
	g_autofree char *name = root_hash ? proa_generation_name(root_hash) : NULL;
	g_autoptr(GError) error = NULL;

	if (name && !proa_pairing_keep(root, etc_dir, name, &error))
		warn("remembering the system extensions of this release", &error);
}

/* Of a release on trial the firmware counts; nothing is lost with this. */
static gboolean clear_attempts(const char *root, const char *dir, GError **error)
{
	g_autofree char *root_hash = proa_booted_root_hash(root, error);
	g_autofree char *efivars = g_strconcat(root, PROA_EFIVARS_DIR, NULL);
	g_autoptr(GError) inner = NULL;

	if (!proa_starts_clear(efivars, &inner))
		warn("forgetting the starts", &inner);
	return root_hash && (proa_attempts_read(dir, root_hash) == 0 || proa_attempts_clear(dir, error));
}

gboolean proa_daemon_goes_on(const char *root, GError **error)
{
	g_autoptr(ProaConfig) config =
		proa_config_load(root, PROA_HEALTH_CONFIG_NAME, proa_health_config_keys);
	g_autofree char *dir = g_strconcat(root, PROA_STATE_DIR, NULL);
	ProaMoment moment = proa_moment_now(root);

	return proa_crashes_goes_on(dir, &moment, proa_config_integer(config, "crashes", "within"), error);
}

gboolean proa_daemon_going_down(const char *root, GError **error)
{
	g_autofree char *dir = g_strconcat(root, PROA_STATE_DIR, NULL);
	g_autofree char *mark = g_strconcat(root, PROA_ESP_RUN_DIR "/" UNHEALTHY_MARK, NULL);

	ProaMoment moment = proa_moment_now(root);
	if (!proa_crashes_asked(dir, &moment, error))
		return FALSE;
	gboolean done = access(mark, F_OK) == 0 || clear_attempts(root, dir, error);
	/* Last: this may take longer than the unit is given. */
	keep_extensions(root, dir);
	return done;
}
