/* SPDX-License-Identifier: Apache-2.0 */
#include "boot/repo.h"

#include "base/file.h"
#include "tests/unit/scratch.h"

#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#define ONE "11111111111111111111111111111111"
#define TWO "22222222222222222222222222222222"

typedef struct {
	Scratch scratch;
	char *state, *etc;
	ProaRepo *repo;
} World;

static void world_clear(World *world)
{
	g_clear_pointer(&world->repo, proa_repo_free);
	g_free(world->state);
	g_free(world->etc);
	scratch_clear(&world->scratch);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(World, world_clear)

static void write_file(const World *world, const char *name, const char *text)
{
	g_autofree char *below = g_strconcat("etc/", name, NULL);
	g_autofree char *path = scratch_write(&world->scratch, below, text, -1);

	g_assert_nonnull(path);
}

static World world_new(void)
{
	World world = { .scratch = scratch_new() };
	g_autoptr(GError) error = NULL;

	world.state = scratch_file(&world.scratch, "state");
	world.etc = scratch_file(&world.scratch, "etc");
	world.repo = proa_repo_open(world.state, &error);
	g_assert_no_error(error);
	write_file(&world, "hostname", "one\n");
	write_file(&world, "ssh/key", "secret\n");
	g_autofree char *key = scratch_file(&world.scratch, "etc/ssh/key");
	g_autofree char *link = scratch_file(&world.scratch, "etc/localtime");
	g_assert_cmpint(chmod(key, 0600), ==, 0);
	g_assert_cmpint(symlink("../usr/share/zoneinfo/UTC", link), ==, 0);
	return world;
}

/* NULL if nothing had changed. */
static char *commit(const World *world, const char *generation)
{
	char *made = NULL;
	g_autoptr(GError) error = NULL;

	g_assert_true(proa_repo_commit(world->repo, generation, world->etc, "a test", &made, &error));
	g_assert_no_error(error);
	return made;
}

static char *diff(const World *world, const char *from, const char *to)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(GPtrArray) lines = proa_repo_diff(world->repo, from, to, world->etc, &error);

	g_assert_no_error(error);
	g_ptr_array_add(lines, NULL);
	return g_strjoinv(",", (char **)lines->pdata);
}

static void expect_file(const World *world, const char *name, const char *text)
{
	g_autofree char *path = g_build_filename(world->etc, name, NULL);
	g_autofree char *seen = proa_file_read(path, 1000, NULL, NULL);

	g_assert_cmpstr(seen, ==, text);
}

static void what_did_not_change_is_not_committed(void)
{
	g_auto(World) world = world_new();
	g_autofree char *first = commit(&world, ONE), *second = commit(&world, ONE);

	g_assert_nonnull(first);
	g_assert_null(second);
	write_file(&world, "hostname", "two\n");
	g_autofree char *third = commit(&world, ONE), *other = commit(&world, TWO);
	g_assert_true(third && other);
	g_autoptr(GPtrArray) log = proa_repo_log(world.repo, NULL);
	g_assert_cmpuint(log->len, ==, 3);
	const ProaRepoEntry *entry = g_ptr_array_index(log, 0);
	g_assert_cmpstr(entry->subject, ==, "a test");
	/* Nobody but root looks into it. */
	g_autofree char *folder = g_build_filename(world.state, "etc/repo", NULL);
	struct stat st;
	g_assert_cmpint(stat(folder, &st), ==, 0);
	g_assert_cmpint(st.st_mode & 0777, ==, 0700);
}

static gboolean was_opened(int watcher)
{
	char events[4096];

	return read(watcher, events, sizeof events) > 0;
}

/* The content of /etc is read again only if the file system says that something changed. */
static void an_etc_that_did_not_change_is_not_read(void)
{
	g_auto(World) world = world_new();
	g_autofree char *path = g_build_filename(world.etc, "hostname", NULL);
	PROA_AUTO_FD int watcher = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);

	g_assert_cmpint(inotify_add_watch(watcher, path, IN_OPEN), >=, 0);
	g_usleep(4 * G_USEC_PER_SEC);
	g_autofree char *first = commit(&world, ONE), *none = commit(&world, ONE);
	g_assert_true(first && !none);
	g_assert_true(was_opened(watcher));
	none = commit(&world, ONE);
	g_assert_null(none);
	g_assert_false(was_opened(watcher));
	/* Another generation has seen nothing yet. */
	g_autofree char *other = commit(&world, TWO);
	g_assert_nonnull(other);
	g_assert_true(was_opened(watcher));
	write_file(&world, "hostname", "two\n");
	g_autofree char *second = commit(&world, ONE);
	g_assert_nonnull(second);
}

