/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/updater/install/world.h"

#include "base/digest.h"
#include "base/json.h"

#include <fcntl.h>
#include <gio/gunixinputstream.h>

static void spawn(const char *const *argv, char **output)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(GSubprocess) process = g_subprocess_newv(
		argv, G_SUBPROCESS_FLAGS_STDOUT_PIPE | G_SUBPROCESS_FLAGS_STDERR_MERGE, &error);
	g_autofree char *said = NULL;

	g_assert_no_error(error);
	g_assert_true(g_subprocess_communicate_utf8(process, NULL, NULL, &said, NULL, &error));
	if (!g_subprocess_get_successful(process))
		g_error("%s failed: %s", argv[0], said);
	if (output)
		*output = g_steal_pointer(&said);
}

#define SPAWN(...) spawn((const char *const[]){ __VA_ARGS__, NULL }, NULL)

static void write_json(const char *path, JsonObject *object)
{
	g_autofree char *text = proa_json_to_text(object);

	g_assert_true(g_file_set_contents(path, text, -1, NULL));
}

/* Half of it compresses well, half not at all. */
static void make_root_image(const char *path)
{
	g_autofree guint32 *words = g_malloc(ROOT_IMAGE_SIZE);
	guint32 state = 99;

	for (gsize i = 0; i < ROOT_IMAGE_SIZE / sizeof *words; i++) {
		state = state * 1664525u + 1013904223u;
		words[i] = (i / 4096) % 2 ? state ^ (state >> 15) : (guint32)(i / 64);
	}
	g_assert_true(g_file_set_contents(path, (const char *)words, ROOT_IMAGE_SIZE, NULL));
}

/* In every other piece of 2 MiB of the old image, the second half has every fourth byte changed, each
 * otherwise. */
static void make_old_image(const World *world)
{
	g_autofree char *bytes = NULL;
	gsize size = 0;
	guint32 state = 7;

	g_assert_true(g_file_get_contents(world->root_img, &bytes, &size, NULL));
	for (gsize at = 0; at < size; at += sizeof state) {
		state ^= state << 13;
		state ^= state >> 17;
		state ^= state << 5;
		if (at % (4u << 20) >= 3u << 20)
			bytes[at] ^= (char)(state | 1);
	}
	g_assert_true(g_file_set_contents(world->old_img, bytes, (gssize)size, NULL));
}

static void make_tree(World *world)
{
	g_autofree char *output = NULL;

	spawn((const char *const[]){ "veritysetup", "format", "--salt=" SALT, "--uuid=" ROOT_UUID,
		      world->root_img, world->root_verity, NULL },
		&output);
	const char *line = strstr(output, "Root hash:");
	g_assert_nonnull(line);
	const char *value = line + strlen("Root hash:");
	world->root_hash = g_strndup(value + strspn(value, " \t"), PROA_SHA256_HEX_LENGTH);
	g_assert_true(proa_sha256_hex_valid(world->root_hash));
}

static void make_uki(const World *world, const char *version, const char *root_hash, const char *path)
{
	g_autofree char *linux_file = scratch_file(&world->scratch, "vmlinuz");
	g_autofree char *cmdline = g_strdup_printf("--cmdline=roothash=%s panic=10 quiet", root_hash);
	g_autofree char *os_release =
		g_strdup_printf("--os-release=ID=proa\nIMAGE_ID=proa\nIMAGE_VERSION=%s\n", version);
	g_autofree char *kernel = g_strconcat("--linux=", linux_file, NULL);
	g_autofree char *out = g_strconcat("--output=", path, NULL);

	SPAWN("ukify", "build", kernel, cmdline, os_release, "--uname=6.12", out);
}

void world_make(World *world)
{
	world->scratch = scratch_new();
	world->feed = scratch_file(&world->scratch, "feed");
	world->keys = scratch_file(&world->scratch, "keys");
	world->root_img = scratch_file(&world->scratch, "root.img");
	world->root_verity = scratch_file(&world->scratch, "root.verity");
	world->old_img = scratch_file(&world->scratch, "old.img");
	g_free(scratch_write(&world->scratch, "vmlinuz", "a kernel for nobody", -1));
	make_root_image(world->root_img);
	make_old_image(world);
	make_tree(world);
	world->booted_uki = scratch_file(&world->scratch, "booted.efi");
	world->old_uki = scratch_file(&world->scratch, "old.efi");
	make_uki(world, "1.0.0", BOOTED_HASH, world->booted_uki);
	make_uki(world, "0.9.0", SALT, world->old_uki);
	SPAWN(g_getenv("PROA_FEED"), "init", "--feed", world->feed, "--keys", world->keys, "--channel",
		"stable", "--channel", "wrong-hash", "--channel", "wrong-uki", "--channel", "delta",
		"--channel", "uki", "--channel", "elsewhere");
}

