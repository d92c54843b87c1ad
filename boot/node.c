/* SPDX-License-Identifier: Apache-2.0 */
#include "boot/node.h"

#include "base/file.h"
#include "boot/attempts.h"
#include "boot/crashes.h"
#include "boot/disk.h"
#include "boot/generation.h"
#include "boot/pairing.h"
#include "boot/patience.h"
#include "boot/starts.h"
#include "boot/uki.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define LOCK_SECONDS 30
#define MAX_OS_RELEASE (16 * 1024)
#define MAX_SYSFS 4096
#define INSTALL_LOCK "install.lock"

void proa_node_free(ProaNode *node)
{
	g_free(node->root);
	g_free(node->state_dir);
	g_free(node->run_dir);
	g_clear_pointer(&node->esp, proa_esp_free);
	g_clear_pointer(&node->entries, g_ptr_array_unref);
	g_clear_pointer(&node->partitions, g_ptr_array_unref);
	proa_state_set_release(&node->booted, NULL, NULL, NULL);
	proa_state_set_release(&node->other, NULL, NULL, NULL);
	g_free(node);
}

static char *os_release_version(const ProaNode *node)
{
	g_autofree char *path = g_build_filename(node->root, "/usr/lib/os-release", NULL);
	g_autofree char *text = proa_file_read(path, MAX_OS_RELEASE, NULL, NULL);

	return text ? proa_os_release_value(text, "IMAGE_VERSION") : NULL;
}

static const char *opposite(const char *slot)
{
	if (!slot)
		return NULL;
	return strcmp(slot, "root-a") == 0 ? "root-b" : "root-a";
}

/* The first entry that leads to the other slot; which root a slot holds is in its partitions' UUIDs. */
static const ProaEntry *find_other(const ProaNode *node)
{
	for (guint i = 0; i < node->entries->len; i++) {
		const ProaEntry *entry = g_ptr_array_index(node->entries, i);
		if (!entry->root_hash || strcmp(entry->root_hash, node->booted.root_hash) == 0)
			continue;
		if (node->other_slot && g_strcmp0(proa_disk_slot_of(node->partitions, entry->root_hash),
						node->other_slot) == 0)
			return entry;
	}
	return NULL;
}

static void look(ProaNode *node)
{
	g_autofree char *root_hash = g_strdup(node->booted.root_hash);
	const char *slot = proa_disk_slot_of(node->partitions, root_hash);

	node->booted_entry = proa_entry_find(node->entries, root_hash);
	g_autofree char *version =
		node->booted_entry ? g_strdup(node->booted_entry->version) : os_release_version(node);
	proa_state_set_release(&node->booted, version ? version : "unknown", root_hash, slot);
	node->other_slot = opposite(slot);
	node->other_entry = find_other(node);
	if (node->other_entry)
		proa_state_set_release(&node->other, node->other_entry->version, node->other_entry->root_hash,
			node->other_slot);
	else
		proa_state_set_release(&node->other, NULL, NULL, NULL);
}

ProaNode *proa_node_open(const ProaNodeOptions *options, GError **error)
{
	g_autoptr(ProaNode) node = g_new0(ProaNode, 1);
	char uuid[37];

	node->root = g_strdup(options->root);
	node->state_dir = g_strconcat(options->root, PROA_STATE_DIR, NULL);
	node->run_dir = g_strconcat(options->root, PROA_ESP_RUN_DIR, NULL);
	node->booted.root_hash = proa_booted_root_hash(options->root, error);
	if (!node->booted.root_hash)
		return NULL;
	node->esp = options->to_read ? proa_esp_open_to_read(options->esp, error)
				     : proa_esp_open(options->esp, error);
	if (!node->esp)
		return NULL;
	node->entries = proa_entry_list(node->esp, error);
	if (!node->entries)
		return NULL;
	proa_partition_uuid_of_root(node->booted.root_hash, uuid);
	node->partitions = proa_disk_of_node(options->disk, uuid, NULL);
	if (!node->partitions)
		node->partitions = g_ptr_array_new_with_free_func((GDestroyNotify)proa_partition_free);
	look(node);
	return g_steal_pointer(&node);
}

