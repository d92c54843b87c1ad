/* SPDX-License-Identifier: Apache-2.0 */
/*
 * entry: boot entries of the ESP and their counters (UAPI Group, Boot Loader Specification, "Type #2 EFI
 * Unified Kernel Images" and "Boot counting").
 *
 * The file name is the switch (docs/architecture.md, "Boot entries"):
 * EFI/Linux/proa_<version>[+<left>[-<done>]].efi. Which root an entry boots is read from its .cmdline, never
 * from its name. Every change here is durable when the function returns. Callers that change entries hold
 * proa_esp_lock().
 */
#pragma once

#include "boot/esp.h"

/* Tries that a release gets. */
#define PROA_ENTRY_TRIES 3

/* Names longer than this are none of ours; nor are counters over 99. */
#define PROA_ENTRY_MAX_NAME 128
#define PROA_ENTRY_MAX_COUNT 99
/* More entries than this on an ESP are not looked at. */
#define PROA_ENTRY_MAX_ENTRIES 64

typedef struct {
	char *name;          /* file name below EFI/Linux, such as "proa_1.0.1+2-1.efi" */
	char *version;       /* the version in the name */
	int tries_left;      /* -1: no counter, blessed */
	int tries_done;      /* -1: none given */
	char *root_hash;     /* of .cmdline; NULL: the file is no UKI of ours and its entry does not boot */
	char *image_version; /* of .osrel (IMAGE_VERSION); by this systemd-boot sorts; may be NULL */
	char *sort_key;      /* of .osrel (IMAGE_ID or ID); may be NULL */
} ProaEntry;

void proa_entry_free(ProaEntry *entry);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ProaEntry, proa_entry_free)

/*
 * Reads a file name; only name, version and counters of the entry are set. NULL if it is not of the form
 * above (case of "proa_" and ".efi" does not matter, since FAT does not keep it apart).
 */
ProaEntry *proa_entry_parse(const char *name);

/* Composes a file name; @tries_left or @tries_done negative: left out. @version must be valid. Free with
 * g_free(). */
char *proa_entry_format(const char *version, int tries_left, int tries_done);

/*
 * All entries of ours, in the order of systemd-boot 257 (src/boot/boot.c, boot_entry_compare): those with no
 * tries left last, then by sort key, version newest first, file name, tries left. The array owns the entries.
 */
GPtrArray *proa_entry_list(const ProaEsp *esp, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* The entry that the firmware starts next: the first of a list of proa_entry_list(), or NULL. */
const ProaEntry *proa_entry_next(const GPtrArray *entries);

/* The first entry that boots @root_hash, or NULL. */
const ProaEntry *proa_entry_find(const GPtrArray *entries, const char *root_hash);

/* Whether the firmware still tries it by its own turn: it names a root and has tries left or needs none. */
gboolean proa_entry_bootable(const ProaEntry *entry);

/* The first entry that is bootable and boots another root than @root_hash, or NULL: where a node can fall
 * back to. */
const ProaEntry *proa_entry_find_other(const GPtrArray *entries, const char *root_hash);

/*
 * Bless: takes the counter off. Nothing happens to an entry without one. Where a power cut left a second name
 * of the same file that has none, the one with the counter is set aside: neither may ever be removed alone.
 */
gboolean proa_entry_bless(
	const ProaEsp *esp, const ProaEntry *entry, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Set aside: no tries left ("+0-<done>", done at least 1, more where that name is taken). Nothing happens to
 * one that has none left. */
gboolean proa_entry_set_aside(
	const ProaEsp *esp, const ProaEntry *entry, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* A new trial: "+3". */
gboolean proa_entry_rearm(
	const ProaEsp *esp, const ProaEntry *entry, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/*
 * Arm: renames the file @temporary of EFI/Linux, whose contents the caller has fsynced and read back, to
 * "proa_<version>+3.efi". This is the commit point of the transaction. The name of @temporary must not end in
 * ".efi", so that no firmware ever sees it. Refuses with BAD_UKI if it does not boot @root_hash.
 */
gboolean proa_entry_arm(const ProaEsp *esp, const char *temporary, const char *version, const char *root_hash,
	GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Removes one entry. */
gboolean proa_entry_remove(
	const ProaEsp *esp, const ProaEntry *entry, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/*
 * Removes every entry that does not boot @keep_root_hash (the running release): before the other slot is
 * overwritten, nothing may lead to it. Also removes left-over temporary files ("*.tmp") of EFI/Linux; one
 * that boots @keep_root_hash is a second name of a file that is needed, and is set aside instead. Refuses
 * with NO_BOOT_ENTRY, and removes nothing, if no bootable entry for @keep_root_hash would be left.
 */
gboolean proa_entry_remove_others(
	const ProaEsp *esp, const char *keep_root_hash, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* The root hash of the running system: roothash= of @root/proc/cmdline (@root "" on a node); NULL with
 * NOT_VERIFIED. */
char *proa_booted_root_hash(const char *root, GError **error) G_GNUC_WARN_UNUSED_RESULT;
