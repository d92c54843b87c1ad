/* SPDX-License-Identifier: Apache-2.0 */
#include "base/file.h"

#include "base/reason.h"
#include "tests/unit/scratch.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static void reading_stops_at_the_cap(void)
{
	g_auto(Scratch) scratch = scratch_new();
	g_autofree char *path = scratch_write(&scratch, "f", "0123456789", 10);
	g_autoptr(GError) error = NULL;
	gsize size = 99;

	g_autofree char *exact = proa_file_read(path, 10, &size, &error);
	g_assert_no_error(error);
	g_assert_cmpmem(exact, size + 1, "0123456789", 11);
	size = 99;
	g_assert_null(proa_file_read(path, 9, &size, &error));
	g_assert_error(error, PROA_ERROR, PROA_REASON_TOO_LARGE);
	g_assert_cmpuint(size, ==, 99);
	g_clear_error(&error);
	/* A file without end is no way round the cap. */
	g_assert_null(proa_file_read("/dev/zero", 1024 * 1024, NULL, &error));
	g_assert_error(error, PROA_ERROR, PROA_REASON_TOO_LARGE);
}

static void reading_keeps_every_byte(void)
{
	g_auto(Scratch) scratch = scratch_new();
	g_autoptr(GByteArray) bytes = g_byte_array_new();

	for (guint i = 0; i < 70001; i++) /* more than a few chunks, no multiple of any */
		g_byte_array_append(bytes, &(guint8){ (guint8)(i * 7) }, 1);
	g_autofree char *path = scratch_write(&scratch, "f", (const char *)bytes->data, (gssize)bytes->len);
	gsize size = 0;
	g_autofree char *text = proa_file_read(path, 1 << 20, &size, NULL);
	g_assert_cmpmem(text, size, bytes->data, bytes->len);
	g_assert_cmpint(text[size], ==, '\0');
}

