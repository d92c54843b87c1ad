/* SPDX-License-Identifier: Apache-2.0 */
#include "boot/esp.h"

#include "base/file.h"
#include "boot/disk.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define LOADER_PART_UUID "/sys/firmware/efi/efivars/LoaderDevicePartUUID-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f"
/* Four bytes of attributes, then 36 UTF-16 units and a NUL. */
#define MAX_EFI_VARIABLE 128

/* Tenths of a second that one waits for others to close it. */
#define BUSY_TRIES 50

struct ProaEsp {
	int fd;
	int entries_fd;
	int proa_fd;
};

void proa_esp_free(ProaEsp *esp)
{
	if (esp->fd >= 0)
		syncfs(esp->fd);
	proa_close_fd(&esp->entries_fd);
	proa_close_fd(&esp->proa_fd);
	proa_close_fd(&esp->fd);
	g_free(esp);
}

/* Opens the directory @path below @fd, making each part of it that is missing. */
static int open_dir(int fd, const char *path, GError **error)
{
	g_auto(GStrv) parts = g_strsplit(path, "/", -1);
	PROA_AUTO_FD int at = fcntl(fd, F_DUPFD_CLOEXEC, 3);

	for (char **part = parts; at >= 0 && *part; part++) {
		int next = openat(at, *part, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
		if (next < 0 && errno == ENOENT && mkdirat(at, *part, 0755) == 0)
			next = openat(at, *part, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
		int saved_errno = errno;
		proa_close_fd(&at);
		errno = saved_errno;
		at = next;
	}
	if (at < 0)
		proa_fail_errno(error, PROA_REASON_ESP_MISSING, errno, "opening %s on the ESP", path);
	return proa_steal_fd(&at);
}

/* Takes @fd over. */
static ProaEsp *open_root(int fd, GError **error)
{
	g_autoptr(ProaEsp) esp = g_new(ProaEsp, 1);

	*esp = (ProaEsp){ .fd = fd, .entries_fd = -1, .proa_fd = -1 };
	esp->entries_fd = open_dir(fd, PROA_ESP_ENTRY_DIR, error);
	if (esp->entries_fd < 0)
		return NULL;
	/* A full or damaged ESP may have none, and must not keep anyone from blessing, leaving or going back.
	 */
	esp->proa_fd = open_dir(fd, PROA_ESP_PROA_DIR, NULL);
	return g_steal_pointer(&esp);
}

/*
 * The kernel looks the source up from the working directory, so a bare name below /dev works even for a
 * process whose root directory is gone. errors=continue: a damaged directory must not make the ESP read-only
 * just when an entry has to be set aside.
 */
static int mount_vfat(int dev_fd, const char *name, gboolean writable)
{
	PROA_AUTO_FD int before = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	PROA_AUTO_FD int context = fsopen("vfat", FSOPEN_CLOEXEC);
	int mounted = -1;

	if (context < 0 || fchdir(dev_fd) < 0)
		return -1;
	if (fsconfig(context, FSCONFIG_SET_STRING, "source", name, 0) == 0 &&
		fsconfig(context, FSCONFIG_SET_STRING, "umask", "0077", 0) == 0 &&
		fsconfig(context, FSCONFIG_SET_STRING, "errors", "continue", 0) == 0 &&
		fsconfig(context, FSCONFIG_SET_FLAG, writable ? "dirsync" : "ro", NULL, 0) == 0 &&
		fsconfig(context, FSCONFIG_CMD_CREATE, NULL, NULL, 0) == 0)
		mounted = fsmount(context, FSMOUNT_CLOEXEC,
			MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC | MOUNT_ATTR_NOATIME |
				(writable ? 0 : MOUNT_ATTR_RDONLY));
	int saved_errno = errno;
	if (before >= 0 && fchdir(before) < 0)
		saved_errno = errno;
	errno = saved_errno;
	return mounted;
}

/*
 * Mounting for writing marks the file system as in use, so who only reads does not. The kernel has one file
 * system for all, either way: a reader joins a writer; a writer waits for readers, who are there for moments.
 */
static int mount_beside_others(int dev_fd, const char *name, gboolean writable)
{
	int mounted = -1;

	for (int i = 0; mounted < 0 && i < BUSY_TRIES; i++) {
		if (i > 0)
			g_usleep(G_USEC_PER_SEC / 10);
		mounted = mount_vfat(dev_fd, name, writable);
		if (mounted < 0 && errno == EBUSY && !writable)
			mounted = mount_vfat(dev_fd, name, TRUE);
		if (mounted < 0 && errno != EBUSY)
			break;
	}
	return mounted;
}

static ProaEsp *open_device(int dev_fd, const char *name, gboolean writable, GError **error)
{
	PROA_AUTO_FD int mounted = mount_beside_others(dev_fd, name, writable);

	if (mounted < 0) {
		proa_fail_errno(error, errno == EPERM ? PROA_REASON_PERMISSION : PROA_REASON_ESP_MISSING,
			errno, "mounting the ESP (/dev/%s)", name);
		return NULL;
	}
	/* A descriptor of fsmount() is O_PATH; syncfs() and statvfs() want an opened directory. */
	int fd = openat(mounted, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0) {
		proa_fail_errno(error, PROA_REASON_ESP_MISSING, errno, "opening the ESP");
		return NULL;
	}
	return open_root(fd, error);
}

ProaEsp *proa_esp_open_device(int dev_fd, const char *name, GError **error)
{
	return open_device(dev_fd, name, TRUE, error);
}

/* The value of LoaderDevicePartUUID in lower case, or NULL. */
static char *loader_partition(void)
{
	gsize size = 0;
	g_autofree char *data = proa_file_read(LOADER_PART_UUID, MAX_EFI_VARIABLE, &size, NULL);

	if (!data || size < 4 + 36 * 2)
		return NULL;
	char *uuid = g_malloc0(37);
	for (gsize i = 0; i < 36; i++)
		uuid[i] = g_ascii_tolower(data[4 + 2 * i]);
	return uuid;
}

static const ProaPartition *esp_beside_root(const GPtrArray *all)
{
	const ProaPartition *root = proa_partition_by_label(all, "root-a");

	for (guint i = 0; root && i < all->len; i++) {
		const ProaPartition *partition = g_ptr_array_index(all, i);
		if (strcmp(partition->type, PROA_GPT_TYPE_ESP) == 0 &&
			strcmp(partition->disk, root->disk) == 0)
			return partition;
	}
	return NULL;
}

char *proa_esp_find_device(GError **error)
{
	g_autofree char *uuid = loader_partition();
	g_autoptr(GPtrArray) all = proa_disk_partitions();
	const ProaPartition *esp = uuid ? proa_partition_by_uuid(all, uuid) : NULL;

	if (!esp || strcmp(esp->type, PROA_GPT_TYPE_ESP) != 0)
		esp = esp_beside_root(all);
	if (esp)
		return g_strdup(esp->device);
	/* Without privileges no disk can be read at all. */
	proa_fail(error, geteuid() == 0 ? PROA_REASON_ESP_MISSING : PROA_REASON_PERMISSION,
		"no disk with a partition labelled root-a has an EFI system partition");
	return NULL;
}

static ProaEsp *open_esp(const char *dir, gboolean writable, GError **error)
{
	if (dir) {
		int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (fd >= 0)
			return open_root(fd, error);
		proa_fail_errno(error, PROA_REASON_ESP_MISSING, errno, "opening %s", dir);
		return NULL;
	}

	g_autofree char *device = proa_esp_find_device(error);
	if (!device)
		return NULL;
	PROA_AUTO_FD int dev_fd = open("/dev", O_PATH | O_DIRECTORY | O_CLOEXEC);
	return open_device(dev_fd, device, writable, error);
}

ProaEsp *proa_esp_open(const char *dir, GError **error)
{
	return open_esp(dir, TRUE, error);
}

ProaEsp *proa_esp_open_to_read(const char *dir, GError **error)
{
	ProaEsp *esp = open_esp(dir, FALSE, NULL);

	/* An ESP that lacks a directory of ours gets it the first time, which needs writing. */
	return esp ? esp : open_esp(dir, TRUE, error);
}

int proa_esp_fd(const ProaEsp *esp)
{
	return esp->fd;
}

int proa_esp_entries_fd(const ProaEsp *esp)
{
	return esp->entries_fd;
}

int proa_esp_proa_fd(const ProaEsp *esp)
{
	return esp->proa_fd;
}

gboolean proa_esp_free_bytes(const ProaEsp *esp, guint64 *ret_bytes, GError **error)
{
	struct statvfs st;

	if (fstatvfs(esp->fd, &st) < 0)
		return proa_fail_errno(error, PROA_REASON_IO, errno, "asking for the space on the ESP");
	*ret_bytes = (guint64)st.f_bavail * st.f_frsize;
	return TRUE;
}

gboolean proa_esp_size(const ProaEsp *esp, guint64 *ret_bytes, GError **error)
{
	struct statvfs st;

	if (fstatvfs(esp->fd, &st) < 0)
		return proa_fail_errno(error, PROA_REASON_IO, errno, "asking for the size of the ESP");
	*ret_bytes = (guint64)st.f_blocks * st.f_frsize;
	return TRUE;
}

gboolean proa_esp_sync(const ProaEsp *esp, GError **error)
{
	if (fsync(esp->entries_fd) < 0 || (esp->proa_fd >= 0 && fsync(esp->proa_fd) < 0) ||
		syncfs(esp->fd) < 0)
		return proa_fail_errno(error, PROA_REASON_IO, errno, "syncing the ESP");
	return TRUE;
}

gboolean proa_esp_remove_file(const ProaEsp *esp, int dir_fd, const char *name, GError **error)
{
	if (unlinkat(dir_fd, name, 0) < 0) {
		if (errno == ENOENT)
			return TRUE;
		return proa_fail_errno(error, PROA_REASON_IO, errno, "removing %s from the ESP", name);
	}
	if (fsync(dir_fd) < 0)
		return proa_fail_errno(error, PROA_REASON_IO, errno, "syncing the ESP");
	return proa_esp_sync(esp, error);
}

/* Whatever stands under the names goes first, both together: a power cut in the middle of a rename may have
 * left them over the same clusters, of which one could then be given away under a file that is needed. */
static gboolean make_room(const ProaEsp *esp, int dir_fd, const char *name, GError **error)
{
	g_autofree char *temporary = g_strconcat(name, ".tmp", NULL);

	return proa_esp_remove_file(esp, dir_fd, temporary, error) &&
	       proa_esp_remove_file(esp, dir_fd, name, error);
}

gboolean proa_esp_replace_file(
	const ProaEsp *esp, int dir_fd, const char *name, const void *data, gsize size, GError **error)
{
	g_autofree char *temporary = g_strconcat(name, ".tmp", NULL);

	if (!make_room(esp, dir_fd, name, error))
		return FALSE;
	PROA_AUTO_FD int fd =
		openat(dir_fd, temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return proa_fail_errno(error, errno == ENOSPC ? PROA_REASON_ESP_FULL : PROA_REASON_IO, errno,
			"creating %s on the ESP", temporary);
	if (!proa_write_all(fd, data, size, error)) {
		g_prefix_error(error, "%s on the ESP: ", temporary);
		unlinkat(dir_fd, temporary, 0);
		return FALSE;
	}
	if (fsync(fd) < 0 || renameat2(dir_fd, temporary, dir_fd, name, RENAME_NOREPLACE) < 0 ||
		fsync(dir_fd) < 0) {
		proa_fail_errno(error, PROA_REASON_IO, errno, "writing %s on the ESP", name);
		unlinkat(dir_fd, temporary, 0);
		return FALSE;
	}
	return proa_esp_sync(esp, error);
}

int proa_esp_lock(const char *run_dir, int seconds, GError **error)
{
	g_autofree char *path = g_build_filename(run_dir, "esp.lock", NULL);

	if (!proa_file_make_dirs(run_dir, error))
		return -1;
	PROA_AUTO_FD int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0) {
		proa_fail_errno(error, PROA_REASON_IO, errno, "opening %s", path);
		return -1;
	}
	/* Changes take well under a second: waiting in short steps keeps the limit without a signal. */
	for (int tenths = 0;; tenths++) {
		if (flock(fd, LOCK_EX | LOCK_NB) == 0)
			return proa_steal_fd(&fd);
		if (tenths >= seconds * 10)
			break;
		g_usleep(G_USEC_PER_SEC / 10);
	}
	proa_fail(error, PROA_REASON_BUSY, "another program is changing boot entries (%s)", path);
	return -1;
}