gboolean proa_node_reload(ProaNode *node, GError **error)
{
	GPtrArray *entries = proa_entry_list(node->esp, error);

	if (!entries)
		return FALSE;
	g_ptr_array_unref(node->entries);
	node->entries = entries;
	look(node);
	return TRUE;
}

gboolean proa_node_on_trial(const ProaNode *node)
{
	return node->booted_entry && node->booted_entry->tries_left >= 0;
}

gboolean proa_node_other_bootable(const ProaNode *node)
{
	return node->other_entry && proa_entry_bootable(node->other_entry);
}

/* Whether one of the disks below the device-mapper device is the partition @uuid. */
static gboolean has_slave(const ProaNode *node, const char *sys, const char *uuid)
{
	const ProaPartition *partition = proa_partition_by_uuid(node->partitions, uuid);
	g_autofree char *path = partition && partition->device
					? g_build_filename(sys, "slaves", partition->device, NULL)
					: NULL;

	return path && g_file_test(path, G_FILE_TEST_EXISTS);
}

gboolean proa_node_verified(const ProaNode *node)
{
	char root_uuid[37], verity_uuid[37];
	struct stat st;

	if (*node->root || stat("/", &st) < 0)
		return FALSE;
	g_autofree char *sys = g_strdup_printf("/sys/dev/block/%u:%u", major(st.st_dev), minor(st.st_dev));
	g_autofree char *uuid_path = g_build_filename(sys, "dm/uuid", NULL);
	g_autofree char *uuid = proa_file_read(uuid_path, MAX_SYSFS, NULL, NULL);
	if (!uuid || !g_str_has_prefix(uuid, "CRYPT-VERITY-"))
		return FALSE;
	proa_partition_uuid_of_root(node->booted.root_hash, root_uuid);
	proa_partition_uuid_of_verity(node->booted.root_hash, verity_uuid);
	return has_slave(node, sys, root_uuid) && has_slave(node, sys, verity_uuid);
}

int proa_node_lock_install(const ProaNode *node, GError **error)
{
	g_autofree char *path = g_build_filename(node->run_dir, INSTALL_LOCK, NULL);

	if (!proa_file_make_dirs(node->run_dir, error))
		return -1;
	PROA_AUTO_FD int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0)
		return proa_steal_fd(&fd);
	proa_fail(error, PROA_REASON_BUSY, "a transaction is under way (%s is locked)", path);
	return -1;
}

/* After this the next boot is of a good release, whatever else fails. */
static gboolean strip_counters(ProaNode *node, GError **error)
{
	PROA_AUTO_FD int lock = proa_esp_lock(node->run_dir, LOCK_SECONDS, error);

	if (lock < 0 || !proa_node_reload(node, error))
		return FALSE;
	if (!node->booted_entry)
		return proa_fail(
			error, PROA_REASON_NO_BOOT_ENTRY, "no entry on the ESP boots the running release");
	if (node->booted_entry->tries_left < 0)
		return TRUE;
	return proa_entry_bless(node->esp, node->booted_entry, error) && proa_node_reload(node, error);
}

/* Names change as entries are renamed, so each turn looks anew. */
gboolean proa_node_set_aside(ProaNode *node, const char *root_hash, GError **error)
{
	for (guint turn = 0; turn < PROA_ENTRY_MAX_ENTRIES; turn++) {
		const ProaEntry *found = NULL;
		for (guint i = 0; i < node->entries->len && !found; i++) {
			const ProaEntry *entry = g_ptr_array_index(node->entries, i);
			if (g_strcmp0(entry->root_hash, root_hash) == 0 && entry->tries_left != 0)
				found = entry;
		}
		if (!found)
			return TRUE;
		if (!proa_entry_set_aside(node->esp, found, error) || !proa_node_reload(node, error))
			return FALSE;
	}
	return TRUE;
}

typedef struct {
	const ProaStateRelease *booted;
	gboolean was_good;
} Blessing;

static gboolean is_booted(const ProaStateRelease *release, const ProaStateRelease *booted)
{
	return g_strcmp0(release->root_hash, booted->root_hash) == 0;
}

