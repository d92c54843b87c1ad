/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/child.h"

#include "tests/unit/agent/loop.h"

#include <string.h>
#include <sys/wait.h>

typedef struct {
	sd_event *event;
	GString *output;
	char *last_words;
	int code, status;
	guint ends;
} Heard;

static void on_output(const char *bytes, gsize size, gpointer data)
{
	Heard *heard = data;

	g_string_append_len(heard->output, bytes, (gssize)size);
}

static void on_ended(int code, int status, const char *last_words, gpointer data)
{
	Heard *heard = data;

	heard->code = code;
	heard->status = status;
	heard->last_words = g_strdup(last_words);
	heard->ends++;
	sd_event_exit(heard->event, 0);
}

static const ProaChildWatcher watcher = { on_output, on_ended };

static Heard heard_new(void)
{
	return (Heard){ .event = loop_new(), .output = g_string_new(NULL) };
}

static void heard_clear(Heard *heard)
{
	sd_event_unref(heard->event);
	g_string_free(heard->output, TRUE);
	g_free(heard->last_words);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Heard, heard_clear)

static ProaChild *start(Heard *heard, const char *script, guint time_limit)
{
	const char *argv[] = { "/bin/sh", "-c", script, NULL };
	g_autoptr(GError) error = NULL;
	ProaChild *child = proa_child_start(heard->event, argv, time_limit, &watcher, heard, &error);

	g_assert_no_error(error);
	return child;
}

/* Runs @script to its end. */
static void hear(Heard *heard, const char *script, guint time_limit)
{
	g_autoptr(ProaChild) child = start(heard, script, time_limit);

	g_assert_cmpint(sd_event_loop(heard->event), ==, 0);
	g_assert_cmpuint(heard->ends, ==, 1);
}

static void gives_all_output_and_the_last_words(void)
{
	g_auto(Heard) heard = heard_new();

	hear(&heard, "echo first >&2; head -c 300000 /dev/zero | tr '\\0' x; echo last >&2; exit 7", 0);
	g_assert_cmpuint(heard.output->len, ==, 300000);
	g_assert_cmpuint(strspn(heard.output->str, "x"), ==, 300000);
	g_assert_cmpstr(heard.last_words, ==, "last");
	g_assert_cmpint(heard.code, ==, CLD_EXITED);
	g_assert_cmpint(heard.status, ==, 7);
}

static void a_signal_is_told(void)
{
	g_auto(Heard) heard = heard_new();

	hear(&heard, "kill -KILL $$", 0);
	g_assert_cmpint(heard.code, ==, CLD_KILLED);
	g_assert_cmpint(heard.status, ==, SIGKILL);
	g_assert_cmpstr(heard.last_words, ==, "");
}

/* No input, no descriptor but the three, no signal blocked, a process group of its own. The shell reads its
 * mask itself: while it starts another program it blocks every signal for a moment; and its descriptors are
 * listed without a pipe, which it would hold itself while it starts both ends. */
static void a_child_begins_with_nothing_of_ours(void)
{
	g_auto(Heard) heard = heard_new();

	hear(&heard,
		"cat; ls /proc/$$/fd;"
		"while read -r line; do case $line in SigBlk*) echo \"$line\";; esac; done </proc/$$/status;"
		"[ \"$(cut -d' ' -f5 /proc/$$/stat)\" = $$ ] && echo own group",
		0);
	g_assert_cmpstr(heard.output->str, ==, "0\n1\n2\nSigBlk:\t0000000000000000\nown group\n");
}

/* What it leaves running holds its pipes, and would hold its lock. */
static void what_it_leaves_running_ends_with_it(void)
{
	g_auto(Heard) heard = heard_new();

	hear(&heard, "sleep 1000 & echo $!", 0);
	pid_t pid = (pid_t)g_ascii_strtoll(heard.output->str, NULL, 10);
	g_assert_cmpint(pid, >, 1);
	g_autofree char *path = g_strdup_printf("/proc/%d/stat", pid);
	for (int i = 0; i < 1000; i++) {
		g_autofree char *state = NULL;
		/* It may stay as a zombie where nobody reaps orphans. */
		if (!g_file_get_contents(path, &state, NULL, NULL) || strstr(state, ") Z "))
			return;
		g_usleep(G_USEC_PER_SEC / 100);
	}
	g_assert_not_reached();
}