static void differences_are_named(void)
{
	g_auto(World) world = world_new();
	g_autofree char *first = commit(&world, ONE);
	g_autofree char *none = diff(&world, first, NULL);

	g_assert_cmpstr(none, ==, "");
	write_file(&world, "hostname", "two\n");
	write_file(&world, "new/file", "x");
	g_autofree char *key = scratch_file(&world.scratch, "etc/ssh/key");
	g_assert_cmpint(unlink(key), ==, 0);
	g_autofree char *live = diff(&world, first, NULL);
	g_assert_nonnull(strstr(live, "M hostname"));
	g_assert_nonnull(strstr(live, "A new"));
	g_assert_nonnull(strstr(live, "D ssh/key"));
	g_autofree char *second = commit(&world, ONE);
	g_autofree char *stored = diff(&world, first, second);
	g_assert_cmpstr(live, ==, stored);
}

static void commits_are_found_by_their_beginning(void)
{
	g_auto(World) world = world_new();
	g_autofree char *first = commit(&world, ONE);
	g_autofree char *beginning = g_strndup(first, 12);
	g_autofree char *found = proa_repo_resolve(world.repo, beginning, NULL);
	g_autofree char *branch = proa_repo_resolve(world.repo, ONE, NULL);
	g_autoptr(GError) error = NULL;

	g_assert_cmpstr(found, ==, first);
	g_assert_cmpstr(branch, ==, first);
	g_assert_null(proa_repo_resolve(world.repo, "../x", &error));
	g_assert_error(error, PROA_ERROR, PROA_REASON_NO_SUCH_RELEASE);
}

static void spoil(const World *world)
{
	g_autofree char *key = scratch_file(&world->scratch, "etc/ssh/key");
	g_autofree char *link = scratch_file(&world->scratch, "etc/localtime");

	write_file(world, "hostname", "broken\n");
	write_file(world, "extra/deep/file", "x");
	g_assert_cmpint(chmod(key, 0644), ==, 0);
	g_assert_cmpint(unlink(link), ==, 0);
	write_file(world, "localtime/now", "a directory in the place of a link");
}

static void expect_as_before(const World *world, const char *first)
{
	g_autofree char *key = scratch_file(&world->scratch, "etc/ssh/key");
	g_autofree char *rest = diff(world, first, NULL);
	struct stat st;

	g_assert_cmpstr(rest, ==, "");
	expect_file(world, "hostname", "one\n");
	expect_file(world, "extra/deep/file", NULL);
	g_assert_cmpint(stat(key, &st), ==, 0);
	g_assert_cmpint(st.st_mode & 07777, ==, 0600);
}

static void all_of_it_comes_back(void)
{
	g_auto(World) world = world_new();
	g_autofree char *first = commit(&world, ONE);
	g_autoptr(GError) error = NULL;

	spoil(&world);
	g_assert_true(proa_repo_restore(world.repo, ONE, first, NULL, world.etc, &error));
	g_assert_no_error(error);
	expect_as_before(&world, first);
}

static void one_file_comes_back_and_no_other(void)
{
	g_auto(World) world = world_new();
	g_autofree char *first = commit(&world, ONE);
	static const char *const paths[] = { "/etc/hostname", "ssh", NULL };
	static const char *const bad[][2] = { { "../passwd", NULL }, { "none/such", NULL }, { "", NULL } };
	g_autoptr(GError) error = NULL;

	spoil(&world);
	g_assert_true(proa_repo_restore(world.repo, ONE, first, paths, world.etc, &error));
	g_assert_no_error(error);
	expect_file(&world, "hostname", "one\n");
	expect_file(&world, "ssh/key", "secret\n");
	expect_file(&world, "extra/deep/file", "x");
	for (gsize i = 0; i < G_N_ELEMENTS(bad); i++)
		g_assert_false(proa_repo_restore(world.repo, ONE, first, bad[i], world.etc, NULL));
}

static void note(const World *world, const char *generation, const char *text)
{
	g_autofree char *name = g_strconcat("state/etc/restore-", generation, NULL);
	g_autofree char *path = scratch_write(&world->scratch, name, text, -1);

	g_assert_nonnull(path);
}

static gboolean finish(const World *world, const char *generation)
{
	g_autofree char *name = g_strconcat("state/etc/restore-", generation, NULL);
	g_autofree char *path = scratch_file(&world->scratch, name);
	g_autoptr(GError) error = NULL;
	gboolean done = FALSE;

	g_assert_true(proa_repo_finish(world->repo, generation, world->etc, &done, &error));
	g_assert_no_error(error);
	g_assert_false(g_file_test(path, G_FILE_TEST_EXISTS));
	return done;
}

