/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/payload/delta-map.h"

/* So many zeros in a row say nothing. */
#define MIN_ZEROS 16

typedef struct {
	guint64 old_offset, new_offset, length;
} Run;

G_STATIC_ASSERT(sizeof(Run) == PROA_DELTA_RUN_SIZE);

/* The runs are asked for a million times: so many places tell where among them to look. */
#define PLACES 2048u

struct ProaDeltaMap {
	GArray *runs;
	gboolean sealed, overflowed;
	guint64 base;    /* old offset of the first run */
	guint shift;     /* a place is 2^shift bytes of the old file */
	guint32 *places; /* how many runs begin before each place; one more at the end */
};

ProaDeltaMap *proa_delta_map_new(void)
{
	ProaDeltaMap *map = g_new0(ProaDeltaMap, 1);

	map->runs = g_array_new(FALSE, FALSE, sizeof(Run));
	return map;
}

void proa_delta_map_free(ProaDeltaMap *map)
{
	if (!map)
		return;
	g_array_unref(map->runs);
	g_free(map->places);
	g_free(map);
}

void proa_delta_map_add(ProaDeltaMap *map, guint64 old_offset, guint64 new_offset, guint64 length)
{
	g_assert(!map->sealed);
	if (map->runs->len > 0) {
		Run *last = &g_array_index(map->runs, Run, map->runs->len - 1);
		if (last->old_offset + last->length == old_offset &&
			last->new_offset + last->length == new_offset) {
			last->length += length;
			return;
		}
	}
	Run run = { old_offset, new_offset, length };
	map->overflowed = map->overflowed || map->runs->len >= PROA_DELTA_MAX_RUNS;
	if (!map->overflowed)
		g_array_append_val(map->runs, run);
}

gboolean proa_delta_map_overflowed(const ProaDeltaMap *map)
{
	return map->overflowed;
}

/*
 * The next zeros at or after @at that say nothing: MIN_ZEROS of them or more, or the last ones. So many in a
 * row lie over one of each MIN_ZEROS places: the other places need no look.
 */
static gsize find_zeros(const guint8 *made, gsize at, gsize length, gsize *ret_end)
{
	gsize begin = length;

	while (length - at >= MIN_ZEROS) {
		gsize end = at + MIN_ZEROS;
		if (made[end - 1] != 0) {
			at = end;
			continue;
		}
		for (begin = end - 1; begin > at && made[begin - 1] == 0;)
			begin--;
		while (end < length && made[end] == 0)
			end++;
		*ret_end = end;
		if (end == length || end - begin >= MIN_ZEROS)
			return begin;
		at = end + 1;
	}
	for (begin = length; begin > at && made[begin - 1] == 0;)
		begin--;
	*ret_end = length;
	return begin;
}

void proa_delta_map_learn(
	ProaDeltaMap *map, guint64 old_offset, guint64 new_offset, const guint8 *made, gsize length)
{
	for (gsize from = 0, at = 0, end; at <= length; from = end, at = end + 1) {
		gsize zeros = find_zeros(made, at, length, &end);
		if (zeros > from)
			proa_delta_map_add(map, old_offset + from, new_offset + from, zeros - from);
	}
}

static int by_old_offset(gconstpointer a, gconstpointer b)
{
	const Run *first = a, *second = b;

	if (first->old_offset != second->old_offset)
		return first->old_offset < second->old_offset ? -1 : 1;
	return first->new_offset < second->new_offset ? -1 : first->new_offset > second->new_offset;
}

static void note_places(ProaDeltaMap *map)
{
	guint n = map->runs->len, run = 0;

	if (n == 0)
		return;
	map->base = g_array_index(map->runs, Run, 0).old_offset;
	while ((g_array_index(map->runs, Run, n - 1).old_offset - map->base) >> map->shift >= PLACES)
		map->shift++;
	map->places = g_new(guint32, PLACES + 1);
	for (guint i = 0; i < PLACES; i++) {
		while (run < n &&
			(g_array_index(map->runs, Run, run).old_offset - map->base) >> map->shift < i)
			run++;
		map->places[i] = run;
	}
	map->places[PLACES] = n;
}

/* Bytes that went to several places count for the first run that has them: runs no longer overlap then. */
void proa_delta_map_seal(ProaDeltaMap *map)
{
	guint kept = 0;
	guint64 end = 0;

	gboolean sorted = TRUE;

	for (guint i = 1; sorted && i < map->runs->len; i++)
		sorted = by_old_offset(&g_array_index(map->runs, Run, i - 1),
				 &g_array_index(map->runs, Run, i)) <= 0;
	if (!sorted)
		g_array_sort(map->runs, by_old_offset);
	for (guint i = 0; i < map->runs->len; i++) {
		Run run = g_array_index(map->runs, Run, i);
		if (run.old_offset < end) {
			guint64 cut = MIN(end - run.old_offset, run.length);
			run.old_offset += cut;
			run.new_offset += cut;
			run.length -= cut;
		}
		if (run.length == 0)
			continue;
		end = run.old_offset + run.length;
		g_array_index(map->runs, Run, kept++) = run;
	}
	g_array_set_size(map->runs, kept);
	map->sealed = TRUE;
	note_places(map);
}

/* The number of runs that begin at or before @old_offset. */
static guint runs_before(const ProaDeltaMap *map, guint64 old_offset)
{
	g_assert(map->sealed);
	if (map->runs->len == 0 || old_offset < map->base)
		return 0;
	guint64 place = (old_offset - map->base) >> map->shift;
	if (place >= PLACES)
		return map->runs->len;
	guint low = map->places[place], high = map->places[place + 1];
	while (low < high) {
		guint middle = low + (high - low) / 2;
		if (g_array_index(map->runs, Run, middle).old_offset <= old_offset)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

gboolean proa_delta_map_find(const ProaDeltaMap *map, guint64 old_offset, guint64 *ret_new_offset)
{
	guint n = runs_before(map, old_offset);

	if (n == 0)
		return FALSE;
	const Run *run = &g_array_index(map->runs, Run, n - 1);
	if (old_offset - run->old_offset >= run->length)
		return FALSE;
	*ret_new_offset = run->new_offset + (old_offset - run->old_offset);
	return TRUE;
}

gboolean proa_delta_map_any(const ProaDeltaMap *map, guint64 old_offset, guint64 length)
{
	guint n = runs_before(map, old_offset);
	guint64 ignored;

	if (length == 0)
		return FALSE;
	if (proa_delta_map_find(map, old_offset, &ignored))
		return TRUE;
	return n < map->runs->len && g_array_index(map->runs, Run, n).old_offset - old_offset < length;
}
