/* SPDX-License-Identifier: Apache-2.0 */
#include "images/payload/delta.h"

#include "base/file.h"
#include "images/payload/frames.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static gboolean write_payload(const ProaPlan *plan, const GPtrArray *frames, const char *old_hash,
	const char *new_hash, int fd, GError **error)
{
	if (frames->len > PROA_DELTA_MAX_FRAMES)
		return proa_fail(error, PROA_REASON_TOO_LARGE, "%u frames are needed, %u are allowed",
			frames->len, PROA_DELTA_MAX_FRAMES);
	g_autoptr(ProaDeltaHeader) header = proa_delta_header_new(frames->len);
	goffset offset = PROA_DELTA_HEADER_SIZE + (goffset)proa_delta_table_size(header);

	header->old_size = plan->old_size;
	header->new_size = plan->new_size;
	if (!proa_hex_decode(old_hash, header->old_hash, PROA_SHA256_SIZE) ||
		!proa_hex_decode(new_hash, header->new_hash, PROA_SHA256_SIZE))
		return proa_fail(error, PROA_REASON_USAGE, "a hash is not 64 hexadecimal digits");
	for (guint i = 0; i < frames->len; i++) {
		const ProaFrame *frame = frames->pdata[i];
		gsize digest_size = PROA_SHA256_SIZE;
		g_autoptr(GChecksum) sum = g_checksum_new(G_CHECKSUM_SHA256);
		g_checksum_update(sum, frame->packed->data, frame->packed->len);
		g_checksum_get_digest(sum, header->frames[i].sha256, &digest_size);
		header->frames[i].packed_size = frame->packed->len;
		header->frames[i].length = frame->length;
		if (!proa_pwrite_all(fd, frame->packed->data, frame->packed->len, offset, error))
			return FALSE;
		offset += frame->packed->len;
	}
	g_autoptr(GBytes) bytes = proa_delta_header_serialize(header);
	if (!proa_pwrite_all(fd, g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes), 0, error))
		return FALSE;
	return fsync(fd) == 0 ? TRUE : proa_fail_errno(error, PROA_REASON_IO, errno, "flushing");
}

gboolean proa_delta_pack(const ProaDeltaMaker *maker, const ProaPlan *plan, const char *old_hash,
	const char *new_hash, const char *out_path, GError **error)
{
	g_autoptr(GPtrArray) frames = proa_frames_new(maker, plan, error);
	if (!frames)
		return FALSE;
	g_autofree char *temporary = g_strconcat(out_path, ".tmp", NULL);
	PROA_AUTO_FD int fd = open(temporary, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	if (fd < 0)
		return proa_fail_errno(error, PROA_REASON_IO, errno, "creating %s", temporary);
	gboolean ok = write_payload(plan, frames, old_hash, new_hash, fd, error);
	if (ok && rename(temporary, out_path) < 0)
		ok = proa_fail_errno(error, PROA_REASON_IO, errno, "renaming %s to %s", temporary, out_path);
	if (!ok)
		unlink(temporary);
	return ok;
}

static GMappedFile *map_image(const char *path, GError **error)
{
	g_autoptr(GError) inner = NULL;
	GMappedFile *file = g_mapped_file_new(path, FALSE, &inner);

	if (!file)
		proa_fail(error,
			g_error_matches(inner, G_FILE_ERROR, G_FILE_ERROR_NOENT) ? PROA_REASON_NOT_FOUND
										 : PROA_REASON_IO,
			"%s", inner->message);
	else if (g_mapped_file_get_length(file) > PROA_DELTA_MAX_IMAGE_SIZE ||
		 g_mapped_file_get_length(file) == 0) {
		proa_fail(error, PROA_REASON_TOO_LARGE, "%s: 1 byte to 16 GiB are allowed", path);
		g_clear_pointer(&file, g_mapped_file_unref);
	}
	return file;
}

gboolean proa_delta_make(const ProaDeltaMaker *maker, const ProaDeltaImage *old_image,
	const ProaDeltaImage *new_image, const char *out_path, GError **error)
{
	if (!proa_sha256_hex_valid(old_image->hash) || !proa_sha256_hex_valid(new_image->hash))
		return proa_fail(error, PROA_REASON_USAGE, "a hash is not 64 hexadecimal digits");
	g_autoptr(GMappedFile) old_file = map_image(old_image->path, error);
	g_autoptr(GMappedFile) new_file = old_file ? map_image(new_image->path, error) : NULL;
	if (!new_file)
		return FALSE;
	g_autoptr(ProaPlan) plan = proa_plan_new(maker, (const guint8 *)g_mapped_file_get_contents(old_file),
		g_mapped_file_get_length(old_file), (const guint8 *)g_mapped_file_get_contents(new_file),
		g_mapped_file_get_length(new_file), error);
	gboolean ok = plan && proa_delta_pack(maker, plan, old_image->hash, new_image->hash, out_path, error);
	if (!ok)
		g_prefix_error(error, "making %s: ", out_path);
	return ok;
}