/* The power goes after the note and before the last file: the next boot completes it. */
static void one_cut_short_is_completed(void)
{
	g_auto(World) world = world_new();
	g_autofree char *first = commit(&world, ONE);
	g_autofree char *line = g_strdup_printf(ONE " %s %s\n", first, first);

	spoil(&world);
	note(&world, ONE, line);
	g_assert_true(finish(&world, ONE));
	expect_as_before(&world, first);
	g_assert_false(finish(&world, ONE));
	note(&world, ONE, "../x\n");
	g_assert_false(finish(&world, ONE));
	/* The commit has gone meanwhile. */
	g_autofree char *gone = g_strdup_printf(ONE " %s ", first);
	g_autofree char *gone_line = g_strdup_printf("%s%064d\n", gone, 5);
	note(&world, ONE, gone_line);
	g_test_expect_message("proa", G_LOG_LEVEL_WARNING, "*cannot be completed*");
	g_assert_false(finish(&world, ONE));
	g_test_assert_expected_messages();
}

/* The release that boots next is not the one whose /etc was being restored. */
static void one_cut_short_is_not_completed_in_another_release(void)
{
	g_auto(World) world = world_new();
	g_autofree char *first = commit(&world, ONE);
	g_autofree char *line = g_strdup_printf(ONE " %s %s\n", first, first);
	g_autofree char *path = scratch_file(&world.scratch, "state/etc/restore-" ONE);

	note(&world, ONE, line);
	write_file(&world, "hostname", "of the other release\n");
	g_assert_false(finish(&world, TWO));
	expect_file(&world, "hostname", "of the other release\n");
	g_assert_true(g_file_test(path, G_FILE_TEST_EXISTS));
	/* Nobody knows whose this was. */
	g_autofree char *old_line = g_strconcat(first, "\n", NULL);
	g_autofree char *old = scratch_write(&world.scratch, "state/etc/restore", old_line, -1);
	g_assert_false(finish(&world, TWO));
	expect_file(&world, "hostname", "of the other release\n");
	g_assert_false(g_file_test(old, G_FILE_TEST_EXISTS));
}

/* Its first boot copied what was half restored; what its release ships besides stays. */
static void a_copy_of_one_cut_short_gets_what_the_restore_changed(void)
{
	g_auto(World) world = world_new();
	g_autofree char *wanted = commit(&world, ONE);

	spoil(&world);
	g_autofree char *before = commit(&world, ONE);
	g_autofree char *line = g_strdup_printf(ONE " %s %s\n", before, wanted);
	write_file(&world, "shipped.conf", "of the new release\n");
	write_file(&world, "ssh/shipped", "of the new release\n");
	note(&world, TWO, line);
	g_assert_true(finish(&world, TWO));
	expect_file(&world, "hostname", "one\n");
	expect_file(&world, "extra/deep/file", NULL);
	expect_file(&world, "ssh/key", "secret\n");
	expect_file(&world, "shipped.conf", "of the new release\n");
	expect_file(&world, "ssh/shipped", "of the new release\n");
	g_autofree char *link = scratch_file(&world.scratch, "etc/localtime");
	g_autofree char *key = scratch_file(&world.scratch, "etc/ssh/key");
	struct stat st;
	g_assert_true(g_file_test(link, G_FILE_TEST_IS_SYMLINK));
	g_assert_cmpint(stat(key, &st), ==, 0);
	g_assert_cmpint(st.st_mode & 07777, ==, 0600);
}

static void old_commits_go(void)
{
	g_auto(World) world = world_new();

	for (int i = 0; i < PROA_REPO_KEEP + 5; i++) {
		g_autofree char *text = g_strdup_printf("%d\n", i);
		write_file(&world, "hostname", text);
		g_autofree char *made = commit(&world, ONE);
		g_assert_nonnull(made);
	}
	g_autoptr(GPtrArray) log = proa_repo_log(world.repo, NULL);
	g_assert_cmpuint(log->len, ==, PROA_REPO_KEEP);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/repo/what-did-not-change-is-not-committed", what_did_not_change_is_not_committed);
	g_test_add_func("/repo/not-read", an_etc_that_did_not_change_is_not_read);
	g_test_add_func("/repo/differences-are-named", differences_are_named);
	g_test_add_func("/repo/commits-are-found-by-their-beginning", commits_are_found_by_their_beginning);
	g_test_add_func("/repo/all-of-it-comes-back", all_of_it_comes_back);
	g_test_add_func("/repo/one-file-comes-back-and-no-other", one_file_comes_back_and_no_other);
	g_test_add_func("/repo/one-cut-short-is-completed", one_cut_short_is_completed);
	g_test_add_func("/repo/one-cut-short-is-not-completed-in-another-release",
		one_cut_short_is_not_completed_in_another_release);
	g_test_add_func("/repo/a-copy-of-one-cut-short-gets-what-the-restore-changed",
		a_copy_of_one_cut_short_gets_what_the_restore_changed);
	g_test_add_func("/repo/old-commits-go", old_commits_go);
	return g_test_run();
}
