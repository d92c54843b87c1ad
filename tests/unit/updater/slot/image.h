/* SPDX-License-Identifier: Apache-2.0 */
/* image: disk images with the partitions of a node, made by sfdisk. For unit tests only. */
#pragma once

#include "tests/unit/scratch.h"

#include <gio/gio.h>
#include <string.h>

#define HASH_A "aaaaaaaabbbbccccddddeeeeeeeeeeee111111112222333344445555555555aa"
#define UUID_A "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee"
#define UUID_A_VERITY "11111111-2222-3333-4444-5555555555aa"
#define UUID_B "bbbbbbbb-0000-4000-8000-000000000001"
#define UUID_B_VERITY "bbbbbbbb-0000-4000-8000-000000000002"

static const char node_table[] = "label: gpt\n"
				 "size=1MiB, type=U, name=\"esp\"\n"
				 "size=2MiB, type=L, name=\"root-a\", uuid=" UUID_A "\n"
				 "size=1MiB, type=L, name=\"root-a-verity\", uuid=" UUID_A_VERITY "\n"
				 "size=2MiB, type=L, name=\"root-b\", uuid=" UUID_B "\n"
				 "size=1MiB, type=L, name=\"root-b-verity\", uuid=" UUID_B_VERITY "\n"
				 "size=1MiB, type=L, name=\"state\"\n";

static inline void image_run(const char *const *argv, const char *input)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(GSubprocess) process = g_subprocess_newv(
		argv, G_SUBPROCESS_FLAGS_STDIN_PIPE | G_SUBPROCESS_FLAGS_STDOUT_SILENCE, &error);

	g_assert_no_error(error);
	g_assert_true(g_subprocess_communicate_utf8(process, input, NULL, NULL, NULL, &error));
	g_assert_true(g_subprocess_get_successful(process));
}

/* A disk of 12 MiB with @table, a script of sfdisk; returns its path. */
static inline char *image_new(const Scratch *scratch, const char *table)
{
	char *path = scratch_file(scratch, "disk");
	g_autofree char *zero = g_malloc0(12 << 20);

	g_assert_true(g_file_set_contents(path, zero, 12 << 20, NULL));
	image_run((const char *[]){ "sfdisk", "--quiet", path, NULL }, table);
	return path;
}

/* What sfdisk says of the disk now. */
static inline char *image_dump(const char *path)
{
	g_autoptr(GError) error = NULL;
	char *dump = NULL;
	g_autoptr(GSubprocess) process =
		g_subprocess_new(G_SUBPROCESS_FLAGS_STDOUT_PIPE, &error, "sfdisk", "--dump", path, NULL);

	g_assert_no_error(error);
	g_assert_true(g_subprocess_communicate_utf8(process, NULL, NULL, &dump, NULL, &error));
	g_assert_true(g_subprocess_get_successful(process));
	return dump;
}

static inline void image_flip(const char *path, gsize at)
{
	g_autofree char *bytes = NULL;
	gsize size = 0;

	g_assert_true(g_file_get_contents(path, &bytes, &size, NULL));
	g_assert_cmpuint(at, <, size);
	bytes[at] = (char)(bytes[at] ^ 0x55);
	g_assert_true(g_file_set_contents(path, bytes, (gssize)size, NULL));
}
