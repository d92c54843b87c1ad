/* SPDX-License-Identifier: Apache-2.0 */
#include "boot/proof.h"

#include "base/file.h"
#include "base/json.h"
#include "boot/disk.h"
#include "boot/rollback.h"

#include <string.h>

#define NAME "scrub.json"
#define MAX_SIZE 4096

/* Where the partition with this UUID is read; NULL with NO_SLOT. A test's disk is an image, and its
 * partitions are files below its root. */
static char *path_of(const ProaNode *node, const char *uuid, GError **error)
{
	const ProaPartition *partition = proa_partition_by_uuid(node->partitions, uuid);

	if (partition && partition->device)
		return g_build_filename("/dev", partition->device, NULL);
	if (partition)
		return g_build_filename(node->root, "dev/disk/by-partlabel", partition->label, NULL);
	proa_fail(error, PROA_REASON_NO_SLOT, "the disk has no partition %s", uuid);
	return NULL;
}

static void record(const ProaNode *node, const ProaStateRelease *release, const ProaScrub *scrub)
{
	g_autofree char *path = g_build_filename(node->state_dir, NAME, NULL);
	g_autoptr(JsonObject) top = json_object_new();
	g_autoptr(GError) error = NULL;

	proa_json_set_string(top, "root_hash", release->root_hash);
	proa_json_set_string(top, "slot", release->slot);
	json_object_set_int_member(top, "time", g_get_real_time() / G_USEC_PER_SEC);
	json_object_set_boolean_member(top, "sound", scrub->bad == 0);
	json_object_set_int_member(top, "blocks", (gint64)scrub->blocks);
	json_object_set_int_member(top, "bad", (gint64)scrub->bad);
	json_object_set_int_member(
		top, "first_bad", scrub->first_bad == G_MAXUINT64 ? -1 : (gint64)scrub->first_bad);
	g_autofree char *text = proa_json_to_text(top);
	if (!proa_file_make_dirs(node->state_dir, &error) ||
		!proa_file_replace(path, text, strlen(text), 0644, &error))
		g_warning("recording the scrub: %s", error->message);
}

static char *describe_bad(const ProaScrub *scrub, const ProaStateRelease *release)
{
	return g_strdup_printf("%" G_GUINT64_FORMAT " of %" G_GUINT64_FORMAT
			       " blocks of %s are not of release %s",
		scrub->bad, scrub->blocks, release->slot, release->version);
}

/* The history tells of damage once, not at each scrub. */
static void tell(const ProaNode *node, const ProaStateRelease *release, const ProaScrub *scrub)
{
	g_autoptr(JsonObject) before = proa_proof_load(node->state_dir, release->root_hash);
	g_autoptr(GError) error = NULL;

	if (scrub->bad == 0 || (before && !proa_json_bool_or(before, "sound", TRUE)))
		return;
	g_autofree char *detail = describe_bad(scrub, release);
	if (!proa_history_append(node->state_dir, "scrubbed", release,
		    proa_reason_to_string(PROA_REASON_ROOT_CORRUPT), detail, &error))
		g_warning("writing the history: %s", error->message);
}

static gboolean scrub_release(ProaNode *node, const ProaStateRelease *release, guint64 rate,
	ProaScrubProgress progress, gpointer data, ProaScrub *ret_scrub, GError **error)
{
	char root_uuid[37], verity_uuid[37];
	g_autofree char *root_hash = g_strdup(release->root_hash);

	proa_partition_uuid_of_root(root_hash, root_uuid);
	proa_partition_uuid_of_verity(root_hash, verity_uuid);
	g_autofree char *data_path = path_of(node, root_uuid, error);
	g_autofree char *hash_path = data_path ? path_of(node, verity_uuid, error) : NULL;
	if (!hash_path ||
		!proa_scrub(data_path, hash_path, root_hash, rate, progress, data, ret_scrub, error))
		return FALSE;
	/* A transaction takes the entry away before it writes to the slot. */
	if (!proa_node_reload(node, error))
		return FALSE;
	const ProaStateRelease *now =
		g_strcmp0(node->booted.root_hash, root_hash) == 0 ? &node->booted : &node->other;
	if (g_strcmp0(now->root_hash, root_hash) != 0)
		return proa_fail(error, PROA_REASON_CANCELLED, "the slot was written to meanwhile");
	if (now == &node->other) {
		tell(node, now, ret_scrub);
		record(node, now, ret_scrub);
	}
	return TRUE;
}

gboolean proa_proof_other(ProaNode *node, guint64 rate, ProaScrubProgress progress, gpointer data,
	ProaScrub *ret_scrub, GError **error)
{
	if (!node->other.root_hash)
		return proa_fail(error, PROA_REASON_NOTHING_TO_ROLL_BACK, "%s holds no release",
			node->other_slot ? node->other_slot : "the other slot");
	return scrub_release(node, &node->other, rate, progress, data, ret_scrub, error);
}

gboolean proa_proof_rollback(ProaNode *node, const char *version, ProaScrubProgress progress, gpointer data,
	const ProaStateRelease **ret_next, GError **error)
{
	const ProaStateRelease *to = NULL;
	ProaScrub scrub;

	if (!proa_rollback_plan(node, version, &to, error) ||
		!scrub_release(node, to, 0, progress, data, &scrub, error) ||
		!proa_rollback_plan(node, version, &to, error))
		return FALSE;
	if (scrub.bad > 0) {
		g_autofree char *detail = describe_bad(&scrub, to);
		return proa_fail(error, PROA_REASON_ROOT_CORRUPT, "%s", detail);
	}
	*ret_next = to;
	return TRUE;
}

JsonObject *proa_proof_load(const char *state_dir, const char *root_hash)
{
	g_autofree char *path = g_build_filename(state_dir, NAME, NULL);
	gsize size = 0;
	g_autofree char *text = proa_file_read(path, MAX_SIZE, &size, NULL);
	g_autoptr(JsonObject) top =
		text ? proa_json_parse(text, size, NAME, PROA_REASON_BAD_STATE, NULL) : NULL;

	if (!top || !root_hash || strcmp(proa_json_string_or(top, "root_hash", ""), root_hash) != 0)
		return NULL;
	json_object_remove_member(top, "root_hash");
	json_object_remove_member(top, "slot");
	return g_steal_pointer(&top);
}
