/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pairing: which images of system extensions a release had, so that going back to it brings them back. A
 * generation of /etc holds hard links to them, which cost no room as long as the images are there:
 *
 *   <generation>/extensions/var      of what lies in /var/lib/extensions, active for any release
 *   <generation>/extensions/images   of what lies in /var/lib/proa/extensions, active by links in
 * /etc/extensions
 *
 * They are sealed with fs-verity, where the file system has it: in place nobody writes over what a former
 * release needs.
 *
 * What is not a release's own is moved to /var/lib/proa/extensions-left, of which nothing is ever removed but
 * what is at its place again: the generation that holds such an image goes if its release failed, and the
 * image may be the only one. A generation's set appears whole or not at all, and goes with it.
 */
#pragma once

#include "base/reason.h"

/* Images remembered of each folder, and kept out of the way; more are left where they are. */
#define PROA_PAIRING_MAX 128

/*
 * Remembers durably which images there are now below @root for the generation @name in @etc_dir, in the place
 * of those remembered before; costs no sync if nothing has changed. An image that takes no link is left out;
 * with folders on another mount than the generation, as in the sandbox of a unit, the former set stays
 * (TRUE): the shutdown makes up for it. Regular files called *.raw count. Nothing to do (TRUE) if there is no
 * such generation. IO.
 */
gboolean proa_pairing_keep(
	const char *root, const char *etc_dir, const char *name, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* How many images lie out of the way below @root, and how many bytes only they take: what a generation holds,
 * too, goes with that one. */
guint proa_pairing_left(const char *root, guint64 *ret_bytes);

/*
 * Brings the images remembered for the generation @name back below @root, if "last" (boot/generation.h) names
 * another: between two boots of one release nothing is undone that an operator did, even if the first ended
 * before it was remembered. So call this before proa_generation_prepare(). One that has gone, or that was
 * replaced while another release ran, is linked again; one in /var/lib/extensions that this release did not
 * have is moved out of the way, as is one that was replaced. What no generation holds was brought since, and
 * stays in any case. TRUE also if nothing is remembered: a release that boots for the first time takes what
 * is there. IO, TOO_LARGE; what can be done is done all the same.
 */
gboolean proa_pairing_bring_back(
	const char *root, const char *etc_dir, const char *name, GError **error) G_GNUC_WARN_UNUSED_RESULT;
