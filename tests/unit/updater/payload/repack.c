/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/payload/repack.h"

#include "base/file.h"
#include "tests/unit/images/payload/uki.h"
#include "tests/unit/scratch.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#define SIZE 700000

typedef struct {
	GByteArray *data, *packed;
	ProaRepackFrame frame; /* of packed, 100 bytes into a file */
	int fd;                /* that file, empty */
} Fixture;

static void fixture_make(Fixture *fixture, guint8 level, gboolean workers)
{
	fixture->data = image_new(9, SIZE);
	fixture->packed = frame_new(fixture->data, level, workers);
	fixture->frame =
		(ProaRepackFrame){ 100, fixture->packed->len, SIZE, { level, workers, TRUE, FALSE } };
	fixture->fd = memfd_create("repack", MFD_CLOEXEC);
}

static void fixture_clear(Fixture *fixture)
{
	g_byte_array_unref(fixture->data);
	g_byte_array_unref(fixture->packed);
	close(fixture->fd);
}

static void assert_file(int fd, goffset at, const GByteArray *bytes)
{
	g_autofree guint8 *read = g_malloc(bytes->len);

	g_assert_cmpint(lseek(fd, 0, SEEK_END), ==, at + bytes->len);
	g_assert_true(proa_pread_all(fd, read, bytes->len, at, NULL));
	g_assert_cmpmem(read, bytes->len, bytes->data, bytes->len);
}

static gboolean pack(Fixture *fixture, const char *library, GError **error)
{
	g_auto(ProaRepack) repack = { .in = -1 };

	g_assert_true(proa_repack_pack(
		PROA_REPACK_SELF, library, &fixture->frame, TRUE, fixture->fd, &repack, error));
	gboolean written = proa_write_all(repack.in, fixture->data->data, fixture->data->len, NULL);
	return proa_repack_wait(&repack, NULL, NULL, error) && written;
}

static void packs_to_the_same_bytes(void)
{
	static const guint8 levels[] = { 1, 3, 19 };

	for (guint i = 0; i < 2 * G_N_ELEMENTS(levels); i++) {
		g_autoptr(GError) error = NULL;
		Fixture fixture;
		fixture_make(&fixture, levels[i / 2], i % 2);
		g_assert_true(pack(&fixture, NULL, &error));
		g_assert_no_error(error);
		assert_file(fixture.fd, 100, fixture.packed);
		fixture_clear(&fixture);
	}
}

static void unpacks(void)
{
	g_autoptr(GError) error = NULL;
	g_auto(ProaRepack) repack = { .in = -1 };
	PROA_AUTO_FD int in = memfd_create("in", MFD_CLOEXEC);
	Fixture fixture;

	fixture_make(&fixture, 3, FALSE);
	g_assert_true(proa_pwrite_all(in, fixture.packed->data, fixture.packed->len, 100, NULL));
	g_assert_true(proa_pwrite_all(in, "more", 4, 100 + fixture.packed->len, NULL));
	g_assert_true(proa_repack_unpack(PROA_REPACK_SELF, &fixture.frame, in, fixture.fd, &repack, &error));
	g_assert_true(proa_repack_wait(&repack, NULL, NULL, &error));
	g_assert_cmpuint(repack.max_rss, >, 0);
	assert_file(fixture.fd, 0, fixture.data);
	fixture_clear(&fixture);
}

/* One byte more or less than there is, of either. */
static void other_sizes_are_refused(void)
{
	for (guint i = 0; i < 4; i++) {
		g_autoptr(GError) error = NULL;
		g_auto(ProaRepack) repack = { .in = -1 };
		PROA_AUTO_FD int in = memfd_create("in", MFD_CLOEXEC);
		Fixture fixture;
		fixture_make(&fixture, 3, FALSE);
		g_assert_true(proa_pwrite_all(in, fixture.packed->data, fixture.packed->len, 100, NULL));
		*(i < 2 ? &fixture.frame.packed_size : &fixture.frame.size) += i % 2 ? 1 : G_MAXUINT64;
		g_assert_true(proa_repack_unpack(
			PROA_REPACK_SELF, &fixture.frame, in, fixture.fd, &repack, &error));
		g_assert_false(proa_repack_wait(&repack, NULL, NULL, &error));
		g_assert_error(error, PROA_ERROR, PROA_REASON_BAD_PAYLOAD);
		g_clear_error(&error);
		/* One byte less may come to a frame of the same size. */
		if (i != 2)
			g_assert_false(pack(&fixture, NULL, &error));
		fixture_clear(&fixture);
	}
}

