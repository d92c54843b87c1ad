/* SPDX-License-Identifier: Apache-2.0 */
/* Whole transactions of the real proa-install. What each one leaves behind is what matters. */
#include "base/pin.h"
#include "base/state.h"
#include "tests/unit/updater/install/world.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/mount.h>

#define WRONG_HASH "ff12345678abcdefff12345678abcdefff12345678abcdefff12345678abcdef"
#define MEMORY_LIMIT_KIB (32 * 1024)

static World world;
static Nginx nginx;

typedef struct {
	Node node;
} Fixture;

static void set_up(Fixture *f, gconstpointer channel)
{
	node_make(&f->node, &world, nginx.url, channel);
}

static void tear_down(Fixture *f, gconstpointer channel)
{
	node_clear(&f->node);
}

static void assert_state(const Node *node, const char *member, const char *expected)
{
	g_autofree char *value = node_state(node, member);

	g_assert_cmpstr(value, ==, expected);
}

/* After whatever went wrong before. */
static void assert_good_update_succeeds(const Node *node)
{
	g_auto(Run) run = node_run(node, NULL, NULL);

	assert_done(&run, &world);
	assert_staged(node);
}

static void good_update(Fixture *f, gconstpointer channel)
{
	g_auto(Run) run = node_run(&f->node, NULL, NULL);

	assert_done(&run, &world);
	assert_staged(&f->node);
	assert_state(&f->node, "state", "staged");
	assert_state(&f->node, "last_check_result", "ok");
	g_assert_cmpuint(node_history(&f->node, "staged", NULL), ==, 1);
	const char *after = run.output;
	const char *const events[] = { "\"trust\"", "\"choose\"", "\"offer\"", "\"prepare\"", "\"fetch\"",
		"\"progress\"", "\"verify\"", "\"arm\"", "\"done\"" };
	for (guint i = 0; i < G_N_ELEMENTS(events); i++) {
		after = strstr(after, events[i]);
		if (!after)
			g_error("%s is missing or out of order in %s", events[i], run.output);
	}

	/* Once more: it is staged already, and stays so. */
	g_auto(Run) again = node_run(&f->node, NULL, NULL);
	assert_failed(&again, 4, "no-update");
	assert_staged(&f->node);
	assert_state(&f->node, "state", "staged");
}

/* The root image is 64 MiB, twice the limit. */
static void memory_is_bounded(Fixture *f, gconstpointer channel)
{
#ifdef __SANITIZE_ADDRESS__
	g_test_skip("a sanitizer has memory of its own");
	return;
#endif
	g_auto(Run) run = node_run(&f->node, NULL, NULL);

	assert_done(&run, &world);
	g_test_message("proa-install %" G_GINT64_FORMAT " KiB, proa-fetch %" G_GINT64_FORMAT " KiB",
		run.install_kib, run.fetch_kib);
	g_assert_cmpint(run.install_kib, >, 0);
	g_assert_cmpint(run.fetch_kib, >, 0);
	g_assert_cmpint(run.install_kib + run.fetch_kib, <=, MEMORY_LIMIT_KIB);
}

static void check_changes_nothing(Fixture *f, gconstpointer channel)
{
	g_auto(Run) run = node_run(&f->node, "--check", NULL);

	g_assert_cmpint(run.status, ==, 0);
	g_assert_cmpstr(json_object_get_string_member(run.last, "event"), ==, "offer");
	g_assert_cmpstr(json_object_get_string_member(run.last, "version"), ==, "1.0.1");
	g_assert_cmpint(json_object_get_int_member(run.last, "bytes"), >, 30 << 20);
	assert_booted_untouched(&f->node);
	assert_entries(&f->node, (const char *const[]){ "proa_0.9.0+0-3.efi", "proa_1.0.0.efi", NULL });
	assert_state(&f->node, "last_check_offered", "1.0.1");
	assert_state(&f->node, "state", "idle");
}

/* --- the feed is bad
 * --------------------------------------------------------------------------------------------- */

static void flip(const char *path, gint64 at)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);
	guint8 byte = 0;

	g_assert_cmpint(fd, >=, 0);
	off_t offset = at >= 0 ? (off_t)at : lseek(fd, 0, SEEK_END) + (off_t)at;
	g_assert_cmpint(pread(fd, &byte, 1, offset), ==, 1);
	byte ^= 1;
	g_assert_cmpint(pwrite(fd, &byte, 1, offset), ==, 1);
	close(fd);
}

