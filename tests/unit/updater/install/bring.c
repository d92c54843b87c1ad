/* SPDX-License-Identifier: Apache-2.0 */
/* Whole transactions again: which payload is taken, what happens when it breaks, and what is fetched twice.
 */
#include "tests/unit/updater/cutter.h"
#include "tests/unit/updater/install/world.h"

#include <fcntl.h>
#include <sys/stat.h>

#define CHANNEL "stable"
/* Where the same release has a delta too, from what runs; and where it is from something else. */
#define DELTA_CHANNEL "delta"
#define ELSEWHERE_CHANNEL "elsewhere"
/* Metadata, manifest, UKI, and what HTTP adds. */
#define OTHER_BYTES (1u << 20)
/* One frame of a full payload, and what is on its way: requests, sockets' buffers, the pipe. */
#define FETCHED_TWICE (4u << 20)
#define CUTS 20
/* Of the server, bytes a second. What must be caught in the middle is slowed down by configuration. */
#define RATE (16u << 20)
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

static void make_node_of(Node *node, const char *channel, const char *payload)
{
	g_autofree char *text = g_strdup_printf("[fetch]\npayload=%s\n", payload);

	node_make(node, &world, cutter.url, channel);
	node_give_old_image(node);
	configure(node, text);
	cutter_set(&cutter, 0, 0);
}

