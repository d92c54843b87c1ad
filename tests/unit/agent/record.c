/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/record.h"

#include "agent/history.h"
#include "base/json.h"
#include "base/state.h"
#include "tests/unit/scratch.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

#define HASH_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define HASH_B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

static void write_staging(const ProaPaths *paths)
{
	g_autoptr(ProaState) state = proa_state_new();

	state->kind = PROA_STATE_STAGING;
	proa_state_set_release(&state->booted, "1.0.0", HASH_A, "root-a");
	proa_state_set_release(&state->good, "1.0.0", HASH_A, "root-a");
	proa_state_set_release(&state->staged, "1.0.1", HASH_B, "root-b");
	g_assert_true(proa_state_save(paths->state_dir, state, NULL));
}

static void test_interrupted(void)
{
	g_auto(Scratch) scratch = scratch_new();
	g_autoptr(ProaPaths) paths = proa_paths_new(scratch.path, NULL);
	gboolean healed = FALSE;

	write_staging(paths);
	g_autofree char *lock = scratch_write(&scratch, "run/proa/install.lock", "", 0);
	int fd = open(lock, O_RDWR | O_CLOEXEC);
	g_assert_cmpint(flock(fd, LOCK_EX), ==, 0);
	/* Someone is at it: nothing is touched. */
	g_assert_true(proa_paths_install_running(paths));
	g_assert_true(proa_record_interrupted(paths, &healed, NULL));
	g_assert_false(healed);
	close(fd);

	g_assert_false(proa_paths_install_running(paths));
	g_assert_true(proa_record_interrupted(paths, &healed, NULL));
	g_assert_true(healed);
	g_autoptr(ProaState) state = proa_state_load(paths->state_dir, NULL);
	g_assert_cmpint(state->kind, ==, PROA_STATE_GOOD);
	g_assert_null(state->staged.root_hash);
	g_assert_cmpstr(state->good.version, ==, "1.0.0");
	g_autoptr(JsonArray) history = proa_history_load(paths->state_dir, 0, NULL);
	g_assert_cmpuint(json_array_get_length(history), ==, 1);
	JsonObject *entry = json_array_get_object_element(history, 0);
	g_assert_cmpstr(proa_json_string_or(entry, "event", NULL), ==, "failed");
	g_assert_cmpstr(proa_json_string_or(entry, "version", NULL), ==, "1.0.1");

	/* Once is enough. */
	g_assert_true(proa_record_interrupted(paths, &healed, NULL));
	g_assert_false(healed);
}

static void test_check(void)
{
	g_auto(Scratch) scratch = scratch_new();
	g_autoptr(ProaPaths) paths = proa_paths_new(scratch.path, NULL);
	static const struct {
		ProaReason reason;
		gboolean ok, offer;
		const char *result, *offered;
	} checks[] = {
		{ PROA_REASON_MAX, TRUE, TRUE, "ok", "1.0.1" },
		{ PROA_REASON_STALE_FEED, FALSE, FALSE, "stale-feed", NULL },
		/* These are no checks: what was recorded stays. */
		{ PROA_REASON_BUSY, FALSE, FALSE, "stale-feed", NULL },
		{ PROA_REASON_CANCELLED, FALSE, TRUE, "stale-feed", NULL },
		/* The check was good, though the payload was not. */
		{ PROA_REASON_PAYLOAD_DIGEST, FALSE, TRUE, "ok", "1.0.1" },
		{ PROA_REASON_NO_UPDATE, FALSE, FALSE, "no-update", NULL },
	};

	for (gsize i = 0; i < G_N_ELEMENTS(checks); i++) {
		g_autoptr(ProaOutcome) outcome = proa_outcome_new();
		outcome->ok = checks[i].ok;
		outcome->reason = checks[i].reason;
		outcome->has_offer = checks[i].offer;
		g_set_str(&outcome->version, checks[i].offer ? "1.0.1" : NULL);
		g_assert_true(proa_record_check(paths, outcome, G_MAXINT64, NULL));
		g_autoptr(ProaState) state = proa_state_load(paths->state_dir, NULL);
		g_assert_cmpstr(state->last_check_result, ==, checks[i].result);
		g_assert_cmpstr(state->last_check_offered, ==, checks[i].offered);
		g_assert_cmpint(state->last_check, >, 1700000000);
	}
}

static void test_recorded_already(void)
{
	g_auto(Scratch) scratch = scratch_new();
	g_autoptr(ProaPaths) paths = proa_paths_new(scratch.path, NULL);
	g_autoptr(ProaState) state = proa_state_new();
	g_autoptr(ProaOutcome) outcome = proa_outcome_new();

	state->last_check = 1780000005;
	state->last_check_result = g_strdup("ok");
	g_assert_true(proa_state_save(paths->state_dir, state, NULL));
	outcome->has_offer = TRUE;
	/* proa-install wrote it, after it was started at 1780000000: its time stands. */
	g_assert_true(proa_record_check(paths, outcome, 1780000000, NULL));
	g_autoptr(ProaState) same = proa_state_load(paths->state_dir, NULL);
	g_assert_cmpint(same->last_check, ==, 1780000005);
	/* That was the check before this one. */
	g_assert_true(proa_record_check(paths, outcome, 1780000006, NULL));
	g_autoptr(ProaState) after = proa_state_load(paths->state_dir, NULL);
	g_assert_cmpint(after->last_check, >, 1780000006);
	/* Within the same second, but another one. */
	outcome->has_offer = FALSE;
	outcome->reason = PROA_REASON_FEED_ERROR;
	g_assert_true(proa_record_check(paths, outcome, after->last_check, NULL));
	g_autoptr(ProaState) last = proa_state_load(paths->state_dir, NULL);
	g_assert_cmpstr(last->last_check_result, ==, "feed-error");
}

static void count(ProaState *state, gpointer data)
{
	state->last_check++;
}

static void test_writers(void)
{
	g_auto(Scratch) scratch = scratch_new();
	enum { WRITERS = 4, TIMES = 50 };
	pid_t pids[WRITERS];

	/* Several processes change the same file: no change is lost. */
	for (int i = 0; i < WRITERS; i++) {
		pids[i] = fork();
		g_assert_cmpint(pids[i], >=, 0);
		for (int n = 0; pids[i] == 0 && n < TIMES; n++)
			if (!proa_state_update(scratch.path, count, NULL, NULL))
				_exit(1);
		if (pids[i] == 0)
			_exit(0);
	}
	for (int i = 0; i < WRITERS; i++) {
		int status;
		g_assert_cmpint(waitpid(pids[i], &status, 0), ==, pids[i]);
		g_assert_cmpint(status, ==, 0);
	}
	g_autoptr(ProaState) state = proa_state_load(scratch.path, NULL);
	g_assert_cmpint(state->last_check, ==, WRITERS * TIMES);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/record/interrupted-transaction-is-healed-once", test_interrupted);
	g_test_add_func("/record/checks-and-what-is-none", test_check);
	g_test_add_func("/record/what-proa-install-recorded-stands", test_recorded_already);
	g_test_add_func("/record/no-writer-of-the-state-loses-a-change", test_writers);
	return g_test_run();
}
