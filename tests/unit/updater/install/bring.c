/* SPDX-License-Identifier: Apache-2.0 */
/* Whole transactions again: which payload is taken, and what happens when it breaks. */
#include "tests/unit/updater/install/bringing.h"

#include <sys/stat.h>

/* Metadata, manifest, UKI, and what HTTP adds. */
#define OTHER_BYTES (1u << 20)
/* The changed quarter of the image and the head come to more than this many bytes, and to less than the next.
 */
#define BLOCKS_LEAST (4u << 20)
#define BLOCKS_MOST (20u << 20)

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
	g_test_init(&argc, &argv, NULL);
	bringing_start();
	g_test_add_func("/install/bring/blocks-are-cheapest", blocks_are_cheapest);
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
	bringing_stop();
	return status;
}
