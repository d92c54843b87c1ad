/* SPDX-License-Identifier: Apache-2.0 */
#include "base/direct.h"

#include <stdlib.h>
#include <sys/mman.h>

/* A huge page, or as many pages as there are in one. Each begins at a multiple of its size. */
typedef struct {
	guint8 *base;
	gsize used; /* bytes, from @base on */
	guint parts;
} Chunk;

static GMutex lock; /* of what follows */
static GSList *chunks;

/* One that has room for @size bytes; NULL if there is no memory. With the lock. */
static Chunk *find_chunk(gsize size)
{
	for (GSList *each = chunks; each; each = each->next) {
		Chunk *chunk = each->data;
		if (PROA_DIRECT_HUGE - chunk->used >= size)
			return chunk;
	}
	void *base = NULL;
	if (posix_memalign(&base, PROA_DIRECT_HUGE, PROA_DIRECT_HUGE) != 0)
		return NULL;
	/* A kernel without huge pages refuses: the pages are as good, only slower. */
	(void)madvise(base, PROA_DIRECT_HUGE, MADV_HUGEPAGE);
	Chunk *chunk = g_new0(Chunk, 1);
	chunk->base = base;
	chunks = g_slist_prepend(chunks, chunk);
	return chunk;
}

void *proa_direct_take(gsize size)
{
	void *room = NULL;

	g_assert(size > 0 && size <= PROA_DIRECT_HUGE && size % PROA_DIRECT_ALIGNMENT == 0);
	g_mutex_lock(&lock);
	Chunk *chunk = find_chunk(size);
	if (chunk) {
		room = chunk->base + chunk->used;
		chunk->used += size;
		chunk->parts++;
	}
	g_mutex_unlock(&lock);
	return room;
}

void proa_direct_give(void *room)
{
	guint8 *base = (guint8 *)room - (guintptr)room % PROA_DIRECT_HUGE;

	if (!room)
		return;
	g_mutex_lock(&lock);
	GSList *each = chunks;
	while (each && ((Chunk *)each->data)->base != base)
		each = each->next;
	g_assert(each);
	Chunk *chunk = each->data;
	if (--chunk->parts == 0) {
		free(chunk->base);
		chunks = g_slist_delete_link(chunks, each);
		g_free(chunk);
	}
	g_mutex_unlock(&lock);
}