static char *payload_file(const char *suffix)
{
	g_autofree char *manifest = world_file(&world, "targets/stable/1.0.1", ".manifest.json");
	g_autofree char *text = NULL;

	g_assert_true(g_file_get_contents(manifest, &text, NULL, NULL));
	g_auto(GStrv) words = g_strsplit(text, "\"", -1);
	for (char **word = words; *word; word++)
		if (g_str_has_prefix(*word, "payloads/") && g_str_has_suffix(*word, suffix))
			return g_build_filename(world.feed, *word, NULL);
	g_assert_not_reached();
}

static void flipped_byte(Fixture *f, gconstpointer channel)
{
	g_autofree char *path = payload_file(".full");

	flip(path, 20 << 20);
	g_auto(Run) run = node_run(&f->node, NULL, NULL);
	flip(path, 20 << 20);
	assert_failed(&run, 1, "payload-digest");
	assert_nothing_armed(&f->node);
	assert_state(&f->node, "state", "idle");
	g_assert_cmpuint(node_history(&f->node, "failed", "payload-digest"), ==, 1);
	assert_good_update_succeeds(&f->node);
}

static void flipped_header(Fixture *f, gconstpointer channel)
{
	g_autofree char *path = payload_file(".full");

	flip(path, 100);
	g_auto(Run) run = node_run(&f->node, NULL, NULL);
	flip(path, 100);
	assert_failed(&run, 1, "payload-digest");
	assert_nothing_armed(&f->node);
}

static void truncated(Fixture *f, gconstpointer channel)
{
	g_autofree char *path = payload_file(".full"), *whole = g_strconcat(path, ".whole", NULL);
	g_autofree char *bytes = NULL;
	gsize size = 0;

	g_assert_true(g_file_get_contents(path, &bytes, &size, NULL));
	g_assert_cmpint(g_rename(path, whole), ==, 0);
	g_assert_true(g_file_set_contents(path, bytes, (gssize)size / 2, NULL));
	g_auto(Run) run = node_run(&f->node, NULL, NULL);
	g_assert_cmpint(g_rename(whole, path), ==, 0);
	assert_failed(&run, 1, "payload-truncated");
	assert_nothing_armed(&f->node);
	assert_good_update_succeeds(&f->node);
}

static void payload_missing(Fixture *f, gconstpointer channel)
{
	g_autofree char *path = payload_file(".full"), *away = g_strconcat(path, ".away", NULL);

	g_assert_cmpint(g_rename(path, away), ==, 0);
	g_auto(Run) run = node_run(&f->node, NULL, NULL);
	g_assert_cmpint(g_rename(away, path), ==, 0);
	assert_failed(&run, 1, "not-found");
	assert_nothing_armed(&f->node);
}

static void flipped_uki(Fixture *f, gconstpointer channel)
{
	g_autofree char *path = payload_file(".efi");

	flip(path, -20);
	g_auto(Run) run = node_run(&f->node, NULL, NULL);
	flip(path, -20);
	assert_failed(&run, 1, "payload-digest");
	assert_nothing_armed(&f->node);
	assert_good_update_succeeds(&f->node);
}

static void wrong_root_hash(Fixture *f, gconstpointer channel)
{
	g_auto(Run) run = node_run(&f->node, NULL, NULL);

	assert_failed(&run, 1, "root-hash-mismatch");
	assert_nothing_armed(&f->node);
	g_assert_cmpuint(node_history(&f->node, "failed", "root-hash-mismatch"), ==, 1);
}

static void uki_of_another_root(Fixture *f, gconstpointer channel)
{
	g_auto(Run) run = node_run(&f->node, NULL, NULL);

	assert_failed(&run, 1, "bad-uki");
	assert_nothing_armed(&f->node);
}

static void wrong_signature(Fixture *f, gconstpointer channel)
{
	g_autofree char *path = g_build_filename(world.feed, "metadata/timestamp.json", NULL);
	g_autofree char *good = NULL;
	g_autoptr(GString) bad = NULL;

	g_assert_true(g_file_get_contents(path, &good, NULL, NULL));
	bad = g_string_new(good);
	/* Signed by the right key, but of other words. */
	g_assert_cmpuint(g_string_replace(bad, "\"version\":", "\"x\":1,\"version\":", 1), ==, 1);
	g_assert_true(g_file_set_contents(path, bad->str, -1, NULL));
	g_auto(Run) run = node_run(&f->node, NULL, NULL);
	g_auto(Run) again = node_run(&f->node, NULL, NULL);
	g_assert_true(g_file_set_contents(path, good, -1, NULL));
	assert_failed(&run, 3, "bad-signature");
	assert_booted_untouched(&f->node);
	/* Told once, however often a timer asks. */
	g_assert_cmpuint(node_history(&f->node, "refused", "bad-signature"), ==, 1);
	assert_state(&f->node, "last_check_result", "bad-signature");
	assert_good_update_succeeds(&f->node);
}

