/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/machine.h"

#include <string.h>

#define FREE_STATES 3
static const ProaStateKind free_states[FREE_STATES] = { PROA_STATE_IDLE, PROA_STATE_GOOD,
	PROA_STATE_FALLEN_BACK };

static ProaAct decide(
	ProaStateKind state, ProaEvent event, ProaAutomatic automatic, gboolean busy, ProaReason *ret_reason)
{
	ProaFacts facts = { state, busy, automatic, FALSE, FALSE };

	*ret_reason = PROA_REASON_MAX;
	ProaAct act = proa_machine_decide(&facts, event, ret_reason);
	/* A refusal has a reason, and nothing else has. */
	g_assert_true((act == PROA_ACT_REFUSE) == (*ret_reason != PROA_REASON_MAX));
	return act;
}

static void test_free(void)
{
	static const ProaAct acts[_PROA_EVENT_MAX] = {
		[PROA_EVENT_TIMER] = PROA_ACT_INSTALL,
		[PROA_EVENT_CHECK] = PROA_ACT_CHECK,
		[PROA_EVENT_UPDATE] = PROA_ACT_INSTALL,
		[PROA_EVENT_ROLLBACK] = PROA_ACT_ROLLBACK,
		[PROA_EVENT_REBOOT] = PROA_ACT_REBOOT,
		[PROA_EVENT_DECIDE] = PROA_ACT_DECIDE,
		[PROA_EVENT_REBOOT_DUE] = PROA_ACT_NOTHING,
		[PROA_EVENT_CANCEL] = PROA_ACT_NOTHING,
	};
	ProaReason reason;

	for (int i = 0; i < FREE_STATES; i++)
		for (int event = 0; event < _PROA_EVENT_MAX; event++)
			g_assert_cmpint(
				decide(free_states[i], (ProaEvent)event, PROA_AUTOMATIC_YES, FALSE, &reason),
				==, acts[event]);
}

static void test_automatic(void)
{
	ProaReason reason;

	g_assert_cmpint(decide(PROA_STATE_GOOD, PROA_EVENT_TIMER, PROA_AUTOMATIC_NO, FALSE, &reason), ==,
		PROA_ACT_NOTHING);
	g_assert_cmpint(decide(PROA_STATE_GOOD, PROA_EVENT_TIMER, PROA_AUTOMATIC_CHECK_ONLY, FALSE, &reason),
		==, PROA_ACT_CHECK);
	/* An operator's word does not depend on it. */
	g_assert_cmpint(decide(PROA_STATE_GOOD, PROA_EVENT_UPDATE, PROA_AUTOMATIC_NO, FALSE, &reason), ==,
		PROA_ACT_INSTALL);
	g_assert_cmpint(proa_automatic_from_string("check-only"), ==, PROA_AUTOMATIC_CHECK_ONLY);
	g_assert_cmpint(proa_automatic_from_string("maybe"), ==, _PROA_AUTOMATIC_INVALID);
	g_assert_cmpint(proa_automatic_from_string(NULL), ==, _PROA_AUTOMATIC_INVALID);
}

static void test_busy(void)
{
	ProaReason reason;

	for (int state = 0; state < _PROA_STATE_MAX; state++) {
		ProaStateKind kind = (ProaStateKind)state;
		g_assert_cmpint(decide(kind, PROA_EVENT_TIMER, PROA_AUTOMATIC_YES, TRUE, &reason), ==,
			PROA_ACT_NOTHING);
		g_assert_cmpint(decide(kind, PROA_EVENT_UPDATE, PROA_AUTOMATIC_YES, TRUE, &reason), ==,
			PROA_ACT_REFUSE);
		g_assert_cmpint(reason, ==, PROA_REASON_BUSY);
		g_assert_cmpint(decide(kind, PROA_EVENT_ROLLBACK, PROA_AUTOMATIC_YES, TRUE, &reason), ==,
			PROA_ACT_REFUSE);
		g_assert_cmpint(decide(kind, PROA_EVENT_CHECK, PROA_AUTOMATIC_YES, TRUE, &reason), ==,
			PROA_ACT_REFUSE);
		g_assert_cmpint(decide(kind, PROA_EVENT_DECIDE, PROA_AUTOMATIC_YES, TRUE, &reason), ==,
			PROA_ACT_REFUSE);
		g_assert_cmpint(decide(kind, PROA_EVENT_CANCEL, PROA_AUTOMATIC_YES, TRUE, &reason), ==,
			PROA_ACT_CANCEL);
		g_assert_cmpint(decide(kind, PROA_EVENT_REBOOT, PROA_AUTOMATIC_YES, TRUE, &reason), ==,
			PROA_ACT_REBOOT);
	}
}

