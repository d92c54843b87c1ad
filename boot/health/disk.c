/* SPDX-License-Identifier: Apache-2.0 */
/*
 * disk: the file systems that a node writes to can be written and have room. A kernel that meets damage
 * mounts an ext4 read-only and goes on; everything then fails a little later, and elsewhere. A /var in memory
 * is no /var, and a release whose changes of /etc are lost is not one to bless.
 */
#include "base/file.h"
#include "boot/health/check.h"
#include "boot/run.h"
#include "boot/volatile.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
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

/* What a child found out. */
typedef struct {
	int look;  /* errno of statvfs(3); 0: it went well */
	int write; /* of trying to write */
	struct statvfs fs;
} Probe;

static gboolean send_probe(const char *path, int fd)
{
	Probe probe = { 0 };

	if (statvfs(path, &probe.fs) < 0)
		probe.look = errno;
	else if (!(probe.fs.f_flag & ST_RDONLY))
		probe.write = try_to_write(path);
	return write(fd, &probe, sizeof probe) == (ssize_t)sizeof probe;
}

/* Nobody can break off what a dead disk or server holds up in the kernel: a child asks. 0: none could be
 * started. */
static pid_t start_probe(const char *path, int *ret_fd)
{
	int fds[2];

	if (pipe2(fds, O_CLOEXEC) < 0)
		return 0;
	pid_t pid = fork();
	if (pid == 0)
		_exit(send_probe(path, fds[1]) ? 0 : 1);
	close(fds[1]);
	*ret_fd = fds[0];
	return MAX(pid, 0);
}

static gboolean take_probe(int fd, gint64 seconds, Probe *ret_probe)
{
	gint64 until = g_get_monotonic_time() + seconds * G_USEC_PER_SEC;
	struct pollfd waiting = { .fd = fd, .events = POLLIN };

	for (;;) {
		gint64 left = (until - g_get_monotonic_time()) / 1000;
		int r = left > 0 ? poll(&waiting, 1, (int)left) : 0;
		if (r > 0)
			return read(fd, ret_probe, sizeof *ret_probe) == (ssize_t)sizeof *ret_probe;
		if (r == 0 || errno != EINTR)
			return FALSE;
	}
}

/* Asks a child, unless the last one that was asked still hangs. FALSE: no answer within the time limit. */
static gboolean probe(const ProaHealthContext *context, const char *path, const char *full, Probe *ret_probe)
{
	g_autofree char *key = g_strdup_printf("disk:%s", path);
	const char *before = g_hash_table_lookup(context->memory, key);
	PROA_AUTO_FD int fd = -1;

	if (before && proa_run_is_left_behind((pid_t)g_ascii_strtoll(before, NULL, 10)))
		return FALSE;
	if (!proa_run_may_start(NULL))
		return FALSE;
	pid_t pid = start_probe(full, &fd);
	if (pid == 0)
		return FALSE;
	gboolean told = take_probe(fd, proa_config_integer(context->config, "disk", "timeout"), ret_probe);
	(void)!proa_run_end(pid, !told, NULL);
	g_hash_table_replace(context->memory, g_steal_pointer(&key), g_strdup_printf("%d", pid));
	return told;
}

/*
 * Since Linux 6.12 an ext4 that met damage is not flagged as read-only any more (its journal is aborted, and
 * every write fails), so the flags tell too little.
 */
static void check_writing(const char *path, int error, ProaHealthResult *result)
{
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

static void check_path(const ProaHealthContext *context, const char *path, ProaHealthResult *result)
{
	g_autofree char *full = g_strconcat(context->root, path, NULL);
	Probe found = { 0 };

	if (!probe(context, path, full, &found)) {
		proa_health_set(result, PROA_HEALTH_WAIT, PROA_REASON_IO,
			g_strdup_printf(
				"%s: no answer within %" G_GINT64_FORMAT
				" s: the disk, or the server that it is mounted from, is dead or slow",
				path, proa_config_integer(context->config, "disk", "timeout")));
		return;
	}
	if (found.look)
		proa_health_set(result, PROA_HEALTH_WAIT, PROA_REASON_READ_ONLY,
			g_strdup_printf("%s: %s", path, g_strerror(found.look)));
	else
		check_room(context->config, path, &found.fs, result);
	if (proa_health_good(result->verdict))
		check_writing(path, found.write, result);
}

void proa_health_disk_paths(const ProaHealthContext *context, ProaHealthResult *result)
{
	g_auto(GStrv) paths =
		g_strsplit_set(proa_config_string(context->config, "disk", "writable"), " \t,", -1);

	for (char **path = paths; *path && proa_health_good(result->verdict); path++)
		if (**path)
			check_path(context, *path, result);
}

static void run(const ProaHealthContext *context, ProaHealthResult *result)
{
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
	if (proa_health_good(result->verdict))
		proa_health_disk_paths(context, result);
}

const ProaHealthCheck proa_health_disk = { .name = "disk", .run = run };
