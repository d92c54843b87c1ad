/* SPDX-License-Identifier: Apache-2.0 */
#include "images/payload/ring.h"

typedef struct {
	guint32 index;
	guint32 *memory;
} Job;

typedef struct {
	guint32 ended, bad_begin, bad_run, bad_end;
	gint cleared;
} Test;

static Test test;

static gboolean begin(gpointer data, guint32 index, gpointer user_data, GError **error)
{
	Job *job = data;

	if (!job->memory)
		job->memory = g_new(guint32, 1);
	job->index = index;
	return index != ((Test *)user_data)->bad_begin || proa_fail(error, PROA_REASON_IO, "begin");
}

static gboolean run(gpointer data, gpointer user_data, GError **error)
{
	Job *job = data;

	/* The later ones are done first. */
	g_usleep(job->index % 4 == 0 ? 2000 : 0);
	*job->memory = job->index * 2;
	return job->index != ((Test *)user_data)->bad_run || proa_fail(error, PROA_REASON_BUSY, "run");
}

static gboolean end(gpointer data, guint32 index, gpointer user_data, GError **error)
{
	Test *of = user_data;

	g_assert_cmpuint(index, ==, of->ended);
	g_assert_cmpuint(*((Job *)data)->memory, ==, index * 2);
	of->ended++;
	return index != of->bad_end || proa_fail(error, PROA_REASON_TOO_LARGE, "end");
}

static void clear(gpointer data)
{
	g_free(((Job *)data)->memory);
	test.cleared++;
}

static gboolean run_ring(Test with, guint threads, GError **error)
{
	const ProaRing ring = { .n_pieces = 50,
		.threads = threads,
		.job_size = sizeof(Job),
		.begin = begin,
		.run = run,
		.end = end,
		.clear = clear,
		.user_data = &test };

	test = with;
	return proa_ring_run(&ring, error);
}

static const Test none = { .bad_begin = 999, .bad_run = 999, .bad_end = 999 };

static void hands_over_in_order(void)
{
	for (guint threads = 0; threads < 5; threads++) {
		g_autoptr(GError) error = NULL;
		g_assert_true(run_ring(none, threads, &error));
		g_assert_no_error(error);
		g_assert_cmpuint(test.ended, ==, 50);
		g_assert_cmpint(test.cleared, >=, 2);
	}
}

static void passes_failures_on(void)
{
	Test first = none, second = none, third = none;
	g_autoptr(GError) one = NULL, two = NULL, three = NULL;

	first.bad_begin = 20;
	g_assert_false(run_ring(first, 2, &one));
	g_assert_error(one, PROA_ERROR, PROA_REASON_IO);
	second.bad_run = 20;
	g_assert_false(run_ring(second, 2, &two));
	g_assert_error(two, PROA_ERROR, PROA_REASON_BUSY);
	g_assert_cmpuint(test.ended, ==, 20);
	third.bad_end = 20;
	g_assert_false(run_ring(third, 2, &three));
	g_assert_error(three, PROA_ERROR, PROA_REASON_TOO_LARGE);
	g_assert_cmpuint(test.ended, ==, 21);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/images/ring/hands-over-in-order", hands_over_in_order);
	g_test_add_func("/images/ring/passes-failures-on", passes_failures_on);
	return g_test_run();
}
