/* SPDX-License-Identifier: Apache-2.0 */
/* proa-bootd: boot entries and the health of this boot (man page proa-bootd(8)). */
#include "base/file.h"
#include "base/json.h"
#include "boot/daemon.h"
#include "boot/doctor.h"
#include "boot/extension.h"
#include "boot/giveup.h"
#include "boot/operator.h"
#include "boot/proof.h"
#include "boot/rollback.h"
#include "boot/settle.h"
#include "boot/status.h"

#include <stdio.h>
#include <string.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#define SYNC_SECONDS 10
#define LOCK_SECONDS 30

typedef struct {
	ProaDaemonOptions daemon;
	char *root, *esp, *disk, *to, *reason, *detail, *systemd;
	gboolean version, no_reboot;
	int rate;
} Options;

typedef struct {
	const char *verb;
	int (*run)(const Options *options);
} Verb;

static void options_clear(Options *options)
{
	g_free(options->root);
	g_free(options->esp);
	g_free(options->disk);
	g_free(options->to);
	g_free(options->reason);
	g_free(options->detail);
	g_free(options->systemd);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Options, options_clear)

static void print_line(JsonObject *object)
{
	g_autofree char *line = proa_json_to_line(object);

	puts(line);
	fflush(stdout);
}

static int print_error(const GError *error)
{
	ProaReason reason = proa_reason_of(error);
	g_autoptr(JsonObject) line = json_object_new();

	json_object_set_string_member(line, "event", "error");
	json_object_set_string_member(line, "reason", proa_reason_to_string(reason));
	json_object_set_string_member(line, "message", error->message);
	json_object_set_string_member(line, "hint", proa_reason_hint(reason));
	print_line(line);
	return (int)proa_reason_exit(reason);
}

/* @note: one sentence that belongs to it, or NULL. */
static int print_done_with_note(const char *result, const ProaStateRelease *release, const char *note)
{
	g_autoptr(JsonObject) line = json_object_new();

	json_object_set_string_member(line, "event", "done");
	json_object_set_string_member(line, "result", result);
	proa_json_set_string(line, "version", release->version);
	proa_json_set_string(line, "root_hash", release->root_hash);
	proa_json_set_string(line, "slot", release->slot);
	if (note)
		json_object_set_string_member(line, "note", note);
	print_line(line);
	return PROA_EXIT_OK;
}

static int print_done(const char *result, const ProaStateRelease *release)
{
	return print_done_with_note(result, release, NULL);
}

/* For those who change no boot entry: the ESP is not written to. */
static ProaNode *open_to_read(const Options *options, GError **error)
{
	ProaNodeOptions to_read = options->daemon.node;

	to_read.to_read = TRUE;
	return proa_node_open(&to_read, error);
}

static int run_status(const Options *options)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(ProaNode) node = open_to_read(options, &error);

	if (!node)
		return print_error(error);
	g_autoptr(JsonObject) status = proa_status(node);
	print_line(status);
	return PROA_EXIT_OK;
}

static int run_doctor(const Options *options)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(ProaNode) node = open_to_read(options, &error);
	if (!node)
		return print_error(error);
	g_autoptr(JsonObject) top = json_object_new();
	json_object_set_array_member(top, "checks", proa_doctor(node));
	print_line(top);
	return PROA_EXIT_OK;
}

/* What proa-bootd.service does when it is stopped, which in good order only a shutdown does. */
static int run_going_down(const Options *options)
{
	g_autoptr(GError) error = NULL;

	return proa_daemon_going_down(options->daemon.node.root, &error) ? PROA_EXIT_OK : print_error(error);
}

/* What proa-uptime.timer does. */
static int run_goes_on(const Options *options)
{
	g_autoptr(GError) error = NULL;

	return proa_daemon_goes_on(options->daemon.node.root, &error) ? PROA_EXIT_OK : print_error(error);
}

/* At most one line in this time. */
#define PROGRESS_MICROSECONDS (G_USEC_PER_SEC / 2)

typedef struct {
	gint64 last;
} Progress;

static gboolean print_progress(guint64 done, guint64 total, gpointer data)
{
	Progress *progress = data;
	gint64 now = g_get_monotonic_time();

	if (done < total && now - progress->last < PROGRESS_MICROSECONDS)
		return TRUE;
	g_autoptr(JsonObject) line = json_object_new();
	json_object_set_string_member(line, "event", "progress");
	json_object_set_string_member(line, "phase", "scrub");
	json_object_set_int_member(line, "done", (gint64)done);
	json_object_set_int_member(line, "total", (gint64)total);
	print_line(line);
	progress->last = now;
	return TRUE;
}

static int run_rollback_check(const Options *options)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(ProaNode) node = open_to_read(options, &error);
	const ProaStateRelease *next = NULL;
	g_autofree char *note = NULL;
	Progress progress = { 0 };

	if (!node || !proa_proof_rollback(node, options->to, print_progress, &progress, &next, &note, &error))
		return print_error(error);
	return print_done_with_note("would-work", next, note);
}