void world_clear(World *world)
{
	g_free(world->feed);
	g_free(world->keys);
	g_free(world->root_img);
	g_free(world->old_img);
	g_free(world->root_verity);
	g_free(world->root_hash);
	g_free(world->booted_uki);
	g_free(world->old_uki);
	scratch_clear(&world->scratch);
}

static JsonObject *file_member(const char *path)
{
	g_autofree char *bytes = NULL;
	gsize size = 0;

	g_assert_true(g_file_get_contents(path, &bytes, &size, NULL));
	g_autofree char *digest = proa_sha256_hex(bytes, size);
	JsonObject *object = json_object_new();
	json_object_set_int_member(object, "size", (gint64)size);
	json_object_set_string_member(object, "sha256", digest);
	return object;
}

static void write_release_json(const WorldRelease *release, const char *root_hash, const char *dir)
{
	g_autoptr(JsonObject) top = json_object_new();
	JsonObject *root = json_object_new();
	g_autofree char *path = g_build_filename(dir, "release.json", NULL);
	g_autofree char *uki = g_build_filename(dir, "uki.efi", NULL);
	g_autofree char *sbom = g_build_filename(dir, "sbom.spdx.json", NULL);

	json_object_set_string_member(top, "format", "proa-manifest");
	json_object_set_int_member(top, "format_version", 1);
	json_object_set_string_member(top, "version", release->version);
	json_object_set_string_member(top, "architecture", "x86-64");
	json_object_set_int_member(top, "built", 1700000000);
	if (release->floor)
		json_object_set_string_member(top, "security_floor", release->floor);
	json_object_set_string_member(top, "tree", SALT);
	json_object_set_int_member(top, "packages", 1);
	json_object_set_string_member(root, "hash", root_hash);
	json_object_set_string_member(root, "salt", SALT);
	json_object_set_int_member(root, "size", ROOT_IMAGE_SIZE);
	json_object_set_string_member(root, "uuid", ROOT_UUID);
	json_object_set_object_member(top, "root", root);
	json_object_set_object_member(top, "uki", file_member(uki));
	json_object_set_object_member(top, "sbom", file_member(sbom));
	write_json(path, top);
}

/* To make a delta takes long: it is made once, from what runs, and then says to be from another root. */
static void put_delta(const World *world, const char *from, const char *dir)
{
	g_autofree char *made = scratch_file(&world->scratch, "delta");
	g_autofree char *path = g_build_filename(dir, "root.old.delta", NULL);
	g_autofree char *bytes = NULL;
	gsize size = 0;

	if (!g_file_test(made, G_FILE_TEST_EXISTS))
		SPAWN(g_getenv("PROA_PAYLOAD"), "delta", "--from", world->old_img, "--from-hash", BOOTED_HASH,
			"--to", world->root_img, "--to-hash", world->root_hash, made);
	g_assert_true(g_file_get_contents(made, &bytes, &size, NULL));
	g_assert_true(proa_hex_decode(from, (guint8 *)bytes + 64, PROA_SHA256_SIZE));
	g_assert_true(g_file_set_contents(path, bytes, (gssize)size, NULL));
}

/* All of these UKIs have the same kernel, which no zstd packed: there is one from nothing and one from the
 * old one. */
static void put_uki_payloads(const World *world, const char *uki, const char *dir)
{
	g_autofree char *full = g_build_filename(dir, "uki.full", NULL);
	g_autofree char *delta = g_build_filename(dir, "uki.old.delta", NULL);

	SPAWN(g_getenv("PROA_PAYLOAD"), "uki", "--uki", uki, "--image", world->root_img, "--root-hash",
		world->root_hash, full);
	SPAWN(g_getenv("PROA_PAYLOAD"), "uki", "--uki", uki, "--image", world->root_img, "--root-hash",
		world->root_hash, "--from", world->booted_uki, "--from-image", world->old_img,
		"--from-root-hash", BOOTED_HASH, delta);
}

