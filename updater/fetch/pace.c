/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/fetch/pace.h"

#define SECOND ((double)G_USEC_PER_SEC)
/* Nobody is told to wait longer; microseconds. */
#define LONGEST (600.0 * SECOND)

ProaPace proa_pace_begin(gint64 speed, gint64 now)
{
	return (ProaPace){ .speed = (double)speed, .at = now };
}

gint64 proa_pace_took(ProaPace *pace, guint64 bytes, gint64 now)
{
	if (pace->speed <= 0)
		return 0;
	double left = pace->left + (double)(now - pace->at) * pace->speed / SECOND;
	pace->left = MIN(left, pace->speed / 4) - (double)bytes;
	pace->at = now;
	return pace->left < 0 ? (gint64)MIN(-pace->left * SECOND / pace->speed, LONGEST) : 0;
}
