/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/payload/delta-source.h"

#include <string.h>

#define LINES ((PROA_DELTA_SOURCE_SIZE - PROA_DELTA_WINDOW_SIZE) / PROA_DELTA_LINE_SIZE)
/*
 * Who wants so much gets what is not there yet read to where it is wanted: it is not looked at again. Bytes.
 * All of it: a rest that went through the window would have the next one in order go through it too, and so
 * on.
 */
#define DIRECT_SIZE ((gsize)32 * 1024)
/* No line. */
#define NONE G_MAXUINT64

struct ProaDeltaSource {
	ProaPayloadRead read;
	gpointer user_data;
	guint64 size;         /* of the image */
	guint64 begin, end;   /* of what the window holds */
	gsize step;           /* bytes that were last read in order */
	guint64 lines[LINES]; /* which line of the image each holds */
	guint64 last_line;    /* the one that was read last */
	guint8 *window, *cache;
};

ProaDeltaSource *proa_delta_source_new(ProaPayloadRead read, gpointer user_data, guint64 size)
{
	ProaDeltaSource *source = g_new0(ProaDeltaSource, 1);

	source->read = read;
	source->user_data = user_data;
	source->size = size;
	source->step = PROA_DELTA_LINE_SIZE;
	source->last_line = NONE;
	for (gsize i = 0; i < LINES; i++)
		source->lines[i] = NONE;
	source->window = g_malloc(PROA_DELTA_WINDOW_SIZE);
	source->cache = g_malloc(LINES * PROA_DELTA_LINE_SIZE);
	return source;
}

void proa_delta_source_free(ProaDeltaSource *source)
{
	if (!source)
		return;
	g_free(source->window);
	g_free(source->cache);
	g_free(source);
}

static gboolean load_window(ProaDeltaSource *source, guint64 begin, guint64 end, GError **error)
{
	end = MIN(MIN(end, begin + PROA_DELTA_WINDOW_SIZE), source->size);
	source->begin = source->end = 0;
	if (!source->read(begin, source->window, (gsize)(end - begin), source->user_data, error))
		return FALSE;
	source->begin = begin;
	source->end = end;
	return TRUE;
}

static gboolean load_line(ProaDeltaSource *source, guint64 line, GError **error)
{
	guint64 begin = line * PROA_DELTA_LINE_SIZE;
	gsize n = (gsize)MIN((guint64)PROA_DELTA_LINE_SIZE, source->size - begin);

	source->lines[line % LINES] = NONE;
	if (!source->read(
		    begin, source->cache + line % LINES * PROA_DELTA_LINE_SIZE, n, source->user_data, error))
		return FALSE;
	source->lines[line % LINES] = source->last_line = line;
	return TRUE;
}

/* What is there already from @offset on, at most @size bytes; NULL if nothing. */
static const guint8 *find(const ProaDeltaSource *source, guint64 offset, gsize size, gsize *ret_size)
{
	guint64 line = offset / PROA_DELTA_LINE_SIZE, in_line = offset % PROA_DELTA_LINE_SIZE;

	if (offset >= source->begin && offset < source->end) {
		*ret_size = (gsize)MIN((guint64)size, source->end - offset);
		return source->window + (offset - source->begin);
	}
	if (source->lines[line % LINES] != line)
		return NULL;
	*ret_size = (gsize)MIN((guint64)size, PROA_DELTA_LINE_SIZE - in_line);
	return source->cache + line % LINES * PROA_DELTA_LINE_SIZE + in_line;
}

/* Makes the byte at @offset be there, and what will likely be read next. */
static gboolean load(ProaDeltaSource *source, guint64 offset, gsize size, GError **error)
{
	guint64 line = offset / PROA_DELTA_LINE_SIZE, begin = line * PROA_DELTA_LINE_SIZE;
	gboolean goes_on = offset == source->end && offset > 0;

	if (!goes_on && size <= PROA_DELTA_LINE_SIZE && line != source->last_line + 1)
		return load_line(source, line, error);
	source->step = goes_on ? MIN(2 * source->step, PROA_DELTA_WINDOW_SIZE) : 2 * PROA_DELTA_LINE_SIZE;
	return load_window(source, begin, MAX(offset + size, begin + source->step), error);
}

gboolean proa_delta_source_read(
	ProaDeltaSource *source, guint64 offset, guint8 *data, gsize size, GError **error)
{
	const gboolean direct = size >= DIRECT_SIZE;

	if (offset > source->size || size > source->size - offset)
		return proa_fail(
			error, PROA_REASON_BAD_PAYLOAD, "the payload reads outside of the old image");
	for (gsize n; size > 0; data += n, offset += n, size -= n) {
		const guint8 *found = find(source, offset, size, &n);
		if (found) {
			memcpy(data, found, n);
			continue;
		}
		if (direct)
			return source->read(offset, data, size, source->user_data, error);
		if (!load(source, offset, size, error))
			return FALSE;
		n = 0;
	}
	return TRUE;
}

gboolean proa_delta_source_prefetch(ProaDeltaSource *source, guint64 offset, guint64 size, GError **error)
{
	if (offset >= source->size || size == 0)
		return TRUE;
	size = MIN(size, PROA_DELTA_WINDOW_SIZE);
	if (offset >= source->begin && offset + size <= source->end)
		return TRUE;
	source->step = PROA_DELTA_LINE_SIZE;
	return load_window(source, offset - offset % PROA_DELTA_LINE_SIZE, offset + size, error);
}
