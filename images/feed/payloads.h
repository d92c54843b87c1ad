/* SPDX-License-Identifier: Apache-2.0 */
/* payloads: makes those payloads of a release's root image that go to every node, where they are not beside
 * it yet. */
#pragma once

#include <glib.h>

/* How far a long work is, on standard error: a percentage on a terminal, a line for each tenth elsewhere. */
typedef struct {
	guint tenths; /* told */
} ProaPayloadsProgress;

/* A ProaMakerProgress; @user_data is a ProaPayloadsProgress that was all zero at the beginning. */
void proa_payloads_progress(guint64 done, guint64 total, gpointer user_data);

/*
 * Makes RELEASE_DIR/root.full and, if @blocks, RELEASE_DIR/root.blocks out of root.img. What is there already
 * is left alone, and a release without an image is left as it is. An image that has not the root hash that
 * release.json names gets no blocks, which is told. Fails with BAD_MANIFEST, or as proa_maker_full() and
 * proa_blocks_make() do.
 */
gboolean proa_payloads_make(
	const char *release_dir, gboolean blocks, GError **error) G_GNUC_WARN_UNUSED_RESULT;
