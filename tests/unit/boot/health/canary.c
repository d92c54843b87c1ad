/* SPDX-License-Identifier: Apache-2.0 */
/* A canary really runs: real containerd, real runc, and the image that lies in the tree, made by proa-image's
 * own code. */
#include "tests/unit/boot/health/containerd.h"

/* Puts the image archive of the program @source (C) into the tree at the scratch folder. */
static void make_image(const Scratch *scratch, const char *source)
{
	static const char script[] =
		"import sys, pathlib; sys.path.insert(0, sys.argv[1] + '/images/build')\n"
		"from proa_image import canary; canary.make(pathlib.Path(sys.argv[2]))\n";
	g_autofree char *code = scratch_write(scratch, "canary.c", source, -1);
	g_autofree char *program = scratch_write(scratch, "usr/lib/proa/canary", "", -1);
	const char *compile[] = { "cc", "-static", "-o", program, code, NULL };
	const char *pack[] = { "python3", "-c", script, g_getenv("PROA_SOURCE"), scratch->path, NULL };
	const char *const *commands[] = { compile, pack };

	for (gsize i = 0; i < G_N_ELEMENTS(commands); i++) {
		g_autoptr(GError) error = NULL;
		g_autoptr(GSubprocess) process =
			g_subprocess_newv(commands[i], G_SUBPROCESS_FLAGS_NONE, &error);
		g_assert_no_error(error);
		g_assert_true(g_subprocess_wait_check(process, NULL, &error));
		g_assert_no_error(error);
	}
}

#define ALIVE "#include <stdio.h>\nint main(void){return printf(\"proa-canary: alive\\n\")<0;}\n"
#define MUTE "#include <stdio.h>\nint main(void){return printf(\"not quite\\n\")<0;}\n"
#define STUCK "#include <unistd.h>\nint main(void){for(;;)pause();}\n"

static ProaHealthResult check(const Daemon *daemon, const char *more, GHashTable *memory)
{
	g_autofree char *text =
		g_strdup_printf("[containerd]\nsocket=%s\n[canary]\n%s\n", daemon->socket, more);

	return context_check_with(&daemon->scratch, &proa_health_canary, text, NULL, memory);
}

static void a_container_runs_and_answers(void)
{
	g_auto(Daemon) daemon = { 0 };
	g_autoptr(GHashTable) memory = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);

	if (!daemon_start(&daemon))
		return;
	make_image(&daemon.scratch, ALIVE);
	context_expect_ok(check(&daemon, "timeout=60s", memory));
	g_assert_cmpuint(g_hash_table_size(memory), ==, 1);

	/* Once is enough for a boot, even if containerd is gone since. */
	g_subprocess_force_exit(daemon.process);
	context_expect_ok(check(&daemon, "timeout=60s", memory));
	context_expect_node(check(&daemon, "timeout=5s", NULL), PROA_REASON_CANARY, "ctr images");
}

static void another_answer_is_no_answer(void)
{
	g_auto(Daemon) daemon = { 0 };

	if (!daemon_start(&daemon))
		return;
	make_image(&daemon.scratch, MUTE);
	context_expect_node(check(&daemon, "timeout=60s", NULL), PROA_REASON_CANARY, "not quite");
}

/* What the time limit cut off does not keep the next try from its name. */
static void one_that_hangs_is_killed_and_gone(void)
{
	g_auto(Daemon) daemon = { 0 };

	if (!daemon_start(&daemon))
		return;
	make_image(&daemon.scratch, STUCK);
	context_expect_node(check(&daemon, "timeout=8s", NULL), PROA_REASON_CANARY, "no end within 8 s");
	make_image(&daemon.scratch, ALIVE);
	context_expect_ok(check(&daemon, "timeout=60s", NULL));
}

static void what_is_not_there_is_skipped(void)
{
	g_auto(Scratch) scratch = scratch_new();

	context_expect_skipped(context_check(&scratch, &proa_health_canary, "", NULL), "no canary image");
	context_expect_skipped(
		context_check(&scratch, &proa_health_canary, "[canary]\nenabled=no\n", NULL), "[canary]");
	context_expect_skipped(
		context_check(&scratch, &proa_health_canary, "[containerd]\nenabled=no\n", NULL),
		"[containerd]");
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/canary/a-container-runs-and-answers", a_container_runs_and_answers);
	g_test_add_func("/canary/another-answer-is-no-answer", another_answer_is_no_answer);
	g_test_add_func("/canary/one-that-hangs-is-killed-and-gone", one_that_hangs_is_killed_and_gone);
	g_test_add_func("/canary/what-is-not-there-is-skipped", what_is_not_there_is_skipped);
	return g_test_run();
}
