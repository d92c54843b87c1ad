/* SPDX-License-Identifier: Apache-2.0 */
/* proa-config: generations of /etc as commits (man page proa-config(8)); `proa config` runs it. */
#include "base/json.h"
#include "base/state.h"
#include "boot/entry.h"
#include "boot/generation.h"
#include "boot/repo.h"

#include <locale.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

typedef struct {
	char *root, *subject;
	gboolean json, version;
	char **words;
	/* Found out from the root. */
	char *etc, *state_dir, *generation;
	ProaRepo *repo;
} Config;

static void config_clear(Config *config)
{
	g_free(config->root);
	g_free(config->subject);
	g_strfreev(config->words);
	g_free(config->etc);
	g_free(config->state_dir);
	g_free(config->generation);
	g_clear_pointer(&config->repo, proa_repo_free);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Config, config_clear)

static int print_error(const Config *config, const GError *error)
{
	ProaReason reason = proa_reason_of(error);
	ProaExit status = proa_reason_exit(reason);
	const char *word = status == PROA_EXIT_FAILED ? "failed" : "refused";

	if (config->json) {
		g_autoptr(JsonObject) object = json_object_new();
		json_object_set_boolean_member(object, "ok", FALSE);
		json_object_set_string_member(object, "reason", proa_reason_to_string(reason));
		json_object_set_string_member(object, "message", error->message);
		json_object_set_string_member(object, "hint", proa_reason_hint(reason));
		json_object_set_int_member(object, "exit", status);
		g_autofree char *text = proa_json_to_text(object);
		fputs(text, stdout);
	}
	fprintf(stderr, "proa: %s (%s): %s\nhint: %s\n", word, proa_reason_to_string(reason), error->message,
		proa_reason_hint(reason));
	return (int)status;
}

static gboolean open_all(Config *config, GError **error)
{
	g_autofree char *root_hash = proa_booted_root_hash(config->root, error);

	if (!root_hash)
		return FALSE;
	config->generation = proa_generation_name(root_hash);
	config->etc = g_strconcat(config->root, "/etc", NULL);
	config->state_dir = g_strconcat(config->root, PROA_STATE_DIR, NULL);
	if (geteuid() != 0)
		return proa_fail(error, PROA_REASON_PERMISSION,
			"/etc holds secrets: only root may look at its history");
	config->repo = proa_repo_open(config->state_dir, error);
	return config->repo != NULL;
}

static int print_done(const Config *config, const char *result, const char *commit, const char *text)
{
	if (!config->json) {
		puts(text);
		return PROA_EXIT_OK;
	}
	g_autoptr(JsonObject) object = json_object_new();
	json_object_set_boolean_member(object, "ok", TRUE);
	json_object_set_string_member(object, "result", result);
	proa_json_set_string(object, "commit", commit);
	json_object_set_int_member(object, "exit", PROA_EXIT_OK);
	g_autofree char *json = proa_json_to_text(object);
	fputs(json, stdout);
	return PROA_EXIT_OK;
}

static gboolean commit(const Config *config, const char *subject, char **ret_commit, GError **error)
{
	return proa_repo_commit(config->repo, config->generation, config->etc, subject, ret_commit, error);
}

static gboolean run_commit(Config *config, int *ret_status, GError **error)
{
	g_autofree char *made = NULL;

	if (!commit(config, config->subject ? config->subject : "asked for by an operator", &made, error))
		return FALSE;
	g_autofree char *text = made ? g_strdup_printf("committed %.12s", made)
				     : g_strdup("nothing has changed since the last commit");
	*ret_status = print_done(config, made ? "committed" : "unchanged", made, text);
	return TRUE;
}

/* At each boot, before anything reads /etc that need not: a restore that was cut short is completed first. */
static gboolean run_settle(Config *config, int *ret_status, GError **error)
{
	g_autofree char *made = NULL;
	gboolean done = FALSE;

	if (!proa_repo_finish(config->repo, config->generation, config->etc, &done, error))
		return FALSE;
	if (!commit(config, done ? "restore completed at boot" : "at boot", &made, error))
		return FALSE;
	*ret_status = print_done(config,
		done   ? "completed"
		: made ? "committed"
		       : "unchanged",
		made,
		done   ? "a restore that was cut short is complete now"
		: made ? "committed"
		       : "unchanged");
	return TRUE;
}

static gboolean run_log(Config *config, int *ret_status, GError **error)
{
	g_autoptr(GPtrArray) log = proa_repo_log(config->repo, error);
	JsonArray *array = json_array_new();

	for (guint i = 0; log && i < log->len; i++) {
		const ProaRepoEntry *entry = g_ptr_array_index(log, i);
		g_autoptr(GDateTime) time = g_date_time_new_from_unix_utc(entry->time);
		g_autofree char *when = g_date_time_format(time, "%Y-%m-%d %H:%M:%S UTC");
		gboolean own = strcmp(entry->generation, config->generation) == 0;
		JsonObject *object = json_object_new();
		json_object_set_string_member(object, "commit", entry->commit);
		json_object_set_string_member(object, "generation", entry->generation);
		json_object_set_int_member(object, "time", entry->time);
		json_object_set_string_member(object, "subject", entry->subject);
		json_array_add_object_element(array, object);
		if (!config->json)
			printf("%.12s  %s  %.12s%s  %s\n", entry->commit, when, entry->generation,
				own ? "*" : " ", entry->subject);
	}
	g_autoptr(JsonObject) top = json_object_new();
	json_object_set_array_member(top, "commits", array);
	g_autofree char *text = proa_json_to_text(top);
	if (log && config->json)
		fputs(text, stdout);
	*ret_status = PROA_EXIT_OK;
	return log != NULL;
}

