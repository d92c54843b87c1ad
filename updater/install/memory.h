/* SPDX-License-Identifier: Apache-2.0 */
/*
 * memory: what a transaction reads of and writes into the node's state (base/state.h), and the floor. Nothing
 * of it is needed to boot: what cannot be read counts as empty, what cannot be written is warned of and goes
 * on.
 */
#pragma once

#include "base/state.h"
#include "updater/release/manifest.h"

/* The state; an empty one, with a warning, if the file is broken. */
ProaState *proa_memory_load(const char *state_dir);

/* Root hashes that failed here (ProaRejected); an empty array, with a warning, if the file is broken. */
GPtrArray *proa_memory_rejected(const char *state_dir);

/* floor.json: the lowest version that may be installed, or NULL; free with g_free(). */
char *proa_memory_floor(const char *state_dir);

/* Raises the floor to @version; a lower one changes nothing. */
void proa_memory_raise_floor(const char *state_dir, const char *version);

/* A transaction begins to write @release to the other slot. */
void proa_memory_begin(const char *state_dir, const ProaStateRelease *release);

/* It ended: staged, or failed (the state goes back to what runs) and why. Told to the history. */
void proa_memory_staged(const char *state_dir, const ProaStateRelease *release);
void proa_memory_failed(const char *state_dir, const ProaStateRelease *release, const GError *error);

/* For the history: the image came by that type of payload, @bytes of it; @from bytes of the image were there
 * before. */
void proa_memory_fetched(
	const char *state_dir, const ProaManifest *release, const char *type, guint64 bytes, guint64 from);

/* For the history: that type of payload failed, and another was tried. */
void proa_memory_payload_failed(
	const char *state_dir, const ProaManifest *release, const char *type, const GError *why);

/*
 * How asking the feed ended: @error NULL for well, with the version @offered (NULL: none). A refusal is told
 * to the history, but not again at each check as long as the reason stays the same.
 */
void proa_memory_checked(const char *state_dir, const char *offered, const GError *error);

/*
 * An operator decided against the rules: told to the history as @event ("token-used", "accepted-stale") and
 * to the journal, whoever runs proa-install. @version may be NULL.
 */
void proa_memory_decided(const char *state_dir, const char *event, const char *version, const char *detail);

/* Mends what an interrupted transaction left: state staging, though the caller holds the lock of
 * transactions. */
void proa_memory_recover(const char *state_dir);
