/* SPDX-License-Identifier: Apache-2.0 */
/* Whole transactions again: which payload is taken, what happens when it breaks, and what is fetched twice.
 */
#include "tests/unit/updater/cutter.h"
#include "tests/unit/updater/install/world.h"

#include <fcntl.h>
#include <sys/stat.h>

#define CHANNEL "stable"
/* One frame of a full payload, and what is on its way: requests, sockets' buffers, the pipe. */
#define FETCHED_TWICE (4u << 20)
#define CUTS 20
/* The changed quarter of the image and the head come to more than this many bytes, and to less than the next.
 */
#define BLOCKS_LEAST (4u << 20)
#define BLOCKS_MOST (20u << 20)

static World world;
static Nginx nginx;
static Cutter cutter;

static void configure(const Node *node, const char *text)
{
	g_free(scratch_write(&node->scratch, "etc/proa/update.conf.d/test.conf", text, -1));
}

static void make_node(Node *node, const char *payload)
{
	g_autofree char *text = g_strdup_printf("[fetch]\npayload=%s\n", payload);

	node_make(node, &world, cutter.url, CHANNEL);
	node_give_old_image(node);
	configure(node, text);
	cutter_set(&cutter, 0, 0);
}

static gint64 member_of_last(const Run *run, const char *event, const char *member)
{
	g_autofree char *text = g_strdup_printf("\"event\":\"%s\"", event);
	g_autofree char *lines = run_lines(run, text);
	const char *at = g_strrstr(lines, member);

	g_assert_nonnull(at);
	return g_ascii_strtoll(at + strlen(member) + 1, NULL, 10);
}

static void assert_payload(const Run *run, const char *type)
{
	g_autofree char *text = g_strdup_printf("\"event\":\"payload\",\"payload\":\"%s\"", type);
	g_autofree char *lines = run_lines(run, text);

	g_assert_cmpstr(lines, !=, "");
}

static guint64 answered(void)
{
	g_mutex_lock(&cutter.lock);
	guint64 bytes = cutter.answered;
	g_mutex_unlock(&cutter.lock);
	return bytes;
}

/* What a transaction takes from the server when nothing goes wrong. */
static guint64 clean_cost(const char *payload)
{
	Node node;

	make_node(&node, payload);
	g_auto(Run) run = node_run(&node, NULL, NULL);
	assert_done(&run, &world);
	assert_payload(&run, strcmp(payload, "auto") == 0 ? "blocks" : payload);
	assert_staged(&node);
	g_assert_cmpuint(node_history(&node, "fetched", NULL), ==, 1);
	g_test_message("%s: %" G_GUINT64_FORMAT " bytes, proa-install %" G_GINT64_FORMAT
		       " KiB, proa-fetch %" G_GINT64_FORMAT " KiB",
		payload, answered(), run.install_kib, run.fetch_kib);
	node_clear(&node);
	return answered();
}

static void blocks_are_cheapest(void)
{
	guint64 blocks = clean_cost("auto"), full = clean_cost("full");

	g_assert_cmpuint(blocks, >, BLOCKS_LEAST);
	g_assert_cmpuint(blocks, <, BLOCKS_MOST);
	g_assert_cmpuint(blocks * 2, <, full);
}

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
	g_autofree char *text = g_strdup_printf("[fetch]\npayload=%s\nmax_speed=3M\n", payload);

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
	g_auto(Run) killed = node_run_killed(&node, "\"phase\":\"fetch\",\"done\"", 6);
	g_autofree char *quick = node_path(&node, "run/proa/checkpoint.json");
	g_autofree char *durable = node_path(&node, "var/lib/proa/checkpoint.json");
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
	node_clear(&node);
	g_assert_cmpuint(clean, >, 0);
}

static void write_byte(const char *path, goffset at)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);
	char byte = 0;

	g_assert_cmpint(fd, >=, 0);
	g_assert_cmpint(pread(fd, &byte, 1, at), ==, 1);
	byte = (char)(byte ^ 1);
	g_assert_cmpint(pwrite(fd, &byte, 1, at), ==, 1);
	close(fd);
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

/* Alters a byte of the feed's payload (counted from its end if negative), runs, and puts it back. */
static Run run_with_broken(const Node *node, const char *suffix, goffset at)
{
	g_autofree char *path = world_file(&world, "payloads", suffix);
	struct stat st;

	g_assert_cmpint(stat(path, &st), ==, 0);
	if (at < 0)
		at += st.st_size;
	write_byte(path, at);
	Run run = node_run(node, NULL, NULL);
	write_byte(path, at);
	return run;
}

