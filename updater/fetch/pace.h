/* SPDX-License-Identifier: Apache-2.0 */
/* pace: how long to wait so that no more than so many bytes a second come, counted over all requests of a
 * transfer: many short ones are no faster than one long one. proa-fetch only. */
#pragma once

#include <glib.h>

typedef struct {
	double speed; /* bytes a second; 0: no limit */
	gint64 at;    /* when it was last asked, microseconds */
	double left;  /* bytes that may come at once; negative: so many came too early */
} ProaPace;

/* Nothing may come at once in the beginning. @now: microseconds of a clock that does not go back. */
ProaPace proa_pace_begin(gint64 speed, gint64 now);

/*
 * @bytes have come: microseconds to wait before more is taken. What was not used while nothing came is given
 * up but for a quarter of a second's bytes.
 */
gint64 proa_pace_took(ProaPace *pace, guint64 bytes, gint64 now);
