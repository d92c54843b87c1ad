/* SPDX-License-Identifier: Apache-2.0 */
#include "boot/starts.h"

#include "base/file.h"
#include "base/reason.h"
#include "boot/attempts.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define ATTRIBUTES_SIZE 4
/* EFI_VARIABLE_NON_VOLATILE | BOOTSERVICE_ACCESS | RUNTIME_ACCESS, little-endian (UEFI 2.10, 8.2.1). */
static const char attributes[ATTRIBUTES_SIZE] = { 7, 0, 0, 0 };

guint proa_starts_read(const char *dir, const char *root_hash)
{
	g_autofree char *path = g_build_filename(dir, PROA_STARTS_NAME, NULL);
	gsize size = 0;
	g_autofree char *content =
		proa_file_read(path, ATTRIBUTES_SIZE + PROA_ATTEMPTS_MAX_SIZE, &size, NULL);

	return content && size > ATTRIBUTES_SIZE
		       ? proa_attempts_parse(content + ATTRIBUTES_SIZE, size - ATTRIBUTES_SIZE, root_hash)
		       : 0;
}

/* Linux marks variables that it does not know as immutable, against "rm -r" of what a firmware needs. Should
 * this fail, so does what comes next, and tells why. */
static void make_mutable_fd(int fd)
{
	int flags = 0;

	if (fd >= 0 && ioctl(fd, FS_IOC_GETFLAGS, &flags) == 0 && (flags & FS_IMMUTABLE_FL)) {
		flags &= ~FS_IMMUTABLE_FL;
		(void)ioctl(fd, FS_IOC_SETFLAGS, &flags);
	}
}

static void make_mutable(const char *path)
{
	PROA_AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC);

	make_mutable_fd(fd);
}

/* In one piece: each write is a call of the firmware's SetVariable(). */
static gboolean set_variable(int fd, const char *text)
{
	g_autoptr(GByteArray) content = g_byte_array_new();

	g_byte_array_append(content, (const guint8 *)attributes, sizeof attributes);
	g_byte_array_append(content, (const guint8 *)text, (guint)strlen(text));
	return write(fd, content->data, content->len) == (gssize)content->len;
}

gboolean proa_starts_write(const char *dir, const char *root_hash, guint starts, GError **error)
{
	g_autofree char *path = g_build_filename(dir, PROA_STARTS_NAME, NULL);
	g_autofree char *text = proa_attempts_format(root_hash, starts);

	make_mutable(path);
	PROA_AUTO_FD int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	if (fd < 0)
		return proa_fail_errno(error, errno == ENOENT ? PROA_REASON_NOT_FOUND : PROA_REASON_IO, errno,
			"opening %s", path);
	if (!set_variable(fd, text))
		return proa_fail_errno(error, PROA_REASON_IO, errno, "writing %s", path);
	return TRUE;
}

gboolean proa_starts_clear(const char *dir, GError **error)
{
	g_autofree char *path = g_build_filename(dir, PROA_STARTS_NAME, NULL);

	make_mutable(path);
	if (unlink(path) < 0 && errno != ENOENT)
		return proa_fail_errno(error, PROA_REASON_IO, errno, "removing %s", path);
	return TRUE;
}
