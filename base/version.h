/* SPDX-License-Identifier: Apache-2.0 */
/* version: release versions and their order (UAPI Group, Version Format Specification, "Version Comparison").
 */
#pragma once

#include <glib.h>

#define PROA_VERSION_MAX_LENGTH 64

/*
 * Whether @text is a release version: 1 to 64 characters out of [A-Za-z0-9.~^-], the first one alphanumeric.
 * No '+' and no
 * '_': a boot entry's file name gives them a meaning of their own (UAPI Group, Boot Loader Specification,
 * "Boot counting").
 */
gboolean proa_version_valid(const char *text);

/* Less than, equal to or greater than 0 as @a is older than, the same as or newer than @b. */
int proa_version_compare(const char *a, const char *b);