void world_add(const World *world, const WorldRelease *release)
{
	g_autofree char *name = g_strdup_printf("release-%s-%s", release->channel, release->version);
	g_autofree char *dir = scratch_file(&world->scratch, name);
	g_autofree char *uki = g_build_filename(dir, "uki.efi", NULL);
	g_autofree char *sbom = g_build_filename(dir, "sbom.spdx.json", NULL);
	g_autofree char *full = g_build_filename(dir, "root.full", NULL);
	const char *root_hash = release->root_hash ? release->root_hash : world->root_hash;

	g_assert_cmpint(g_mkdir(dir, 0755), ==, 0);
	make_uki(world, release->version, release->uki_root_hash ? release->uki_root_hash : root_hash, uki);
	g_assert_true(g_file_set_contents(sbom, "{}", -1, NULL));
	SPAWN(g_getenv("PROA_PAYLOAD"), "full", "--level", "1", "--image", world->root_img, "--root-hash",
		root_hash, full);
	if (release->blocks) {
		g_autofree char *blocks = g_build_filename(dir, "root.blocks", NULL);
		SPAWN(g_getenv("PROA_PAYLOAD"), "blocks", "--level", "1", "--window", "64K", "--image",
			world->root_img, "--root-hash", root_hash, "--salt", SALT, blocks);
	}
	if (release->delta_from)
		put_delta(world, release->delta_from, dir);
	if (release->uki_payloads)
		put_uki_payloads(world, uki, dir);
	write_release_json(release, root_hash, dir);
	SPAWN(g_getenv("PROA_FEED"), "add", "--deltas", "0", "--no-blocks", "--feed", world->feed,
		"--channel", release->channel, "--no-trees", dir);
	SPAWN(g_getenv("PROA_FEED"), "publish", "--feed", world->feed, "--keys", world->keys);
}

char *world_file(const World *world, const char *folder, const char *suffix)
{
	g_autofree char *dir = g_build_filename(world->feed, folder, NULL);
	g_autoptr(GDir) listing = g_dir_open(dir, 0, NULL);
	const char *name;
	char *found = NULL;

	g_assert_nonnull(listing);
	while ((name = g_dir_read_name(listing)))
		if (g_str_has_suffix(name, suffix)) {
			g_assert_null(found);
			found = g_build_filename(dir, name, NULL);
		}
	g_assert_nonnull(found);
	return found;
}

/* --- the node
 * ---------------------------------------------------------------------------------------------------- */

char *node_path(const Node *node, const char *name)
{
	return scratch_file(&node->scratch, name);
}

static void make_sparse(const char *path, guint64 size)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	g_assert_cmpint(fd, >=, 0);
	g_assert_cmpint(ftruncate(fd, (off_t)size), ==, 0);
	close(fd);
}

static void make_disk(Node *node)
{
	g_autoptr(GError) error = NULL;
	static const char table[] =
		"label: gpt\nsize=1MiB, type=U, name=\"esp\"\n"
		"size=80MiB, name=\"root-a\", uuid=aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee\n"
		"size=4MiB, name=\"root-a-verity\", uuid=11111111-2222-3333-4444-5555555555aa\n"
		"size=80MiB, name=\"root-b\"\nsize=4MiB, name=\"root-b-verity\"\n";

	node->disk = node_path(node, "disk");
	make_sparse(node->disk, 200u << 20);
	g_autoptr(GSubprocess) sfdisk =
		g_subprocess_new(G_SUBPROCESS_FLAGS_STDIN_PIPE | G_SUBPROCESS_FLAGS_STDOUT_SILENCE, &error,
			"sfdisk", "--quiet", node->disk, NULL);
	g_assert_no_error(error);
	g_assert_true(g_subprocess_communicate_utf8(sfdisk, table, NULL, NULL, NULL, &error));
	g_assert_true(g_subprocess_get_successful(sfdisk));

	node->parts = node_path(node, "parts");
	g_free(scratch_write(&node->scratch, "parts/root-a", "the running root", -1));
	g_free(scratch_write(&node->scratch, "parts/root-a-verity", "its tree", -1));
	g_autofree char *data = node_path(node, "parts/root-b"),
			*hash = node_path(node, "parts/root-b-verity");
	make_sparse(data, SLOT_SIZE);
	make_sparse(hash, 4u << 20);
}

static char *digest_of(const Node *node, const char *name)
{
	g_autofree char *path = node_path(node, name);
	g_autofree char *bytes = NULL;
	gsize size = 0;

	if (!g_file_get_contents(path, &bytes, &size, NULL))
		return g_strdup("gone");
	return proa_sha256_hex(bytes, size);
}

