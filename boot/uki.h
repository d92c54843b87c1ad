/* SPDX-License-Identifier: Apache-2.0 */
/*
 * uki: what a unified kernel image says of itself, read from its PE sections (UAPI Group, "UKI"; Microsoft,
 * "PE Format"). The file comes from outside: every offset and size is checked, and nothing is executed or
 * mapped.
 */
#pragma once

#include "base/reason.h"

/* No command line or os-release of ours is longer; a longer section is refused. Bytes. */
#define PROA_UKI_MAX_SECTION (16 * 1024)

/*
 * The contents of the first section called @name (such as ".cmdline") of the PE image open at @fd, at most
 * PROA_UKI_MAX_SECTION bytes, with NUL bytes at the end taken off and one NUL after it; free with g_free().
 * Does not move the file offset. NULL with BAD_UKI (no PE image, no such section, a NUL inside), TOO_LARGE or
 * IO.
 */
char *proa_uki_section(int fd, const char *name, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/*
 * The root hash that the UKI open at @fd boots: roothash= of its .cmdline section, 64 hexadecimal digits in
 * lower case; free with g_free(). NULL with BAD_UKI when there is none or more than one.
 */
char *proa_uki_root_hash(int fd, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* The root hash in a kernel command line, or NULL if there is none, two that differ, or a malformed one;
 * g_free(). */
char *proa_cmdline_root_hash(const char *cmdline);

/*
 * The value of the first @key= in an os-release text, quotes taken off, or NULL; free with g_free().
 * Values with escapes are none of ours and give NULL.
 */
char *proa_os_release_value(const char *text, const char *key);