static int run_rollback_plan(const Options *options)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(ProaNode) node = open_to_read(options, &error);
	const ProaStateRelease *next = NULL;

	if (!node || !proa_rollback_plan(node, options->to, &next, &error))
		return print_error(error);
	return print_done("would-work", next);
}

static int run_scrub(const Options *options)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(ProaNode) node = open_to_read(options, &error);
	guint64 rate = (guint64)MAX(options->rate, 0) * 1024 * 1024;
	Progress progress = { 0 };
	ProaScrub scrub;

	if (!node || !proa_proof_other(node, rate, print_progress, &progress, &scrub, &error))
		return print_error(error);
	return print_done(scrub.bad ? "damaged" : "sound", &node->other);
}

/* An operator's word about a release. */
typedef gboolean (*Decide)(
	ProaNode *node, const char *release, ProaStateRelease *ret_release, GError **error);

static int run_decision(const Options *options, Decide decide, const char *result)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(ProaNode) node = proa_node_open(&options->daemon.node, &error);
	ProaStateRelease release = { 0 };

	if (!node || !decide(node, options->to, &release, &error))
		return print_error(error);
	print_done(result, &release);
	proa_state_set_release(&release, NULL, NULL, NULL);
	return PROA_EXIT_OK;
}

static int run_reject(const Options *options)
{
	return run_decision(options, proa_operator_reject, "rejected");
}

static int run_unreject(const Options *options)
{
	return run_decision(options, proa_operator_unreject, "unrejected");
}

static int run_pin(const Options *options)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(ProaNode) node = proa_node_open(&options->daemon.node, &error);
	ProaStateRelease release = { 0 };
	g_autofree char *left = NULL, *note = NULL;

	if (!node || !proa_operator_pin(node, options->to, &release, &left, &error))
		return print_error(error);
	if (left)
		note = g_strdup_printf("release %s was to boot next, and does not any more", left);
	print_done_with_note("pinned", &release, note);
	proa_state_set_release(&release, NULL, NULL, NULL);
	return PROA_EXIT_OK;
}

static gboolean unpin(
	ProaNode *node, G_GNUC_UNUSED const char *release, ProaStateRelease *ret, GError **error)
{
	return proa_operator_unpin(node, ret, error);
}

static int run_unpin(const Options *options)
{
	return run_decision(options, unpin, "unpinned");
}

static int run_rollback(const Options *options)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(ProaNode) node = proa_node_open(&options->daemon.node, &error);
	const ProaStateRelease *next = NULL;

	gboolean before = node && proa_rollback_is_next(node, options->to, &next);

	if (!node || !proa_rollback(node, options->to, &next, &error))
		return print_error(error);
	return print_done_with_note("rolled-back", next, before ? "it was to boot next before, too" : NULL);
}

static int run_bless(const Options *options)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(ProaNode) node = proa_node_open(&options->daemon.node, &error);

	if (!node || !proa_node_bless(node, &error))
		return print_error(error);
	return print_done("blessed", &node->booted);
}

static gboolean give_up(const Options *options, ProaReason reason, const ProaNode *node,
	gboolean *ret_switched, GError **error)
{
	ProaGiveUp what = { .root_hash = node->booted.root_hash,
		.reason = reason,
		.detail = options->detail,
		.where = "system" };
	PROA_AUTO_FD int lock = proa_esp_lock(node->run_dir, LOCK_SECONDS, error);

	return lock >= 0 && proa_give_up(node->esp, &what, ret_switched, error);
}

static int run_give_up(const Options *options)
{
	ProaReason reason = proa_reason_from_string(options->reason ? options->reason : "");
	g_autoptr(GError) error = NULL;
	gboolean switched = FALSE;

	if (reason == PROA_REASON_MAX) {
		proa_fail(&error, PROA_REASON_USAGE, "give-up needs --reason with a reason word");
		return print_error(error);
	}
	g_autoptr(ProaNode) node = proa_node_open(&options->daemon.node, &error);
	if (!node || !give_up(options, reason, node, &switched, &error))
		print_error(error);
	else
		print_done(switched ? "gave-up" : "no-other", &node->booted);
	if (!options->daemon.no_reboot)
		proa_reboot_now(SYNC_SECONDS);
	return switched ? PROA_EXIT_OK : PROA_EXIT_FAILED;
}

/* Before systemd-sysext merges: its policy asks images for a signature, and directories for nothing. */
static int run_check_extensions(const Options *options)
{
	g_autofree char *path = NULL;
	g_autoptr(GError) error = NULL;

	if (proa_extension_find_directory(options->root ? options->root : "", &path, &error) && path)
		proa_fail(&error, PROA_REASON_NOT_VERIFIED,
			"%s is a directory: nothing verifies it, so no system extension is merged; take it away, "
			"and use a signed image (systemd-sysext(8))",
			path);
	return error ? print_error(error) : PROA_EXIT_OK;
}