static void make_node(Node *node, const char *payload)
{
	make_node_of(node, strcmp(payload, "delta") == 0 ? DELTA_CHANNEL : CHANNEL, payload);
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

static guint64 run_clean(const char *payload)
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

/* What a transaction takes from the server when nothing goes wrong; each is run once. */
static guint64 clean_cost(const char *payload)
{
	static struct {
		const char *payload;
		guint64 bytes;
	} known[] = { { "auto", 0 }, { "full", 0 }, { "blocks", 0 }, { "delta", 0 } };

	for (gsize i = 0; i < G_N_ELEMENTS(known); i++) {
		if (strcmp(known[i].payload, payload) != 0)
			continue;
		if (known[i].bytes == 0)
			known[i].bytes = run_clean(payload);
		return known[i].bytes;
	}
	g_assert_not_reached();
}

static void blocks_are_cheapest(void)
{
	guint64 blocks = clean_cost("auto"), full = clean_cost("full");

	g_assert_cmpuint(blocks, >, BLOCKS_LEAST);
	g_assert_cmpuint(blocks, <, BLOCKS_MOST);
	g_assert_cmpuint(blocks * 2, <, full);
}

static guint64 size_of(const char *suffix)
{
	g_autofree char *path = world_file(&world, "payloads", suffix);
	struct stat st;

	g_assert_cmpint(stat(path, &st), ==, 0);
	return (guint64)st.st_size;
}

/* And it is what a check promises. */
static void delta_is_cheapest(void)
{
	guint64 delta = size_of(".delta"), blocks = clean_cost("blocks");
	Node node;

	make_node_of(&node, DELTA_CHANNEL, "auto");
	g_auto(Run) check = node_run(&node, "--check", NULL);
	g_assert_cmpint(
		json_object_get_int_member(check.last, "bytes"), ==, (gint64)(delta + size_of(".efi")));
	cutter_set(&cutter, 0, 0);
	g_auto(Run) run = node_run(&node, NULL, NULL);
	assert_done(&run, &world);
	assert_payload(&run, "delta");
	assert_staged(&node);
	g_test_message("delta: %" G_GUINT64_FORMAT " bytes, blocks: %" G_GUINT64_FORMAT, answered(), blocks);
	g_assert_cmpuint(answered(), <, blocks);
	/* The head of the blocks was asked for, since it is small beside this delta. */
	g_assert_cmpuint(answered(), <, delta + OTHER_BYTES);
	g_assert_cmpuint(node_history(&node, "fetched", NULL), ==, 1);
	node_clear(&node);
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

static void broken_delta_falls_back(void)
{
	static const goffset places[] = { 0, -1 };

	for (guint i = 0; i < G_N_ELEMENTS(places); i++) {
		Node node;
		make_node_of(&node, DELTA_CHANNEL, "auto");
		g_auto(Run) run = run_with_broken(&node, ".delta", places[i]);
		assert_done(&run, &world);
		assert_staged(&node);
		g_autofree char *lines = run_lines(&run, "\"event\":\"fallback\"");
		g_assert_nonnull(strstr(lines, "\"payload\":\"delta\""));
		assert_payload(&run, "blocks");
		/* The first byte is found wrong before anything was made, the last one when all else was. */
		gint64 from = member_of_last(&run, "payload", "\"from\"");
		g_assert_true(i == 0 ? from == 0 : from > 0);
		g_assert_cmpuint(node_history(&node, "payload-failed", "payload-digest"), ==, i);
		g_assert_cmpuint(node_history(&node, "payload-failed", NULL), ==, 1);
		g_assert_cmpuint(node_history(&node, "fetched", NULL), ==, 1);
		node_clear(&node);
	}
}

/* A delta believes the running slot: where that has rotted, the root hash says so, and blocks mend it. */
static void delta_of_rotten_slot_falls_back(void)
{
	Node node;

	make_node_of(&node, DELTA_CHANNEL, "auto");
	g_autofree char *slot = node_path(&node, "parts/root-a");
	write_byte(slot, 4096);
	g_auto(Run) run = node_run(&node, NULL, NULL);
	write_byte(slot, 4096);
	assert_done(&run, &world);
	assert_payload(&run, "delta");
	assert_payload(&run, "blocks");
	assert_staged(&node);
	g_assert_cmpuint(node_history(&node, "payload-failed", "root-hash-mismatch"), ==, 1);
	g_assert_cmpuint(node_history(&node, "fetched", NULL), ==, 2);
	node_clear(&node);
}

static void delta_from_elsewhere_is_not_taken(void)
{
	Node node;

	world_add(&world, &(WorldRelease){ .channel = ELSEWHERE_CHANNEL,
				  .version = "1.0.1",
				  .blocks = TRUE,
				  .delta_from = SALT });
	make_node_of(&node, ELSEWHERE_CHANNEL, "auto");
	g_auto(Run) run = node_run(&node, NULL, NULL);
	assert_done(&run, &world);
	assert_payload(&run, "blocks");
	g_autofree char *lines = run_lines(&run, "\"delta\"");
	g_assert_cmpstr(lines, ==, "");
	g_assert_cmpuint(node_history(&node, "payload-failed", NULL), ==, 0);
	node_clear(&node);
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
	static const char *const types[] = { "blocks", "full", "delta" };
	static const struct {
		const char *name;
		void (*test)(gconstpointer payload);
	} breaks[] = { { "survives-cuts", survives_cuts }, { "goes-on-after-kill", goes_on_after_kill },
		{ "goes-on-after-power-cut", goes_on_after_power_cut } };

	g_test_init(&argc, &argv, NULL);
	world_make(&world);
	world_add(&world, &(WorldRelease){ .channel = CHANNEL, .version = "1.0.1", .blocks = TRUE });
	world_add(&world, &(WorldRelease){ .channel = DELTA_CHANNEL,
				  .version = "1.0.1",
				  .blocks = TRUE,
				  .delta_from = BOOTED_HASH });
	nginx_start(&nginx, world.feed, RATE, FALSE);
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
	g_test_add_func("/install/bring/delta-is-cheapest", delta_is_cheapest);
	g_test_add_func("/install/bring/broken-delta-falls-back", broken_delta_falls_back);
	g_test_add_func("/install/bring/delta-of-rotten-slot-falls-back", delta_of_rotten_slot_falls_back);
	/* Last: from here on there are two deltas in the feed. */
	g_test_add_func(
		"/install/bring/delta-from-elsewhere-is-not-taken", delta_from_elsewhere_is_not_taken);
	int status = g_test_run();
	cutter_stop(&cutter);
	nginx_clear(&nginx);
	world_clear(&world);
	return status;
}
