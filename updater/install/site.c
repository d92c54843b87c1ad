/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/install/site.h"

#include "base/file.h"
#include "base/state.h"
#include "base/version.h"
#include "boot/uki.h"
#include "updater/install/arm.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define OS_RELEASE "/usr/lib/os-release"
#define MAX_OS_RELEASE (64 * 1024)
/* Seconds to wait for who else changes boot entries: proa-bootd, whose changes are quick. */
#define ENTRY_LOCK_WAIT 10
/* What a FAT needs besides a file's own clusters: a directory's growth, and the last cluster. Bytes. */
#define ESP_SLACK (256 * 1024)

void proa_site_free(ProaSite *site)
{
	if (!site)
		return;
	g_free(site->run_dir);
	g_free(site->state_dir);
	g_free(site->root_hash);
	g_free(site->version);
	if (site->esp)
		proa_esp_free(site->esp);
	if (site->entries)
		g_ptr_array_unref(site->entries);
	proa_disk_free(site->disk);
	g_free(site);
}

static char *booted_version(const char *root, GError **error)
{
	g_autofree char *path = g_strconcat(root, OS_RELEASE, NULL);
	g_autofree char *text = proa_file_read(path, MAX_OS_RELEASE, NULL, error);

	if (!text)
		return NULL;
	g_autofree char *version = proa_os_release_value(text, "IMAGE_VERSION");
	if (!version || !proa_version_valid(version)) {
		proa_fail(error, PROA_REASON_BAD_STATE, "%s names no IMAGE_VERSION of ours", path);
		return NULL;
	}
	return g_steal_pointer(&version);
}

ProaSite *proa_site_new(const ProaSiteOptions *options, GError **error)
{
	g_autoptr(ProaSite) site = g_new0(ProaSite, 1);

	site->run_dir = g_strconcat(options->root, PROA_ESP_RUN_DIR, NULL);
	site->state_dir = g_strconcat(options->root, PROA_STATE_DIR, NULL);
	site->root_hash = proa_booted_root_hash(options->root, error);
	if (!site->root_hash)
		return NULL;
	site->version = booted_version(options->root, error);
	return site->version ? g_steal_pointer(&site) : NULL;
}

int proa_site_lock_entries(const ProaSite *site, GError **error)
{
	return proa_esp_lock(site->run_dir, ENTRY_LOCK_WAIT, error);
}

static gboolean open_esp(ProaSite *site, const ProaSiteOptions *options, GError **error)
{
	site->esp = proa_esp_open(options->esp, error);
	if (!site->esp)
		return FALSE;
	PROA_AUTO_FD int lock = proa_site_lock_entries(site, error);
	if (lock < 0 ||
		!proa_esp_remove_file(site->esp, proa_esp_entries_fd(site->esp), PROA_ARM_TEMPORARY, error))
		return FALSE;
	site->entries = proa_entry_list(site->esp, error);
	return site->entries != NULL;
}

gboolean proa_site_open(ProaSite *site, const ProaSiteOptions *options, GError **error)
{
	g_autofree char *disk = g_strdup(options->disk), *partition = NULL;

	if (!disk && !proa_disk_of_root(&disk, &partition, error))
		return FALSE;
	site->disk = proa_disk_open(disk, options->parts, error);
	if (!site->disk || !proa_slots_find(site->disk, site->root_hash, partition, &site->slots, error))
		return FALSE;
	return open_esp(site, options, error);
}

gboolean proa_site_settled(const ProaSite *site, GError **error)
{
	const ProaEntry *entry = proa_entry_find(site->entries, site->root_hash);

	if (!entry)
		return proa_fail(error, PROA_REASON_NO_BOOT_ENTRY,
			"no boot entry leads to the running release %s", site->version);
	if (entry->tries_left == 0)
		return proa_fail(error, PROA_REASON_TRIAL_BOOT,
			"the running release %s was set aside: the next boot is the other slot's",
			site->version);
	if (entry->tries_left > 0)
		return proa_fail(error, PROA_REASON_TRIAL_BOOT, "the running release %s is still on trial",
			site->version);
	return TRUE;
}

gboolean proa_site_armed(const ProaSite *site, const char *root_hash)
{
	char data[PROA_UUID_SIZE], hash[PROA_UUID_SIZE];
	const ProaEntry *entry = root_hash ? proa_entry_find(site->entries, root_hash) : NULL;

	if (!entry || !proa_entry_bootable(entry))
		return FALSE;
	proa_slot_uuids(root_hash, data, hash);
	return strcmp(site->slots.other.data->uuid, data) == 0 &&
	       strcmp(site->slots.other.hash->uuid, hash) == 0;
}

/* Bytes that are free once the entries of the other slot are gone. */
static gboolean esp_room(const ProaSite *site, guint64 *ret_room, GError **error)
{
	guint64 room = 0;

	if (!proa_esp_free_bytes(site->esp, &room, error))
		return FALSE;
	for (guint i = 0; i < site->entries->len; i++) {
		const ProaEntry *entry = site->entries->pdata[i];
		struct stat st;
		if (g_strcmp0(entry->root_hash, site->root_hash) != 0 &&
			fstatat(proa_esp_entries_fd(site->esp), entry->name, &st, AT_SYMLINK_NOFOLLOW) == 0)
			room += (guint64)st.st_size;
	}
	*ret_room = room;
	return TRUE;
}

gboolean proa_site_fits(
	const ProaSite *site, guint64 root_size, guint64 tree_size, guint64 uki_size, GError **error)
{
	const ProaSlot *slot = &site->slots.other;
	guint64 room = 0;

	if (root_size > slot->data->size)
		return proa_fail(error, PROA_REASON_SLOT_TOO_SMALL,
			"%s has %" G_GUINT64_FORMAT " bytes, the release needs %" G_GUINT64_FORMAT,
			slot->data->label, slot->data->size, root_size);
	if (tree_size > slot->hash->size)
		return proa_fail(error, PROA_REASON_SLOT_TOO_SMALL,
			"%s has %" G_GUINT64_FORMAT " bytes, the hash tree needs %" G_GUINT64_FORMAT,
			slot->hash->label, slot->hash->size, tree_size);
	if (!esp_room(site, &room, error))
		return FALSE;
	if (uki_size + ESP_SLACK > room)
		return proa_fail(error, PROA_REASON_ESP_FULL,
			"the EFI system partition has room for %" G_GUINT64_FORMAT
			" bytes, the boot image needs %" G_GUINT64_FORMAT,
			room, uki_size + ESP_SLACK);
	return TRUE;
}