static void no_trust(Fixture *f, gconstpointer channel)
{
	g_autofree char *root = node_path(&f->node, "usr/lib/proa/trust/root.json");

	g_assert_cmpint(g_remove(root), ==, 0);
	g_auto(Run) run = node_run(&f->node, NULL, NULL);
	assert_failed(&run, 3, "no-trust");
	assert_booted_untouched(&f->node);
}

static void no_feed(Fixture *f, gconstpointer channel)
{
	g_autofree char *text = g_strdup_printf("[feed]\nurl=http://127.0.0.1:%u\n", nginx_free_port());

	g_free(scratch_write(&f->node.scratch, "etc/proa/update.conf", text, -1));
	g_auto(Run) run = node_run(&f->node, NULL, NULL);
	assert_failed(&run, 1, "feed-unreachable");
	assert_booted_untouched(&f->node);
	assert_state(&f->node, "last_check_result", "feed-unreachable");

	g_free(scratch_write(&f->node.scratch, "etc/proa/update.conf", "", 0));
	g_auto(Run) none = node_run(&f->node, NULL, NULL);
	assert_failed(&none, 1, "bad-config");
}

/* --- it is interrupted
 * ------------------------------------------------------------------------------------------- */

static void use_url(const Node *node, const char *channel, const char *url)
{
	g_autofree char *text = g_strdup_printf("[feed]\nurl=%s\nchannel=%s\n", url, channel);

	g_free(scratch_write(&node->scratch, "etc/proa/update.conf", text, -1));
}

/* What went on after a break is made anew once, and that is laid to the payload that it was. */
static void wrong_root_hash_after_a_break(Fixture *f, gconstpointer channel)
{
	g_autofree char *path = g_build_filename(f->node.state, "history.jsonl", NULL), *text = NULL;

	use_url(&f->node, channel, nginx.slow_url);
	g_auto(Run) killed = node_run_killed(&f->node, "\"phase\":\"fetch\",\"done\"", 5);
	use_url(&f->node, channel, nginx.url);
	g_auto(Run) run = node_run(&f->node, NULL, NULL);
	assert_failed(&run, 1, "root-hash-mismatch");
	assert_nothing_armed(&f->node);
	g_assert_cmpuint(node_history(&f->node, "payload-failed", "root-hash-mismatch"), ==, 1);
	g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
	g_assert_nonnull(strstr(text, "payload full: "));
	g_assert_null(strstr(text, "payload delta: "));
}

static void send_term(GSubprocess *process, gpointer data)
{
	g_subprocess_send_signal(process, SIGTERM);
}

static void cancelled(Fixture *f, gconstpointer channel)
{
	use_url(&f->node, channel, nginx.slow_url);
	g_auto(Run) run = node_run_until(&f->node, "\"progress\"", send_term, NULL);
	assert_failed(&run, 1, "cancelled");
	assert_nothing_armed(&f->node);
	assert_state(&f->node, "state", "idle");
	g_assert_cmpuint(node_history(&f->node, "failed", "cancelled"), ==, 1);
}

static void kill_server(GSubprocess *process, gpointer server)
{
	nginx_kill(server);
}

static void server_dies(Fixture *f, gconstpointer channel)
{
	Nginx mortal = { 0 };

	nginx_start(&mortal, world.feed, SLOW_RATE, FALSE);
	use_url(&f->node, channel, mortal.slow_url);
	g_free(scratch_write(
		&f->node.scratch, "etc/proa/update.conf.d/quick.conf", "[fetch]\nretries=0\n", -1));
	g_auto(Run) run = node_run_until(&f->node, "\"progress\"", kill_server, &mortal);
	nginx_clear(&mortal);
	assert_failed(&run, 1, "transfer-interrupted");
	assert_nothing_armed(&f->node);
}

static void kill_it(GSubprocess *process, gpointer data)
{
	g_subprocess_force_exit(process);
}

