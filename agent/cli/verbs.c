/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/cli/verbs.h"

#include "agent/cli/client.h"
#include "agent/cli/direct.h"
#include "agent/cli/inspect.h"
#include "agent/cli/later.h"
#include "agent/cli/print.h"
#include "agent/history.h"
#include "agent/status.h"
#include "agent/text.h"
#include "base/json.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

typedef struct {
	const ProaOptions *options;
	ProaPaths *paths;
	ProaProgress *progress;
} Run;

/* --- output
 * ------------------------------------------------------------------------------------------------------- */

static void print_json(JsonObject *object)
{
	g_autofree char *text = proa_json_to_text(object);

	fputs(text, stdout);
}

/* Prints an outcome, well or not, and returns its exit status. */
static ProaExit print_outcome(const ProaOptions *options, JsonObject *outcome)
{
	gboolean ok = proa_json_bool_or(outcome, "ok", FALSE);
	gint64 status = proa_json_int_or(outcome, "exit", ok ? PROA_EXIT_OK : PROA_EXIT_FAILED);

	if (options->json) {
		print_json(outcome);
	} else {
		g_autofree char *text = ok ? proa_print_done(outcome) : proa_print_not_done(outcome);
		fputs(text, ok ? stdout : stderr);
	}
	return status >= 0 && status <= PROA_EXIT_NOTHING ? (ProaExit)status : PROA_EXIT_FAILED;
}

static JsonObject *failed(const char *operation, const GError *error)
{
	g_autoptr(ProaOutcome) outcome = proa_outcome_new();

	proa_outcome_fail(outcome, error);
	return proa_outcome_to_json(outcome, operation);
}

static JsonObject *succeeded(const char *operation, const char *result)
{
	g_autoptr(ProaOutcome) outcome = proa_outcome_new();

	outcome->ok = TRUE;
	g_set_str(&outcome->result, result);
	return proa_outcome_to_json(outcome, operation);
}

ProaExit proa_verb_fail(const char *operation, gboolean json, const GError *error)
{
	ProaOptions options = { .json = json };
	g_autoptr(JsonObject) outcome = failed(operation, error);

	return print_outcome(&options, outcome);
}

static ProaProgressStyle progress_style(const ProaOptions *options)
{
	if (options->json)
		return PROA_PROGRESS_JSON;
	return isatty(STDERR_FILENO) && g_strcmp0(g_getenv("TERM"), "dumb") != 0 ? PROA_PROGRESS_TERMINAL
										 : PROA_PROGRESS_LINES;
}

/* --- proad, or without it
 * ----------------------------------------------------------------------------------------- */

static gboolean is_absence(const GError *error)
{
	return error && proa_reason_of(error) == PROA_REASON_NO_AGENT;
}

static void say_without_agent(const Run *run, const GError *error, const char *instead)
{
	g_autofree char *safe = proa_text_safe(error->message);
	g_autofree char *text = g_strdup_printf("proa: %s; %s", safe, instead);

	proa_progress_say(run->progress, text);
}

static JsonObject *get_status(const Run *run)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(ProaClient) client = proa_client_open(&error);
	JsonObject *status = client ? proa_client_status(client, &error) : NULL;

	return status ? status : proa_direct_status(run->paths);
}

/* Runs an operation to its end; the outcome is never NULL. */
/* What proad is not asked to decide: the arguments for proa-install, or NULL. */
static char **decision_of(const ProaOptions *options)
{
	g_autoptr(GStrvBuilder) words = g_strv_builder_new();
	/* The child may run in another directory. */
	g_autofree char *token = options->token ? g_canonicalize_filename(options->token, NULL) : NULL;

	if (!options->token && !options->accept_stale)
		return NULL;
	if (token)
		g_strv_builder_add_many(words, "--token", token, NULL);
	if (options->accept_stale)
		g_strv_builder_add_many(words, "--accept-stale", options->accept_stale, NULL);
	return g_strv_builder_end(words);
}