static void reading_tells_why_it_failed(void)
{
	g_auto(Scratch) scratch = scratch_new();
	g_autofree char *path = scratch_write(&scratch, "f", "x", 1);
	g_autofree char *missing = scratch_file(&scratch, "missing");
	g_autofree char *below_file = scratch_file(&scratch, "f/g");
	g_autoptr(GError) error = NULL;

	g_assert_null(proa_file_read(missing, 10, NULL, &error));
	g_assert_error(error, PROA_ERROR, PROA_REASON_NOT_FOUND);
	g_assert_nonnull(strstr(error->message, missing));
	g_clear_error(&error);
	g_assert_null(proa_file_read(below_file, 10, NULL, &error));
	g_assert_error(error, PROA_ERROR, PROA_REASON_NOT_FOUND);
	g_clear_error(&error);
	g_assert_null(proa_file_read(scratch.path, 10, NULL, &error));
	g_assert_error(error, PROA_ERROR, PROA_REASON_IO);
	g_clear_error(&error);

	PROA_AUTO_FD int dir = open(scratch.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	g_autofree char *text = proa_file_read_at(dir, "f", 1, NULL, &error);
	g_assert_no_error(error);
	g_assert_cmpstr(text, ==, "x");
}

static void replacing_sets_content_and_mode(void)
{
	g_auto(Scratch) scratch = scratch_new();
	g_autofree char *path = scratch_file(&scratch, "f");
	g_autofree char *temporary =
		scratch_write(&scratch, "f.tmp", "left by a power cut, longer than the new", -1);
	g_autoptr(GError) error = NULL;
	struct stat st;

	g_assert_true(proa_file_replace(path, "new", 3, 0600, &error));
	g_assert_no_error(error);
	g_autofree char *text = proa_file_read(path, 100, NULL, NULL);
	g_assert_cmpstr(text, ==, "new");
	g_assert_cmpint(stat(path, &st), ==, 0);
	g_assert_cmpint(st.st_mode & 07777, ==, 0600);
	g_assert_cmpint(access(temporary, F_OK), ==, -1);
}

static void replacing_follows_no_link_left_in_its_way(void)
{
	g_auto(Scratch) scratch = scratch_new();
	g_autofree char *victim = scratch_write(&scratch, "victim", "precious", -1);
	g_autofree char *path = scratch_file(&scratch, "f");
	g_autofree char *temporary = scratch_file(&scratch, "f.tmp");
	g_autoptr(GError) error = NULL;

	g_assert_cmpint(symlink(victim, temporary), ==, 0);
	g_assert_false(proa_file_replace(path, "new", 3, 0644, &error));
	g_assert_nonnull(error);
	g_autofree char *text = proa_file_read(victim, 100, NULL, NULL);
	g_assert_cmpstr(text, ==, "precious");
}

/* A disk that is full: the file size limit makes the kernel refuse the bytes as a full disk does. */
static void a_failed_replacement_leaves_the_old_content(void)
{
	g_auto(Scratch) scratch = scratch_new();
	g_autofree char *path = scratch_write(&scratch, "f", "old", 3);
	g_autofree char *temporary = scratch_file(&scratch, "f.tmp");
	g_autofree char *large = g_malloc0(100000);
	g_autoptr(GError) error = NULL;
	struct rlimit before, small;

	signal(SIGXFSZ, SIG_IGN);
	g_assert_cmpint(getrlimit(RLIMIT_FSIZE, &before), ==, 0);
	small = (struct rlimit){ 4096, before.rlim_max };
	g_assert_cmpint(setrlimit(RLIMIT_FSIZE, &small), ==, 0);
	gboolean replaced = proa_file_replace(path, large, 100000, 0644, &error);
	g_assert_cmpint(setrlimit(RLIMIT_FSIZE, &before), ==, 0);

	g_assert_false(replaced);
	g_assert_error(error, PROA_ERROR, PROA_REASON_IO);
	g_autofree char *text = proa_file_read(path, 100, NULL, NULL);
	g_assert_cmpstr(text, ==, "old");
	g_assert_cmpint(access(temporary, F_OK), ==, -1);
}

static void replace_for_ever(const char *path, gsize size)
{
	g_autofree char *data = g_malloc(size);

	for (char c = 'a';; c = c == 'z' ? 'a' : (char)(c + 1)) {
		memset(data, c, size);
		if (!proa_file_replace(path, data, size, 0644, NULL))
			_exit(1);
	}
}

/* A writer killed at any moment, and a reader at any moment: one content or the other, never a mixture. */
static void a_killed_writer_leaves_a_whole_file(void)
{
	const gsize size = 50000;
	g_auto(Scratch) scratch = scratch_new();
	g_autofree char *old = g_strnfill(size, 'a');
	g_autofree char *path = scratch_write(&scratch, "f", old, (gssize)size);

	for (int round = 0; round < 25; round++) {
		pid_t child = fork();
		g_assert_cmpint(child, >=, 0);
		if (child == 0)
			replace_for_ever(path, size);
		for (int look = 0; look < 20; look++) {
			gsize found = 0;
			g_autofree char *text = proa_file_read(path, size * 2, &found, NULL);
			char wanted[2] = { text ? text[0] : 'a', '\0' };
			g_assert_cmpuint(found, ==, size);
			g_assert_cmpuint(strspn(text, wanted), ==, size);
		}
		g_usleep((gulong)g_test_rand_int_range(0, 4000));
		kill(child, SIGKILL);
		int status = 0;
		g_assert_cmpint(waitpid(child, &status, 0), ==, child);
		g_assert_true(WIFSIGNALED(status));
		gsize found = 0;
		g_autofree char *text = proa_file_read(path, size * 2, &found, NULL);
		char wanted[2] = { text[0], '\0' };
		g_assert_cmpuint(found, ==, size);
		g_assert_cmpuint(strspn(text, wanted), ==, size);
	}
}

static void appending_adds_whole_lines(void)
{
	g_auto(Scratch) scratch = scratch_new();
	g_autofree char *path = scratch_file(&scratch, "log");

	g_assert_true(proa_file_append_line(path, "one", 1000, NULL));
	g_assert_true(proa_file_append_line(path, "", 1000, NULL));
	g_assert_true(proa_file_append_line(path, "two", 1000, NULL));
	g_autofree char *text = proa_file_read(path, 1000, NULL, NULL);
	g_assert_cmpstr(text, ==, "one\n\ntwo\n");
}

static void appending_ends_half_a_line_first(void)
{
	g_auto(Scratch) scratch = scratch_new();
	g_autofree char *path = scratch_write(&scratch, "log", "whole\nhal", -1);

	g_assert_true(proa_file_append_line(path, "new", 1000, NULL));
	g_autofree char *text = proa_file_read(path, 1000, NULL, NULL);
	g_assert_cmpstr(text, ==, "whole\nhal\nnew\n");
}

/* Whatever the lengths: the file stays under the cap, and holds the newest lines, whole and in order. */
static void appending_keeps_the_newest_lines_under_the_cap(void)
{
	const gsize max = 4096;
	g_auto(Scratch) scratch = scratch_new();
	g_autofree char *path = scratch_file(&scratch, "log");

	for (guint i = 0; i < 600; i++) {
		g_autofree char *padding = g_strnfill((gsize)g_test_rand_int_range(0, 300), 'x');
		g_autofree char *line = g_strdup_printf("%u %s", i, padding);
		gsize size = 0;

		g_assert_true(proa_file_append_line(path, line, max, NULL));
		g_autofree char *text = proa_file_read(path, max, &size, NULL);
		g_assert_nonnull(text);
		g_assert_cmpint(text[size - 1], ==, '\n');
		g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
		guint count = g_strv_length(lines) - 1;
		g_assert_cmpstr(lines[count - 1], ==, line);
		guint64 first = g_ascii_strtoull(lines[0], NULL, 10);
		for (guint j = 0; j < count; j++)
			g_assert_cmpuint(g_ascii_strtoull(lines[j], NULL, 10), ==, first + j);
		g_assert_true(first == 0 || size > max / 4);
	}
}

static void appending_survives_a_file_far_over_the_cap(void)
{
	g_auto(Scratch) scratch = scratch_new();
	g_autofree char *noise = g_strnfill(50000, 'x');
	g_autofree char *path = scratch_write(&scratch, "log", noise, -1);

	g_assert_true(proa_file_append_line(path, "new", 4096, NULL));
	g_autofree char *text = proa_file_read(path, 4096, NULL, NULL);
	g_assert_nonnull(text);
	g_assert_true(g_str_has_suffix(text, "new\n"));
}

static void removing_twice_is_no_error(void)
{
	g_auto(Scratch) scratch = scratch_new();
	g_autofree char *path = scratch_write(&scratch, "f", "x", 1);
	g_autoptr(GError) error = NULL;

	g_assert_true(proa_file_remove(path, &error));
	g_assert_cmpint(access(path, F_OK), ==, -1);
	g_assert_true(proa_file_remove(path, &error));
	g_assert_no_error(error);
	g_assert_false(proa_file_remove(scratch.path, &error));
	g_assert_nonnull(error);
}

static void directories_are_made_with_their_parents(void)
{
	g_auto(Scratch) scratch = scratch_new();
	g_autofree char *path = scratch_file(&scratch, "a/b/c");
	g_autofree char *file = scratch_write(&scratch, "f", "x", 1);
	g_autofree char *below_file = scratch_file(&scratch, "f/d");
	g_autoptr(GError) error = NULL;

	g_assert_true(proa_file_make_dirs(path, &error));
	g_assert_true(proa_file_make_dirs(path, &error));
	g_assert_true(g_file_test(path, G_FILE_TEST_IS_DIR));
	g_assert_false(proa_file_make_dirs(below_file, &error));
	g_assert_nonnull(error);
}

static void whole_transfers_or_an_error(void)
{
	g_auto(Scratch) scratch = scratch_new();
	g_autofree char *path = scratch_write(&scratch, "f", "0123456789", 10);
	g_autoptr(GError) error = NULL;
	char buffer[8];

	PROA_AUTO_FD int fd = open(path, O_RDWR | O_CLOEXEC);
	g_assert_true(proa_pread_all(fd, buffer, 8, 2, &error));
	g_assert_cmpmem(buffer, 8, "23456789", 8);
	g_assert_false(proa_pread_all(fd, buffer, 8, 3, &error));
	g_assert_error(error, PROA_ERROR, PROA_REASON_IO);
	g_clear_error(&error);
	g_assert_true(proa_pwrite_all(fd, "ab", 2, 9, &error));
	g_assert_true(proa_write_all(fd, "X", 1, &error));
	g_autofree char *text = proa_file_read(path, 100, NULL, NULL);
	g_assert_cmpstr(text, ==, "X12345678ab");

	PROA_AUTO_FD int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
	g_assert_cmpint(full, >=, 0);
	g_assert_false(proa_write_all(full, "x", 1, &error));
	g_assert_error(error, PROA_ERROR, PROA_REASON_IO);
	g_assert_nonnull(strstr(error->message, "No space left"));
}

static gpointer drain_slowly(gpointer data)
{
	int fd = GPOINTER_TO_INT(data);
	GByteArray *all = g_byte_array_new();
	guint8 chunk[1000];
	ssize_t n;

	while ((n = read(fd, chunk, sizeof chunk)) > 0)
		g_byte_array_append(all, chunk, (guint)n);
	return all;
}

/* A pipe takes less than is offered: write_all goes on until all of it is through. */
static void writing_goes_over_short_transfers(void)
{
	g_autofree char *data = g_strnfill(1 << 20, 'p');
	int ends[2];

	g_assert_cmpint(pipe2(ends, O_CLOEXEC), ==, 0);
	GThread *reader = g_thread_new("reader", drain_slowly, GINT_TO_POINTER(ends[0]));
	gboolean written = proa_write_all(ends[1], data, 1 << 20, NULL);
	close(ends[1]);
	g_autoptr(GByteArray) all = g_thread_join(reader);
	close(ends[0]);
	g_assert_true(written);
	g_assert_cmpmem(all->data, all->len, data, 1 << 20);
}

static void stealing_a_descriptor_leaves_nothing_behind(void)
{
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	int stolen = proa_steal_fd(&fd);

	g_assert_cmpint(fd, ==, -1);
	g_assert_cmpint(fcntl(stolen, F_GETFD), >=, 0);
	int number = stolen;
	proa_close_fd(&stolen);
	g_assert_cmpint(stolen, ==, -1);
	g_assert_cmpint(fcntl(number, F_GETFD), ==, -1);
	proa_close_fd(&stolen);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/base/file/reading-stops-at-the-cap", reading_stops_at_the_cap);
	g_test_add_func("/base/file/reading-keeps-every-byte", reading_keeps_every_byte);
	g_test_add_func("/base/file/reading-tells-why-it-failed", reading_tells_why_it_failed);
	g_test_add_func("/base/file/replacing-sets-content-and-mode", replacing_sets_content_and_mode);
	g_test_add_func("/base/file/replacing-follows-no-link-left-in-its-way",
		replacing_follows_no_link_left_in_its_way);
	g_test_add_func("/base/file/a-failed-replacement-leaves-the-old-content",
		a_failed_replacement_leaves_the_old_content);
	g_test_add_func(
		"/base/file/a-killed-writer-leaves-a-whole-file", a_killed_writer_leaves_a_whole_file);
	g_test_add_func("/base/file/appending-adds-whole-lines", appending_adds_whole_lines);
	g_test_add_func("/base/file/appending-ends-half-a-line-first", appending_ends_half_a_line_first);
	g_test_add_func("/base/file/appending-keeps-the-newest-lines-under-the-cap",
		appending_keeps_the_newest_lines_under_the_cap);
	g_test_add_func("/base/file/appending-survives-a-file-far-over-the-cap",
		appending_survives_a_file_far_over_the_cap);
	g_test_add_func("/base/file/removing-twice-is-no-error", removing_twice_is_no_error);
	g_test_add_func("/base/file/directories-are-made-with-their-parents",
		directories_are_made_with_their_parents);
	g_test_add_func("/base/file/whole-transfers-or-an-error", whole_transfers_or_an_error);
	g_test_add_func("/base/file/writing-goes-over-short-transfers", writing_goes_over_short_transfers);
	g_test_add_func("/base/file/stealing-a-descriptor-leaves-nothing-behind",
		stealing_a_descriptor_leaves_nothing_behind);
	return g_test_run();
}