static void falls_back_to_full(void)
{
	static const goffset places[] = { 0, -1 };

	for (guint i = 0; i < G_N_ELEMENTS(places); i++) {
		Node node;
		make_node(&node, "auto");
		g_auto(Run) run = run_with_broken(&node, ".blocks", places[i]);
		assert_done(&run, &world);
		assert_staged(&node);
		g_autofree char *lines = run_lines(&run, "\"event\":\"fallback\"");
		g_assert_nonnull(strstr(lines, "\"payload\":\"blocks\""));
		assert_payload(&run, "full");
		g_assert_cmpuint(node_history(&node, "payload-failed", NULL), ==, 1);
		g_assert_cmpuint(node_history(&node, "fetched", NULL), ==, 1);
		node_clear(&node);
	}
}

static void missing_blocks_fall_back(void)
{
	Node node;
	g_autofree char *path = world_file(&world, "payloads", ".blocks"),
			*away = g_strconcat(path, ".away", NULL);

	make_node(&node, "auto");
	g_assert_cmpint(g_rename(path, away), ==, 0);
	g_auto(Run) run = node_run(&node, NULL, NULL);
	g_assert_cmpint(g_rename(away, path), ==, 0);
	assert_done(&run, &world);
	assert_staged(&node);
	g_assert_cmpuint(node_history(&node, "payload-failed", "not-found"), ==, 1);
	node_clear(&node);
}

/* The running slot has rotted where nobody looked: the block is fetched. */
static void rotten_running_slot(void)
{
	Node node;

	make_node(&node, "blocks");
	g_autofree char *slot = node_path(&node, "parts/root-a");
	write_byte(slot, 4096);
	g_auto(Run) run = node_run(&node, NULL, NULL);
	assert_done(&run, &world);
	assert_payload(&run, "blocks");
	write_byte(slot, 4096);
	assert_staged(&node);
	node_clear(&node);
}

static void limit_holds(void)
{
	Node node;

	make_node(&node, "blocks");
	configure(&node, "[fetch]\npayload=blocks\nmax_speed=2M\n");
	gint64 start = g_get_monotonic_time();
	g_auto(Run) run = node_run(&node, NULL, NULL);
	double seconds = (double)(g_get_monotonic_time() - start) / G_USEC_PER_SEC;
	assert_done(&run, &world);
	/* Not a race against time: a slower machine is slower still. */
	g_assert_cmpfloat((double)answered() / seconds, <, 2.5 * 1024 * 1024);
	node_clear(&node);
}

int main(int argc, char **argv)
{
	static const char *const types[] = { "blocks", "full" };
	static const struct {
		const char *name;
		void (*test)(gconstpointer payload);
	} breaks[] = { { "survives-cuts", survives_cuts }, { "goes-on-after-kill", goes_on_after_kill },
		{ "goes-on-after-power-cut", goes_on_after_power_cut } };

	g_test_init(&argc, &argv, NULL);
	world_make(&world);
	world_add(&world, &(WorldRelease){ .channel = CHANNEL, .version = "1.0.1", .blocks = TRUE });
	nginx_start(&nginx, world.feed, SLOW_RATE, FALSE);
	cutter_start(&cutter, nginx.port);
	g_test_add_func("/install/bring/blocks-are-cheapest", blocks_are_cheapest);
	for (guint i = 0; i < G_N_ELEMENTS(breaks); i++)
		for (guint t = 0; t < G_N_ELEMENTS(types); t++) {
			g_autofree char *name =
				g_strdup_printf("/install/bring/%s-%s", types[t], breaks[i].name);
			g_test_add_data_func(name, types[t], breaks[i].test);
		}
	g_test_add_func("/install/bring/survives-resets", survives_resets);
	g_test_add_func("/install/bring/claims-are-read-back", claims_are_read_back);
	g_test_add_func("/install/bring/falls-back-to-full", falls_back_to_full);
	g_test_add_func("/install/bring/missing-blocks-fall-back", missing_blocks_fall_back);
	g_test_add_func("/install/bring/rotten-running-slot", rotten_running_slot);
	g_test_add_func("/install/bring/limit-holds", limit_holds);
	int status = g_test_run();
	cutter_stop(&cutter);
	nginx_clear(&nginx);
	world_clear(&world);
	return status;
}
