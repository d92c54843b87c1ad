/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/install/arm.h"

#include "base/digest.h"
#include "base/file.h"
#include "base/state.h"
#include "updater/install/report.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define CHUNK_SIZE (128 * 1024)

static gboolean write_failed(GError **error, const char *doing)
{
	return proa_fail_errno(error, errno == ENOSPC ? PROA_REASON_ESP_FULL : PROA_REASON_IO, errno,
		"%s the boot image", doing);
}

gboolean proa_arm_copy(int fd, const ProaManifestFile *uki, ProaStream *in, GError **error)
{
	g_autofree guint8 *chunk = g_malloc(CHUNK_SIZE);
	guint64 done = 0;
	gssize n = 0;

	while ((n = proa_stream_read(in, chunk, CHUNK_SIZE, error)) > 0) {
		if ((guint64)n > uki->size - done)
			return proa_fail(error, PROA_REASON_BAD_UKI,
				"the boot image is longer than the manifest says");
		for (gssize at = 0, w; at < n; at += w) {
			w = write(fd, chunk + at, (gsize)(n - at));
			if (w < 0 && errno == EINTR)
				w = 0;
			else if (w < 0)
				return write_failed(error, "writing");
		}
		done += (guint64)n;
		proa_report_progress("arm", done, uki->size);
	}
	if (n < 0)
		return FALSE;
	if (done != uki->size)
		return proa_fail(error, PROA_REASON_PAYLOAD_TRUNCATED,
			"the boot image ended after %" G_GUINT64_FORMAT " of %" G_GUINT64_FORMAT " bytes",
			done, uki->size);
	return TRUE;
}

/* From the device, not from the cache: what the firmware will read. */
static gboolean read_back(int fd, const ProaManifestFile *uki, GError **error)
{
	g_autofree guint8 *chunk = g_malloc(CHUNK_SIZE);
	g_autoptr(GChecksum) sum = g_checksum_new(G_CHECKSUM_SHA256);

	(void)posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	for (guint64 at = 0; at < uki->size; at += CHUNK_SIZE) {
		gsize n = (gsize)MIN((guint64)CHUNK_SIZE, uki->size - at);
		if (!proa_pread_all(fd, chunk, n, (goffset)at, error)) {
			g_prefix_error(error, "reading the boot image back: ");
			return FALSE;
		}
		g_checksum_update(sum, chunk, (gssize)n);
	}
	if (strcmp(g_checksum_get_string(sum), uki->sha256) != 0)
		return proa_fail(error, PROA_REASON_PAYLOAD_DIGEST,
			"the boot image has another digest than the manifest names");
	return TRUE;
}

gboolean proa_arm_bring(const ProaSite *site, const ProaManifest *manifest, ProaArmWrite write_to,
	gpointer user_data, GError **error)
{
	PROA_AUTO_FD int fd = openat(proa_esp_entries_fd(site->esp), PROA_ARM_TEMPORARY,
		O_RDWR | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0644);

	if (fd < 0)
		return write_failed(error, "creating");
	if (!write_to(fd, user_data, error))
		return FALSE;
	if (fsync(fd) < 0)
		return write_failed(error, "flushing");
	return read_back(fd, &manifest->uki, error);
}

/*
 * The firmware takes the newest version that has tries: armed beside a newer one, an older release would
 * never be tried. As in a rollback (boot/rollback.c) the running release is set aside only once the other one
 * is armed, so that an entry that boots exists at every moment; when the tries of the older one are used up
 * the firmware takes the newest of those set aside, which is the one that was left.
 */
static gboolean make_next(
	const ProaSite *site, const ProaManifest *manifest, gboolean *ret_left, GError **error)
{
	g_autoptr(GError) inner = NULL;

	*ret_left = FALSE;
	for (guint turn = 0; turn < PROA_ENTRY_MAX_ENTRIES; turn++) {
		g_autoptr(GPtrArray) entries = proa_entry_list(site->esp, error);
		const ProaEntry *first = entries ? proa_entry_next(entries) : NULL;
		if (!entries)
			return FALSE;
		/* Also where the rename was done and only its flush failed. */
		if (first && g_strcmp0(first->root_hash, manifest->root_hash) == 0)
			return TRUE;
		if (!first || first->tries_left == 0 || inner)
			break;
		*ret_left = TRUE;
		(void)!proa_entry_set_aside(site->esp, first, &inner);
	}
	return proa_fail(error, inner ? proa_reason_of(inner) : PROA_REASON_NO_BOOT_ENTRY,
		"the firmware would not choose release %s%s%s", manifest->version, inner ? ": " : "",
		inner ? inner->message : "");
}

/* It is not rejected for a failure, only left: nobody installs it again by itself, `proa rollback` goes to
 * it. */
static void remember_left(const ProaSite *site, const ProaManifest *manifest)
{
	const char *reason = proa_reason_to_string(PROA_REASON_ROLLED_BACK);
	const ProaStateRelease left = { site->version, site->root_hash,
		(char *)(gsize)site->slots.booted.name };
	g_autofree char *why = g_strdup_printf("an operator asked for %s", manifest->version);
	g_autofree char *detail = g_strdup_printf("to %s", manifest->version);
	g_autoptr(GError) error = NULL;

	proa_report_warning("release %s is set aside, or the firmware would go on taking it before %s",
		site->version, manifest->version);
	if (!proa_rejected_add(site->state_dir, left.root_hash, left.version, reason, why, &error) ||
		!proa_history_append(site->state_dir, "rolled-back", &left, reason, detail, &error))
		proa_report_warning("remembering the release left: %s", error->message);
}

/* Whatever could not be made next must not be an entry that some later change of names brings up. */
static void disarm(const ProaSite *site)
{
	g_autoptr(GError) error = NULL;

	if (!proa_entry_remove_others(site->esp, site->root_hash, &error))
		proa_report_warning("taking the boot entry away again: %s", error->message);
}

gboolean proa_arm_commit(const ProaSite *site, const ProaManifest *manifest, GError **error)
{
	PROA_AUTO_FD int lock = proa_site_lock_entries(site, error);
	gboolean left = FALSE;

	/* It checks once more that the image boots this root hash and no other. */
	if (lock < 0 ||
		!proa_entry_arm(site->esp, PROA_ARM_TEMPORARY, manifest->version, manifest->root_hash, error))
		return FALSE;
	gboolean next = make_next(site, manifest, &left, error);
	if (!next)
		disarm(site);
	else if (left)
		remember_left(site, manifest);
	return next;
}

void proa_arm_drop(const ProaSite *site)
{
	g_autoptr(GError) error = NULL;

	if (!proa_esp_remove_file(site->esp, proa_esp_entries_fd(site->esp), PROA_ARM_TEMPORARY, &error))
		proa_report_warning("%s", error->message);
}
