/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/machine.h"

#include <string.h>

ProaAutomatic proa_automatic_from_string(const char *word)
{
	static const char *const words[] = { "no", "check-only", "yes" };

	for (int i = 0; word && i < (int)G_N_ELEMENTS(words); i++)
		if (strcmp(word, words[i]) == 0)
			return (ProaAutomatic)i;
	return _PROA_AUTOMATIC_INVALID;
}

static ProaAct refuse(ProaReason reason, ProaReason *ret_reason)
{
	*ret_reason = reason;
	return PROA_ACT_REFUSE;
}

/*
 * A child is at work: a second one is refused, timers wait for their next turn, a reboot is the operator's
 * right. One that only looks (and may hang in a dead network) is ended for what an operator has to say.
 */
static ProaAct decide_busy(const ProaFacts *facts, ProaEvent event, ProaReason *ret_reason)
{
	switch (event) {
	case PROA_EVENT_TIMER:
	case PROA_EVENT_REBOOT_DUE:
		return PROA_ACT_NOTHING;
	case PROA_EVENT_REBOOT:
		return PROA_ACT_REBOOT;
	case PROA_EVENT_CANCEL:
		return PROA_ACT_CANCEL;
	case PROA_EVENT_ROLLBACK:
	case PROA_EVENT_DECIDE:
		return facts->yields ? PROA_ACT_SUPERSEDE : refuse(PROA_REASON_BUSY, ret_reason);
	default:
		return refuse(PROA_REASON_BUSY, ret_reason);
	}
}

/* Nothing is under way, and the other slot may be written. */
static ProaAct decide_free(const ProaFacts *facts, ProaEvent event, ProaReason *ret_reason)
{
	switch (event) {
	case PROA_EVENT_TIMER:
		return facts->automatic == PROA_AUTOMATIC_YES          ? PROA_ACT_INSTALL
		       : facts->automatic == PROA_AUTOMATIC_CHECK_ONLY ? PROA_ACT_CHECK
								       : PROA_ACT_NOTHING;
	case PROA_EVENT_CHECK:
		return PROA_ACT_CHECK;
	case PROA_EVENT_UPDATE:
		return PROA_ACT_INSTALL;
	case PROA_EVENT_ROLLBACK:
		return PROA_ACT_ROLLBACK;
	case PROA_EVENT_DECIDE:
		return PROA_ACT_DECIDE;
	case PROA_EVENT_REBOOT:
		return PROA_ACT_REBOOT;
	default: /* nothing to cancel; an automatic reboot is for staged alone */
		return PROA_ACT_NOTHING;
	}
}

ProaAct proa_machine_decide(const ProaFacts *facts, ProaEvent event, ProaReason *ret_reason)
{
	if (facts->busy)
		return decide_busy(facts, event, ret_reason);

	switch (facts->state) {
	case PROA_STATE_IDLE:
	case PROA_STATE_GOOD:
	case PROA_STATE_FALLEN_BACK:
		return decide_free(facts, event, ret_reason);
	case PROA_STATE_STAGING: /* by a proa-install that is not our child */
		return event == PROA_EVENT_CANCEL ? refuse(PROA_REASON_BUSY, ret_reason)
						  : decide_busy(facts, event, ret_reason);
	case PROA_STATE_STAGED:
		if (event == PROA_EVENT_REBOOT_DUE)
			return facts->reboot_automatic ? PROA_ACT_REBOOT : PROA_ACT_NOTHING;
		return decide_free(facts, event, ret_reason);
	case PROA_STATE_TRIAL:
		/* The other slot holds the way back: it is not written until the running release is blessed.
		 */
		if (event == PROA_EVENT_TIMER)
			return PROA_ACT_NOTHING;
		if (event == PROA_EVENT_UPDATE)
			return refuse(PROA_REASON_TRIAL_BOOT, ret_reason);
		return decide_free(facts, event, ret_reason);
	default:
		return refuse(PROA_REASON_INTERNAL, ret_reason);
	}
}

ProaStateKind proa_machine_rest(const ProaState *state)
{
	gboolean blessed = state->good.root_hash && state->booted.root_hash &&
			   strcmp(state->good.root_hash, state->booted.root_hash) == 0;

	return blessed ? PROA_STATE_GOOD : PROA_STATE_IDLE;
}

ProaStateKind proa_machine_view(const ProaState *state, gboolean staging)
{
	if (staging)
		return PROA_STATE_STAGING;
	return state->kind == PROA_STATE_STAGING ? proa_machine_rest(state) : state->kind;
}
