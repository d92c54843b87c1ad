/* SPDX-License-Identifier: Apache-2.0 */
#include "images/feed/change.h"

#include "tests/unit/images/feed/fixture.h"

#define LIFETIME 3600

static void test_edit(void)
{
	g_auto(Fixture) fixture = fixture_new();
	g_autoptr(ProaFeed) feed = fixture_open(&fixture);
	g_autoptr(ProaChange) change = proa_change_new(feed, "test");
	JsonObject *root = proa_change_edit(change, "root", LIFETIME, NULL);

	g_assert_cmpint(json_object_get_int_member(root, "version"), ==, 2);
	g_assert_true(proa_change_edit(change, "root", LIFETIME, NULL) == root);
	g_assert_cmpint(json_object_get_int_member(feed->root->file->content, "version"), ==, 1);
	g_autoptr(ProaRoot) next = proa_change_root(change, NULL);
	g_autoptr(ProaTargets) targets = proa_change_targets(change, NULL);
	g_assert_cmpint(next->head.version, ==, 2);
	g_assert_cmpint(targets->head.version, ==, 1);
	g_assert_nonnull(proa_change_find(change, "root"));
	g_assert_null(proa_change_find(change, "targets"));
}

/* A root needs the old and the new; what was kept is found again, and hinders a second draft of the same
 * role. */
static void test_needs_and_keeping(void)
{
	g_auto(Fixture) fixture = fixture_new();
	g_autoptr(ProaFeed) feed = fixture_open(&fixture);
	g_autoptr(ProaChange) change = proa_change_new(feed, "test"), second = proa_change_new(feed, "other");
	g_autoptr(GPtrArray) signers = fixture_signers(&fixture),
			     stranger = fixture_signer(&fixture, "beta.pem");
	g_autoptr(GError) error = NULL;

	g_assert_nonnull(proa_change_edit(change, "root", LIFETIME, NULL));
	g_assert_nonnull(proa_change_edit(change, "stable", LIFETIME, NULL));
	g_assert_true(proa_change_sign(change, stranger, NULL));
	g_autoptr(GPtrArray) needs = proa_change_needs(change, NULL);
	g_assert_cmpuint(needs->len, ==, 3); /* root twice, stable */
	g_assert_false(proa_change_fail(needs, &error));
	g_assert_error(error, PROA_ERROR, PROA_REASON_NOT_FOUND);
	g_clear_error(&error);
	g_assert_true(proa_change_save(change, NULL));
	g_assert_null(proa_change_edit(second, "root", LIFETIME, &error));
	g_assert_error(error, PROA_ERROR, PROA_REASON_BUSY);
	g_assert_nonnull(proa_change_edit(second, "targets", LIFETIME, NULL));

	g_autoptr(GPtrArray) kept = proa_changes_load(feed, NULL);
	g_assert_cmpuint(kept->len, ==, 1);
	ProaChange *again = kept->pdata[0];
	g_assert_cmpstr(again->name, ==, "test");
	g_assert_true(proa_change_sign(again, signers, NULL));
	g_autoptr(GPtrArray) none = proa_change_needs(again, NULL);
	g_assert_cmpuint(none->len, ==, 0);
	g_assert_true(proa_change_drop(again, NULL));
	g_autoptr(GPtrArray) gone = proa_changes_load(feed, NULL);
	g_assert_cmpuint(gone->len, ==, 0);
}

/* A draft that a crash left beside its published self is not offered again. */
static void test_overtaken(void)
{
	g_auto(Fixture) fixture = fixture_new();
	g_autoptr(ProaFeed) feed = fixture_open(&fixture);
	g_autoptr(ProaChange) change = proa_change_new(feed, "test");

	g_assert_nonnull(proa_change_edit(change, "stable", LIFETIME, NULL));
	g_assert_true(proa_change_save(change, NULL));
	g_clear_pointer(&feed, proa_feed_free);
	/* It waits, so publishing leaves the role alone; brought out past it, it is overtaken. */
	g_autofree char *path = scratch_file(&fixture.scratch, "feed/.proa-feed/drafts/test/stable.json"),
			*aside = scratch_file(&fixture.scratch, "aside");
	g_assert_cmpint(g_rename(path, aside), ==, 0);
	fixture_publish(&fixture, PROA_PUBLISH_ALL);
	g_assert_cmpint(g_rename(aside, path), ==, 0);
	feed = fixture_open(&fixture);
	g_autoptr(GPtrArray) changes = proa_changes_load(feed, NULL);
	g_assert_cmpuint(changes->len, ==, 0);
}

static void test_hostile_draft(void)
{
	g_auto(Fixture) fixture = fixture_new();
	g_autoptr(ProaFeed) feed = fixture_open(&fixture);
	g_autoptr(GError) error = NULL;

	g_free(scratch_write(&fixture.scratch, "feed/.proa-feed/drafts/x/root.json", "{}", -1));
	g_assert_null(proa_changes_load(feed, &error));
	g_assert_error(error, PROA_ERROR, PROA_REASON_BAD_METADATA);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/feed/change/edits-a-copy", test_edit);
	g_test_add_func("/feed/change/waits-for-all-who-must-sign", test_needs_and_keeping);
	g_test_add_func("/feed/change/forgets-what-is-out", test_overtaken);
	g_test_add_func("/feed/change/refuses-a-broken-draft", test_hostile_draft);
	return g_test_run();
}