/* That the system's library was used instead of the one asked for must not pass as a proof. */
static void another_library_is_no_proof(void)
{
	g_autoptr(GError) error = NULL;
	g_auto(Scratch) scratch = scratch_new();
	Fixture fixture;

	fixture_make(&fixture, 3, FALSE);
	g_assert_false(pack(&fixture, scratch.path, &error));
	g_assert_error(error, PROA_ERROR, PROA_REASON_BAD_PAYLOAD);
	fixture_clear(&fixture);
}

static gboolean never(gpointer user_data, GError **error)
{
	return proa_fail(error, PROA_REASON_CANCELLED, "cancelled");
}

/* One that waits for bytes that never come is ended. */
static void can_be_cancelled(void)
{
	g_autoptr(GError) error = NULL;
	Fixture fixture;
	ProaRepack repack = { .in = -1 };

	fixture_make(&fixture, 3, FALSE);
	g_assert_true(
		proa_repack_pack(PROA_REPACK_SELF, NULL, &fixture.frame, TRUE, fixture.fd, &repack, &error));
	/* Somebody else holds the other end, so that it does not see an end. */
	PROA_AUTO_FD int held = dup(repack.in);
	g_assert_false(proa_repack_wait(&repack, never, NULL, &error));
	g_assert_error(error, PROA_ERROR, PROA_REASON_CANCELLED);
	pid_t pid = repack.pid;
	proa_repack_clear(&repack);
	g_assert_cmpint(kill(pid, 0), ==, -1);
	fixture_clear(&fixture);
}

/* Whoever asked for it is killed: nothing goes on packing, nor writing. */
static void ends_with_who_asked(void)
{
	Fixture fixture;
	int said[2], pids[2] = { 0 }, status = 0;

	fixture_make(&fixture, 3, FALSE);
	g_assert_cmpint(pipe(said), ==, 0);
	g_assert_cmpint(prctl(PR_SET_CHILD_SUBREAPER, 1), ==, 0);
	pid_t asks = fork();
	if (asks == 0) {
		ProaRepack repack = { .in = -1 };
		gboolean ok = proa_repack_pack(
			PROA_REPACK_SELF, NULL, &fixture.frame, TRUE, fixture.fd, &repack, NULL);
		pids[0] = ok ? repack.pid : 0;
		pids[1] = repack.in;
		(void)!write(said[1], pids, sizeof pids);
		pause();
		_exit(0);
	}
	g_assert_cmpint(read(said[0], pids, sizeof pids), ==, sizeof pids);
	g_assert_cmpint(pids[0], >, 0);
	/* Its input does not end with who asked. */
	g_autofree char *path = g_strdup_printf("/proc/%d/fd/%d", asks, pids[1]);
	PROA_AUTO_FD int held = open(path, O_WRONLY | O_CLOEXEC);
	g_assert_cmpint(held, >=, 0);
	g_assert_cmpint(kill(asks, SIGKILL), ==, 0);
	g_assert_cmpint(waitpid(asks, NULL, 0), ==, asks);
	alarm(30);
	g_assert_cmpint(waitpid(pids[0], &status, 0), ==, pids[0]);
	alarm(0);
	g_assert_true(WIFSIGNALED(status));
	g_assert_cmpint(WTERMSIG(status), ==, SIGKILL);
	close(said[0]);
	close(said[1]);
	fixture_clear(&fixture);
}

static void tells_how_a_frame_begins(void)
{
	Fixture fixture;
	ProaRepackParams params;
	guint64 size;
	guint window;

	fixture_make(&fixture, 3, FALSE);
	g_assert_true(proa_repack_look(fixture.packed->data, fixture.packed->len, &size, &window, &params));
	g_assert_true(params.checksum && !params.sized && size == 0);
	g_assert_cmpuint(window, ==, 21);
	g_assert_false(proa_repack_look(fixture.packed->data, 5, &size, &window, &params));
	fixture.packed->data[0] ^= 1;
	g_assert_false(proa_repack_look(fixture.packed->data, fixture.packed->len, &size, &window, &params));
	fixture_clear(&fixture);
}

int main(int argc, char **argv)
{
	int status;

	if (proa_repack_main(argc, argv, &status))
		return status;
	signal(SIGPIPE, SIG_IGN);
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/payload/repack/packs-to-the-same-bytes", packs_to_the_same_bytes);
	g_test_add_func("/payload/repack/unpacks", unpacks);
	g_test_add_func("/payload/repack/other-sizes-are-refused", other_sizes_are_refused);
	g_test_add_func("/payload/repack/another-library-is-no-proof", another_library_is_no_proof);
	g_test_add_func("/payload/repack/can-be-cancelled", can_be_cancelled);
	g_test_add_func("/payload/repack/ends-with-who-asked", ends_with_who_asked);
	g_test_add_func("/payload/repack/tells-how-a-frame-begins", tells_how_a_frame_begins);
	return g_test_run();
}