static void the_time_limit_tells_it_to_stop(void)
{
	g_auto(Heard) heard = heard_new();

	hear(&heard, "trap 'echo told; exit 3' TERM; while :; do sleep 0.1; done", 1);
	g_assert_cmpstr(heard.output->str, ==, "told\n");
	g_assert_cmpint(heard.status, ==, 3);
}

static int stop_it(sd_event_source *source, uint64_t usec, void *data)
{
	/* An impatient operator asks twice. */
	proa_child_stop(data);
	proa_child_stop(data);
	return 0;
}

static void stopping_twice_ends_it_once(void)
{
	g_auto(Heard) heard = heard_new();
	g_autoptr(ProaChild) child = start(&heard, "exec sleep 1000", 0);

	g_assert_cmpint(
		sd_event_add_time_relative(heard.event, NULL, CLOCK_MONOTONIC, 0, 0, stop_it, child), >=, 0);
	g_assert_cmpint(sd_event_loop(heard.event), ==, 0);
	g_assert_cmpuint(heard.ends, ==, 1);
	g_assert_cmpint(heard.status, ==, SIGTERM);
}

static void freeing_one_that_runs_kills_and_reaps_it(void)
{
	g_auto(Heard) heard = heard_new();
	ProaChild *child = start(&heard, "trap '' TERM; while :; do sleep 0.1; done", 0);

	proa_child_free(child);
	g_assert_cmpuint(heard.ends, ==, 0);
	g_assert_cmpint(waitpid(-1, NULL, WNOHANG), ==, -1);
}

static void what_cannot_be_started_says_why(void)
{
	g_auto(Heard) heard = heard_new();
	g_auto(Scratch) scratch = scratch_new();
	g_autofree char *path = scratch_write(&scratch, "program", "no program", -1);
	const char *missing[] = { "/nonexistent/program", NULL }, *plain[] = { path, NULL };
	g_autoptr(GError) error = NULL;

	g_assert_null(proa_child_start(heard.event, missing, 0, &watcher, &heard, &error));
	g_assert_error(error, PROA_ERROR, PROA_REASON_NOT_FOUND);
	g_clear_error(&error);
	g_assert_null(proa_child_start(heard.event, plain, 0, &watcher, &heard, &error));
	g_assert_error(error, PROA_ERROR, PROA_REASON_PERMISSION);
	/* One that is only found not to be a program when it is executed ends like any other. */
	g_assert_cmpint(g_chmod(path, 0755), ==, 0);
	g_autoptr(ProaChild) child = proa_child_start(heard.event, plain, 0, &watcher, &heard, NULL);
	g_assert_cmpint(sd_event_loop(heard.event), ==, 0);
	g_assert_cmpint(heard.status, ==, 127);
	g_assert_cmpstr(heard.last_words, ==, "cannot be executed");
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/child/gives-all-output-and-the-last-words", gives_all_output_and_the_last_words);
	g_test_add_func("/child/a-signal-is-told", a_signal_is_told);
	g_test_add_func("/child/begins-with-nothing-of-ours", a_child_begins_with_nothing_of_ours);
	g_test_add_func("/child/what-it-leaves-running-ends-with-it", what_it_leaves_running_ends_with_it);
	g_test_add_func("/child/the-time-limit-tells-it-to-stop", the_time_limit_tells_it_to_stop);
	g_test_add_func("/child/stopping-twice-ends-it-once", stopping_twice_ends_it_once);
	g_test_add_func(
		"/child/freeing-one-that-runs-kills-and-reaps-it", freeing_one_that_runs_kills_and_reaps_it);
	g_test_add_func("/child/what-cannot-be-started-says-why", what_cannot_be_started_says_why);
	return g_test_run();
}
