/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/install/boot-image.h"

#include "base/digest.h"
#include "base/file.h"
#include "updater/install/arm.h"
#include "updater/install/bring.h"
#include "updater/install/checkpoint.h"
#include "updater/install/repack-memory.h"
#include "updater/install/report.h"
#include "updater/install/spool.h"
#include "updater/payload/uki.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CHUNK_SIZE (128 * 1024)

/* In the order of the words of the manifest. */
static const ProaPayloadType types[] = { PROA_PAYLOAD_KERNEL, PROA_PAYLOAD_DELTA, PROA_PAYLOAD_FULL };
static const ProaUkiKind kinds[] = { PROA_UKI_KERNEL, PROA_UKI_DELTA, PROA_UKI_FULL };
/* What is kept of each, and of the UKI as it is. */
static const char *const parts[] = { PROA_CHECKPOINT_BOOT_IMAGE_KERNEL, PROA_CHECKPOINT_BOOT_IMAGE_DELTA,
	PROA_CHECKPOINT_BOOT_IMAGE_FULL, PROA_CHECKPOINT_BOOT_IMAGE };

/* One way to the UKI. */
typedef struct {
	const ProaBootImageAsk *ask;
	const ProaManifestPayload *payload; /* NULL: as it is */
	ProaUkiKind kind;
	const char *part; /* file of the state directory */
	int root_fd;      /* the new root image */
	ProaSpool *spool; /* what is kept of the file that is fetched */
	guint64 kept;     /* bytes that were kept of it before */
	guint64 done;     /* bytes of the payload that were found right */
	GError *refused;  /* it was not taken, and nothing is wrong with it */
} Way;

/* --- what it is made from ---------------------------------------------------------------------------------
 */

static gboolean read_root(guint64 offset, guint8 *data, gsize size, gpointer user_data, GError **error)
{
	const Way *way = user_data;

	if (!proa_pread_all(way->root_fd, data, size, (goffset)offset, error)) {
		g_prefix_error(error, "reading %s: ", way->ask->site->slots.other.name);
		return FALSE;
	}
	(void)posix_fadvise(way->root_fd, (off_t)offset, (off_t)size, POSIX_FADV_DONTNEED);
	return TRUE;
}

static gboolean has_digest(int fd, guint64 size, const guint8 sha256[PROA_SHA256_SIZE])
{
	g_autofree guint8 *chunk = g_malloc(CHUNK_SIZE);
	g_autoptr(GChecksum) sum = g_checksum_new(G_CHECKSUM_SHA256);
	g_autofree char *wanted = proa_hex_encode(sha256, PROA_SHA256_SIZE);

	for (guint64 at = 0; at < size; at += CHUNK_SIZE) {
		gsize n = (gsize)MIN((guint64)CHUNK_SIZE, size - at);
		if (!proa_pread_all(fd, chunk, n, (goffset)at, NULL))
			return FALSE;
		g_checksum_update(sum, chunk, (gssize)n);
	}
	return strcmp(g_checksum_get_string(sum), wanted) == 0;
}

/* The UKI of what runs, if it is the one that the payload is from; -1 with an error. */
static int open_old(const Way *way, const ProaUkiHeader *header, GError **error)
{
	const ProaSite *site = way->ask->site;
	const ProaEntry *entry = proa_entry_find(site->entries, site->root_hash);
	PROA_AUTO_FD int fd =
		entry ? openat(proa_esp_entries_fd(site->esp), entry->name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC)
		      : -1;
	struct stat file;

	if (fd < 0 || fstat(fd, &file) < 0)
		proa_fail(
			error, PROA_REASON_NOT_FOUND, "the boot image of the running release can't be read");
	else if ((guint64)file.st_size != header->old_size ||
		 !has_digest(fd, header->old_size, header->old_sha256))
		proa_fail(error, PROA_REASON_PAYLOAD_DIGEST,
			"the boot image of the running release is not the one that the payload is from");
	else
		return proa_steal_fd(&fd);
	return -1;
}

/* --- one way ----------------------------------------------------------------------------------------------
 */

static const ProaManifestFile *file_of(const Way *way)
{
	return way->payload ? &way->payload->file : &way->ask->release->uki;
}