static void bless_state(ProaState *state, gpointer data)
{
	Blessing *blessing = data;
	const ProaStateRelease *booted = blessing->booted;
	gboolean other_staged = (state->kind == PROA_STATE_STAGING || state->kind == PROA_STATE_STAGED) &&
				!is_booted(&state->staged, booted);

	blessing->was_good = is_booted(&state->good, booted) && state->kind != PROA_STATE_TRIAL;
	proa_state_set_release(&state->booted, booted->version, booted->root_hash, booted->slot);
	proa_state_set_release(&state->good, booted->version, booted->root_hash, booted->slot);
	if (other_staged)
		return; /* a release that waits for its reboot goes on waiting */
	proa_state_set_release(&state->staged, NULL, NULL, NULL);
	if (state->kind != PROA_STATE_FALLEN_BACK)
		state->kind = PROA_STATE_GOOD;
}

/* A way back or forward is, also one that an operator closed for now; what failed here is not. */
static gboolean keeps_generation(const ProaEntry *entry, const GPtrArray *rejected)
{
	const ProaRejected *word = rejected ? proa_rejected_find(rejected, entry->root_hash) : NULL;

	return entry->tries_left != 0 || (word && proa_rejected_is_operators(word));
}

gboolean proa_node_prune_generations(const ProaNode *node, GError **error)
{
	g_autofree char *etc_dir = g_build_filename(node->state_dir, "etc", NULL);
	g_autoptr(GPtrArray) rejected = proa_rejected_load(node->state_dir, NULL);
	g_autoptr(GStrvBuilder) names = g_strv_builder_new();

	for (guint i = 0; i < node->entries->len; i++) {
		const ProaEntry *entry = g_ptr_array_index(node->entries, i);
		if (entry->root_hash && keeps_generation(entry, rejected))
			g_strv_builder_take(names, proa_generation_name(entry->root_hash));
	}
	g_strv_builder_take(names, proa_generation_name(node->booted.root_hash));
	g_auto(GStrv) keep = g_strv_builder_end(names);
	return !g_file_test(etc_dir, G_FILE_TEST_IS_DIR) ||
	       proa_generation_prune(etc_dir, (const char *const *)keep, error);
}

static void warn(const char *doing, GError **error)
{
	if (*error)
		g_warning("%s: %s", doing, (*error)->message);
	g_clear_error(error);
}

gboolean proa_node_bless(ProaNode *node, GError **error)
{
	Blessing blessing = { &node->booted, FALSE };
	g_autofree char *etc_dir = g_build_filename(node->state_dir, "etc", NULL);
	g_autofree char *generation = proa_generation_name(node->booted.root_hash);
	g_autoptr(GError) inner = NULL;
	gboolean had_counter = proa_node_on_trial(node);

	if (!strip_counters(node, error))
		return FALSE;
	/* The trial is over: whatever holds up the rest is no reason to reset a release that is blessed. */
	proa_patience_end();
	if (!proa_state_update(node->state_dir, bless_state, &blessing, &inner))
		warn("recording that this release is good", &inner);
	ProaMoment moment = proa_moment_now(node->root);
	if (!proa_crashes_healthy(node->state_dir, &moment, &inner))
		warn("noting that this boot is healthy", &inner);
	if (!proa_attempts_clear(node->state_dir, &inner))
		warn("forgetting the attempts", &inner);
	g_autofree char *efivars = g_strconcat(node->root, PROA_EFIVARS_DIR, NULL);
	if (!proa_starts_clear(efivars, &inner))
		warn("forgetting the starts", &inner);
	if (!proa_rejected_remove(node->state_dir, node->booted.root_hash, &inner))
		warn("forgetting that this release was rejected", &inner);
	if ((had_counter || !blessing.was_good) &&
		!proa_history_append(node->state_dir, "blessed", &node->booted, NULL, NULL, &inner))
		warn("writing the history", &inner);
	/* proa-etc may have met a full disk. Not only for tidiness: the next release starts from it. */
	if (!proa_generation_use(etc_dir, generation, &inner))
		warn("noting which generation of /etc is in use", &inner);
	if (!proa_pairing_keep(node->root, etc_dir, generation, &inner))
		warn("remembering the system extensions of this release", &inner);
	if (!proa_node_prune_generations(node, &inner))
		warn("removing old generations of /etc", &inner);
	return TRUE;
}
