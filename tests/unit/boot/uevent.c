/* SPDX-License-Identifier: Apache-2.0 */
#include "boot/uevent.h"

#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define HEAD                                                                                                 \
	"change@/devices/virtual/block/dm-0\0ACTION=change\0DEVPATH=/devices/virtual/block/dm-0\0SUBSYSTEM=block\0"
#define DEVICE "MAJOR=253\0MINOR=7\0DEVNAME=dm-7\0DEVTYPE=disk\0"

/* The terminating NUL of the literal ends the last variable. */
#define PARSE(text, event) proa_uevent_parse_verity(text, sizeof(text), event)

static void reads_a_corrupt_block(void)
{
	ProaVerityEvent event = { 0 };

	g_assert_true(PARSE(HEAD "DM_VERITY_ERR_BLOCK_NR=0,4711\0" DEVICE "SEQNUM=2000", &event));
	g_assert_cmpuint(event.major, ==, 253);
	g_assert_cmpuint(event.minor, ==, 7);
	g_assert_cmpuint(event.block, ==, 4711);
	g_assert_false(event.hash_tree);
	g_assert_true(
		PARSE(HEAD "DM_VERITY_ERR_BLOCK_NR=1,18446744073709551615\0" DEVICE "SEQNUM=1", &event));
	g_assert_true(event.hash_tree);
	g_assert_cmpuint(event.block, ==, G_MAXUINT64);
}

static void passes_over_all_else(void)
{
	ProaVerityEvent event = { 0 };

	g_assert_false(PARSE(HEAD DEVICE "SEQNUM=1", &event));
	g_assert_false(PARSE("add@/x\0DM_VERITY_ERR_BLOCK_NR=0,1\0" DEVICE "S=1", &event));
	g_assert_false(PARSE(HEAD "DM_VERITY_ERR_BLOCK_NR=0,1\0MAJOR=253\0S=1", &event));
	g_assert_false(PARSE(HEAD "DM_VERITY_ERR_BLOCK_NR=2,1\0" DEVICE "S=1", &event));
	g_assert_false(PARSE(HEAD "DM_VERITY_ERR_BLOCK_NR=0\0" DEVICE "S=1", &event));
	g_assert_false(PARSE(HEAD "DM_VERITY_ERR_BLOCK_NR=0,\0" DEVICE "S=1", &event));
	g_assert_false(PARSE(HEAD "DM_VERITY_ERR_BLOCK_NR=0,-1\0" DEVICE "S=1", &event));
	g_assert_false(PARSE(HEAD "DM_VERITY_ERR_BLOCK_NR=0,18446744073709551616\0" DEVICE "S=1", &event));
	g_assert_false(PARSE(HEAD "DM_VERITY_ERR_BLOCK_NR=0,1\0MAJOR=x\0MINOR=1\0S=1", &event));
	g_assert_false(PARSE("", &event));
	g_assert_false(proa_uevent_parse_verity("", 0, &event));
	g_assert_cmpuint(event.major, ==, 0);
}

static void refuses_what_does_not_end(void)
{
	static const char text[] = HEAD "DM_VERITY_ERR_BLOCK_NR=0,1\0" DEVICE "S=1";
	ProaVerityEvent event = { 0 };

	for (gsize size = 0; size < sizeof text; size++) {
		/* A copy of just that size, so that a read beyond it is seen. */
		g_autofree char *part = g_memdup2(text, size);
		if (size == 0 || part[size - 1] != '\0')
			g_assert_false(proa_uevent_parse_verity(part, size, &event));
		else
			(void)proa_uevent_parse_verity(part, size, &event);
	}
}

static void opens_a_socket(void)
{
	g_autofree char *buffer = g_malloc(PROA_UEVENT_MAX_SIZE);
	int fd = proa_uevent_open();

	g_assert_cmpint(fd, >=, 0);
	g_assert_cmpint(proa_uevent_receive(fd, buffer), >=, 0);
	close(fd);
}

static gint64 milliseconds_of(int *fd, int wait, gssize *ret_size)
{
	g_autofree char *buffer = g_malloc(PROA_UEVENT_MAX_SIZE);
	gint64 began = g_get_monotonic_time();

	*ret_size = proa_uevent_wait(fd, wait, buffer);
	return (g_get_monotonic_time() - began) / 1000;
}

/* The guard is what leaves a rotten root: it must neither end nor take the processor for itself. */
static void a_socket_that_fails_is_opened_anew(void)
{
	int ends[2];
	gssize size = 0;

	g_assert_cmpint(pipe(ends), ==, 0);
	g_assert_cmpint(write(ends[1], "x", 1), ==, 1);
	int fd = ends[0];
	milliseconds_of(&fd, -1, &size);
	g_assert_cmpint(size, ==, -1);
	g_assert_cmpint(fd, ==, -1);
	g_assert_cmpint(milliseconds_of(&fd, 300, &size), >=, 300);
	g_assert_cmpint(size, ==, -1);
	g_assert_cmpint(fd, >=, 0);
	/* It hears again; what the machine says meanwhile is not this test's. */
	milliseconds_of(&fd, 300, &size);
	g_assert_cmpint(size, >=, 0);
	g_assert_cmpint(fd, >=, 0);
	close(fd);
	close(ends[1]);
}

static void without_any_socket_it_is_looked_now_and_then(void)
{
	struct rlimit before, none;
	gssize size = 0;
	int fd = -1;

	g_assert_cmpint(getrlimit(RLIMIT_NOFILE, &before), ==, 0);
	none = before;
	none.rlim_cur = 0;
	g_assert_cmpint(setrlimit(RLIMIT_NOFILE, &none), ==, 0);
	for (int i = 0; i < 3; i++) {
		g_assert_cmpint(milliseconds_of(&fd, 200, &size), >=, 200);
		g_assert_cmpint(size, ==, -1);
		g_assert_cmpint(fd, ==, -1);
	}
	g_assert_cmpint(milliseconds_of(&fd, -1, &size), >=, PROA_UEVENT_BLIND);
	g_assert_cmpint(size, ==, -1);
	g_assert_cmpint(setrlimit(RLIMIT_NOFILE, &before), ==, 0);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/uevent/reads-a-corrupt-block", reads_a_corrupt_block);
	g_test_add_func("/uevent/passes-over-all-else", passes_over_all_else);
	g_test_add_func("/uevent/refuses-what-does-not-end", refuses_what_does_not_end);
	g_test_add_func("/uevent/opens-a-socket", opens_a_socket);
	g_test_add_func("/uevent/a-socket-that-fails-is-opened-anew", a_socket_that_fails_is_opened_anew);
	g_test_add_func("/uevent/without-any-socket-it-is-looked-now-and-then",
		without_any_socket_it_is_looked_now_and_then);
	return g_test_run();
}