static void print_lines(const Config *config, const GPtrArray *lines)
{
	g_autoptr(JsonObject) top = json_object_new();
	JsonArray *array = json_array_new();

	for (guint i = 0; i < lines->len; i++) {
		const char *line = g_ptr_array_index(lines, i);
		g_autofree char *valid = g_utf8_make_valid(line, -1);
		g_autofree char *safe = g_strescape(valid, NULL);
		json_array_add_string_element(array, valid);
		if (!config->json)
			puts(safe);
	}
	json_object_set_array_member(top, "changes", array);
	g_autofree char *text = proa_json_to_text(top);
	if (config->json)
		fputs(text, stdout);
	else if (lines->len == 0)
		puts("no difference");
}

static gboolean run_diff(Config *config, int *ret_status, GError **error)
{
	guint count = g_strv_length(config->words);
	/* Without a commit: the newest one of this generation, which is what /etc was when it was last looked
	 * at. */
	g_autofree char *from =
		proa_repo_resolve(config->repo, count > 1 ? config->words[1] : config->generation, error);
	g_autofree char *to =
		from && count > 2 ? proa_repo_resolve(config->repo, config->words[2], error) : NULL;

	if (!from || (count > 2 && !to))
		return FALSE;
	g_autoptr(GPtrArray) lines = proa_repo_diff(config->repo, from, to, config->etc, error);
	if (lines)
		print_lines(config, lines);
	*ret_status = PROA_EXIT_OK;
	return lines != NULL;
}

static gboolean run_restore(Config *config, int *ret_status, GError **error)
{
	guint count = g_strv_length(config->words);
	g_autofree char *before = NULL, *after = NULL;

	if (count < 2)
		return proa_fail(
			error, PROA_REASON_USAGE, "restore needs a commit; `proa config log` lists them");
	g_autofree char *from = proa_repo_resolve(config->repo, config->words[1], error);
	/* What is there now can be brought back as well. */
	if (!from || !commit(config, "before a restore", &before, error))
		return FALSE;
	const char *const *paths = count > 2 ? (const char *const *)config->words + 2 : NULL;
	if (!proa_repo_restore(config->repo, config->generation, from, paths, config->etc, error))
		return FALSE;
	g_autofree char *subject = g_strdup_printf("restored from %.12s", from);
	if (!commit(config, subject, &after, error))
		return FALSE;
	*ret_status = print_done(
		config, "restored", from, "restored; what runs already may have to be restarted to see it");
	return TRUE;
}

static const struct {
	const char *verb;
	guint max_words;
	gboolean (*run)(Config *config, int *ret_status, GError **error);
} verbs[] = {
	{ "log", 1, run_log },
	{ "diff", 3, run_diff },
	{ "restore", G_MAXUINT, run_restore },
	{ "commit", 1, run_commit },
	{ "settle", 1, run_settle },
};

static gboolean run(Config *config, int *ret_status, GError **error)
{
	const char *verb = config->words && config->words[0] ? config->words[0] : "log";
	guint count = config->words ? g_strv_length(config->words) : 0;

	for (gsize i = 0; i < G_N_ELEMENTS(verbs); i++)
		if (strcmp(verbs[i].verb, verb) == 0 && count <= verbs[i].max_words)
			return open_all(config, error) && verbs[i].run(config, ret_status, error);
	return proa_fail(error, PROA_REASON_USAGE, "config takes log, diff, restore or commit (see --help)");
}

static gboolean parse(int *argc, char ***argv, Config *config, GError **error)
{
	const GOptionEntry entries[] = {
		{ "json", 0, 0, G_OPTION_ARG_NONE, &config->json, "One JSON object", NULL },
		{ "root", 0, 0, G_OPTION_ARG_FILENAME, &config->root, "Use another root directory", "DIR" },
		{ "subject", 0, 0, G_OPTION_ARG_STRING, &config->subject, "commit: why", "TEXT" },
		{ "version", 0, 0, G_OPTION_ARG_NONE, &config->version, "Print the version", NULL },
		{ G_OPTION_REMAINING, 0, 0, G_OPTION_ARG_FILENAME_ARRAY, &config->words, NULL, NULL },
		{ NULL, 0, 0, G_OPTION_ARG_NONE, NULL, NULL, NULL },
	};
	g_autoptr(GOptionContext) context =
		g_option_context_new("[log|diff|restore|commit [COMMIT] [PATH...]]");

	g_option_context_set_summary(context, "Generations of /etc as commits of a local OSTree repository.");
	g_option_context_add_main_entries(context, entries, NULL);
	if (!g_option_context_parse(context, argc, argv, error))
		return FALSE;
	if (!config->root)
		config->root = g_strdup("");
	return TRUE;
}

int main(int argc, char **argv)
{
	g_auto(Config) config = { 0 };
	g_autoptr(GError) error = NULL;
	int status = PROA_EXIT_FAILED;

	setlocale(LC_CTYPE, "");
	if (!parse(&argc, &argv, &config, &error))
		return print_error(&config, error);
	if (config.version)
		return puts("proa-config " PROA_VERSION) < 0;
	return run(&config, &status, &error) ? status : print_error(&config, error);
}