/* No chance to clean up: the next transaction does. */
static void killed(Fixture *f, gconstpointer channel)
{
	g_autofree char *leftover =
		scratch_write(&f->node.scratch, "esp/EFI/Linux/proa-install.tmp", "half a boot image", -1);

	use_url(&f->node, channel, nginx.slow_url);
	g_autoptr(GError) error = NULL;
	const char *argv[] = { g_getenv("PROA_INSTALL"), "--root", f->node.scratch.path, "--disk",
		f->node.disk, "--parts", f->node.parts, "--esp", f->node.esp, "--fetch-helper",
		g_getenv("PROA_FETCH"), NULL };
	g_autoptr(GSubprocess) process = g_subprocess_newv(argv, G_SUBPROCESS_FLAGS_STDOUT_PIPE, &error);
	g_autoptr(GDataInputStream) lines = g_data_input_stream_new(g_subprocess_get_stdout_pipe(process));
	char *line;
	while ((line = g_data_input_stream_read_line(lines, NULL, NULL, NULL))) {
		gboolean seen = strstr(line, "\"progress\"") != NULL;
		g_free(line);
		if (seen)
			break;
	}
	kill_it(process, NULL);
	g_subprocess_wait(process, NULL, NULL);
	assert_state(&f->node, "state", "staging");
	assert_nothing_armed(&f->node);
	g_assert_false(g_file_test(leftover, G_FILE_TEST_EXISTS));

	use_url(&f->node, channel, nginx.url);
	assert_good_update_succeeds(&f->node);
	g_assert_cmpuint(node_history(&f->node, "failed", "cancelled"), ==, 1);
}

static void busy(Fixture *f, gconstpointer channel)
{
	g_autofree char *path = scratch_write(&f->node.scratch, "run/proa/install.lock", "", 0);
	int fd = open(path, O_RDWR | O_CLOEXEC);

	g_assert_cmpint(flock(fd, LOCK_EX), ==, 0);
	g_auto(Run) run = node_run(&f->node, NULL, NULL);
	assert_failed(&run, 3, "busy");
	assert_booted_untouched(&f->node);
	/* Whoever only looks asks for less. */
	g_auto(Run) check = node_run(&f->node, "--check", NULL);
	g_assert_cmpint(check.status, ==, 0);
	close(fd);
	assert_good_update_succeeds(&f->node);
}

/* --- the node refuses
 * -------------------------------------------------------------------------------------------- */

static void rename_entry(const Node *node, const char *to)
{
	g_autofree char *from_path = g_build_filename(node->esp, "EFI/Linux/proa_1.0.0.efi", NULL);
	g_autofree char *to_path = g_build_filename(node->esp, "EFI/Linux", to, NULL);

	g_assert_cmpint(g_rename(from_path, to_path), ==, 0);
}

static void trial_boot(Fixture *f, gconstpointer channel)
{
	rename_entry(&f->node, "proa_1.0.0+2-1.efi");
	g_auto(Run) run = node_run(&f->node, NULL, NULL);
	assert_failed(&run, 3, "trial-boot");
	assert_entries(&f->node, (const char *const[]){ "proa_0.9.0+0-3.efi", "proa_1.0.0+2-1.efi", NULL });
}

static void set_aside(Fixture *f, gconstpointer channel)
{
	rename_entry(&f->node, "proa_1.0.0+0-1.efi");
	g_auto(Run) run = node_run(&f->node, NULL, NULL);
	assert_failed(&run, 3, "trial-boot");
	assert_entries(&f->node, (const char *const[]){ "proa_0.9.0+0-3.efi", "proa_1.0.0+0-1.efi", NULL });
}

static void no_boot_entry(Fixture *f, gconstpointer channel)
{
	rename_entry(&f->node, "something-else.efi");
	g_auto(Run) run = node_run(&f->node, NULL, NULL);
	assert_failed(&run, 3, "no-boot-entry");
}

static void rejected_before(Fixture *f, gconstpointer channel)
{
	g_assert_true(
		proa_rejected_add(f->node.state, world.root_hash, "1.0.1", "containerd-down", NULL, NULL));
	g_auto(Run) first = node_run(&f->node, NULL, NULL);
	assert_failed(&first, 3, "rejected-before");
	g_assert_nonnull(strstr(json_object_get_string_member(first.last, "message"), "containerd-down"));
	/* Not even when it is named. */
	g_auto(Run) named = node_run(&f->node, "--to", "1.0.1");
	assert_failed(&named, 3, "rejected-before");
	assert_booted_untouched(&f->node);
}

/* An operator's pin holds the node, by name too; on its own version there is nothing to do. */
static void pinned(Fixture *f, gconstpointer channel)
{
	g_assert_true(proa_pin_save(f->node.state, "1.0.1", NULL));
	g_auto(Run) other = node_run(&f->node, "--to", "0.9.0");
	assert_failed(&other, 3, "pinned");
	g_assert_true(proa_pin_save(f->node.state, "1.0.0", NULL));
	g_auto(Run) running = node_run(&f->node, NULL, NULL);
	assert_failed(&running, 4, "no-update");
	/* Refused before anything was written. */
	assert_booted_untouched(&f->node);
	assert_entries(&f->node, (const char *const[]){ "proa_0.9.0+0-3.efi", "proa_1.0.0.efi", NULL });
	g_assert_true(proa_pin_save(f->node.state, "1.0.1", NULL));
	assert_good_update_succeeds(&f->node);
}

