/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/record.h"

#include "agent/machine.h"
#include "base/digest.h"
#include "base/file.h"

#include <string.h>

typedef struct {
	const char *result;
	const char *offered;
	gint64 started;
} Check;

/* Times are in seconds, so that a check in the same second counts only if it ended the same way. */
static gboolean recorded(const ProaState *state, const Check *check)
{
	return state->last_check >= check->started && g_strcmp0(state->last_check_result, check->result) == 0;
}

static void write_check(ProaState *state, gpointer data)
{
	const Check *check = data;

	if (recorded(state, check))
		return;
	state->last_check = g_get_real_time() / G_USEC_PER_SEC;
	g_set_str(&state->last_check_result, check->result);
	g_set_str(&state->last_check_offered, check->offered);
}

gboolean proa_record_check(const ProaPaths *paths, const ProaOutcome *outcome, gint64 started, GError **error)
{
	g_autoptr(ProaState) state = proa_state_load(paths->state_dir, NULL);

	if (!outcome->ok && (outcome->reason == PROA_REASON_CANCELLED || outcome->reason == PROA_REASON_BUSY))
		return TRUE;

	/* A payload that fails after the offer was a good check; the failure is in the history. */
	gboolean answered = outcome->ok || outcome->has_offer;
	Check check = { answered ? "ok" : proa_reason_to_string(outcome->reason),
		answered ? outcome->version : NULL, started };
	/* The common case writes nothing a second time. */
	if (state && recorded(state, &check))
		return TRUE;
	return proa_state_update(paths->state_dir, write_check, &check, error);
}

gboolean proa_record_staging(const ProaPaths *paths, const ProaState *state)
{
	return state->kind == PROA_STATE_STAGING && proa_paths_install_running(paths);
}

typedef struct {
	const ProaPaths *paths;
	gboolean healed;
	ProaStateRelease release;
} Interrupted;

static void heal(ProaState *state, gpointer data)
{
	Interrupted *interrupted = data;

	/* Asked again under the lock: another transaction may have begun since. */
	if (state->kind != PROA_STATE_STAGING || proa_paths_install_running(interrupted->paths))
		return;
	proa_state_set_release(
		&interrupted->release, state->staged.version, state->staged.root_hash, state->staged.slot);
	proa_state_set_release(&state->staged, NULL, NULL, NULL);
	state->kind = proa_machine_rest(state);
	interrupted->healed = TRUE;
}

gboolean proa_record_interrupted(const ProaPaths *paths, gboolean *ret_healed, GError **error)
{
	g_autoptr(ProaState) state = proa_state_load(paths->state_dir, NULL);
	Interrupted interrupted = { .paths = paths };
	gboolean written = TRUE;

	/* The common case writes nothing: the flash of a node is not worn out by an idle agent. */
	if (state && state->kind == PROA_STATE_STAGING && !proa_paths_install_running(paths))
		written = proa_state_update(paths->state_dir, heal, &interrupted, error);
	if (written && interrupted.healed)
		written = proa_history_append(paths->state_dir, "failed", &interrupted.release,
			proa_reason_to_string(PROA_REASON_INTERNAL),
			"the transaction died without a word; nothing was armed", error);
	proa_state_set_release(&interrupted.release, NULL, NULL, NULL);
	if (written && ret_healed)
		*ret_healed = interrupted.healed;
	return written;
}

char *proa_record_staged_at_boot(const ProaPaths *paths, const ProaState *state)
{
	g_autofree char *path = g_build_filename(paths->run_dir, "staged-at-boot", NULL);
	g_autofree char *known = proa_file_read(path, PROA_SHA256_HEX_LENGTH, NULL, NULL);

	if (known)
		return g_steal_pointer(&known);
	const char *hash = state->staged.root_hash ? state->staged.root_hash : "";
	g_autoptr(GError) error = NULL;
	/* Not kept, an agent that is started anew in this boot counts what is staged by then as staged
	 * before. */
	if (!proa_file_make_dirs(paths->run_dir, &error) ||
		!proa_file_replace(path, hash, strlen(hash), 0644, &error))
		g_debug("%s", error->message);
	return g_strdup(hash);
}
