/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/updater/install/bringing.h"

#include <fcntl.h>

/* Of the server, bytes a second. What must be caught in the middle is slowed down by configuration. */
#define RATE (16u << 20)

World world;
Nginx nginx;
Cutter cutter;

void configure(const Node *node, const char *text)
{
	g_free(scratch_write(&node->scratch, "etc/proa/update.conf.d/test.conf", text, -1));
}

void make_node_of(Node *node, const char *channel, const char *payload)
{
	g_autofree char *text = g_strdup_printf("[fetch]\npayload=%s\n", payload);

	node_make(node, &world, cutter.url, channel);
	node_give_old_image(node);
	configure(node, text);
	cutter_set(&cutter, 0, 0);
}

void make_node(Node *node, const char *payload)
{
	make_node_of(node, strcmp(payload, "delta") == 0 ? DELTA_CHANNEL : CHANNEL, payload);
}

gint64 member_of_last(const Run *run, const char *event, const char *member)
{
	g_autofree char *text = g_strdup_printf("\"event\":\"%s\"", event);
	g_autofree char *lines = run_lines(run, text);
	const char *at = g_strrstr(lines, member);

	g_assert_nonnull(at);
	return g_ascii_strtoll(at + strlen(member) + 1, NULL, 10);
}

void assert_payload(const Run *run, const char *type)
{
	g_autofree char *text = g_strdup_printf("\"event\":\"payload\",\"payload\":\"%s\"", type);
	g_autofree char *lines = run_lines(run, text);

	g_assert_cmpstr(lines, !=, "");
}

guint64 answered(void)
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

guint64 clean_cost(const char *payload)
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

void write_byte(const char *path, goffset at)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);
	char byte = 0;

	g_assert_cmpint(fd, >=, 0);
	g_assert_cmpint(pread(fd, &byte, 1, at), ==, 1);
	byte = (char)(byte ^ 1);
	g_assert_cmpint(pwrite(fd, &byte, 1, at), ==, 1);
	close(fd);
}

void bringing_start(void)
{
	world_make(&world);
	world_add(&world, &(WorldRelease){ .channel = CHANNEL, .version = "1.0.1", .blocks = TRUE });
	world_add(&world, &(WorldRelease){ .channel = DELTA_CHANNEL,
				  .version = "1.0.1",
				  .blocks = TRUE,
				  .delta_from = BOOTED_HASH });
	nginx_start(&nginx, world.feed, RATE, FALSE);
	cutter_start(&cutter, nginx.port);
}

void bringing_stop(void)
{
	cutter_stop(&cutter);
	nginx_clear(&nginx);
	world_clear(&world);
}
