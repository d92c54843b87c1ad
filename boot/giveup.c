/* SPDX-License-Identifier: Apache-2.0 */
#include "boot/giveup.h"

#include "base/file.h"
#include "boot/disk.h"
#include "boot/entry.h"
#include "boot/evidence.h"

#include <fcntl.h>
#include <linux/dm-ioctl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/reboot.h>
#include <sys/wait.h>
#include <unistd.h>

#define MAX_FILESYSTEMS (64 * 1024)
#define STATUS_BUFFER 4096

/* Duplicates may exist after a power cut within a rename, so all of them go. */
static gboolean set_all_aside(
	const ProaEsp *esp, const GPtrArray *entries, const char *root_hash, GError **error)
{
	for (guint i = 0; i < entries->len; i++) {
		const ProaEntry *entry = g_ptr_array_index(entries, i);
		if (g_strcmp0(entry->root_hash, root_hash) == 0 && !proa_entry_set_aside(esp, entry, error))
			return FALSE;
	}
	return TRUE;
}

/* A full ESP takes no evidence, and must not keep anyone from leaving: the entry that was set aside tells
 * enough. */
static void leave_evidence(const ProaEsp *esp, const ProaGiveUp *what, const ProaEntry *own)
{
	g_autoptr(ProaEvidence) evidence = g_new0(ProaEvidence, 1);
	g_autoptr(GError) error = NULL;

	evidence->root_hash = g_strdup(what->root_hash);
	evidence->version = own ? g_strdup(own->version) : NULL;
	evidence->reason = g_strdup(proa_reason_to_string(what->reason));
	evidence->detail = g_strdup(what->detail);
	evidence->where = g_strdup(what->where);
	evidence->time = g_get_real_time() / G_USEC_PER_SEC;
	if (!proa_evidence_write(esp, evidence, &error))
		g_warning("leaving evidence on the ESP: %s", error->message);
}

gboolean proa_give_up_counts(const ProaEntry *own)
{
	return own->tries_left < 0 || (own->tries_left > 0 && own->tries_done <= 0);
}

gboolean proa_give_up(const ProaEsp *esp, const ProaGiveUp *what, gboolean *ret_switched, GError **error)
{
	g_autoptr(GPtrArray) entries = proa_entry_list(esp, error);

	if (!entries)
		return FALSE;
	const ProaEntry *own = proa_entry_find(entries, what->root_hash);
	gboolean other = proa_entry_find_other(entries, what->root_hash) != NULL;
	if (other && !set_all_aside(esp, entries, what->root_hash, error))
		return FALSE;

	*ret_switched = other;
	leave_evidence(esp, what, own);
	return TRUE;
}

static gboolean kernel_knows_erofs(void)
{
	g_autofree char *text = proa_file_read("/proc/filesystems", MAX_FILESYSTEMS, NULL, NULL);

	return text && strstr(text, "\terofs\n");
}

ProaReason proa_give_up_diagnose(const char *root_hash, char **ret_detail)
{
	char root_uuid[37], verity_uuid[37];
	g_autoptr(GPtrArray) partitions = proa_disk_partitions();

	proa_partition_uuid_of_root(root_hash, root_uuid);
	proa_partition_uuid_of_verity(root_hash, verity_uuid);
	if (!proa_partition_by_uuid(partitions, root_uuid) ||
		!proa_partition_by_uuid(partitions, verity_uuid)) {
		*ret_detail = g_strdup_printf("no disk has the partitions %s and %s", root_uuid, verity_uuid);
		return PROA_REASON_ROOT_MISSING;
	}
	if (access("/sys/module/dm_verity", F_OK) < 0) {
		*ret_detail = g_strdup("the kernel module dm_verity is not loaded");
		return PROA_REASON_BOOT_FAILED;
	}
	if (access("/sys/block/dm-0", F_OK) == 0 && !kernel_knows_erofs()) {
		*ret_detail = g_strdup("the kernel module erofs is not loaded");
		return PROA_REASON_BOOT_FAILED;
	}
	*ret_detail = g_strdup("the root or its hash tree is damaged: it could not be opened and mounted");
	return PROA_REASON_ROOT_CORRUPT;
}

gboolean proa_verity_corrupt(int dev_fd, const char *name)
{
	PROA_AUTO_FD int fd = openat(dev_fd, "mapper/control", O_RDWR | O_CLOEXEC);
	g_autofree guint8 *buffer = g_malloc0(STATUS_BUFFER);
	struct dm_ioctl *request = (struct dm_ioctl *)(void *)buffer;

	*request = (struct dm_ioctl){ .version = { DM_VERSION_MAJOR, 0, 0 },
		.data_size = STATUS_BUFFER,
		.data_start = sizeof *request };
	g_strlcpy(request->name, name, sizeof request->name);
	if (fd < 0 || ioctl(fd, DM_TABLE_STATUS, request) < 0 || request->target_count != 1)
		return FALSE;
	if (request->data_start > STATUS_BUFFER - sizeof(struct dm_target_spec) - 2)
		return FALSE;
	const struct dm_target_spec *target = (const void *)(buffer + request->data_start);
	const char *status = (const char *)(target + 1);
	return strncmp(target->target_type, "verity", sizeof target->target_type) == 0 && status[0] == 'C';
}

void proa_reboot_now(int seconds)
{
	/* A dying disk may hold sync(2) up for ever: a child syncs, this process goes on. */
	pid_t child = fork();

	if (child == 0) {
		sync();
		_exit(0);
	}
	for (int tenths = 0; child > 0 && tenths < seconds * 10; tenths++) {
		if (waitpid(child, NULL, WNOHANG) != 0)
			break;
		g_usleep(G_USEC_PER_SEC / 10);
	}
	reboot(RB_AUTOBOOT);
}
