/* SPDX-License-Identifier: Apache-2.0 */
#include "boot/proof.h"

#include "base/file.h"
#include "base/json.h"
#include "boot/disk.h"
#include "boot/generation.h"
#include "boot/rollback.h"
#include "boot/uki.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define NAME "scrub.json"
#define MAX_SIZE 4096
#define CHUNK_SIZE (128 * 1024)

/* Of a PE image, as in boot/uki.c, which has looked at the headers before we do. */
#define DOS_LFANEW 60
#define PE_HEADER_SIZE 24
#define PE_SECTIONS 6
#define PE_OPTIONAL_SIZE 20
#define SECTION_SIZE 40
#define SECTION_RAW_SIZE 16
#define SECTION_RAW_OFFSET 20

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

static guint32 le32(const guint8 *p)
{
	return (guint32)p[0] | (guint32)p[1] << 8 | (guint32)p[2] << 16 | (guint32)p[3] << 24;
}

/* A boot image that ends before its last section does: the kernel or the initrd would not be whole. */
static gboolean sections_are_whole(int fd, guint64 size, GError **error)
{
	guint8 word[4], pe[PE_HEADER_SIZE], section[SECTION_SIZE];

	if (!proa_pread_all(fd, word, sizeof word, DOS_LFANEW, error) ||
		!proa_pread_all(fd, pe, sizeof pe, le32(word), error))
		return FALSE;
	guint count = pe[PE_SECTIONS] | (guint)pe[PE_SECTIONS + 1] << 8;
	guint64 at = (guint64)le32(word) + PE_HEADER_SIZE + pe[PE_OPTIONAL_SIZE] +
		     ((guint64)pe[PE_OPTIONAL_SIZE + 1] << 8);
	for (guint i = 0; i < count; i++, at += SECTION_SIZE) {
		if (!proa_pread_all(fd, section, sizeof section, (goffset)at, error))
			return FALSE;
		if ((guint64)le32(section + SECTION_RAW_OFFSET) + le32(section + SECTION_RAW_SIZE) > size)
			return proa_fail(error, PROA_REASON_BAD_UKI, "%.8s goes beyond the end of the file",
				(const char *)section);
	}
	return TRUE;
}

/* From the device, not from the cache: what the firmware will read. */
static gboolean read_whole(int fd, guint64 size, GError **error)
{
	g_autofree guint8 *chunk = g_malloc(CHUNK_SIZE);

	(void)posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	for (guint64 at = 0; at < size; at += CHUNK_SIZE)
		if (!proa_pread_all(
			    fd, chunk, (gsize)MIN((guint64)CHUNK_SIZE, size - at), (goffset)at, error))
			return FALSE;
	return TRUE;
}

static gboolean look_at_boot_image(const ProaNode *node, const ProaStateRelease *to, GError **error)
{
	const ProaEntry *entry = proa_entry_find(node->entries, to->root_hash);
	struct stat st;

	if (!entry)
		return proa_fail(error, PROA_REASON_NO_BOOT_ENTRY, "no entry on the ESP boots release %s",
			to->version);
	PROA_AUTO_FD int fd = openat(
		proa_esp_entries_fd(node->esp), entry->name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0 || fstat(fd, &st) < 0)
		return proa_fail_errno(
			error, PROA_REASON_IO, errno, "opening the boot image %s", entry->name);
	g_autofree char *root_hash = proa_uki_root_hash(fd, error);
	if (root_hash && sections_are_whole(fd, (guint64)st.st_size, error) &&
		read_whole(fd, (guint64)st.st_size, error))
		return TRUE;
	g_prefix_error(error, "%s: ", entry->name);
	return FALSE;
}

/* Its /etc; that there is none is no failure, since a release's first boot makes one. */
static gboolean look_at_generation(
	const ProaNode *node, const ProaStateRelease *to, char **ret_note, GError **error)
{
	g_autofree char *name = proa_generation_name(to->root_hash);
	g_autofree char *path = g_build_filename(node->state_dir, "etc", name, "upper", NULL);
	DIR *dir = opendir(path);

	if (!dir && errno == ENOENT) {
		*ret_note = g_strdup_printf(
			"release %s has no /etc of its own here; its first boot makes one of the last one used",
			to->version);
		return TRUE;
	}
	if (!dir)
		return proa_fail_errno(
			error, PROA_REASON_IO, errno, "the /etc of release %s (%s)", to->version, path);
	errno = 0;
	while (readdir(dir))
		;
	int saved = errno;
	closedir(dir);
	return saved == 0 || proa_fail_errno(error, PROA_REASON_IO, saved,
				     "reading the /etc of release %s (%s)", to->version, path);
}

gboolean proa_proof_rollback(ProaNode *node, const char *version, ProaScrubProgress progress, gpointer data,
	const ProaStateRelease **ret_next, char **ret_note, GError **error)
{
	const ProaStateRelease *to = NULL;
	g_autofree char *note = NULL;
	ProaScrub scrub;

	*ret_note = NULL;
	/* The quick looks first: a slot is read for minutes. */
	if (!proa_rollback_plan(node, version, &to, error) || !look_at_boot_image(node, to, error) ||
		!look_at_generation(node, to, &note, error) ||
		!scrub_release(node, to, 0, progress, data, &scrub, error) ||
		!proa_rollback_plan(node, version, &to, error))
		return FALSE;
	if (scrub.bad > 0) {
		g_autofree char *detail = describe_bad(&scrub, to);
		return proa_fail(error, PROA_REASON_ROOT_CORRUPT, "%s", detail);
	}
	*ret_next = to;
	*ret_note = g_steal_pointer(&note);
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
