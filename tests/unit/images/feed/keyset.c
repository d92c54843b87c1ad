/* SPDX-License-Identifier: Apache-2.0 */
#include "images/feed/keyset.h"

#include "tests/unit/images/feed/fixture.h"

/* The keys of @count holders. */
static ProaKeyset *keys_of(const Scratch *scratch, guint count, const char *algorithm)
{
	ProaKeyset *keyset = proa_keyset_new();

	for (guint i = 0; i < count; i++) {
		g_autofree char *name = g_strdup_printf("%s-%u.pem", algorithm, i);
		g_autofree char *path = scratch_file(scratch, name);
		g_autoptr(GPtrArray) signers = proa_signers_new();
		g_assert_true(proa_signers_generate(signers, path, algorithm, NULL));
		g_assert_true(proa_keyset_add_signers(keyset, signers, NULL));
	}
	return keyset;
}

static void test_thresholds(void)
{
	static const struct {
		const char *algorithm;
		guint all, must, threshold; /* threshold 0: refused */
	} cases[] = { { "ed25519", 1, 1, 1 }, { "ed25519", 3, 2, 2 }, { "ed25519", 3, 1, 1 },
		{ "ed25519", 3, 4, 0 }, { "ed25519", 3, 0, 0 }, { "hybrid", 1, 1, 2 }, { "hybrid", 3, 2, 4 },
		{ "hybrid", 3, 3, 6 }, { "hybrid", 2, 1, 0 }, { "hybrid", 4, 2, 0 } };

	for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
		g_auto(Scratch) scratch = scratch_new();
		g_autoptr(ProaKeyset) keyset = keys_of(&scratch, cases[i].all, cases[i].algorithm);
		g_autoptr(GError) error = NULL;
		gboolean ok = proa_keyset_set_holders(keyset, cases[i].must, &error);
		g_assert_cmpuint(proa_keyset_holders(keyset), ==, cases[i].all);
		g_assert_cmpint(ok, ==, cases[i].threshold != 0);
		if (ok) {
			g_assert_cmpuint(keyset->threshold, ==, cases[i].threshold);
			/* Neither kind alone is ever enough. */
			if (strcmp(cases[i].algorithm, "hybrid") == 0)
				g_assert_cmpuint(keyset->threshold, >, cases[i].all);
		} else {
			g_assert_error(error, PROA_ERROR, PROA_REASON_USAGE);
		}
	}
}

static void test_public_file(void)
{
	g_auto(Scratch) scratch = scratch_new();
	g_autoptr(ProaKeyset) keyset = keys_of(&scratch, 1, "hybrid"), read = proa_keyset_new();
	g_autofree char *path = scratch_file(&scratch, "x.pub");
	static const char *const bad[] = { "", "{}", "[]", "{\"format\":\"proa-public-keys\",\"keys\":[]}",
		"{\"format\":\"proa-public-keys\",\"keys\":[1]}", "{\"format\":\"x\",\"keys\":[{}]}",
		"{\"format\":\"proa-public-keys\",\"keys\":[{\"keytype\":\"ed25519\",\"scheme\":\"ed25519\","
		"\"keyval\":{\"public\":\"00\"}}]}" };

	g_assert_true(proa_keyset_write_public(keyset, path, NULL));
	g_assert_true(proa_keyset_add_public(read, path, NULL));
	g_assert_true(proa_keyset_add_public(read, path, NULL)); /* the same again is no more */
	g_assert_cmpuint(read->ids->len, ==, 2);
	for (guint i = 0; i < 2; i++)
		g_assert_cmpstr(read->ids->pdata[i], ==, keyset->ids->pdata[i]);
	for (guint i = 0; i < G_N_ELEMENTS(bad); i++) {
		g_autofree char *file = scratch_write(&scratch, "bad.pub", bad[i], -1);
		g_autoptr(GError) error = NULL;
		g_assert_false(proa_keyset_add_public(read, file, &error));
		g_assert_error(error, PROA_ERROR, PROA_REASON_BAD_METADATA);
	}
}

static void test_remove(void)
{
	g_auto(Scratch) scratch = scratch_new();
	g_autoptr(ProaKeyset) keyset = keys_of(&scratch, 2, "ed25519");
	g_autofree char *prefix = g_strndup(keyset->ids->pdata[0], 12), *tiny = g_strndup(prefix, 4);
	g_autoptr(ProaKeyset) copy = proa_keyset_copy(keyset);

	g_assert_false(proa_keyset_remove(keyset, tiny, NULL));
	g_assert_true(proa_keyset_remove(keyset, prefix, NULL));
	g_assert_cmpuint(keyset->ids->len, ==, 1);
	g_assert_false(proa_keyset_remove(keyset, prefix, NULL));
	g_assert_cmpuint(copy->ids->len, ==, 2);
}

