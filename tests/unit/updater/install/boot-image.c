/* SPDX-License-Identifier: Apache-2.0 */
/* Whole transactions whose boot image comes by its payloads. */
#include "tests/unit/updater/install/world.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define CHANNEL "uki"

static World world;
static Nginx nginx;

static void make_node(Node *node, const char *configuration)
{
	node_make(node, &world, nginx.url, CHANNEL);
	node_give_old_image(node);
	g_free(scratch_write(&node->scratch, "etc/proa/update.conf.d/test.conf", configuration, -1));
}

static void assert_boot_image(const Run *run, const char *type)
{
	g_autofree char *text = g_strdup_printf("\"event\":\"boot-image\",\"payload\":\"%s\"", type);
	g_autofree char *lines = run_lines(run, text);

	g_assert_cmpstr(lines, !=, "");
}

static guint64 size_of(const char *suffix)
{
	g_autofree char *path = world_file(&world, "payloads", suffix);
	struct stat st;

	g_assert_cmpint(stat(path, &st), ==, 0);
	return (guint64)st.st_size;
}

/* Changes the byte in the middle, and changes it back. */
static void spoil(const char *suffix)
{
	g_autofree char *path = world_file(&world, "payloads", suffix);
	int fd = open(path, O_RDWR | O_CLOEXEC);
	off_t at = (off_t)(size_of(suffix) / 2);
	guint8 byte;

	g_assert_cmpint(pread(fd, &byte, 1, at), ==, 1);
	byte ^= 1;
	g_assert_cmpint(pwrite(fd, &byte, 1, at), ==, 1);
	close(fd);
}

static void run_well(const char *configuration, const char *type)
{
	Node node;

	make_node(&node, configuration);
	g_auto(Run) run = node_run(&node, NULL, NULL);
	assert_done(&run, &world);
	assert_boot_image(&run, type);
	g_autofree char *fallbacks = run_lines(&run, "\"event\":\"fallback\"");
	g_assert_cmpstr(fallbacks, ==, "");
	assert_staged(&node);
	node_clear(&node);
}

static void delta_of_what_runs_is_taken(void)
{
	run_well("", "uki-delta");
}

/* Who wants nothing made from what runs gets it from the new root. */
static void full_is_taken_if_asked_for(void)
{
	run_well("[fetch]\npayload=full\n", "uki-full");
}

static void check_promises_it(void)
{
	Node node;

	make_node(&node, "[fetch]\npayload=full\n");
	g_auto(Run) check = node_run(&node, "--check", NULL);
	g_assert_cmpint(json_object_get_int_member(check.last, "bytes"), ==,
		(gint64)(size_of(".full") + size_of(".uki-full")));
	node_clear(&node);
}

/* One after the other, and at last as it is. */
static void falls_back(void)
{
	Node node;

	make_node(&node, "");
	spoil(".uki-delta");
	spoil(".uki-full");
	g_auto(Run) run = node_run(&node, NULL, NULL);
	spoil(".uki-delta");
	spoil(".uki-full");
	assert_done(&run, &world);
	g_autofree char *fallbacks = run_lines(&run, "\"event\":\"fallback\"");
	g_assert_nonnull(strstr(fallbacks, "uki-delta"));
	g_assert_nonnull(strstr(fallbacks, "uki-full"));
	assert_boot_image(&run, "uki");
	g_assert_cmpuint(node_history(&node, "payload-failed", NULL), ==, 2);
	assert_staged(&node);
	node_clear(&node);
}

/* Somebody changed the boot image of what runs: it is not what the delta is from. */
static void changed_boot_image_falls_back(void)
{
	Node node;

	make_node(&node, "");
	g_autofree char *path = node_path(&node, "esp/EFI/Linux/proa_1.0.0.efi");
	int fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
	g_assert_cmpint(write(fd, "x", 1), ==, 1);
	close(fd);
	g_auto(Run) run = node_run(&node, NULL, NULL);
	g_assert_cmpint(run.status, ==, 0);
	g_autofree char *fallbacks = run_lines(&run, "\"event\":\"fallback\"");
	g_assert_nonnull(strstr(fallbacks, "payload-digest"));
	assert_boot_image(&run, "uki-full");
	node_clear(&node);
}

/* Bytes that are kept of a way; -1: there is no such file. */
static gint64 kept_of(const Node *node, const char *part)
{
	g_autofree char *name = g_strconcat("var/lib/proa/", part, NULL);
	g_autofree char *path = node_path(node, name);
	struct stat st;

	return stat(path, &st) == 0 ? (gint64)st.st_size - 65 : -1;
}

/* Falling back takes nothing from what another way has: of that only what was wrong comes again. */
static void each_way_keeps_its_own(void)
{
	static const char *const ways[][2] = { { "boot-image-delta.part", ".uki-delta" },
		{ "boot-image-full.part", ".uki-full" }, { "boot-image.part", ".efi" } };
	Node node;

	make_node(&node, "");
	for (guint i = 0; i < G_N_ELEMENTS(ways); i++)
		spoil(ways[i][1]);
	g_auto(Run) run = node_run(&node, NULL, NULL);
	for (guint i = 0; i < G_N_ELEMENTS(ways); i++)
		spoil(ways[i][1]);
	g_assert_cmpint(run.status, ==, 1);
	for (guint i = 0; i < G_N_ELEMENTS(ways); i++) {
		g_test_message("%s: %" G_GINT64_FORMAT, ways[i][0], kept_of(&node, ways[i][0]));
		g_assert_cmpint(kept_of(&node, ways[i][0]), >, 0);
	}
	g_auto(Run) again = node_run(&node, NULL, NULL);
	assert_done(&again, &world);
	assert_boot_image(&again, "uki-delta");
	assert_staged(&node);
	for (guint i = 0; i < G_N_ELEMENTS(ways); i++)
		g_assert_cmpint(kept_of(&node, ways[i][0]), ==, -1);
	node_clear(&node);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	world_make(&world);
	world_add(&world, &(WorldRelease){ .channel = CHANNEL, .version = "1.0.1", .uki_payloads = TRUE });
	nginx_start(&nginx, world.feed, SLOW_RATE, FALSE);
	g_test_add_func("/install/boot-image/delta-of-what-runs-is-taken", delta_of_what_runs_is_taken);
	g_test_add_func("/install/boot-image/full-is-taken-if-asked-for", full_is_taken_if_asked_for);
	g_test_add_func("/install/boot-image/check-promises-it", check_promises_it);
	g_test_add_func("/install/boot-image/falls-back", falls_back);
	g_test_add_func("/install/boot-image/changed-boot-image-falls-back", changed_boot_image_falls_back);
	g_test_add_func("/install/boot-image/each-way-keeps-its-own", each_way_keeps_its_own);
	int status = g_test_run();
	nginx_clear(&nginx);
	world_clear(&world);
	return status;
}