static char *digest_of_booted(const Node *node)
{
	g_autofree char *data = digest_of(node, "parts/root-a"),
			*hash = digest_of(node, "parts/root-a-verity");
	g_autofree char *entry = digest_of(node, "esp/EFI/Linux/proa_1.0.0.efi");

	return g_strjoin(" ", data, hash, entry, NULL);
}

static void copy_file(const char *from, const Node *node, const char *name)
{
	g_autofree char *bytes = NULL;
	gsize size = 0;

	g_assert_true(g_file_get_contents(from, &bytes, &size, NULL));
	g_free(scratch_write(&node->scratch, name, bytes, (gssize)size));
}

void node_make(Node *node, const World *world, const char *url, const char *channel)
{
	g_autofree char *config = g_strdup_printf("[feed]\nurl=%s\nchannel=%s\n", url, channel);
	g_autofree char *root_json = g_build_filename(world->feed, "metadata", "1.root.json", NULL);
	g_autofree char *trusted = NULL;
	gsize size = 0;

	node->scratch = scratch_new();
	node->world = world;
	node->esp = node_path(node, "esp");
	node->state = node_path(node, "var/lib/proa");
	g_assert_true(g_file_get_contents(root_json, &trusted, &size, NULL));
	g_free(scratch_write(&node->scratch, "usr/lib/proa/trust/root.json", trusted, (gssize)size));
	g_free(scratch_write(&node->scratch, "usr/lib/os-release", "ID=proa\nIMAGE_VERSION=1.0.0\n", -1));
	g_free(scratch_write(&node->scratch, "etc/proa/update.conf", config, -1));
	g_free(scratch_write(&node->scratch, "proc/cmdline", "roothash=" BOOTED_HASH " panic=10\n", -1));
	make_disk(node);

	copy_file(world->booted_uki, node, "esp/EFI/Linux/proa_1.0.0.efi");
	copy_file(world->old_uki, node, "esp/EFI/Linux/proa_0.9.0+0-3.efi");
	node->booted_before = digest_of_booted(node);
}

void node_clear(Node *node)
{
	g_free(node->esp);
	g_free(node->parts);
	g_free(node->disk);
	g_free(node->state);
	g_free(node->booted_before);
	scratch_clear(&node->scratch);
}

void node_give_old_image(Node *node)
{
	g_autofree char *data = node_path(node, "parts/root-a"),
			*hash = node_path(node, "parts/root-a-verity");

	copy_file(node->world->old_img, node, "parts/root-a");
	SPAWN("veritysetup", "format", "--salt=" SALT, "--uuid=" ROOT_UUID, data, hash);
	g_free(node->booted_before);
	node->booted_before = digest_of_booted(node);
}

/* --- runs
 * -------------------------------------------------------------------------------------------------------- */

void run_clear(Run *run)
{
	g_free(run->output);
	if (run->last)
		json_object_unref(run->last);
}

/* @out: where its standard output goes; -1: to a pipe of its own. It is closed here. */
static GSubprocess *start(const Node *node, const char *first, const char *second, int out)
{
	g_autoptr(GSubprocessLauncher) launcher =
		g_subprocess_launcher_new(out < 0 ? G_SUBPROCESS_FLAGS_STDOUT_PIPE : G_SUBPROCESS_FLAGS_NONE);
	g_autoptr(GError) error = NULL;
	const char *argv[] = { g_getenv("PROA_INSTALL"), "--root", node->scratch.path, "--disk", node->disk,
		"--parts", node->parts, "--esp", node->esp, "--fetch-helper", g_getenv("PROA_FETCH"), first,
		second, NULL };

	if (out >= 0)
		g_subprocess_launcher_take_stdout_fd(launcher, out);
	GSubprocess *process = g_subprocess_launcher_spawnv(launcher, argv, &error);
	g_assert_no_error(error);
	return process;
}

static void take_line(Run *run, const char *line)
{
	g_autofree char *before = run->output;

	run->output = g_strconcat(before ? before : "", line, "\n", NULL);
	if (run->last)
		json_object_unref(run->last);
	run->last = proa_json_parse(line, strlen(line), line, PROA_REASON_INTERNAL, NULL);
	if (!run->last)
		g_error("not a JSON object: %s", line);
}