/* A holder of two keys goes with both: named by the file that holds their public halves. */
static void test_remove_file(void)
{
	g_auto(Scratch) scratch = scratch_new();
	g_autoptr(ProaKeyset) keyset = keys_of(&scratch, 2, "hybrid"), other = proa_keyset_new();
	g_autofree char *path = scratch_file(&scratch, "bob.pub"), *first = g_strdup(keyset->ids->pdata[0]);
	g_autoptr(GError) error = NULL;

	for (guint i = 2; i < 4; i++)
		g_assert_true(proa_keyset_add(other, keyset->objects->pdata[i], NULL));
	g_assert_true(proa_keyset_write_public(other, path, NULL));
	g_autoptr(ProaKeyset) half = proa_keyset_copy(keyset);
	g_assert_true(proa_keyset_remove(half, first, NULL));
	g_assert_false(proa_keyset_set_holders(half, 2, &error));
	g_assert_error(error, PROA_ERROR, PROA_REASON_USAGE);
	g_assert_nonnull(strstr(error->message, "1 classical and 2 ML-DSA"));
	g_clear_error(&error);
	g_assert_true(proa_keyset_remove(keyset, path, NULL));
	g_assert_cmpuint(keyset->ids->len, ==, 2);
	g_assert_cmpstr(keyset->ids->pdata[0], ==, first);
	g_assert_false(proa_keyset_remove(keyset, path, &error)); /* he is no longer there */
	g_assert_error(error, PROA_ERROR, PROA_REASON_NOT_FOUND);
	g_assert_nonnull(strstr(error->message, path));
}

/* A key that no role lists any more is gone from the metadata, one that another lists is not. */
static void test_in_content(void)
{
	g_auto(Scratch) scratch = scratch_new();
	g_autoptr(JsonObject) root = json_object_new(), targets = json_object_new();
	g_autoptr(ProaKeyset) one = keys_of(&scratch, 1, "ed25519"), two = keys_of(&scratch, 1, "ecdsa-p256");

	proa_keyset_to_root(one, root, "root");
	proa_keyset_to_root(one, root, "snapshot");
	proa_keyset_to_root(two, root, "root");
	JsonObject *keys = json_object_get_object_member(root, "keys");
	g_assert_cmpuint(json_object_get_size(keys), ==, 2);
	proa_keyset_to_root(two, root, "snapshot");
	g_assert_cmpuint(json_object_get_size(keys), ==, 1);
	g_autoptr(ProaKeyset) read = proa_keyset_of_root(root, "snapshot", NULL);
	g_assert_cmpstr(read->ids->pdata[0], ==, two->ids->pdata[0]);

	g_assert_null(proa_keyset_of_targets(targets, "stable", NULL));
	proa_keyset_to_targets(one, targets, "stable");
	proa_keyset_to_targets(two, targets, "beta");
	proa_keyset_to_targets(two, targets, PROA_BREAK_GLASS);
	g_autoptr(ProaKeyset) stable = proa_keyset_of_targets(targets, "stable", NULL),
			      tokens = proa_keyset_of_targets(targets, PROA_BREAK_GLASS, NULL);
	g_assert_cmpstr(stable->ids->pdata[0], ==, one->ids->pdata[0]);
	g_assert_cmpstr(tokens->ids->pdata[0], ==, two->ids->pdata[0]);
	JsonObject *delegations = json_object_get_object_member(targets, "delegations");
	g_assert_cmpuint(json_array_get_length(json_object_get_array_member(delegations, "roles")), ==, 2);
	proa_keyset_to_targets(two, targets, "stable");
	g_assert_cmpuint(json_array_get_length(json_object_get_array_member(delegations, "roles")), ==, 2);
	g_assert_cmpuint(json_object_get_size(json_object_get_object_member(delegations, "keys")), ==, 1);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/feed/keyset/thresholds-need-both-kinds", test_thresholds);
	g_test_add_func("/feed/keyset/public-files", test_public_file);
	g_test_add_func("/feed/keyset/removes-by-the-beginning-of-an-id", test_remove);
	g_test_add_func("/feed/keyset/removes-the-keys-of-a-file", test_remove_file);
	g_test_add_func("/feed/keyset/stands-in-root-and-targets", test_in_content);
	return g_test_run();
}