static void below_floor(Fixture *f, gconstpointer channel)
{
	g_free(scratch_write(&f->node.scratch, "var/lib/proa/floor.json", "{\"version\":\"2.0\"}", -1));
	g_auto(Run) run = node_run(&f->node, NULL, NULL);
	assert_failed(&run, 3, "below-floor");
	assert_booted_untouched(&f->node);
}

/* A token for this node and 1.0.1, or what is said to be one. */
static char *make_token(const Fixture *f, const char *option, const char *value, const char *key)
{
	g_autofree char *path = g_strdup_printf("%s/%s.pem", world.keys, key);
	char *token = node_path(&f->node, "token.json");
	g_autoptr(GError) error = NULL;
	g_autoptr(GSubprocess) process =
		g_subprocess_new(G_SUBPROCESS_FLAGS_STDOUT_SILENCE, &error, g_getenv("PROA_FEED"), "token",
			"1.0.1", "--key", path, option, value, "--reason", "a test", "--out", token, NULL);

	g_assert_no_error(error);
	g_assert_true(g_subprocess_wait_check(process, NULL, NULL));
	return token;
}

#define MACHINE_ID "0123456789abcdef0123456789abcdef"

static void token_opens_the_floor(Fixture *f, gconstpointer channel)
{
	g_free(scratch_write(&f->node.scratch, "var/lib/proa/floor.json", "{\"version\":\"2.0\"}", -1));
	g_free(scratch_write(&f->node.scratch, "etc/machine-id", MACHINE_ID "\n", -1));
	g_autofree char *token = make_token(f, "--node", MACHINE_ID, "break-glass");
	g_autofree char *option = g_strconcat("--token=", token, NULL);
	g_auto(Run) run = node_run(&f->node, "--to=1.0.1", option);
	assert_done(&run, &world);
	g_assert_cmpuint(node_history(&f->node, "token-used", NULL), ==, 1);
}

/* Another node's, and one that the key of the channel signed. */
static void token_refused(Fixture *f, gconstpointer channel)
{
	static const char *const cases[][3] = { { "--node", "ffffffffffffffffffffffffffffffff",
							"break-glass" },
		{ "--pool", "canary", "break-glass" }, { "--node", MACHINE_ID, "stable" } };

	g_free(scratch_write(&f->node.scratch, "var/lib/proa/floor.json", "{\"version\":\"2.0\"}", -1));
	g_free(scratch_write(&f->node.scratch, "etc/machine-id", MACHINE_ID "\n", -1));
	for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
		g_autofree char *token = make_token(f, cases[i][0], cases[i][1], cases[i][2]);
		g_autofree char *option = g_strconcat("--token=", token, NULL);
		g_auto(Run) run = node_run(&f->node, "--to=1.0.1", option);
		assert_failed(&run, 3, "bad-token");
	}
	assert_booted_untouched(&f->node);
	g_assert_cmpuint(node_history(&f->node, "token-used", NULL), ==, 0);
}

/* The firmware prefers the newer one, so it is set aside: left as by a rollback, not rejected. */
static void older_release_is_tried_next(Fixture *f, gconstpointer channel)
{
	g_auto(Run) run = node_run(&f->node, "--to", "0.9.5");

	g_assert_cmpint(run.status, ==, 0);
	g_assert_cmpstr(json_object_get_string_member(run.last, "version"), ==, "0.9.5");
	assert_entries(&f->node, (const char *const[]){ "proa_0.9.5+3.efi", "proa_1.0.0+0-1.efi", NULL });
	assert_state(&f->node, "state", "staged");
	g_autoptr(GPtrArray) rejected = proa_rejected_load(f->node.state, NULL);
	const ProaRejected *left = proa_rejected_find(rejected, BOOTED_HASH);
	g_assert_nonnull(left);
	g_assert_cmpstr(left->reason, ==, "rolled-back");
	g_assert_cmpuint(node_history(&f->node, "rolled-back", "rolled-back"), ==, 1);
}

