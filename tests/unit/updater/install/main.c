/* SPDX-License-Identifier: Apache-2.0 */
/* proa-install as a process: its connections are cut, it is killed, the power goes; what is done is not
 * fetched twice. */
#include "tests/unit/updater/install/bringing.h"

/* One frame of a full payload, and what is on its way: requests, sockets' buffers, the pipe. */
#define FETCHED_TWICE (4u << 20)
#define CUTS 20

static void survives_cuts(gconstpointer payload)
{
	guint64 clean = clean_cost(payload);
	Node node;

	make_node(&node, payload);
	cutter_set(&cutter, CUTS, clean / (CUTS + 4));
	g_auto(Run) run = node_run(&node, NULL, NULL);
	assert_done(&run, &world);
	assert_payload(&run, payload);
	assert_staged(&node);
	g_test_message("%s: %" G_GUINT64_FORMAT " bytes with %d cuts, %" G_GUINT64_FORMAT " without",
		(const char *)payload, answered(), CUTS, clean);
	g_assert_cmpint(cutter.cuts, ==, 0);
	g_assert_cmpuint(answered(), <=, clean + FETCHED_TWICE);
	node_clear(&node);
}

/* What was on its way is lost as well: only the end counts. */
static void survives_resets(void)
{
	Node node;

	make_node(&node, "auto");
	cutter_set(&cutter, CUTS, 400000);
	cutter.reset = TRUE;
	g_auto(Run) run = node_run(&node, NULL, NULL);
	cutter.reset = FALSE;
	assert_done(&run, &world);
	assert_payload(&run, "blocks");
	assert_staged(&node);
	g_assert_cmpint(cutter.cuts, ==, 0);
	node_clear(&node);
}

/* Slow enough that it can be killed in the middle. */
static void slow_down(const Node *node, const char *payload)
{
	const char *speed = strcmp(payload, "delta") == 0 ? "1M" : "3M";
	g_autofree char *text = g_strdup_printf("[fetch]\npayload=%s\nmax_speed=%s\n", payload, speed);

	configure(node, text);
}

static void goes_on_after_kill(gconstpointer payload)
{
	guint64 clean = clean_cost(payload);
	Node node;

	make_node(&node, payload);
	slow_down(&node, payload);
	g_auto(Run) killed = node_run_killed(&node, "\"phase\":\"fetch\",\"done\"", 5);
	assert_nothing_armed(&node);
	g_autofree char *text = g_strdup_printf("[fetch]\npayload=%s\n", (const char *)payload);
	configure(&node, text);
	g_auto(Run) run = node_run(&node, NULL, NULL);
	assert_done(&run, &world);
	assert_staged(&node);
	/* What was said to be done when it was killed lies there, and is not fetched again. */
	gint64 from = member_of_last(&run, "payload", "\"from\"");
	g_assert_cmpint(from, >=, member_of_last(&killed, "progress", "\"done\""));
	g_test_message("%s: killed, on from %" G_GINT64_FORMAT ", %" G_GUINT64_FORMAT
		       " bytes, %" G_GUINT64_FORMAT " without",
		(const char *)payload, from, answered(), clean);
	g_assert_cmpuint(answered(), <=, clean + FETCHED_TWICE);
	node_clear(&node);
}

/* What a power cut leaves: nothing in /run, and of the slot only what was flushed. */
static void goes_on_after_power_cut(gconstpointer payload)
{
	guint64 clean = clean_cost(payload);
	Node node;

	make_node(&node, payload);
	slow_down(&node, payload);
	g_autofree char *quick = node_path(&node, "run/proa/checkpoint.json");
	g_autofree char *durable = node_path(&node, "var/lib/proa/checkpoint.json");
	/* On a slow machine the first frame may not have ended: what was made of it is durable at the next
	 * start. */
	guint breaks = 0;
	for (; breaks < 3 && !g_file_test(durable, G_FILE_TEST_EXISTS); breaks++) {
		g_auto(Run) killed = node_run_killed(&node, "\"phase\":\"fetch\",\"done\"", 6);
		g_assert_cmpstr(killed.output, !=, "");
	}
	g_autofree char *text = NULL;
	g_assert_cmpint(g_unlink(quick), ==, 0);
	g_assert_true(g_file_get_contents(durable, &text, NULL, NULL));
	gint64 done = g_ascii_strtoll(strstr(text, "\"done\"") + 8, NULL, 10);
	g_assert_cmpint(done, >, 0);
	/* All behind it is lost. */
	g_autofree char *slot = node_path(&node, "parts/root-b");
	g_assert_cmpint(truncate(slot, done), ==, 0);
	g_assert_cmpint(truncate(slot, SLOT_SIZE), ==, 0);
	configure(&node, "");
	g_auto(Run) run = node_run(&node, NULL, NULL);
	assert_done(&run, &world);
	assert_staged(&node);
	g_assert_cmpint(member_of_last(&run, "payload", "\"from\""), ==, done);
	g_assert_cmpuint(answered(), <=, clean + breaks * FETCHED_TWICE);
	node_clear(&node);
}