static void test_staging_by_another(void)
{
	ProaReason reason;

	/* No child of ours: it can neither be joined nor cancelled. */
	for (int event = 0; event < _PROA_EVENT_MAX; event++) {
		ProaAct act =
			decide(PROA_STATE_STAGING, (ProaEvent)event, PROA_AUTOMATIC_YES, FALSE, &reason);
		g_assert_true(act == PROA_ACT_NOTHING || act == PROA_ACT_REFUSE || act == PROA_ACT_REBOOT);
		if (act == PROA_ACT_REFUSE)
			g_assert_cmpint(reason, ==, PROA_REASON_BUSY);
	}
}

static void test_trial(void)
{
	ProaReason reason;

	g_assert_cmpint(decide(PROA_STATE_TRIAL, PROA_EVENT_TIMER, PROA_AUTOMATIC_YES, FALSE, &reason), ==,
		PROA_ACT_NOTHING);
	g_assert_cmpint(decide(PROA_STATE_TRIAL, PROA_EVENT_UPDATE, PROA_AUTOMATIC_YES, FALSE, &reason), ==,
		PROA_ACT_REFUSE);
	g_assert_cmpint(reason, ==, PROA_REASON_TRIAL_BOOT);
	g_assert_cmpint(decide(PROA_STATE_TRIAL, PROA_EVENT_ROLLBACK, PROA_AUTOMATIC_YES, FALSE, &reason), ==,
		PROA_ACT_ROLLBACK);
	g_assert_cmpint(decide(PROA_STATE_TRIAL, PROA_EVENT_DECIDE, PROA_AUTOMATIC_YES, FALSE, &reason), ==,
		PROA_ACT_DECIDE);
	g_assert_cmpint(decide(PROA_STATE_TRIAL, PROA_EVENT_CHECK, PROA_AUTOMATIC_YES, FALSE, &reason), ==,
		PROA_ACT_CHECK);
}

static void test_automatic_reboot(void)
{
	ProaReason reason = PROA_REASON_MAX;

	/* In staged, if wanted, and nowhere else. */
	for (int state = 0; state < _PROA_STATE_MAX; state++) {
		ProaFacts facts = { (ProaStateKind)state, FALSE, PROA_AUTOMATIC_YES, TRUE, FALSE };
		ProaAct act = proa_machine_decide(&facts, PROA_EVENT_REBOOT_DUE, &reason);
		g_assert_cmpint(act, ==, state == PROA_STATE_STAGED ? PROA_ACT_REBOOT : PROA_ACT_NOTHING);
		facts.reboot_automatic = FALSE;
		g_assert_cmpint(
			proa_machine_decide(&facts, PROA_EVENT_REBOOT_DUE, &reason), ==, PROA_ACT_NOTHING);
		facts = (ProaFacts){ (ProaStateKind)state, TRUE, PROA_AUTOMATIC_YES, TRUE, FALSE };
		g_assert_cmpint(
			proa_machine_decide(&facts, PROA_EVENT_REBOOT_DUE, &reason), ==, PROA_ACT_NOTHING);
	}
}

static void test_view(void)
{
	g_autoptr(ProaState) state = proa_state_new();

	state->kind = PROA_STATE_STAGING;
	g_assert_cmpint(proa_machine_view(state, TRUE), ==, PROA_STATE_STAGING);
	/* Nobody stages, so the file is left over; nothing was blessed here. */
	g_assert_cmpint(proa_machine_view(state, FALSE), ==, PROA_STATE_IDLE);
	proa_state_set_release(&state->booted, "1.0.0", "aa", "root-a");
	proa_state_set_release(&state->good, "1.0.0", "aa", "root-a");
	g_assert_cmpint(proa_machine_view(state, FALSE), ==, PROA_STATE_GOOD);
	proa_state_set_release(&state->good, "0.9.0", "bb", "root-b");
	g_assert_cmpint(proa_machine_view(state, FALSE), ==, PROA_STATE_IDLE);
	for (int kind = 0; kind < _PROA_STATE_MAX; kind++) {
		state->kind = (ProaStateKind)kind;
		g_assert_cmpint(proa_machine_view(state, TRUE), ==, PROA_STATE_STAGING);
		if (kind != PROA_STATE_STAGING)
			g_assert_cmpint(proa_machine_view(state, FALSE), ==, kind);
	}
}

/*
 * The whole of it, one letter an answer: I install, C check, R roll back, D decide, B reboot, X cancel, -
 * nothing, b refused as busy, t refused on trial; in place of an event's letter: a, what automatic= says; d,
 * what reboot= says.
 */