static JsonObject *decide(const Run *run, ProaOperation operation)
{
	g_autoptr(GError) error = NULL;
	JsonObject *outcome = NULL;

	if (geteuid() != 0)
		proa_fail(
			&error, PROA_REASON_PERMISSION, "--token and --accept-stale are for root to decide");
	else
		outcome = proa_direct_operate(run->paths, operation, run->options->to, run->progress, &error);
	proa_progress_end(run->progress);
	return outcome ? outcome : failed(proa_operation_to_string(operation), error);
}

static JsonObject *operate(const Run *run, ProaOperation operation)
{
	if (run->paths->decision)
		return decide(run, operation);
	g_autoptr(GError) error = NULL;
	g_autoptr(ProaClient) client = proa_client_open(&error);
	const char *version = run->options->to;
	JsonObject *outcome = NULL;
	gboolean started = FALSE;

	if (client)
		outcome = proa_client_operate(client, operation, version, run->progress, &started, &error);
	if (!outcome && !started && is_absence(error) && geteuid() == 0) {
		say_without_agent(run, error,
			proa_operation_asks_feed(operation) ? "running proa-install directly"
							    : "running proa-bootd directly");
		g_clear_error(&error);
		outcome = proa_direct_operate(run->paths, operation, version, run->progress, &error);
	}
	proa_progress_end(run->progress);
	return outcome ? outcome : failed(proa_operation_to_string(operation), error);
}

static JsonObject *reboot(const Run *run)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(ProaClient) client = proa_client_open(&error);
	gboolean done = client && proa_client_call(client, "Reboot", NULL, &error);

	if (!done && is_absence(error) && geteuid() == 0) {
		say_without_agent(run, error, "asking systemd directly");
		g_clear_error(&error);
		done = proa_direct_reboot(run->paths, &error);
	}
	return done ? succeeded("reboot", "rebooting") : failed("reboot", error);
}

/* --- verbs
 * -------------------------------------------------------------------------------------------------------- */

static ProaExit verb_status(const Run *run)
{
	g_autoptr(JsonObject) status = get_status(run);

	if (run->options->json) {
		print_json(status);
	} else {
		g_autofree char *text = proa_print_status(status, g_get_real_time() / G_USEC_PER_SEC);
		fputs(text, stdout);
	}
	return PROA_EXIT_OK;
}

static gboolean is_staged(const Run *run)
{
	g_autoptr(JsonObject) status = get_status(run);

	return strcmp(proa_json_string_or(status, "state", ""), "staged") == 0;
}

/* Whether an operation leads to the reboot that was asked for with it. */
static gboolean leads_to_reboot(const Run *run, JsonObject *outcome)
{
	if (!run->options->reboot)
		return FALSE;
	if (proa_json_bool_or(outcome, "ok", FALSE))
		return TRUE;
	/* Nothing newer than what is staged already: the reboot is what was still missing. */
	return run->options->verb == PROA_VERB_UPDATE &&
	       strcmp(proa_json_string_or(outcome, "reason", ""), "no-update") == 0 && is_staged(run);
}

static ProaExit operate_and_reboot(const Run *run, ProaOperation operation)
{
	g_autoptr(JsonObject) outcome = operate(run, operation);

	if (!leads_to_reboot(run, outcome))
		return print_outcome(run->options, outcome);
	if (!run->options->json)
		print_outcome(run->options, outcome);
	g_autoptr(JsonObject) rebooted = reboot(run);
	if (!run->options->json || !proa_json_bool_or(rebooted, "ok", FALSE))
		return print_outcome(run->options, rebooted);
	/* One object: what was done, and that the reboot is under way. */
	json_object_set_boolean_member(outcome, "rebooting", TRUE);
	print_json(outcome);
	return PROA_EXIT_OK;
}

static ProaExit verb_update(const Run *run)
{
	if (!run->options->no_wait)
		return operate_and_reboot(run, PROA_OPERATION_UPDATE);

	g_autoptr(GError) error = NULL;
	g_autoptr(ProaClient) client = proa_client_open(&error);
	const char *version = run->options->to ? run->options->to : "";
	gboolean started = client && proa_client_call(client, "Update", version, &error);
	g_autoptr(JsonObject) outcome = started ? succeeded("update", "started") : failed("update", error);
	return print_outcome(run->options, outcome);
}

static ProaExit verb_reboot(const Run *run)
{
	g_autoptr(JsonObject) outcome = reboot(run);

	return print_outcome(run->options, outcome);
}

