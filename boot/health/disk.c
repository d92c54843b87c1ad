/* SPDX-License-Identifier: Apache-2.0 */
/*
 * disk: the file systems that a node writes to can be written and have room. A kernel that meets damage
 * mounts an ext4 read-only and goes on; everything then fails a little later, and elsewhere. A /var in memory
 * is no /var, and a release whose changes of /etc are lost is not one to bless.
 */
#include "boot/health/check.h"
#include "boot/volatile.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

/* A file without a name: nothing is left of it, whatever happens. A file system that knows none is asked no
 * further. 0 or an errno. */
static int try_to_write(const char *path)
{
	static const char bytes[] = "probe";
	int error = 0;
	int fd = open(path, O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);

	if (fd < 0)
		return errno == EOPNOTSUPP || errno == EISDIR ? 0 : errno;
	ssize_t written = write(fd, bytes, sizeof bytes);
	if (written != (ssize_t)sizeof bytes)
		error = written < 0 ? errno : ENOSPC;
	else if (fsync(fd) < 0)
		error = errno;
	close(fd);
	return error;
}

/*
 * Since Linux 6.12 an ext4 that met damage is not flagged as read-only any more (its journal is aborted, and
 * every write fails), so the flags tell too little.
 */
static void check_writing(const char *path, const char *full, ProaHealthResult *result)
{
	int error = try_to_write(full);
	gboolean room = error == ENOSPC || error == EDQUOT;

	if (error)
		proa_health_set(result, room ? PROA_HEALTH_WAIT : PROA_HEALTH_FAIL,
			room ? PROA_REASON_DISK_SPACE : PROA_REASON_READ_ONLY,
			g_strdup_printf("writing to %s: %s", path, g_strerror(error)));
}

static void check_room(
	const ProaConfig *config, const char *path, const struct statvfs *fs, ProaHealthResult *result)
{
	guint64 bytes = (guint64)fs->f_bavail * fs->f_frsize;
	guint64 least = (guint64)proa_config_integer(config, "disk", "free");
	guint64 least_inodes = (guint64)proa_config_integer(config, "disk", "inodes");

	if (fs->f_flag & ST_RDONLY)
		proa_health_set(result, PROA_HEALTH_FAIL, PROA_REASON_READ_ONLY,
			g_strdup_printf("%s is mounted read-only", path));
	else if (bytes < least)
		proa_health_set(result, PROA_HEALTH_WAIT, PROA_REASON_DISK_SPACE,
			g_strdup_printf("%s has %" G_GUINT64_FORMAT " bytes free, at least %" G_GUINT64_FORMAT
					" are wanted",
				path, bytes, least));
	else if (fs->f_files > 0 && fs->f_favail < least_inodes)
		proa_health_set(result, PROA_HEALTH_WAIT, PROA_REASON_DISK_SPACE,
			g_strdup_printf("%s has %" G_GUINT64_FORMAT
					" inodes free, at least %" G_GUINT64_FORMAT " are wanted",
				path, (guint64)fs->f_favail, least_inodes));
}

static void run(const ProaHealthContext *context, ProaHealthResult *result)
{
	g_auto(GStrv) paths =
		g_strsplit_set(proa_config_string(context->config, "disk", "writable"), " \t,", -1);
	g_autofree char *lost = g_build_filename(context->root, "/" PROA_VOLATILE_VAR, NULL);
	g_autofree char *lost_etc = g_build_filename(context->root, "/" PROA_VOLATILE_ETC, NULL);

	if (!proa_config_boolean(context->config, "disk", "enabled")) {
		proa_health_skip(result, "[disk] enabled=no");
		return;
	}
	if (access(lost, F_OK) == 0)
		proa_health_set(result, PROA_HEALTH_FAIL, PROA_REASON_READ_ONLY,
			g_strdup("the state partition could not be mounted: /var is in memory"));
	else if (access(lost_etc, F_OK) == 0)
		proa_health_set(result, PROA_HEALTH_FAIL, PROA_REASON_READ_ONLY,
			g_strdup("the generation of /etc on /var could not be written to: /etc is in memory; "
				 "make room on /var or repair it, then reboot"));
	for (char **path = paths; *path && proa_health_good(result->verdict); path++) {
		g_autofree char *full = g_strconcat(context->root, *path, NULL);
		struct statvfs fs;
		if (!**path)
			continue;
		if (statvfs(full, &fs) < 0)
			proa_health_set(result, PROA_HEALTH_WAIT, PROA_REASON_READ_ONLY,
				g_strdup_printf("%s: %s", *path, g_strerror(errno)));
		else
			check_room(context->config, *path, &fs, result);
		if (proa_health_good(result->verdict))
			check_writing(*path, full, result);
	}
}

const ProaHealthCheck proa_health_disk = { .name = "disk", .run = run };