/* The other slot holds a release that came to health once; the running one began @ago seconds ago. */
static void be_watched(const Node *node, gint64 ago, const char *unasked)
{
	g_autofree char *from = g_build_filename(node->esp, "EFI/Linux/proa_0.9.0+0-3.efi", NULL);
	g_autofree char *to = g_build_filename(node->esp, "EFI/Linux/proa_0.9.0.efi", NULL);
	g_autofree char *text = g_strdup_printf("{\"time\":{\"elapsed\":%" G_GINT64_FORMAT
						",\"uptime\":40},\"releases\":{\"" BOOTED_HASH
						"\":{\"began\":0,\"hold\":604800,\"unasked\":[%s]}}}",
		ago, unasked);

	g_assert_cmpint(g_rename(from, to), ==, 0);
	g_free(scratch_write(&node->scratch, "var/lib/proa/crashes.json", text, -1));
	g_free(scratch_write(&node->scratch, "proc/uptime", "40.12 70.00\n", -1));
}

/* Two bad releases in a row: what was blessed an hour ago may still turn out to be the first of them. */
static void last_sound_release_is_kept(Fixture *f, gconstpointer channel)
{
	be_watched(&f->node, 7000, "1780000000");
	g_auto(Run) run = node_run(&f->node, "--unattended", NULL);
	assert_failed(&run, 3, "crash-watch");
	const char *wait = strstr(run.output, "\"wait\"");
	g_assert_nonnull(wait);
	g_assert_nonnull(strstr(wait, "\"until\""));
	assert_booted_untouched(&f->node);
	assert_entries(&f->node, (const char *const[]){ "proa_0.9.0.efi", "proa_1.0.0.efi", NULL });
	assert_state(&f->node, "last_check_offered", "1.0.1");

	g_auto(Run) insisted = node_run(&f->node, NULL, NULL);
	assert_done(&insisted, &world);
	assert_staged(&f->node);
	g_assert_cmpuint(node_history(&f->node, "overwrote-last-good", NULL), ==, 1);
}

static void past_its_watch_it_is_sound_itself(Fixture *f, gconstpointer channel)
{
	be_watched(&f->node, 604801, "1780000000");
	g_auto(Run) run = node_run(&f->node, "--unattended", NULL);
	assert_done(&run, &world);
	g_assert_cmpuint(node_history(&f->node, "overwrote-last-good", NULL), ==, 0);
}

/* Nothing in it that a node could go back to. */
static void what_was_set_aside_is_not_kept(Fixture *f, gconstpointer channel)
{
	g_autofree char *from = g_build_filename(f->node.esp, "EFI/Linux/proa_0.9.0.efi", NULL);
	g_autofree char *to = g_build_filename(f->node.esp, "EFI/Linux/proa_0.9.0+0-3.efi", NULL);

	be_watched(&f->node, 60, "");
	g_assert_cmpint(g_rename(from, to), ==, 0);
	g_auto(Run) run = node_run(&f->node, "--unattended", NULL);
	assert_done(&run, &world);
}

/* A feed that calls the running release unsafe is waited for an hour at most. */
static void security_fix_is_not_held_up_for_long(Fixture *f, gconstpointer channel)
{
	be_watched(&f->node, 60, "");
	g_auto(Run) soon = node_run(&f->node, "--unattended", "--to=1.0.2");
	assert_failed(&soon, 3, "crash-watch");
	g_free(scratch_write(&f->node.scratch, "var/lib/proa/crashes.json",
		"{\"time\":{\"elapsed\":3601,\"uptime\":40},\"releases\":{\"" BOOTED_HASH
		"\":{\"began\":0,\"hold\":604800}}}",
		-1));
	g_auto(Run) run = node_run(&f->node, "--unattended", "--to=1.0.2");
	g_assert_cmpint(run.status, ==, 0);
}

/* What is newer needs nobody out of its way. */
static void newer_release_sets_nothing_aside(Fixture *f, gconstpointer channel)
{
	assert_good_update_succeeds(&f->node);
	g_assert_cmpuint(node_history(&f->node, "rolled-back", NULL), ==, 0);
	g_autoptr(GPtrArray) rejected = proa_rejected_load(f->node.state, NULL);
	g_assert_cmpuint(rejected->len, ==, 0);
}

static void named_release_missing(Fixture *f, gconstpointer channel)
{
	g_auto(Run) run = node_run(&f->node, "--to", "7.7");
	assert_failed(&run, 3, "no-such-release");
	g_auto(Run) odd = node_run(&f->node, "--to", "../7");
	assert_failed(&odd, 2, "usage");
}

static void nothing_newer(Fixture *f, gconstpointer channel)
{
	g_free(scratch_write(&f->node.scratch, "usr/lib/os-release", "IMAGE_VERSION=1.0.1\n", -1));
	g_auto(Run) run = node_run(&f->node, NULL, NULL);
	assert_failed(&run, 4, "no-update");
	assert_booted_untouched(&f->node);
}

