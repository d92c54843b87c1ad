/* SPDX-License-Identifier: Apache-2.0 */
/* What breaks while a payload of the boot image comes: no more than a frame of it comes twice. */
#include "tests/unit/updater/cutter.h"
#include "tests/unit/updater/install/world.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define CHANNEL "uki"
/* Nobody packs it, and nobody has it: each byte of it comes, in frames of less than 2 MiB. */
#define KERNEL_SIZE (8u << 20)
#define FRAME_SIZE (2u << 20)
/* Requests, metadata once more, and what was on its way: sockets' buffers, the pipe. Less than a frame. */
#define ON_ITS_WAY (1u << 20)
/* What a power cut loses of what is kept at most. */
#define NOT_DURABLE (256u * 1024)
#define CUTS 20
/* Of what is kept, before the bytes. */
#define PART_HEAD 65

typedef struct {
	const char *type, *configuration, *part;
	guint64 clean; /* bytes that it takes from the server once the root is there; 0: not known yet */
} Way;

static Way ways[] = { { "uki-full", "[fetch]\npayload=full\n", "var/lib/proa/boot-image-full.part", 0 },
	{ "uki-delta", "[fetch]\n", "var/lib/proa/boot-image-delta.part", 0 } };
static World world;
static Nginx nginx;
static Cutter cutter;

static guint64 answered(void)
{
	g_mutex_lock(&cutter.lock);
	guint64 bytes = cutter.answered;
	g_mutex_unlock(&cutter.lock);
	return bytes;
}

static void configure(const Node *node, const Way *way, const char *more)
{
	g_autofree char *text = g_strconcat(way->configuration, more, NULL);

	g_free(scratch_write(&node->scratch, "etc/proa/update.conf.d/test.conf", text, -1));
}

static guint64 kept(const Node *node, const Way *way)
{
	g_autofree char *part = node_path(node, way->part);
	struct stat st;

	return stat(part, &st) == 0 && st.st_size > PART_HEAD ? (guint64)st.st_size - PART_HEAD : 0;
}

/* A node whose slot is made, and nothing of its boot image. The server counts from here on. */
static void make_node(Node *node, const Way *way)
{
	node_make(node, &world, cutter.url, CHANNEL);
	node_give_old_image(node);
	configure(node, way, "");
	cutter_set(&cutter, 0, 0);
	g_auto(Run) run = node_run_killed(node, "\"phase\":\"verify\"", 1);
	g_assert_cmpuint(kept(node, way), ==, 0);
	cutter_set(&cutter, 0, 0);
}

/* To its end, with nothing but that way. */
static void end_it(Node *node, const Way *way)
{
	g_autofree char *event = g_strdup_printf("\"event\":\"boot-image\",\"payload\":\"%s\"", way->type);

	g_auto(Run) run = node_run(node, NULL, NULL);
	assert_done(&run, &world);
	assert_staged(node);
	g_autofree char *taken = run_lines(&run, event),
			*fallbacks = run_lines(&run, "\"event\":\"fallback\"");
	g_assert_cmpstr(taken, !=, "");
	g_assert_cmpstr(fallbacks, ==, "");
	g_assert_cmpuint(node_history(node, "payload-failed", NULL), ==, 0);
	g_assert_cmpuint(kept(node, way), ==, 0);
	node_clear(node);
}

/* What the server sends when nothing breaks, but for the root. */
static guint64 clean_cost(Way *way)
{
	Node node;

	if (way->clean > 0)
		return way->clean;
	make_node(&node, way);
	end_it(&node, way);
	way->clean = answered();
	g_assert_cmpuint(way->clean, >, KERNEL_SIZE);
	g_assert_cmpuint(way->clean, <, KERNEL_SIZE + FRAME_SIZE);
	return way->clean;
}

static void assert_most(const Way *way, const char *word, guint64 twice)
{
	g_test_message("%s, %s: %" G_GUINT64_FORMAT " bytes, %" G_GUINT64_FORMAT " without", way->type, word,
		answered(), way->clean);
	g_assert_cmpuint(answered(), <=, way->clean + twice);
}

