/* SPDX-License-Identifier: Apache-2.0 */
/* proa-install: brings a release into the other slot. See proa-install(8) and docs/architecture.md
 * ("Programs"). */
#include "base/pages.h"
#include "base/until.h"
#include "base/version.h"
#include "updater/install/install.h"
#include "updater/install/report.h"
#include "updater/payload/repack.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
	char *root, *wanted, *token, *until;
	gint64 accept_stale; /* what until says */
	gboolean check, version, unattended;
	/* For tests; only with --root. */
	char *disk, *parts, *esp, *fetch_helper;
} Options;

static void options_clear(Options *options)
{
	g_free(options->root);
	g_free(options->wanted);
	g_free(options->token);
	g_free(options->until);
	g_free(options->disk);
	g_free(options->parts);
	g_free(options->esp);
	g_free(options->fetch_helper);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Options, options_clear)

static gboolean check_options(Options *options, int argc, GError **error)
{
	if (argc > 1)
		return proa_fail(error, PROA_REASON_USAGE, "no argument is expected");
	if (options->wanted && !proa_version_valid(options->wanted))
		return proa_fail(error, PROA_REASON_USAGE, "\"%s\" is not a version", options->wanted);
	if (options->token && !options->wanted)
		return proa_fail(
			error, PROA_REASON_USAGE, "--token needs --to VERSION: it is for one release");
	if (options->until && !proa_until_parse(options->until, &options->accept_stale))
		return proa_fail(error, PROA_REASON_USAGE,
			"--accept-stale: \"%s\" is no time to come (2026-12-31, or 2026-12-31T12:00:00Z)",
			options->until);
	if (!options->root && (options->disk || options->parts || options->esp || options->fetch_helper))
		return proa_fail(
			error, PROA_REASON_USAGE, "--disk, --parts, --esp and --fetch-helper need --root");
	/* A test must never reach the disk of the machine that it runs on. */
	if (options->root && !options->check && (!options->disk || !options->parts || !options->esp))
		return proa_fail(error, PROA_REASON_USAGE, "--root needs --disk, --parts and --esp");
	return TRUE;
}

static gboolean parse_options(int argc, char **argv, Options *options, GError **error)
{
	const GOptionEntry entries[] = {
		{ "check", 0, 0, G_OPTION_ARG_NONE, &options->check, "Say what the feed offers, and stop",
			NULL },
		{ "to", 0, 0, G_OPTION_ARG_STRING, &options->wanted,
			"Install that version (default: the newest)", "VERSION" },
		{ "token", 0, 0, G_OPTION_ARG_FILENAME, &options->token,
			"Break-glass token that lets VERSION be below the floor", "FILE" },
		{ "accept-stale", 0, 0, G_OPTION_ARG_STRING, &options->until,
			"Accept expired metadata until then (logged)", "DATE" },
		{ "unattended", 0, 0, G_OPTION_ARG_NONE, &options->unattended,
			"Wait while the running release is watched for crashes", NULL },
		{ "root", 0, 0, G_OPTION_ARG_FILENAME, &options->root,
			"Configuration and state below DIR (tests)", "DIR" },
		{ "disk", 0, G_OPTION_FLAG_HIDDEN, G_OPTION_ARG_FILENAME, &options->disk, NULL, "IMAGE" },
		{ "parts", 0, G_OPTION_FLAG_HIDDEN, G_OPTION_ARG_FILENAME, &options->parts, NULL, "DIR" },
		{ "esp", 0, G_OPTION_FLAG_HIDDEN, G_OPTION_ARG_FILENAME, &options->esp, NULL, "DIR" },
		{ "fetch-helper", 0, G_OPTION_FLAG_HIDDEN, G_OPTION_ARG_FILENAME, &options->fetch_helper,
			NULL, "FILE" },
		{ "version", 0, 0, G_OPTION_ARG_NONE, &options->version, "Print the version", NULL },
		{ NULL, 0, 0, G_OPTION_ARG_NONE, NULL, NULL, NULL },
	};
	g_autoptr(GOptionContext) context = g_option_context_new("- bring a release into the other slot");

	g_option_context_add_main_entries(context, entries, NULL);
	return g_option_context_parse(context, &argc, &argv, error) &&
	       (options->version || check_options(options, argc, error));
}

/* Waits for the first signal that asks to stop. */
static gpointer wait_for_signal(gpointer cancellable)
{
	sigset_t set;
	int number = 0;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigwait(&set, &number);
	g_cancellable_cancel(cancellable);
	g_object_unref(cancellable);
	return NULL;
}

/* Signals become a cancellable, so that a transaction ends where nothing is half-done. */
static GCancellable *catch_signals(void)
{
	GCancellable *cancellable = g_cancellable_new();
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	g_thread_unref(g_thread_new("signals", wait_for_signal, g_object_ref(cancellable)));
	return cancellable;
}

int main(int argc, char **argv)
{
	g_autoptr(GError) error = NULL;
	g_auto(Options) options = { 0 };
	int status;

	if (proa_repack_main(argc, argv, &status))
		return status;
	proa_pages_keep_few();
	g_set_prgname("proa-install");
	if (!parse_options(argc, argv, &options, &error)) {
		g_autoptr(GError) usage = g_error_new_literal(PROA_ERROR, PROA_REASON_USAGE, error->message);
		proa_report_error(usage);
		return PROA_EXIT_USAGE;
	}
	if (options.version) {
		puts("proa-install " PROA_VERSION);
		return PROA_EXIT_OK;
	}
	g_autoptr(GCancellable) cancellable = catch_signals();
	const ProaInstallOptions install = { .site = { .root = options.root ? options.root : "",
						     .disk = options.disk,
						     .parts = options.parts,
						     .esp = options.esp },
		.wanted = options.wanted,
		.token = options.token,
		.accept_stale = options.accept_stale,
		.unattended = options.unattended,
		.check = options.check,
		.fetch_helper = options.fetch_helper,
		.cancellable = cancellable };
	if (proa_install(&install, &error))
		return PROA_EXIT_OK;
	proa_report_error(error);
	return (int)proa_reason_exit(proa_reason_of(error));
}