static ProaExit verb_history(const Run *run)
{
	const ProaOptions *options = run->options;
	g_autoptr(GError) error = NULL;
	g_autoptr(JsonArray) entries =
		options->rejected ? proa_status_rejected(run->paths, &error)
				  : proa_history_load(run->paths->state_dir, options->count, &error);

	if (!entries)
		return proa_verb_fail("history", options->json, error);
	if (options->json) {
		g_autoptr(JsonObject) object = json_object_new();
		json_object_set_array_member(
			object, options->rejected ? "rejected" : "history", json_array_ref(entries));
		print_json(object);
		return PROA_EXIT_OK;
	}
	g_autofree char *text =
		options->rejected ? proa_print_rejected(entries) : proa_print_history(entries);
	fputs(*text                 ? text
		: options->rejected ? "nothing was rejected\n"
				    : "nothing has happened yet\n",
		stdout);
	return PROA_EXIT_OK;
}

/* What would be refused then is refused now; and what is planned names the release, whatever is next by then.
 */
static JsonObject *plan_rollback(const Run *run, GError **error)
{
	const ProaOptions *options = run->options;
	g_autofree char *note = NULL, *when = NULL;

	if (geteuid() != 0) {
		proa_fail(error, PROA_REASON_PERMISSION, "only root may plan a rollback");
		return NULL;
	}
	if (!proa_later_check(options->at, &when, error))
		return NULL;
	g_autoptr(JsonObject) outcome = proa_direct_operate(
		run->paths, PROA_OPERATION_PLAN_ROLLBACK, options->to, run->progress, error);
	if (!outcome)
		return NULL;
	json_object_set_string_member(outcome, "operation", "rollback");
	if (!proa_json_bool_or(outcome, "ok", FALSE))
		return g_steal_pointer(&outcome);
	if (!proa_later_plan(when, proa_json_string_or(outcome, "version", ""), &note, error))
		return NULL;
	json_object_set_string_member(outcome, "result", "planned");
	if (note)
		json_object_set_string_member(outcome, "note", note);
	return g_steal_pointer(&outcome);
}

static ProaExit verb_rollback_later(const Run *run)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(JsonObject) planned = plan_rollback(run, &error);
	g_autoptr(JsonObject) outcome = planned ? json_object_ref(planned) : failed("rollback", error);

	proa_progress_end(run->progress);
	return print_outcome(run->options, outcome);
}

static ProaExit verb_rollback(const Run *run)
{
	if (run->options->check)
		return operate_and_reboot(run, PROA_OPERATION_CHECK_ROLLBACK);
	return run->options->at ? verb_rollback_later(run) : operate_and_reboot(run, PROA_OPERATION_ROLLBACK);
}

static ProaExit verb_health(const Run *run)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(JsonObject) report = proa_inspect_health(run->paths, &error);

	if (!report)
		return proa_verb_fail("health", run->options->json, error);
	if (run->options->json) {
		print_json(report);
	} else {
		g_autofree char *text = proa_inspect_health_text(report);
		fputs(text, stdout);
	}
	return proa_inspect_health_bad(report) ? PROA_EXIT_FAILED : PROA_EXIT_OK;
}

static ProaExit show_last_page(const Run *run)
{
	g_autoptr(GError) error = NULL;
	g_autofree char *page = proa_inspect_last_page(run->paths, &error);

	if (!page && proa_reason_of(error) == PROA_REASON_NOT_FOUND) {
		g_autoptr(GError) nothing = NULL;
		proa_fail(&nothing, PROA_REASON_NO_UPDATE, "%s", error->message);
		return proa_verb_fail("log", run->options->json, nothing);
	}
	if (!page)
		return proa_verb_fail("log", run->options->json, error);
	if (!run->options->json) {
		fputs(page, stdout);
		return PROA_EXIT_OK;
	}
	g_autoptr(JsonObject) object = json_object_new();
	json_object_set_string_member(object, "page", page);
	print_json(object);
	return PROA_EXIT_OK;
}

