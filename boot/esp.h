/* SPDX-License-Identifier: Apache-2.0 */
/*
 * esp: the EFI system partition, reached through a directory descriptor.
 *
 * It is mounted detached, at no place in the file tree: no mount unit is needed, nobody trips over it, and it
 * works in the initrd, in a rescue shell and in a process whose root directory is gone. Several may have it
 * open at once (the kernel shares one file system); who changes entries holds /run/proa/esp.lock, which
 * proa_esp_lock() takes. Mounted with dirsync, so that a rename writes the new name before it takes the old
 * one away.
 */
#pragma once

#include "base/reason.h"

#define PROA_ESP_ENTRY_DIR "EFI/Linux"
#define PROA_ESP_PROA_DIR "EFI/proa"

typedef struct ProaEsp ProaEsp;

/*
 * Opens the ESP. @dir: a directory that stands for it (tests, or one already mounted); NULL: find and mount
 * it. It is the partition named by the EFI variable LoaderDevicePartUUID, or else the one of the ESP's
 * partition type on the disk that holds a partition labelled root-a. Makes EFI/Linux and EFI/proa if they are
 * missing. NULL with ESP_MISSING or PERMISSION.
 */
ProaEsp *proa_esp_open(const char *dir, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* The same for those who change nothing: without writing a byte, if it can be had so. */
ProaEsp *proa_esp_open_to_read(const char *dir, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/*
 * The same for a block device that is known already: @name (such as "vda1") below the directory @dev_fd. For
 * those who can't look anything up any more.
 */
ProaEsp *proa_esp_open_device(int dev_fd, const char *name, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Syncs the whole file system and closes; errors of the sync are lost, so call proa_esp_sync() first if they
 * matter. */
void proa_esp_free(ProaEsp *esp);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ProaEsp, proa_esp_free)

/* Descriptors owned by @esp: its root directory, EFI/Linux, EFI/proa; the last is -1 if that could not be
 * opened or made. */
int proa_esp_fd(const ProaEsp *esp);
int proa_esp_entries_fd(const ProaEsp *esp);
int proa_esp_proa_fd(const ProaEsp *esp);

/* Bytes free for files. */
gboolean proa_esp_free_bytes(
	const ProaEsp *esp, guint64 *ret_bytes, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* What the ESP holds as a whole. Bytes. */
gboolean proa_esp_size(const ProaEsp *esp, guint64 *ret_bytes, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Makes every change durable: fsync of the directories, then syncfs. */
gboolean proa_esp_sync(const ProaEsp *esp, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/*
 * Replaces @name in the directory @dir_fd of the ESP (such as proa_esp_proa_fd()) durably: the old one goes,
 * then a temporary name, fsync, rename, fsync of the directory, syncfs. A power cut between leaves neither:
 * on FAT a rename over a file is no safe way to replace it (boot/entry.c).
 */
gboolean proa_esp_replace_file(const ProaEsp *esp, int dir_fd, const char *name, const void *data, gsize size,
	GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Removes @name from @dir_fd durably; one that is not there is no error. */
gboolean proa_esp_remove_file(
	const ProaEsp *esp, int dir_fd, const char *name, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/*
 * Takes the lock of those who change boot entries: waits up to @seconds for @run_dir/esp.lock
 * (PROA_ESP_RUN_DIR on a node). Returns a descriptor that holds it until closed, or -1 with BUSY or IO.
 */
#define PROA_ESP_RUN_DIR "/run/proa"
int proa_esp_lock(const char *run_dir, int seconds, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* The kernel's name of the ESP's partition ("vda1"); free with g_free(). NULL with ESP_MISSING. */
char *proa_esp_find_device(GError **error) G_GNUC_WARN_UNUSED_RESULT;
