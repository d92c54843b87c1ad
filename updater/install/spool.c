/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/install/spool.h"

#include "base/digest.h"
#include "base/file.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Which file it is of: its digest and a newline. */
#define HEAD_SIZE ((gsize)PROA_SHA256_SIZE * 2 + 1)
/* A power cut loses no more, once the file is there. Bytes. */
#define DURABLE_INTERVAL (256u * 1024)

struct ProaSpool {
	int fd;       /* -1: nothing can be kept */
	guint64 size; /* of the file */
	guint64 have; /* bytes of it that are kept */
	guint64 safe; /* of those, flushed */
};

/* A file that can't be read, or not written, is none. */
static void give_up(ProaSpool *spool)
{
	proa_close_fd(&spool->fd);
	spool->have = spool->safe = 0;
}

/* Nor does what is kept take the room that others need: rather all comes again after a break. */
static void make_room(ProaSpool *spool)
{
	(void)!ftruncate(spool->fd, 0);
	give_up(spool);
}

static void begin_anew(ProaSpool *spool, const char *head)
{
	spool->have = spool->safe = 0;
	if (ftruncate(spool->fd, 0) < 0 || !proa_pwrite_all(spool->fd, head, HEAD_SIZE, 0, NULL))
		make_room(spool);
}

ProaSpool *proa_spool_new(const char *path, const char *sha256, guint64 size)
{
	ProaSpool *spool = g_new0(ProaSpool, 1);
	g_autofree char *head = g_strconcat(sha256, "\n", NULL);
	char found[HEAD_SIZE];
	struct stat file;

	g_assert(strlen(head) == HEAD_SIZE);
	spool->size = size;
	spool->fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (spool->fd < 0)
		return spool;
	if (fstat(spool->fd, &file) == 0 && (guint64)file.st_size >= HEAD_SIZE &&
		(guint64)file.st_size - HEAD_SIZE <= size &&
		proa_pread_all(spool->fd, found, HEAD_SIZE, 0, NULL) && memcmp(found, head, HEAD_SIZE) == 0)
		spool->have = spool->safe = (guint64)file.st_size - HEAD_SIZE;
	else
		begin_anew(spool, head);
	return spool;
}

void proa_spool_free(ProaSpool *spool)
{
	if (!spool)
		return;
	proa_close_fd(&spool->fd);
	g_free(spool);
}

guint64 proa_spool_have(const ProaSpool *spool)
{
	return spool->have;
}

void proa_spool_drop(ProaSpool *spool, guint64 have)
{
	if (have >= spool->have)
		return;
	if (ftruncate(spool->fd, (off_t)(HEAD_SIZE + have)) < 0) {
		give_up(spool);
		return;
	}
	spool->have = have;
	spool->safe = MIN(spool->safe, have);
}

/* Keeps @size bytes that follow what is kept. */
static void append(ProaSpool *spool, const guint8 *data, gsize size)
{
	if (spool->fd < 0)
		return;
	if (!proa_file_has_room(spool->fd, size) ||
		!proa_pwrite_all(spool->fd, data, size, (goffset)(HEAD_SIZE + spool->have), NULL)) {
		make_room(spool);
		return;
	}
	spool->have += size;
	if (spool->have - spool->safe < DURABLE_INTERVAL && spool->have < spool->size)
		return;
	if (fdatasync(spool->fd) == 0)
		spool->safe = spool->have;
}

typedef struct {
	ProaStream stream;
	ProaSpool *spool;
	ProaSpoolOpen open;
	gpointer user_data;
	ProaStream *rest;
	guint64 at, size; /* bytes given, and to be given */
	guint64 pass;     /* bytes of @rest that were given already */
	gboolean anew;    /* @rest is all of the file */
} SpoolStream;

/* From the network. */
static gssize read_rest(SpoolStream *self, guint8 *data, gsize size, GError **error)
{
	guint64 from = self->anew ? 0 : self->at;

	if (!self->rest)
		self->rest = self->open(
			from, (self->anew ? self->spool->size : self->size) - from, self->user_data, error);
	return self->rest ? proa_stream_read(self->rest, data, size, error) : -1;
}

/* What follows what was given: all of the file if the server gives no parts, up to there passed over. */
static gssize read_news(SpoolStream *self, guint8 *data, gsize size, GError **error)
{
	for (;;) {
		g_autoptr(GError) inner = NULL;
		gsize most = self->pass > 0 ? (gsize)MIN((guint64)size, self->pass) : size;
		gssize n = read_rest(self, data, most, &inner);

		if (n == 0 || (n > 0 && self->pass == 0))
			return n;
		if (n > 0) {
			self->pass -= (guint64)n;
			continue;
		}
		if (self->anew || self->at == 0 ||
			!g_error_matches(inner, PROA_ERROR, PROA_REASON_FEED_ERROR)) {
			g_propagate_error(error, g_steal_pointer(&inner));
			return -1;
		}
		g_clear_pointer(&self->rest, proa_stream_close);
		self->anew = TRUE;
		self->pass = self->at;
	}
}

static gssize spool_read(ProaStream *stream, void *data, gsize size, GError **error)
{
	SpoolStream *self = (SpoolStream *)stream;
	ProaSpool *spool = self->spool;
	gsize left = (gsize)MIN((guint64)size, self->size - self->at);

	if (self->at < spool->have && left > 0) {
		gsize n = (gsize)MIN((guint64)left, spool->have - self->at);
		if (proa_pread_all(spool->fd, data, n, (goffset)(HEAD_SIZE + self->at), NULL)) {
			self->at += n;
			return (gssize)n;
		}
		proa_spool_drop(spool, self->at);
	}
	/* That a server has more than it should comes out where all of the file is asked for. */
	if (left == 0 && (!self->rest || self->size < spool->size))
		return 0;
	gssize n = read_news(self, data, left > 0 ? left : size, error);
	if (n <= 0 || left == 0)
		return n;
	if (self->at == spool->have)
		append(spool, data, (gsize)n);
	self->at += (guint64)n;
	return n;
}

static void spool_close(ProaStream *stream)
{
	SpoolStream *self = (SpoolStream *)stream;

	proa_stream_close(self->rest);
	g_free(self);
}

ProaStream *proa_spool_stream(ProaSpool *spool, guint64 size, ProaSpoolOpen open, gpointer user_data)
{
	static const ProaStreamKind kind = { spool_read, spool_close };
	SpoolStream *self = g_new0(SpoolStream, 1);

	g_assert(size <= spool->size);
	self->stream.kind = &kind;
	self->spool = spool;
	self->open = open;
	self->user_data = user_data;
	self->size = size;
	return &self->stream;
}