static ProaExit verb_log(const Run *run)
{
	g_autoptr(GError) error = NULL;

	if (run->options->last_failure)
		return show_last_page(run);
	g_autoptr(JsonArray) pages = proa_inspect_pages(run->paths, &error);
	if (!pages)
		return proa_verb_fail("log", run->options->json, error);
	if (run->options->json) {
		g_autoptr(JsonObject) object = json_object_new();
		json_object_set_array_member(object, "pages", json_array_ref(pages));
		print_json(object);
		return PROA_EXIT_OK;
	}
	g_autofree char *text = proa_print_pages(pages);
	fputs(*text ? text : "no release has failed here, as far as is remembered\n", stdout);
	return PROA_EXIT_OK;
}

static ProaExit verb_doctor(const Run *run)
{
	g_autoptr(JsonObject) feed = operate(run, PROA_OPERATION_CHECK);
	g_autoptr(JsonArray) checks = proa_inspect_doctor(run->paths, feed);

	if (run->options->json) {
		g_autoptr(JsonObject) object = json_object_new();
		json_object_set_array_member(object, "checks", json_array_ref(checks));
		print_json(object);
	} else {
		g_autofree char *text = proa_inspect_doctor_text(checks);
		fputs(text, stdout);
	}
	return proa_inspect_doctor_bad(checks) ? PROA_EXIT_FAILED : PROA_EXIT_OK;
}

/* The generations are proa-config's; it takes over, with our arguments. */
static ProaExit verb_config(const Run *run)
{
	g_autoptr(GPtrArray) argv = g_ptr_array_new_with_free_func(g_free);
	g_autoptr(GError) error = NULL;

	g_ptr_array_add(argv, g_build_filename(run->paths->libexec, "proa-config", NULL));
	if (run->options->json)
		g_ptr_array_add(argv, g_strdup("--json"));
	if (*run->paths->root) {
		g_ptr_array_add(argv, g_strdup("--root"));
		g_ptr_array_add(argv, g_strdup(run->paths->root));
	}
	g_ptr_array_add(argv, g_strdup("--"));
	for (char **word = run->options->words; *word; word++)
		g_ptr_array_add(argv, g_strdup(*word));
	g_ptr_array_add(argv, NULL);
	execv(g_ptr_array_index(argv, 0), (char **)argv->pdata);
	proa_fail_errno(&error, PROA_REASON_NOT_FOUND, errno, "%s", (char *)g_ptr_array_index(argv, 0));
	return proa_verb_fail("config", run->options->json, error);
}

ProaExit proa_verb_run(const ProaOptions *options)
{
	g_autoptr(ProaPaths) paths = proa_paths_new(options->root, options->libexec);
	g_autoptr(ProaProgress) progress = proa_progress_new(stderr, progress_style(options));
	Run run = { options, paths, progress };

	paths->decision = decision_of(options);

	switch (options->verb) {
	case PROA_VERB_STATUS:
		return verb_status(&run);
	case PROA_VERB_CHECK:
		return operate_and_reboot(&run, PROA_OPERATION_CHECK);
	case PROA_VERB_UPDATE:
		return verb_update(&run);
	case PROA_VERB_ROLLBACK:
		return verb_rollback(&run);
	case PROA_VERB_BLESS:
		return operate_and_reboot(&run, PROA_OPERATION_BLESS);
	case PROA_VERB_REJECT:
		return operate_and_reboot(&run, PROA_OPERATION_REJECT);
	case PROA_VERB_UNREJECT:
		return operate_and_reboot(&run, PROA_OPERATION_UNREJECT);
	case PROA_VERB_PIN:
		return operate_and_reboot(&run, PROA_OPERATION_PIN);
	case PROA_VERB_UNPIN:
		return operate_and_reboot(&run, PROA_OPERATION_UNPIN);
	case PROA_VERB_HEALTH:
		return verb_health(&run);
	case PROA_VERB_LOG:
		return verb_log(&run);
	case PROA_VERB_DOCTOR:
		return verb_doctor(&run);
	case PROA_VERB_CONFIG:
		return verb_config(&run);
	case PROA_VERB_REBOOT:
		return verb_reboot(&run);
	case PROA_VERB_HISTORY:
		return verb_history(&run);
	default:
		return PROA_EXIT_USAGE;
	}
}
