/* SPDX-License-Identifier: Apache-2.0 */
/* frames: a plan cut into the frames of a delta, each of them packed, on all cores. */
#pragma once

#include "images/payload/plan.h"

typedef struct {
	guint64 length;     /* bytes of the new image that it makes */
	GByteArray *packed; /* as it lies in the payload */
} ProaFrame;

/*
 * The frames of a plan in order, the same whatever the number of threads: a GPtrArray of ProaFrame. What
 * would make a frame larger than the format allows is made in two, or more; a module that alone would is told
 * by its bytes, of which @maker is warned. Progress counts from the plan's new size to its double.
 */
GPtrArray *proa_frames_new(
	const ProaDeltaMaker *maker, const ProaPlan *plan, GError **error) G_GNUC_WARN_UNUSED_RESULT;
