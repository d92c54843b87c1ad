/* SPDX-License-Identifier: Apache-2.0 */
#include "images/payload/ring.h"

/* More threads than this are not used. */
#define MAX_THREADS 256

typedef struct {
	gpointer job;
	gboolean ready;
	GError *error;
} Place;

typedef struct {
	const ProaRing *ring;
	Place *places;
	guint n_places;
	GThreadPool *pool;
	GMutex lock;
	GCond finished;
} Work;

static void run_place(gpointer data, gpointer user_data)
{
	Place *place = data;
	Work *work = user_data;
	GError *error = NULL;

	if (!work->ring->run(place->job, work->ring->user_data, &error))
		g_assert(error);
	g_mutex_lock(&work->lock);
	place->error = error;
	place->ready = TRUE;
	g_cond_broadcast(&work->finished);
	g_mutex_unlock(&work->lock);
}

static Place *place_of(const Work *work, guint32 index)
{
	g_assert(work->n_places > 0);
	return &work->places[index % work->n_places];
}

static gboolean begin_piece(Work *work, guint32 index, GError **error)
{
	Place *place = place_of(work, index);

	place->ready = FALSE;
	if (work->ring->begin && !work->ring->begin(place->job, index, work->ring->user_data, error))
		return FALSE;
	return g_thread_pool_push(work->pool, place, error);
}

static gboolean end_piece(Work *work, guint32 index, GError **error)
{
	Place *place = place_of(work, index);

	g_mutex_lock(&work->lock);
	while (!place->ready)
		g_cond_wait(&work->finished, &work->lock);
	g_mutex_unlock(&work->lock);
	if (place->error) {
		g_propagate_error(error, g_steal_pointer(&place->error));
		return FALSE;
	}
	return work->ring->end(place->job, index, work->ring->user_data, error);
}

static gboolean run_pieces(Work *work, GError **error)
{
	guint32 begun = 0, n = work->ring->n_pieces;

	for (guint32 ended = 0; ended < n; ended++) {
		for (; begun < n && begun < ended + work->n_places; begun++)
			if (!begin_piece(work, begun, error))
				return FALSE;
		if (!end_piece(work, ended, error))
			return FALSE;
	}
	return TRUE;
}

gboolean proa_ring_run(const ProaRing *ring, GError **error)
{
	guint threads = CLAMP(ring->threads > 0 ? ring->threads : g_get_num_processors(), 1, MAX_THREADS);
	Work work = { .ring = ring, .n_places = threads * 2 };
	g_autofree guint8 *jobs = g_malloc0(work.n_places * ring->job_size);
	g_autofree Place *places = g_new0(Place, work.n_places);

	for (guint i = 0; i < work.n_places; i++)
		places[i].job = jobs + i * ring->job_size;
	work.places = places;
	g_mutex_init(&work.lock);
	g_cond_init(&work.finished);
	work.pool = g_thread_pool_new(run_place, &work, (gint)threads, TRUE, error);
	gboolean ok = work.pool && run_pieces(&work, error);
	if (work.pool)
		g_thread_pool_free(work.pool, TRUE, TRUE);
	for (guint i = 0; i < work.n_places; i++) {
		g_clear_error(&places[i].error);
		ring->clear(places[i].job);
	}
	g_cond_clear(&work.finished);
	g_mutex_clear(&work.lock);
	return ok;
}