/* Highest resident memory of a process so far, KiB; 0 if it is gone. */
static gint64 peak_of(const char *pid)
{
	g_autofree char *path = g_build_filename("/proc", pid, "status", NULL);
	g_autofree char *text = NULL;
	const char *line = NULL;

	if (g_file_get_contents(path, &text, NULL, NULL))
		line = strstr(text, "VmHWM:");
	return line ? g_ascii_strtoll(line + strlen("VmHWM:"), NULL, 10) : 0;
}

static void look_at_memory(Run *run, const char *pid)
{
	g_autofree char *path = pid ? g_build_filename("/proc", pid, "task", pid, "children", NULL) : NULL;
	g_autofree char *text = NULL;

	if (!path)
		return;
	run->install_kib = MAX(run->install_kib, peak_of(pid));
	if (!g_file_get_contents(path, &text, NULL, NULL))
		return;
	g_auto(GStrv) children = g_strsplit(text, " ", -1);
	for (char **child = children; *child && **child; child++)
		run->fetch_kib = MAX(run->fetch_kib, peak_of(*child));
}

static Run follow(GSubprocess *process, const char *text, void (*act)(GSubprocess *, gpointer), gpointer data)
{
	g_autoptr(GDataInputStream) lines = g_data_input_stream_new(g_subprocess_get_stdout_pipe(process));
	Run run = { 0 };
	char *got;

	while ((got = g_data_input_stream_read_line_utf8(lines, NULL, NULL, NULL))) {
		g_autofree char *line = got;
		g_test_message("%s", line);
		take_line(&run, line);
		look_at_memory(&run, g_subprocess_get_identifier(process));
		if (text && strstr(line, text)) {
			act(process, data);
			text = NULL;
		}
	}
	g_subprocess_wait(process, NULL, NULL);
	g_assert_null(text);
	g_assert_true(g_subprocess_get_if_exited(process));
	run.status = g_subprocess_get_exit_status(process);
	g_assert_nonnull(run.last);
	return run;
}

Run node_run_killed(const Node *node, const char *text, guint nth)
{
	int fds[2];

	/* A packet is a line, and the pipe holds one: whoever is late with the kill finds it at the next. */
	g_assert_cmpint(pipe2(fds, O_CLOEXEC | O_DIRECT), ==, 0);
	g_assert_cmpint(fcntl(fds[0], F_SETPIPE_SZ, 1), >, 0);
	g_autoptr(GInputStream) pipe = g_unix_input_stream_new(fds[0], TRUE);
	g_autoptr(GSubprocess) process = start(node, NULL, NULL, fds[1]);
	g_autoptr(GDataInputStream) lines = g_data_input_stream_new(pipe);
	Run run = { 0 };
	char *got;

	while (nth > 0 && (got = g_data_input_stream_read_line_utf8(lines, NULL, NULL, NULL))) {
		g_autofree char *line = got;
		take_line(&run, line);
		if (strstr(line, text))
			nth--;
	}
	if (nth > 0)
		g_error("it ended before it could be killed: %s", run.output);
	g_subprocess_force_exit(process);
	g_subprocess_wait(process, NULL, NULL);
	return run;
}

char *run_lines(const Run *run, const char *text)
{
	g_auto(GStrv) lines = g_strsplit(run->output, "\n", -1);
	GString *found = g_string_new(NULL);

	for (char **line = lines; *line; line++)
		if (strstr(*line, text))
			g_string_append_printf(found, "%s\n", *line);
	return g_string_free(found, FALSE);
}

Run node_run_until(
	const Node *node, const char *text, void (*act)(GSubprocess *process, gpointer data), gpointer data)
{
	g_autoptr(GSubprocess) process = start(node, NULL, NULL, -1);

	return follow(process, text, act, data);
}

Run node_run(const Node *node, const char *first, const char *second)
{
	g_autoptr(GSubprocess) process = start(node, first, second, -1);

	return follow(process, NULL, NULL, NULL);
}

void assert_done(const Run *run, const World *world)
{
	if (run->status != 0)
		g_error("it failed: %s", run->output);
	g_assert_cmpstr(json_object_get_string_member(run->last, "event"), ==, "done");
	g_assert_cmpstr(json_object_get_string_member(run->last, "result"), ==, "staged");
	g_assert_cmpstr(json_object_get_string_member(run->last, "version"), ==, "1.0.1");
	g_assert_cmpstr(json_object_get_string_member(run->last, "root_hash"), ==, world->root_hash);
	g_assert_cmpstr(json_object_get_string_member(run->last, "slot"), ==, "root-b");
}

