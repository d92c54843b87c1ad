/* SPDX-License-Identifier: Apache-2.0 */
/* ring: pieces of work done on all cores and handed over in their order, with a bounded number under way. */
#pragma once

#include "base/reason.h"

typedef struct {
	guint32 n_pieces;
	guint threads;  /* 0: one a core */
	gsize job_size; /* bytes of a job: the caller's structure, zeroed, one for each piece under way */
	/* Main thread, in order: fills the job for piece @index. May be NULL. */
	gboolean (*begin)(gpointer job, guint32 index, gpointer user_data, GError **error);
	/* A thread of the pool. */
	gboolean (*run)(gpointer job, gpointer user_data, GError **error);
	/* Main thread, in order. */
	gboolean (*end)(gpointer job, guint32 index, gpointer user_data, GError **error);
	/* Frees what a job holds, once, at the end. */
	void (*clear)(gpointer job);
	gpointer user_data;
} ProaRing;

/* Runs all pieces. Fails with what the first of the functions failed with; the others are waited for. */
gboolean proa_ring_run(const ProaRing *ring, GError **error) G_GNUC_WARN_UNUSED_RESULT;