static ProaStream *open_file(guint64 offset, guint64 size, gpointer user_data, GError **error)
{
	const Way *way = user_data;
	const ProaManifestFile *file = file_of(way);
	g_autofree char *url = proa_fetch_url(way->ask->feed_url, file->path);
	/* The whole is asked for as such: it needs no server that serves parts. */
	gboolean whole = offset == 0 && size == file->size;

	return proa_fetch_open(way->ask->fetch, url, offset, whole ? 0 : size, size, error);
}

static void show(guint64 done, gpointer user_data)
{
	Way *way = user_data;

	way->done = done;
	proa_report_progress("arm", done, way->payload->file.size);
}

/* A kernel takes its time: it is said that something goes on, and a cancellation is heard. */
static gboolean tick(gpointer user_data, GError **error)
{
	const Way *way = user_data;

	if (g_cancellable_is_cancelled(way->ask->fetch->cancellable))
		return proa_fail(error, PROA_REASON_CANCELLED, "cancelled; nothing was armed");
	proa_report_progress("arm", MIN(way->done, way->payload->file.size - 1), way->payload->file.size);
	return TRUE;
}

static void expect_of(const Way *way, ProaUkiExpect *ret_expect)
{
	const ProaManifest *release = way->ask->release;
	const ProaManifestPayload *payload = way->payload;

	*ret_expect = (ProaUkiExpect){ .kind = way->kind,
		.size = payload->file.size,
		.header_sha256 = payload->header_sha256,
		.header_size = payload->header_size,
		.uki_size = release->uki.size,
		.uki_sha256 = release->uki.sha256,
		.root_size = release->root_size,
		.root_hash = release->root_hash };
}

/*
 * What takes much memory is asked for its head alone first: where there is not as much, no more is fetched. A
 * server that gives no parts gives all of it afterwards.
 */
static gboolean memory_allows(Way *way, const ProaUkiExpect *expect, GError **error)
{
	ProaUkiHeader header;
	g_autoptr(GError) inner = NULL;

	if (way->kind != PROA_UKI_KERNEL || strcmp(way->ask->kernel_repack, "always") == 0)
		return TRUE;
	/* A size that can't be is found where the head is taken. */
	g_autoptr(ProaStream) in =
		proa_spool_stream(way->spool, MIN(expect->header_size, expect->size), open_file, way);
	if (proa_uki_take_head(in, expect, &header, &inner)) {
		if (proa_repack_memory_allows(way->ask->kernel_repack, header.memory,
			    proa_repack_memory_available(), &way->refused))
			return TRUE;
		g_propagate_error(error, g_error_copy(way->refused));
		return FALSE;
	}
	if (g_error_matches(inner, PROA_ERROR, PROA_REASON_FEED_ERROR))
		return TRUE;
	g_propagate_error(error, g_steal_pointer(&inner));
	return FALSE;
}

static gboolean apply(int fd, Way *way, ProaStream *in, const ProaUkiExpect *expect, GError **error)
{
	ProaUkiHeader header;
	PROA_AUTO_FD int old_fd = -1;

	if (!proa_uki_take_head(in, expect, &header, error))
		return FALSE;
	way->done = expect->header_size;
	if (way->kind == PROA_UKI_KERNEL && !proa_repack_memory_allows(way->ask->kernel_repack, header.memory,
						    proa_repack_memory_available(), &way->refused)) {
		g_propagate_error(error, g_error_copy(way->refused));
		return FALSE;
	}
	if (header.old_size > 0) {
		old_fd = open_old(way, &header, error);
		if (old_fd < 0)
			return FALSE;
	}
	const ProaUkiPlace place = { .program = PROA_REPACK_SELF,
		.read_root = read_root,
		.progress = show,
		.tick = tick,
		.user_data = way,
		.old_fd = old_fd,
		.out_fd = fd };
	return proa_uki_apply(in, expect, &header, &place, error);
}

static gboolean write_way(int fd, gpointer user_data, GError **error)
{
	Way *way = user_data;
	ProaUkiExpect expect = { 0 };

	if (way->payload) {
		expect_of(way, &expect);
		if (!memory_allows(way, &expect, error))
			return FALSE;
	}
	g_autoptr(ProaStream) in = proa_spool_stream(way->spool, file_of(way)->size, open_file, way);
	return way->payload ? apply(fd, way, in, &expect, error)
			    : proa_arm_copy(fd, &way->ask->release->uki, in, error);
}

/*
 * One way, and once more where what was kept of it from before a break may have been wrong: of that only what
 * was found right stays.
 */
