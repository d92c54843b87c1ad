/* SPDX-License-Identifier: Apache-2.0 */
/* plan: what each byte of a new image is made from. */
#pragma once

#include "images/payload/maker.h"
#include "images/payload/module.h"

/* The next bytes of the image: a piece of it, the blocks of a module, or the last bytes of one. */
typedef struct {
	ProaPiece piece;
	ProaModule *module; /* NULL: the piece; otherwise only its new_at and length count */
	gboolean tail; /* the last bytes: made with the blocks if in the same frame, else of their pieces */
} ProaPlanStep;

typedef struct {
	const guint8 *old_data, *new_data;
	gsize old_size, new_size;
	GArray *steps; /* in order, without a gap */
	GPtrArray *modules;
	GPtrArray *old_files, *new_files;
} ProaPlan;

/* Told of what could not be made as well as it might, a sentence each; from any thread, one at a time. */
typedef void (*ProaDeltaWarn)(const char *text, gpointer user_data);

/* How a delta is made. */
typedef struct {
	guint threads; /* 0: one a core; the output does not depend on it */
	/* May be NULL; counts bytes of the new image twice: compared, and packed. */
	ProaMakerProgress progress;
	ProaDeltaWarn warn; /* may be NULL */
	gpointer user_data;
	/*
	 * Bytes of old and of new that are compared at most as one, which takes five times as many of memory;
	 * 0: 2 GiB. What is larger is made of the blocks that are the same at the same place, and literals.
	 */
	guint64 max_compared;
} ProaDeltaMaker;

void proa_plan_free(ProaPlan *plan);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ProaPlan, proa_plan_free)

/*
 * Plans @new_data from @old_data, which must outlive it. NULL with BAD_STATE (a malformed EROFS image).
 */
ProaPlan *proa_plan_new(const ProaDeltaMaker *maker, const guint8 *old_data, gsize old_size,
	const guint8 *new_data, gsize new_size, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* An image whose files are known already. */
typedef struct {
	const guint8 *data;
	gsize size;
	GPtrArray *files; /* of ProaErofsFile */
} ProaPlanSide;

/*
 * The same for images of any kind, both of which must outlive the plan. What is in no file is made from what
 * of the old image is in no file, from the byte @rest_from on. No file is made as a module. BAD_STATE if
 * files overlap.
 */
ProaPlan *proa_plan_of_files(const ProaDeltaMaker *maker, const ProaPlanSide *old_side,
	const ProaPlanSide *new_side, guint64 rest_from, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Threads that @maker says. */
guint proa_delta_maker_threads(const ProaDeltaMaker *maker);