static void slot_too_small(Fixture *f, gconstpointer channel)
{
	g_autoptr(GError) error = NULL;
	static const char table[] = "label: gpt\n"
				    "size=80MiB, name=\"root-a\", uuid=aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee\n"
				    "size=4MiB, name=\"root-a-verity\"\nsize=63MiB, name=\"root-b\"\n"
				    "size=4MiB, name=\"root-b-verity\"\n";
	g_autoptr(GSubprocess) sfdisk =
		g_subprocess_new(G_SUBPROCESS_FLAGS_STDIN_PIPE | G_SUBPROCESS_FLAGS_STDOUT_SILENCE, &error,
			"sfdisk", "--quiet", "--wipe=always", f->node.disk, NULL);

	g_assert_true(g_subprocess_communicate_utf8(sfdisk, table, NULL, NULL, NULL, &error));
	g_assert_true(g_subprocess_get_successful(sfdisk));
	g_auto(Run) run = node_run(&f->node, NULL, NULL);
	assert_failed(&run, 3, "slot-too-small");
	/* Refused early: the entry of the other slot is still there. */
	assert_entries(&f->node, (const char *const[]){ "proa_0.9.0+0-3.efi", "proa_1.0.0.efi", NULL });
	assert_booted_untouched(&f->node);
}

/* A real file system that is full; needs root. */
static void esp_full(Fixture *f, gconstpointer channel)
{
	g_autofree char *entry = g_build_filename(f->node.esp, "EFI/Linux/proa_1.0.0.efi", NULL);
	g_autofree char *bytes = NULL;
	gsize size = 0;

	g_assert_true(g_file_get_contents(entry, &bytes, &size, NULL));
	g_autofree char *options = g_strdup_printf("size=%" G_GSIZE_FORMAT, size + 300000);
	if (mount("tmpfs", f->node.esp, "tmpfs", 0, options) < 0) {
		g_test_skip("mounting a tmpfs is not allowed here");
		return;
	}
	g_free(scratch_write(&f->node.scratch, "esp/EFI/Linux/proa_1.0.0.efi", bytes, (gssize)size));
	g_auto(Run) run = node_run(&f->node, NULL, NULL);
	assert_failed(&run, 3, "esp-full");
	assert_nothing_armed(&f->node);
	g_assert_cmpint(umount2(f->node.esp, MNT_DETACH), ==, 0);
}

static void cmdline_without_root_hash(Fixture *f, gconstpointer channel)
{
	g_free(scratch_write(&f->node.scratch, "proc/cmdline", "quiet\n", -1));
	g_auto(Run) run = node_run(&f->node, NULL, NULL);
	assert_failed(&run, 3, "not-verified");
	assert_booted_untouched(&f->node);
}

/* State that is lost or broken stops nothing. */
static void broken_state(Fixture *f, gconstpointer channel)
{
	g_free(scratch_write(&f->node.scratch, "var/lib/proa/state.json", "{", -1));
	g_free(scratch_write(&f->node.scratch, "var/lib/proa/rejected.json", "{", -1));
	g_free(scratch_write(&f->node.scratch, "var/lib/proa/floor.json", "{", -1));
	assert_good_update_succeeds(&f->node);
	assert_state(&f->node, "state", "staged");
}

static void floor_rises(Fixture *f, gconstpointer channel)
{
	g_autofree char *path = node_path(&f->node, "var/lib/proa/floor.json");
	g_autofree char *text = NULL;

	assert_good_update_succeeds(&f->node);
	g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
	g_assert_nonnull(strstr(text, "\"1.0.0\""));
}

/* The rename that arms is the commit point: a power cut behind it must not lose the floor. */
static void floor_rises_before_it_is_armed(Fixture *f, gconstpointer channel)
{
	g_autofree char *path = node_path(&f->node, "var/lib/proa/floor.json");
	g_autofree char *text = NULL;
	g_auto(Run) run = node_run(&f->node, NULL, NULL);

	assert_failed(&run, 1, "bad-uki");
	g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
	g_assert_nonnull(strstr(text, "\"1.0.0\""));
}

/* Of a release that was never here. */
static void floor_of_the_newest_counts(Fixture *f, gconstpointer channel)
{
	g_auto(Run) old = node_run(&f->node, "--to", "1.0.1");
	assert_failed(&old, 3, "below-floor");
	assert_booted_untouched(&f->node);
	g_auto(Run) new = node_run(&f->node, "--check", "--to=1.0.2");
	g_assert_cmpint(new.status, ==, 0);
}