void assert_failed(const Run *run, int status, const char *reason)
{
	g_assert_cmpstr(json_object_get_string_member(run->last, "event"), ==, "error");
	g_assert_cmpstr(json_object_get_string_member(run->last, "reason"), ==, reason);
	g_assert_cmpint(run->status, ==, status);
	g_assert_cmpuint(strlen(json_object_get_string_member(run->last, "message")), >, 0);
	g_assert_cmpuint(strlen(json_object_get_string_member(run->last, "hint")), >, 0);
}

static int by_name(gconstpointer a, gconstpointer b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

void assert_entries(const Node *node, const char *const *names)
{
	g_autofree char *dir = g_build_filename(node->esp, "EFI/Linux", NULL);
	g_autoptr(GDir) listing = g_dir_open(dir, 0, NULL);
	g_autoptr(GPtrArray) found = g_ptr_array_new_with_free_func(g_free);
	const char *name;

	while ((name = g_dir_read_name(listing)))
		g_ptr_array_add(found, g_strdup(name));
	g_ptr_array_sort(found, by_name);
	g_ptr_array_add(found, NULL);
	for (guint i = 0; i < found->len; i++) {
		g_assert_cmpstr(found->pdata[i], ==, names[i]);
		if (!names[i])
			break;
	}
}

void assert_booted_untouched(const Node *node)
{
	g_autofree char *now = digest_of_booted(node);

	g_assert_cmpstr(now, ==, node->booted_before);
}

void assert_nothing_armed(const Node *node)
{
	assert_booted_untouched(node);
	assert_entries(node, (const char *const[]){ "proa_1.0.0.efi", NULL });
}

static void assert_starts_with(const Node *node, const char *name, const char *expected_path)
{
	g_autofree char *path = node_path(node, name);
	g_autofree char *got = NULL, *expected = NULL;
	gsize got_size = 0, size = 0;

	g_assert_true(g_file_get_contents(path, &got, &got_size, NULL));
	g_assert_true(g_file_get_contents(expected_path, &expected, &size, NULL));
	g_assert_cmpuint(got_size, >=, size);
	g_assert_true(memcmp(got, expected, size) == 0);
}

void assert_staged(const Node *node)
{
	const char *hash = node->world->root_hash;
	g_autofree char *table = NULL;
	g_autofree char *uuid =
		g_strdup_printf("%.8s-%.4s-%.4s-%.4s-%.12s", hash, hash + 8, hash + 12, hash + 16, hash + 20);
	g_autofree char *hash_uuid = g_strdup_printf(
		"%.8s-%.4s-%.4s-%.4s-%.12s", hash + 32, hash + 40, hash + 44, hash + 48, hash + 52);
	g_autofree char *upper = g_ascii_strup(uuid, -1), *hash_upper = g_ascii_strup(hash_uuid, -1);

	assert_booted_untouched(node);
	assert_entries(node, (const char *const[]){ "proa_1.0.0.efi", "proa_1.0.1+3.efi", NULL });
	assert_starts_with(node, "parts/root-b", node->world->root_img);
	assert_starts_with(node, "parts/root-b-verity", node->world->root_verity);
	spawn((const char *const[]){ "sfdisk", "--dump", node->disk, NULL }, &table);
	g_assert_nonnull(strstr(table, upper));
	g_assert_nonnull(strstr(table, hash_upper));
}

char *node_state(const Node *node, const char *member)
{
	g_autofree char *path = g_build_filename(node->state, "state.json", NULL);
	g_autofree char *text = NULL;
	gsize size = 0;

	if (!g_file_get_contents(path, &text, &size, NULL))
		return NULL;
	g_autoptr(JsonObject) object = proa_json_parse(text, size, path, PROA_REASON_BAD_STATE, NULL);
	return object ? g_strdup(proa_json_string_or(object, member, NULL)) : NULL;
}

guint node_history(const Node *node, const char *event, const char *reason)
{
	g_autofree char *path = g_build_filename(node->state, "history.jsonl", NULL);
	g_autofree char *text = NULL;
	guint n = 0;

	if (!g_file_get_contents(path, &text, NULL, NULL))
		return 0;
	g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
	for (char **line = lines; *line && **line; line++) {
		g_autoptr(JsonObject) object =
			proa_json_parse(*line, strlen(*line), "history", PROA_REASON_BAD_STATE, NULL);
		g_assert_nonnull(object);
		if (strcmp(proa_json_string_or(object, "event", ""), event) == 0 &&
			(!reason || strcmp(proa_json_string_or(object, "reason", ""), reason) == 0))
			n++;
	}
	return n;
}
