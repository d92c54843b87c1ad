/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/slot/slot.h"

#include <string.h>

static const char *const slot_names[] = { "root-a", "root-b" };

void proa_slot_uuids(const char *root_hash, char ret_data[PROA_UUID_SIZE], char ret_hash[PROA_UUID_SIZE])
{
	const char *const halves[] = { root_hash, root_hash + 32 };
	char *const uuids[] = { ret_data, ret_hash };

	for (int i = 0; i < 2; i++) {
		const char *h = halves[i];
		g_snprintf(uuids[i], PROA_UUID_SIZE, "%.8s-%.4s-%.4s-%.4s-%.12s", h, h + 8, h + 12, h + 16,
			h + 20);
	}
}

static gboolean find_slot(const ProaDisk *disk, const char *name, ProaSlot *slot, GError **error)
{
	g_autofree char *hash_label = g_strconcat(name, "-verity", NULL);

	slot->name = name;
	slot->data = proa_disk_find(disk, name, error);
	if (!slot->data)
		return FALSE;
	slot->hash = proa_disk_find(disk, hash_label, error);
	return slot->hash != NULL;
}

static gboolean lies_on(const ProaSlot *slot, const char *partition)
{
	return strcmp(slot->data->path, partition) == 0 || strcmp(slot->hash->path, partition) == 0;
}

gboolean proa_slots_find(const ProaDisk *disk, const char *root_hash, const char *root_partition,
	ProaSlots *ret_slots, GError **error)
{
	ProaSlot slots[2];
	char data_uuid[PROA_UUID_SIZE], hash_uuid[PROA_UUID_SIZE];
	int by_uuid = -1, by_device = -1;

	proa_slot_uuids(root_hash, data_uuid, hash_uuid);
	for (int i = 0; i < 2; i++) {
		if (!find_slot(disk, slot_names[i], &slots[i], error))
			return FALSE;
		if (strcmp(slots[i].data->uuid, data_uuid) == 0) {
			if (by_uuid >= 0)
				return proa_fail(error, PROA_REASON_DISK_LAYOUT,
					"root-a and root-b have the same partition UUID %s", data_uuid);
			by_uuid = i;
		}
		if (root_partition && lies_on(&slots[i], root_partition))
			by_device = i;
	}
	if (by_uuid >= 0 && by_device >= 0 && by_uuid != by_device)
		return proa_fail(error, PROA_REASON_DISK_LAYOUT,
			"the running root lies on %s, but %s has its partition UUID", slot_names[by_device],
			slot_names[by_uuid]);
	int booted = by_device >= 0 ? by_device : by_uuid;
	if (booted < 0)
		return proa_fail(error, PROA_REASON_NO_SLOT,
			"neither root-a nor root-b holds the running root %s", root_hash);
	ret_slots->booted = slots[booted];
	ret_slots->other = slots[1 - booted];
	return TRUE;
}

gboolean proa_slot_set_root_hash(ProaDisk *disk, const ProaSlot *slot, const char *root_hash, GError **error)
{
	char data_uuid[PROA_UUID_SIZE], hash_uuid[PROA_UUID_SIZE];

	proa_slot_uuids(root_hash, data_uuid, hash_uuid);
	const ProaUuidChange changes[] = { { slot->data, data_uuid }, { slot->hash, hash_uuid } };
	return proa_disk_set_uuids(disk, changes, G_N_ELEMENTS(changes), error);
}