/* The slot does not hold what the checkpoints claim: they are not believed. */
static void claims_are_read_back(void)
{
	Node node;

	make_node(&node, "blocks");
	slow_down(&node, "blocks");
	g_auto(Run) killed = node_run_killed(&node, "\"phase\":\"fetch\",\"done\"", 5);
	g_autofree char *slot = node_path(&node, "parts/root-b");
	write_byte(slot, 70000);
	configure(&node, "");
	g_auto(Run) run = node_run(&node, NULL, NULL);
	assert_done(&run, &world);
	assert_staged(&node);
	g_assert_cmpint(member_of_last(&run, "payload", "\"from\""), ==, 0);
	node_clear(&node);
}

/* What a delta made of a rotten slot before it was killed is found out by the root hash, whatever went on
 * there: then it is made anew. */
static void wrong_part_is_made_anew(void)
{
	Node node;

	make_node(&node, "delta");
	g_autofree char *slot = node_path(&node, "parts/root-a");
	write_byte(slot, 4096);
	slow_down(&node, "delta");
	g_auto(Run) killed = node_run_killed(&node, "\"phase\":\"fetch\",\"done\"", 5);
	write_byte(slot, 4096);
	configure(&node, "[fetch]\npayload=blocks\n");
	g_auto(Run) run = node_run(&node, NULL, NULL);
	assert_done(&run, &world);
	assert_staged(&node);
	g_assert_cmpuint(node_history(&node, "payload-failed", "root-hash-mismatch"), ==, 1);
	g_autofree char *history = g_build_filename(node.state, "history.jsonl", NULL), *text = NULL;
	g_assert_true(g_file_get_contents(history, &text, NULL, NULL));
	g_assert_nonnull(strstr(text, "payload delta: "));
	g_assert_cmpint(member_of_last(&run, "payload", "\"from\""), ==, 0);
	node_clear(&node);
}

#define PART "var/lib/proa/boot-image.part"
/* Of its name, before what is kept. */
#define PART_HEAD 65

/* A node whose slot is made and whose boot image was on its way when it was killed; tells what is kept of it.
 */
static guint64 make_node_with_part(Node *node)
{
	gsize size = 0;
	g_autofree char *bytes = NULL;

	make_node(node, "blocks");
	g_auto(Run) first = node_run_killed(node, "\"phase\":\"verify\"", 1);
	configure(node, "[fetch]\npayload=blocks\nmax_speed=20K\n");
	g_auto(Run) second = node_run_killed(node, "\"phase\":\"arm\",\"done\"", 3);
	assert_booted_untouched(node);
	g_autofree char *part = node_path(node, PART);
	g_assert_true(g_file_get_contents(part, &bytes, &size, NULL));
	g_assert_cmpuint(size, >, PART_HEAD);
	return size - PART_HEAD;
}

/* How many bytes it takes to end a transaction; nothing is left of what was kept then. */
static guint64 end_it(Node *node)
{
	g_autofree char *part = node_path(node, PART);

	configure(node, "[fetch]\npayload=blocks\n");
	cutter_set(&cutter, 0, 0);
	g_auto(Run) run = node_run(node, NULL, NULL);
	assert_done(&run, &world);
	assert_staged(node);
	g_assert_false(g_file_test(part, G_FILE_TEST_EXISTS));
	node_clear(node);
	return answered();
}

/* What is kept of the boot image is not fetched again, and not believed: what is wrong of it is. */
static void boot_image_goes_on(void)
{
	Node with, without, wrong;

	guint64 kept = make_node_with_part(&with);
	g_assert_cmpuint(make_node_with_part(&without), >, 0);
	g_autofree char *gone = node_path(&without, PART);
	g_assert_cmpint(g_unlink(gone), ==, 0);
	g_assert_cmpuint(make_node_with_part(&wrong), >, 0);
	g_autofree char *rotten = node_path(&wrong, PART);
	write_byte(rotten, PART_HEAD + 10);
	guint64 rest = end_it(&with), all = end_it(&without);
	g_test_message("%" G_GUINT64_FORMAT " bytes were kept; %" G_GUINT64_FORMAT
		       " with them, %" G_GUINT64_FORMAT " without",
		kept, rest, all);
	/* A header tells of the part; what else comes is the same. */
	g_assert_cmpuint(rest + kept, <=, all + 1024);
	g_assert_cmpuint(end_it(&wrong), >=, all - 1024);
}

int main(int argc, char **argv)
{
	static const char *const types[] = { "blocks", "full", "delta" };
	static const struct {
		const char *name;
		void (*test)(gconstpointer payload);
	} breaks[] = { { "survives-cuts", survives_cuts }, { "goes-on-after-kill", goes_on_after_kill },
		{ "goes-on-after-power-cut", goes_on_after_power_cut } };

	g_test_init(&argc, &argv, NULL);
	bringing_start();
	for (guint i = 0; i < G_N_ELEMENTS(breaks); i++)
		for (guint t = 0; t < G_N_ELEMENTS(types); t++) {
			g_autofree char *name =
				g_strdup_printf("/install/main/%s-%s", types[t], breaks[i].name);
			g_test_add_data_func(name, types[t], breaks[i].test);
		}
	g_test_add_func("/install/main/survives-resets", survives_resets);
	g_test_add_func("/install/main/wrong-part-is-made-anew", wrong_part_is_made_anew);
	g_test_add_func("/install/main/boot-image-goes-on", boot_image_goes_on);
	g_test_add_func("/install/main/claims-are-read-back", claims_are_read_back);
	int status = g_test_run();
	bringing_stop();
	return status;
}