static const char *const table[_PROA_STATE_MAX][2] = {
	/*                          at rest     a child is at work
	 * TIMER CHECK UPDATE ROLLBACK REBOOT REBOOT_DUE DECIDE CANCEL */
	[PROA_STATE_IDLE] = { "aCIRB-D-", "-bbbB-bX" },
	[PROA_STATE_STAGING] = { "-bbbB-bb", "-bbbB-bX" },
	[PROA_STATE_STAGED] = { "aCIRBdD-", "-bbbB-bX" },
	[PROA_STATE_TRIAL] = { "-CtRB-D-", "-bbbB-bX" },
	[PROA_STATE_GOOD] = { "aCIRB-D-", "-bbbB-bX" },
	[PROA_STATE_FALLEN_BACK] = { "aCIRB-D-", "-bbbB-bX" },
};

static char letter_of(ProaAct act, ProaReason reason)
{
	static const char letters[] = { [PROA_ACT_NOTHING] = '-',
		[PROA_ACT_CHECK] = 'C',
		[PROA_ACT_INSTALL] = 'I',
		[PROA_ACT_ROLLBACK] = 'R',
		[PROA_ACT_DECIDE] = 'D',
		[PROA_ACT_REBOOT] = 'B',
		[PROA_ACT_CANCEL] = 'X',
		[PROA_ACT_SUPERSEDE] = 'S' };

	if (act == PROA_ACT_REFUSE)
		return reason == PROA_REASON_BUSY ? 'b' : reason == PROA_REASON_TRIAL_BOOT ? 't' : '?';
	return letters[act];
}

static void expect_row(const ProaFacts *facts)
{
	const char *row = table[facts->state][facts->busy];

	for (int event = 0; event < _PROA_EVENT_MAX; event++) {
		ProaReason reason = PROA_REASON_MAX;
		ProaAct act = proa_machine_decide(facts, (ProaEvent)event, &reason);
		char wanted = row[event] == 'a'   ? "-CI"[facts->automatic]
			      : row[event] == 'd' ? "-B"[facts->reboot_automatic]
						  : row[event];
		if (letter_of(act, reason) != wanted)
			g_error("%s%s, event %d: %c, not %c", proa_state_kind_to_string(facts->state),
				facts->busy ? ", busy" : "", event, letter_of(act, reason), wanted);
	}
}

static void test_everything(void)
{
	for (int i = 0; i < _PROA_STATE_MAX * 2 * 3 * 2; i++) {
		ProaFacts facts = { .state = (ProaStateKind)(i / 12),
			.busy = i / 6 % 2,
			.automatic = (ProaAutomatic)(i / 2 % 3),
			.reboot_automatic = i % 2 };
		g_assert_cmpuint(strlen(table[facts.state][facts.busy]), ==, _PROA_EVENT_MAX);
		expect_row(&facts);
	}
	/* A state of a later version is refused, not guessed at. */
	ProaFacts unknown = { .state = _PROA_STATE_MAX };
	ProaReason reason = PROA_REASON_MAX;
	g_assert_cmpint(proa_machine_decide(&unknown, PROA_EVENT_UPDATE, &reason), ==, PROA_ACT_REFUSE);
	g_assert_cmpint(reason, ==, PROA_REASON_INTERNAL);
}

/* An operator who wants back is not kept waiting for a feed that does not answer. */
static void test_a_look_gives_way(void)
{
	for (int state = 0; state < _PROA_STATE_MAX; state++)
		for (int event = 0; event < _PROA_EVENT_MAX; event++) {
			ProaFacts facts = { .state = (ProaStateKind)state, .busy = TRUE, .yields = TRUE };
			ProaReason reason = PROA_REASON_MAX;
			ProaAct act = proa_machine_decide(&facts, (ProaEvent)event, &reason);
			gboolean word = event == PROA_EVENT_ROLLBACK || event == PROA_EVENT_DECIDE;
			g_assert_cmpint(letter_of(act, reason), ==, word ? 'S' : table[state][1][event]);
		}
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/machine/every-state-every-event-every-setting", test_everything);
	g_test_add_func("/machine/a-look-gives-way-to-a-word", test_a_look_gives_way);
	g_test_add_func("/machine/every-event-at-rest", test_free);
	g_test_add_func("/machine/automatic-rules-the-timer-alone", test_automatic);
	g_test_add_func("/machine/busy-refuses-a-second-transaction-in-every-state", test_busy);
	g_test_add_func("/machine/staging-by-another-starts-nothing", test_staging_by_another);
	g_test_add_func("/machine/trial-does-not-write-the-way-back", test_trial);
	g_test_add_func("/machine/automatic-reboot-only-when-staged", test_automatic_reboot);
	g_test_add_func("/machine/staging-in-the-file-needs-someone-who-stages", test_view);
	return g_test_run();
}
