/* SPDX-License-Identifier: Apache-2.0 */
/* node: what this node boots and has booted: its ESP, its slots, the running release and the other one. */
#pragma once

#include "base/state.h"
#include "boot/entry.h"

typedef struct {
	const char *root; /* "" on a node; a test's root directory otherwise */
	const char *esp;  /* a directory in place of the ESP, or NULL */
	const char *disk; /* an image in place of the node's disk, or NULL */
	gboolean to_read; /* nothing will be changed */
} ProaNodeOptions;

typedef struct {
	char *root;
	char *state_dir;
	char *run_dir;
	ProaEsp *esp;
	GPtrArray *entries;    /* of ProaEntry, in the firmware's order */
	GPtrArray *partitions; /* of ProaPartition; empty if the disk cannot be read */
	ProaStateRelease booted;
	const ProaEntry *booted_entry; /* of entries; NULL: none boots the running root */
	ProaStateRelease other; /* members are NULL where the other slot holds nothing that an entry boots */
	const ProaEntry *other_entry;
	const char *other_slot; /* "root-a" or "root-b"; NULL if unknown */
} ProaNode;

/*
 * Opens the ESP and looks at everything. NULL with NOT_VERIFIED (the command line names no root hash),
 * ESP_MISSING, PERMISSION or IO.
 */
ProaNode *proa_node_open(const ProaNodeOptions *options, GError **error) G_GNUC_WARN_UNUSED_RESULT;
void proa_node_free(ProaNode *node);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ProaNode, proa_node_free)

/* Reads the entries again, after one was renamed. On failure the old ones stay. */
gboolean proa_node_reload(ProaNode *node, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Whether the running release is on trial: its entry carries a counter. */
gboolean proa_node_on_trial(const ProaNode *node);

/* Whether the root file system really is what the root hash says: on the dm-verity device of that root's
 * partitions. */
gboolean proa_node_verified(const ProaNode *node);

/* Whether the other slot holds a release that the firmware would boot. */
gboolean proa_node_other_bootable(const ProaNode *node);

/*
 * Takes the lock of transactions (install.lock): one writes the other slot and its entry, so it and whoever
 * changes what boots wait for each other. A descriptor that holds it until closed; -1 with BUSY.
 */
int proa_node_lock_install(const ProaNode *node, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/*
 * Sets every entry of @root_hash aside (a power cut may have left it two) and reads the entries again. Under
 * the caller's proa_esp_lock().
 */
gboolean proa_node_set_aside(ProaNode *node, const char *root_hash, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/*
 * Blesses the running release: takes the counter off its entry, tells state.json, forgets its attempts and
 * whether it was rejected, removes generations of /etc that no slot needs. Nothing but its rename is needed
 * for the next boot, so what fails after that is only warned of, and patience (boot/patience.h) ends with it.
 */
gboolean proa_node_bless(ProaNode *node, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/*
 * Removes the generations of /etc that no slot needs: all but those of the running release, of entries that
 * boot, and of entries that an operator set aside. That of a release that failed goes: if it is tried again,
 * what was mended since in the good release's /etc must be in it.
 */
gboolean proa_node_prune_generations(const ProaNode *node, GError **error) G_GNUC_WARN_UNUSED_RESULT;
