/* SPDX-License-Identifier: Apache-2.0 */
/* pin: the one version that an operator holds this node to (/var/lib/proa/pin.json). proa-install obeys it.
 */
#pragma once

#include "base/reason.h"

/* The version in @dir/pin.json; free with g_free(). NULL: not pinned, or the file is broken. */
char *proa_pin_load(const char *dir);

/* Replaces the file durably; @version NULL removes it. */
gboolean proa_pin_save(const char *dir, const char *version, GError **error) G_GNUC_WARN_UNUSED_RESULT;
