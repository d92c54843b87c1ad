/* SPDX-License-Identifier: Apache-2.0 */
#include "verity/leaves.h"

#include "base/digest.h"
#include "tests/unit/scratch.h"

#include <gio/gio.h>
#include <string.h>

#define SALT "ababababababababababababababababababababababababababababababab01"
#define UUID "3a2f4b5c-1111-4222-8333-444455556666"

typedef struct {
	Scratch scratch;
	guint8 *data;
	gsize size;
	char *tree;
	guint8 root[PROA_VERITY_DIGEST_SIZE];
} Fixture;

/* The judge is veritysetup. */
static void set_up(Fixture *f, gconstpointer blocks)
{
	g_autoptr(GError) error = NULL;
	g_autofree char *output = NULL;

	f->scratch = scratch_new();
	f->size = GPOINTER_TO_SIZE(blocks) * 4096;
	f->data = g_malloc(f->size);
	for (gsize i = 0; i < f->size; i++)
		f->data[i] = (guint8)(i / 4096 * 31 + i % 251);
	g_autofree char *path = scratch_write(&f->scratch, "data", (const char *)f->data, (gssize)f->size);
	f->tree = scratch_file(&f->scratch, "tree");
	g_autoptr(GSubprocess) process = g_subprocess_new(G_SUBPROCESS_FLAGS_STDOUT_PIPE, &error,
		"veritysetup", "format", "--salt=" SALT, "--uuid=" UUID, path, f->tree, NULL);
	g_assert_no_error(error);
	g_assert_true(g_subprocess_communicate_utf8(process, NULL, NULL, &output, NULL, NULL));
	const char *line = strstr(output, "Root hash:");
	g_assert_nonnull(line);
	line += strlen("Root hash:");
	g_autofree char *hex = g_strndup(line + strspn(line, " \t"), 64);
	g_assert_true(proa_hex_decode(hex, f->root, sizeof f->root));
}

static void tear_down(Fixture *f, gconstpointer blocks)
{
	scratch_clear(&f->scratch);
	g_free(f->data);
	g_free(f->tree);
}

static void reads_the_digests(Fixture *f, gconstpointer blocks)
{
	g_autoptr(GError) error = NULL;
	g_auto(ProaVerityLeaves) leaves = { .fd = -1 };

	g_assert_true(proa_verity_leaves_open(f->tree, &leaves, &error));
	g_assert_no_error(error);
	g_assert_cmpuint(leaves.blocks, ==, f->size / 4096);
	g_autofree char *salt = proa_hex_encode(leaves.salt, sizeof leaves.salt);
	g_assert_cmpstr(salt, ==, SALT);
	g_autoptr(ProaVerityHash) hash = proa_verity_hash_new(leaves.salt);
	for (guint64 i = 0; i < leaves.blocks; i++) {
		guint8 stored[PROA_VERITY_DIGEST_SIZE], made[PROA_VERITY_DIGEST_SIZE];
		g_assert_true(proa_verity_leaves_read(&leaves, i, 1, stored, &error));
		proa_verity_hash_block(hash, f->data + i * 4096, made);
		g_assert_cmpmem(stored, sizeof stored, made, sizeof made);
	}
}

static void makes_the_root_hash(Fixture *f, gconstpointer blocks)
{
	guint8 salt[PROA_VERITY_SALT_SIZE], root[PROA_VERITY_DIGEST_SIZE];
	guint64 n = f->size / 4096, groups = proa_verity_groups(n);
	g_autofree guint8 *digests = g_malloc(groups * PROA_VERITY_DIGEST_SIZE);

	g_assert_true(proa_hex_decode(SALT, salt, sizeof salt));
	g_autoptr(ProaVerityHash) hash = proa_verity_hash_new(salt);
	for (guint64 i = 0; i < groups; i++)
		proa_verity_hash_group(hash, f->data + i * 128 * 4096, (guint)MIN(128, n - i * 128), NULL,
			digests + i * PROA_VERITY_DIGEST_SIZE);
	proa_verity_root_of_groups(hash, digests, groups, root);
	g_assert_cmpmem(root, sizeof root, f->root, sizeof f->root);
}

static void refuses_other_superblocks(Fixture *f, gconstpointer blocks)
{
	static const struct {
		gsize at;
		guint8 value;
	} changes[] = { { 0, 'x' }, { 8, 2 }, { 12, 0 }, { 32, 'm' }, { 65, 8 }, { 69, 8 }, { 78, 1 },
		{ 80, 31 }, { 81, 1 } };
	g_autofree char *bytes = NULL;

	g_assert_true(g_file_get_contents(f->tree, &bytes, NULL, NULL));
	for (guint i = 0; i < G_N_ELEMENTS(changes); i++) {
		g_autoptr(GError) error = NULL;
		ProaVerityLeaves leaves = { .fd = -1, .blocks = 7 };
		char before = bytes[changes[i].at];
		bytes[changes[i].at] = (char)changes[i].value;
		g_assert_false(proa_verity_superblock_parse((const guint8 *)bytes, &leaves, &error));
		g_assert_error(error, PROA_ERROR, PROA_REASON_ROOT_HASH_MISMATCH);
		g_assert_cmpuint(leaves.blocks, ==, 7);
		bytes[changes[i].at] = before;
	}
}

static void refuses_short_file(Fixture *f, gconstpointer blocks)
{
	g_autoptr(GError) error = NULL, other = NULL;
	ProaVerityLeaves leaves = { .fd = -1 };
	g_autofree char *none = scratch_file(&f->scratch, "none");
	g_autofree char *small = scratch_write(&f->scratch, "small", "verity", -1);

	g_assert_false(proa_verity_leaves_open(none, &leaves, &error));
	g_assert_error(error, PROA_ERROR, PROA_REASON_NOT_FOUND);
	g_assert_false(proa_verity_leaves_open(small, &leaves, &other));
	g_assert_error(other, PROA_ERROR, PROA_REASON_IO);
}

int main(int argc, char **argv)
{
	static const gsize sizes[] = { 2, 128, 129, 300, 128 * 128 + 1 };

	g_test_init(&argc, &argv, NULL);
	for (guint i = 0; i < G_N_ELEMENTS(sizes); i++) {
		g_autofree char *reads =
			g_strdup_printf("/verity/leaves/reads-digests-of-%" G_GSIZE_FORMAT, sizes[i]);
		g_autofree char *makes =
			g_strdup_printf("/verity/leaves/root-hash-of-%" G_GSIZE_FORMAT, sizes[i]);
		gpointer size = GSIZE_TO_POINTER(sizes[i]);
		g_test_add(reads, Fixture, size, set_up, reads_the_digests, tear_down);
		g_test_add(makes, Fixture, size, set_up, makes_the_root_hash, tear_down);
	}
	g_test_add("/verity/leaves/refuses-other-superblocks", Fixture, GSIZE_TO_POINTER(2), set_up,
		refuses_other_superblocks, tear_down);
	g_test_add("/verity/leaves/refuses-short-file", Fixture, GSIZE_TO_POINTER(2), set_up,
		refuses_short_file, tear_down);
	return g_test_run();
}
