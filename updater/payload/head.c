/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/payload/head.h"

#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <sys/stat.h>

void proa_head_clear(ProaHead *head)
{
	proa_close_fd(&head->fd);
	g_clear_pointer(&head->sum, g_checksum_free);
}

static gboolean take(ProaHead *head, guint8 *data, gsize size, GError **error)
{
	if (!proa_pread_all(head->fd, data, size, (goffset)head->at, error))
		return FALSE;
	g_checksum_update(head->sum, data, (gssize)size);
	head->at += size;
	return TRUE;
}

gboolean proa_head_open(ProaHead *ret_head, const char *path, guint8 *fixed, gsize size, GError **error)
{
	struct stat file;

	*ret_head = (ProaHead){ .fd = open(path, O_RDONLY | O_CLOEXEC),
		.sum = g_checksum_new(G_CHECKSUM_SHA256) };
	if (ret_head->fd < 0 || fstat(ret_head->fd, &file) < 0)
		return proa_fail_errno(error, errno == ENOENT ? PROA_REASON_NOT_FOUND : PROA_REASON_IO, errno,
			"opening the payload");
	ret_head->size = (guint64)file.st_size;
	if (ret_head->size < size)
		return proa_fail(error, PROA_REASON_PAYLOAD_TRUNCATED, "it is shorter than a header");
	return take(ret_head, fixed, size, error);
}

guint8 *proa_head_take(ProaHead *head, guint64 size, GError **error)
{
	if (size > head->size - head->at) {
		proa_fail(error, PROA_REASON_PAYLOAD_TRUNCATED, "it ends within its head");
		return NULL;
	}
	g_autofree guint8 *data = g_malloc(MAX((gsize)size, 1));
	return take(head, data, (gsize)size, error) ? g_steal_pointer(&data) : NULL;
}

gboolean proa_head_end(ProaHead *head, guint64 total, char **ret_sha256, GError **error)
{
	if (total > 0 && head->size != total)
		return proa_fail(error,
			head->size < total ? PROA_REASON_PAYLOAD_TRUNCATED : PROA_REASON_BAD_PAYLOAD,
			"it is %" G_GUINT64_FORMAT " bytes, its header says %" G_GUINT64_FORMAT, head->size,
			total);
	if (ret_sha256)
		*ret_sha256 = g_strdup(g_checksum_get_string(head->sum));
	return TRUE;
}

void proa_head_digest(const guint8 *data, gsize size, guint8 ret_digest[PROA_SHA256_SIZE])
{
	if (EVP_Digest(data, size, ret_digest, NULL, EVP_sha256(), NULL) != 1)
		g_error("libcrypto has no SHA-256");
}