static gboolean bring_way(Way *way, GError **error)
{
	const ProaBootImageAsk *ask = way->ask;
	const ProaManifestFile *file = file_of(way);
	g_autofree char *path = g_build_filename(ask->state_dir, way->part, NULL);
	g_autoptr(ProaSpool) spool = proa_spool_new(path, file->sha256, file->size);

	way->spool = spool;
	for (;;) {
		g_autoptr(GError) inner = NULL;
		way->kept = proa_spool_have(spool);
		way->done = 0;
		if (proa_arm_bring(ask->site, ask->release, write_way, way, &inner))
			return TRUE;
		if (way->refused || way->kept <= way->done || !proa_bring_another_may_do(inner)) {
			g_propagate_error(error, g_steal_pointer(&inner));
			return FALSE;
		}
		proa_spool_drop(spool, way->done);
	}
}

/* --- choice and fallback ----------------------------------------------------------------------------------
 */

/* Whether a payload of that type may be taken at all. */
static const ProaManifestPayload *payload_of(const ProaManifest *release, ProaPayloadType type,
	const char *root_hash, const char *wanted, const char *kernel_repack)
{
	gboolean from_old = type != PROA_PAYLOAD_FULL;
	const ProaManifestPayload *payload = proa_manifest_find(release->uki_payloads, type, root_hash);

	if (from_old && (strcmp(wanted, "full") == 0 || strcmp(wanted, "blocks") == 0))
		return NULL;
	if (type == PROA_PAYLOAD_KERNEL &&
		!proa_repack_memory_thinkable(kernel_repack, proa_repack_memory_available()))
		return NULL;
	return payload && payload->header_sha256 ? payload : NULL;
}

guint64 proa_boot_image_least(
	const ProaManifest *release, const char *root_hash, const char *wanted, const char *kernel_repack)
{
	guint64 least = release->uki.size;

	for (guint i = 0; i < G_N_ELEMENTS(types); i++) {
		const ProaManifestPayload *payload =
			payload_of(release, types[i], root_hash, wanted, kernel_repack);
		if (payload)
			least = MIN(least, payload->file.size);
	}
	return least;
}

/* The cheapest way that has not failed yet; as it is, if there is no other. */
static guint choose(const ProaBootImageAsk *ask, const gboolean *failed, Way *ret_way)
{
	guint64 least = ask->release->uki.size;
	guint best = G_N_ELEMENTS(types);

	*ret_way = (Way){ .ask = ask, .root_fd = ret_way->root_fd };
	for (guint i = 0; i < G_N_ELEMENTS(types); i++) {
		const ProaManifestPayload *payload = payload_of(
			ask->release, types[i], ask->site->root_hash, ask->wanted, ask->kernel_repack);
		if (failed[i] || !payload || payload->file.size >= least)
			continue;
		least = payload->file.size;
		best = i;
		ret_way->payload = payload;
		ret_way->kind = kinds[i];
	}
	ret_way->part = parts[best];
	return best;
}

static gboolean bring(const ProaBootImageAsk *ask, GError **error)
{
	PROA_AUTO_FD int root_fd = open(ask->site->slots.other.data->path, O_RDONLY | O_CLOEXEC);
	gboolean failed[G_N_ELEMENTS(types) + 1] = { FALSE };
	Way way = { .root_fd = root_fd };

	for (;;) {
		g_autoptr(GError) inner = NULL, refused = NULL;
		guint which = choose(ask, failed, &way);
		g_autofree char *word =
			way.payload
				? g_strconcat("uki-", proa_payload_type_to_string(way.payload->type), NULL)
				: g_strdup("uki");
		proa_report_boot_image(word, way.payload ? way.payload->file.size : ask->release->uki.size);
		if (bring_way(&way, &inner))
			return TRUE;
		refused = g_steal_pointer(&way.refused);
		if (!way.payload || !proa_bring_another_may_do(inner)) {
			g_propagate_error(error, g_steal_pointer(&inner));
			return FALSE;
		}
		failed[which] = TRUE;
		if (refused)
			proa_report_fallback(word, inner);
		else
			proa_bring_gave_up(ask->state_dir, ask->release, word, inner);
	}
}

gboolean proa_boot_image_arm(const ProaBootImageAsk *ask, GError **error)
{
	if (bring(ask, error) && proa_arm_commit(ask->site, ask->release, error))
		return TRUE;
	proa_arm_drop(ask->site);
	return FALSE;
}
