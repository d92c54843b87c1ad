/* SPDX-License-Identifier: Apache-2.0 */
/*
 * extension: system extensions (systemd-sysext(8)) are paired with the release as the rest of /etc is: which
 * of them are active is said by the links in /etc/extensions, and each release has its own /etc. The images
 * lie in /var/lib/proa/extensions, where systemd does not look, so that only a link makes one active. Which
 * images there were, and which lay in /var/lib/extensions, is remembered with each generation
 * (boot/pairing.h).
 *
 * What a merged extension says of itself stands in /usr/lib/extension-release.d.
 */
#pragma once

#include "base/reason.h"

/* An extension's or a release's words about itself larger than this are not read. Bytes. */
#define PROA_EXTENSION_MAX_RELEASE (16 * 1024)

/*
 * Whether an extension whose extension-release says @extension may be merged into a release whose os-release
 * says
 * @release (both as text), as systemd 257 decides (src/shared/extension-util.c,
 * extension_release_validate()): ID must be the same or "_any"; then ARCHITECTURE, if it is given, the
 * machine's or "_any"; then, unless ID is
 * "_any", SYSEXT_LEVEL if the extension has one, else VERSION_ID. A rolling release without VERSION_ID takes
 * any. Why not in *@ret_why, g_free().
 */
gboolean proa_extension_fits(const char *extension, const char *release, char **ret_why);

/* Names of extensions merged now below @root; free with g_strfreev(). Never NULL. */
char **proa_extension_names(const char *root);

/* What the extension @name says of itself below @root; NULL if it cannot be read. Free with g_free(). */
char *proa_extension_release(const char *root, const char *name);

/*
 * Whether something in /var/lib/extensions below @root is no image of its own, and so is paired with no
 * release (boot/pairing.h): it would be merged into every one.
 */
gboolean proa_extension_unpaired(const char *root);

/*
 * A directory below @root that systemd-sysext(8) would merge: it applies its image policy to images alone,
 * and takes what lies in a directory as it is. *ret_path: free with g_free(); NULL: none. IO with the path if
 * a folder that is there cannot be read: what cannot be looked at is not merged either.
 */
gboolean proa_extension_find_directory(
	const char *root, char **ret_path, GError **error) G_GNUC_WARN_UNUSED_RESULT;