static void survives_cuts(gconstpointer data)
{
	Way *way = &ways[GPOINTER_TO_UINT(data)];
	guint64 clean = clean_cost(way);
	Node node;

	make_node(&node, way);
	cutter_set(&cutter, CUTS, clean / (CUTS + 4));
	end_it(&node, way);
	g_assert_cmpint(cutter.cuts, ==, 0);
	assert_most(way, "cut", ON_ITS_WAY);
}

/* What was on its way is lost as well: only the end counts. */
static void survives_resets(gconstpointer data)
{
	Way *way = &ways[GPOINTER_TO_UINT(data)];
	guint64 clean = clean_cost(way);
	Node node;

	make_node(&node, way);
	cutter_set(&cutter, CUTS, clean / (CUTS + 4));
	cutter.reset = TRUE;
	end_it(&node, way);
	cutter.reset = FALSE;
	g_assert_cmpint(cutter.cuts, ==, 0);
}

/* Killed in the middle of it, more than a frame being there and more than one not. */
static void kill_in_the_middle(Node *node, Way *way)
{
	make_node(node, way);
	configure(node, way, "max_speed=1M\n");
	/* It is told of each frame. */
	g_auto(Run) killed = node_run_killed(node, "\"phase\":\"arm\",\"done\"", 2);
	g_assert_cmpstr(killed.output, !=, "");
	assert_booted_untouched(node);
	g_assert_cmpuint(kept(node, way), >, FRAME_SIZE);
	g_assert_cmpuint(kept(node, way) + FRAME_SIZE, <, clean_cost(way));
	configure(node, way, "");
}

static void goes_on_after_kill(gconstpointer data)
{
	Way *way = &ways[GPOINTER_TO_UINT(data)];
	Node node;

	clean_cost(way);
	kill_in_the_middle(&node, way);
	end_it(&node, way);
	assert_most(way, "killed", ON_ITS_WAY);
}

/*
 * What was not flushed is lost, and some of it is there with other bytes. That is seen where its frame ends,
 * which is one more break: the frame comes again.
 */
static void goes_on_after_power_cut(gconstpointer data)
{
	Way *way = &ways[GPOINTER_TO_UINT(data)];
	Node node;

	clean_cost(way);
	kill_in_the_middle(&node, way);
	g_autofree char *part = node_path(&node, way->part);
	off_t left = (off_t)(PART_HEAD + kept(&node, way));
	g_assert_cmpint(truncate(part, left - (off_t)NOT_DURABLE), ==, 0);
	g_assert_cmpint(truncate(part, left - (off_t)NOT_DURABLE / 2), ==, 0);
	end_it(&node, way);
	assert_most(way, "power cut", 2 * ON_ITS_WAY + NOT_DURABLE + FRAME_SIZE);
}

static void make_world(void)
{
	g_autofree guint8 *kernel = g_malloc(KERNEL_SIZE);
	guint32 state = 11;

	world_make(&world);
	/* Of the new release alone. */
	for (gsize i = 0; i < KERNEL_SIZE; i++) {
		state = state * 1664525u + 1013904223u;
		kernel[i] = (guint8)(state >> 24);
	}
	g_free(scratch_write(&world.scratch, "vmlinuz", (const char *)kernel, KERNEL_SIZE));
	world_add(&world, &(WorldRelease){ .channel = CHANNEL, .version = "1.0.1", .uki_payloads = TRUE });
	nginx_start(&nginx, world.feed, SLOW_RATE, FALSE);
	cutter_start(&cutter, nginx.port);
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*test)(gconstpointer way);
	} breaks[] = { { "survives-cuts", survives_cuts }, { "survives-resets", survives_resets },
		{ "goes-on-after-kill", goes_on_after_kill },
		{ "goes-on-after-power-cut", goes_on_after_power_cut } };

	g_test_init(&argc, &argv, NULL);
	make_world();
	for (guint i = 0; i < G_N_ELEMENTS(breaks); i++)
		for (guint k = 0; k < G_N_ELEMENTS(ways); k++) {
			g_autofree char *name = g_strdup_printf(
				"/install/boot-image-break/%s-%s", ways[k].type, breaks[i].name);
			g_test_add_data_func(name, GUINT_TO_POINTER(k), breaks[i].test);
		}
	int status = g_test_run();
	cutter_stop(&cutter);
	nginx_clear(&nginx);
	world_clear(&world);
	return status;
}