static int run_daemon(const Options *options)
{
	return proa_daemon_run(&options->daemon);
}

static const Verb verbs[] = {
	{ "run", run_daemon },
	{ "status", run_status },
	{ "rollback", run_rollback },
	{ "check-rollback", run_rollback_check },
	{ "plan-rollback", run_rollback_plan },
	{ "bless", run_bless },
	{ "give-up", run_give_up },
	{ "reject", run_reject },
	{ "unreject", run_unreject },
	{ "pin", run_pin },
	{ "unpin", run_unpin },
	{ "scrub", run_scrub },
	{ "doctor", run_doctor },
	{ "goes-on", run_goes_on },
	{ "going-down", run_going_down },
	{ "check-extensions", run_check_extensions },
};

/* To the journal, each line with its priority; libraries above speak through g_warning() and g_message(). */
static GLogWriterOutput write_log(
	GLogLevelFlags level, const GLogField *fields, gsize count, G_GNUC_UNUSED gpointer data)
{
	const char *prefix = level & (G_LOG_LEVEL_WARNING | G_LOG_LEVEL_CRITICAL | G_LOG_LEVEL_ERROR)
				     ? SD_WARNING
				     : SD_INFO;

	if (level & G_LOG_LEVEL_DEBUG)
		return G_LOG_WRITER_HANDLED;
	for (gsize i = 0; i < count; i++)
		if (strcmp(fields[i].key, "MESSAGE") == 0)
			fprintf(stderr, "%s%s\n", prefix, (const char *)fields[i].value);
	return G_LOG_WRITER_HANDLED;
}

static gboolean parse(int *argc, char ***argv, Options *options, GError **error)
{
	const GOptionEntry entries[] = {
		{ "root", 0, 0, G_OPTION_ARG_FILENAME, &options->root, "Use another root directory", "DIR" },
		{ "esp", 0, 0, G_OPTION_ARG_FILENAME, &options->esp, "A directory in place of the ESP",
			"DIR" },
		{ "disk", 0, 0, G_OPTION_ARG_FILENAME, &options->disk, "An image in place of the node's disk",
			"FILE" },
		{ "systemd", 0, 0, G_OPTION_ARG_STRING, &options->systemd,
			"D-Bus address of the system manager", "ADDRESS" },
		{ "no-reboot", 0, 0, G_OPTION_ARG_NONE, &options->no_reboot, "Leave the reboot to the caller",
			NULL },
		{ "to", 0, 0, G_OPTION_ARG_STRING, &options->to,
			"rollback: only to this version; reject, unreject: this one; pin: to this version",
			"RELEASE" },
		{ "rate", 0, 0, G_OPTION_ARG_INT, &options->rate, "scrub: MiB a second at most; 0: no limit",
			"N" },
		{ "reason", 0, 0, G_OPTION_ARG_STRING, &options->reason, "give-up: reason word", "WORD" },
		{ "detail", 0, 0, G_OPTION_ARG_STRING, &options->detail, "give-up: one sentence", "TEXT" },
		{ "version", 0, 0, G_OPTION_ARG_NONE, &options->version, "Print the version", NULL },
		{ NULL, 0, 0, G_OPTION_ARG_NONE, NULL, NULL, NULL },
	};
	g_autoptr(GOptionContext) context = g_option_context_new("VERB");

	g_option_context_set_summary(context,
		"Boot entries and the health of this boot.\n\n"
		"Verbs: run, status, rollback, check-rollback, plan-rollback, bless, give-up, reject, unreject, pin, unpin, scrub, doctor, goes-on, going-down, check-extensions");
	g_option_context_add_main_entries(context, entries, NULL);
	if (!g_option_context_parse(context, argc, argv, error))
		return FALSE;
	options->daemon = (ProaDaemonOptions){ .node = { options->root ? options->root : "", options->esp,
						       options->disk },
		.systemd = options->systemd,
		.no_reboot = options->no_reboot };
	return TRUE;
}

int main(int argc, char **argv)
{
	g_auto(Options) options = { 0 };
	g_autoptr(GError) error = NULL;

	g_log_set_writer_func(write_log, NULL, NULL);
	if (!parse(&argc, &argv, &options, &error)) {
		fprintf(stderr, "proa-bootd: %s\n", error->message);
		return PROA_EXIT_USAGE;
	}
	if (options.version)
		return puts("proa-bootd " PROA_VERSION) < 0;
	for (gsize i = 0; argc == 2 && i < G_N_ELEMENTS(verbs); i++)
		if (strcmp(argv[1], verbs[i].verb) == 0)
			return verbs[i].run(&options);
	fprintf(stderr, "proa-bootd: needs one verb (see --help)\n");
	return PROA_EXIT_USAGE;
}