static void never_a_real_disk_with_root(void)
{
	g_autoptr(GError) error = NULL;
	g_autofree char *output = NULL;
	int status = 0;
	const char *argv[] = { g_getenv("PROA_INSTALL"), "--root", "/nonexistent", NULL };

	g_assert_true(g_spawn_sync(
		NULL, (char **)(gpointer)argv, NULL, 0, NULL, NULL, &output, NULL, &status, &error));
	g_assert_cmpint(WEXITSTATUS(status), ==, 2);
	g_assert_nonnull(strstr(output, "\"usage\""));
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	world_make(&world);
	world_add(&world, &(WorldRelease){ .channel = "stable", .version = "1.0.1", .floor = "1.0.0" });
	world_add(&world,
		&(WorldRelease){ .channel = "wrong-hash", .version = "1.0.1", .root_hash = WRONG_HASH });
	world_add(&world, &(WorldRelease){ .channel = "wrong-uki",
				  .version = "1.0.1",
				  .uki_root_hash = WRONG_HASH,
				  .floor = "1.0.0" });
	world_add(&world, &(WorldRelease){ .channel = "delta", .version = "1.0.1" });
	world_add(&world, &(WorldRelease){ .channel = "delta", .version = "1.0.2", .floor = "1.0.2" });
	world_add(&world, &(WorldRelease){ .channel = "elsewhere", .version = "0.9.5" });
	nginx_start(&nginx, world.feed, SLOW_RATE, FALSE);
#define ADD(name, channel, function)                                                                         \
	g_test_add("/install/install/" name, Fixture, channel, set_up, function, tear_down)
	ADD("good-update", "stable", good_update);
	ADD("memory-is-bounded", "stable", memory_is_bounded);
	ADD("check-changes-nothing", "stable", check_changes_nothing);
	ADD("flipped-byte", "stable", flipped_byte);
	ADD("flipped-header", "stable", flipped_header);
	ADD("truncated", "stable", truncated);
	ADD("payload-missing", "stable", payload_missing);
	ADD("flipped-uki", "stable", flipped_uki);
	ADD("wrong-root-hash-after-a-break", "wrong-hash", wrong_root_hash_after_a_break);
	ADD("wrong-root-hash", "wrong-hash", wrong_root_hash);
	ADD("uki-of-another-root", "wrong-uki", uki_of_another_root);
	ADD("wrong-signature", "stable", wrong_signature);
	ADD("no-trust", "stable", no_trust);
	ADD("no-feed", "stable", no_feed);
	ADD("cancelled", "stable", cancelled);
	ADD("server-dies", "stable", server_dies);
	ADD("killed", "stable", killed);
	ADD("busy", "stable", busy);
	ADD("trial-boot", "stable", trial_boot);
	ADD("set-aside", "stable", set_aside);
	ADD("no-boot-entry", "stable", no_boot_entry);
	ADD("rejected-before", "stable", rejected_before);
	ADD("pinned", "stable", pinned);
	ADD("below-floor", "stable", below_floor);
	ADD("token-opens-the-floor", "stable", token_opens_the_floor);
	ADD("token-for-something-else", "stable", token_refused);
	ADD("older-release-is-tried-next", "elsewhere", older_release_is_tried_next);
	ADD("last-sound-release-is-kept", "stable", last_sound_release_is_kept);
	ADD("past-its-watch-it-is-sound-itself", "stable", past_its_watch_it_is_sound_itself);
	ADD("what-was-set-aside-is-not-kept", "stable", what_was_set_aside_is_not_kept);
	ADD("security-fix-is-not-held-up-for-long", "delta", security_fix_is_not_held_up_for_long);
	ADD("newer-release-sets-nothing-aside", "stable", newer_release_sets_nothing_aside);
	ADD("named-release-missing", "stable", named_release_missing);
	ADD("nothing-newer", "stable", nothing_newer);
	ADD("slot-too-small", "stable", slot_too_small);
	ADD("esp-full", "stable", esp_full);
	ADD("cmdline-without-root-hash", "stable", cmdline_without_root_hash);
	ADD("broken-state", "stable", broken_state);
	ADD("floor-rises", "stable", floor_rises);
	ADD("floor-rises-before-it-is-armed", "wrong-uki", floor_rises_before_it_is_armed);
	ADD("floor-of-the-newest-counts", "delta", floor_of_the_newest_counts);
	g_test_add_func("/install/install/never-a-real-disk-with-root", never_a_real_disk_with_root);
	int status = g_test_run();
	nginx_clear(&nginx);
	world_clear(&world);
	return status;
}
