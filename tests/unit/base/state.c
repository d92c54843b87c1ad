/* SPDX-License-Identifier: Apache-2.0 */
#include "base/state.h"

#include "base/file.h"
#include "base/json.h"
#include "tests/unit/scratch.h"

#include <string.h>

#define HASH_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define HASH_B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

static void kinds_have_words(void)
{
	for (int i = 0; i < _PROA_STATE_MAX; i++) {
		const char *word = proa_state_kind_to_string((ProaStateKind)i);
		g_assert_cmpint((int)proa_state_kind_from_string(word), ==, i);
	}
	g_assert_cmpint((int)proa_state_kind_from_string("no such"), ==, _PROA_STATE_INVALID);
	g_assert_cmpint((int)proa_state_kind_from_string(NULL), ==, _PROA_STATE_INVALID);
	g_assert_cmpstr(proa_state_kind_to_string(_PROA_STATE_INVALID), ==, "idle");
}

static void a_missing_file_is_the_empty_state(void)
{
	g_auto(Scratch) scratch = scratch_new();
	g_autofree char *dir = scratch_file(&scratch, "not/there");
	g_autoptr(GError) error = NULL;
	g_autoptr(ProaState) state = proa_state_load(dir, &error);

	g_assert_no_error(error);
	g_assert_cmpint((int)state->kind, ==, PROA_STATE_IDLE);
	g_assert_null(state->booted.root_hash);
	g_assert_null(state->last_check_result);
}

static void what_is_saved_is_what_is_loaded(void)
{
	g_auto(Scratch) scratch = scratch_new();
	g_autofree char *dir = scratch_file(&scratch, "var/lib/proa");
	g_autoptr(GError) error = NULL;
	g_autoptr(ProaState) state = proa_state_new();

	state->kind = PROA_STATE_TRIAL;
	proa_state_set_release(&state->booted, "1.0.1", HASH_B, "root-b");
	proa_state_set_release(&state->staged, "1.0.1", HASH_B, "root-b");
	proa_state_set_release(&state->good, "1.0.0", HASH_A, NULL);
	state->last_check = 1780000000;
	state->last_check_result = g_strdup("ok");
	state->last_check_offered = g_strdup("1.0.1");
	g_assert_true(proa_state_save(dir, state, &error));
	g_assert_no_error(error);

	g_autoptr(ProaState) back = proa_state_load(dir, &error);
	g_assert_no_error(error);
	g_assert_cmpint((int)back->kind, ==, PROA_STATE_TRIAL);
	g_assert_cmpint(back->since, ==, state->since);
	g_assert_cmpstr(back->booted.version, ==, "1.0.1");
	g_assert_cmpstr(back->booted.slot, ==, "root-b");
	g_assert_cmpstr(back->staged.root_hash, ==, HASH_B);
	g_assert_cmpstr(back->good.root_hash, ==, HASH_A);
	g_assert_null(back->good.slot);
	g_assert_cmpint(back->last_check, ==, 1780000000);
	g_assert_cmpstr(back->last_check_result, ==, "ok");
	g_assert_cmpstr(back->last_check_offered, ==, "1.0.1");

	proa_state_set_release(&back->staged, NULL, NULL, NULL);
	g_assert_true(proa_state_save(dir, back, &error));
	g_autoptr(ProaState) cleared = proa_state_load(dir, &error);
	g_assert_null(cleared->staged.version);
	g_assert_null(cleared->staged.root_hash);
}

static void since_changes_with_the_kind_only(void)
{
	g_auto(Scratch) scratch = scratch_new();
	g_autofree char *path = scratch_write(
		&scratch, "state.json", "{\"state\":\"good\",\"since\":1000,\"last_check\":5}", -1);
	g_autoptr(ProaState) state = proa_state_load(scratch.path, NULL);

	g_assert_cmpint(state->since, ==, 1000);
	g_assert_true(proa_state_save(scratch.path, state, NULL));
	g_assert_cmpint(state->since, ==, 1000);
	state->kind = PROA_STATE_STAGING;
	g_assert_true(proa_state_save(scratch.path, state, NULL));
	g_assert_cmpint(state->since, >, 1000);
}

static void broken_files_are_bad_state(void)
{
	static const char *const texts[] = { "", "{", "[]", "null", "{}", "{\"state\":5}",
		"{\"state\":\"flying\"}", "\xff\xfe", "{\"state\":\"good\",\"booted\":{}}",
		"{\"state\":\"good\",\"booted\":{\"version\":\"1\"}}",
		"{\"state\":\"good\",\"booted\":{\"version\":\"1\",\"root_hash\":\"xyz\"}}",
		"{\"state\":\"good\",\"good\":{\"version\":1,\"root_hash\":\"" HASH_A "\"}}", NULL };

	for (gsize i = 0; texts[i]; i++) {
		g_auto(Scratch) scratch = scratch_new();
		g_autofree char *path = scratch_write(&scratch, "state.json", texts[i], -1);
		g_autoptr(GError) error = NULL;
		g_assert_null(proa_state_load(scratch.path, &error));
		g_assert_error(error, PROA_ERROR, PROA_REASON_BAD_STATE);
		g_assert_nonnull(strstr(error->message, "state.json"));
		/* The node goes on: the next save makes the file whole. */
		g_autoptr(ProaState) state = proa_state_new();
		g_assert_true(proa_state_save(scratch.path, state, NULL));
		g_autoptr(ProaState) back = proa_state_load(scratch.path, NULL);
		g_assert_nonnull(back);
	}
}

static void a_file_without_end_is_bad_state(void)
{
	g_auto(Scratch) scratch = scratch_new();
	g_autofree char *noise = g_strnfill(1 << 20, ' ');
	g_autofree char *state = scratch_write(&scratch, "state.json", noise, -1);
	g_autofree char *rejected = scratch_write(&scratch, "rejected.json", noise, -1);
	g_autoptr(GError) error = NULL;

	g_assert_null(proa_state_load(scratch.path, &error));
	g_assert_error(error, PROA_ERROR, PROA_REASON_BAD_STATE);
	g_clear_error(&error);
	g_assert_null(proa_rejected_load(scratch.path, &error));
	g_assert_error(error, PROA_ERROR, PROA_REASON_BAD_STATE);
}

static void rejected_releases_are_remembered_once(void)
{
	g_auto(Scratch) scratch = scratch_new();
	g_autofree char *dir = scratch_file(&scratch, "new");
	g_autoptr(GError) error = NULL;

	g_autoptr(GPtrArray) none = proa_rejected_load(dir, &error);
	g_assert_no_error(error);
	g_assert_cmpuint(none->len, ==, 0);
	g_assert_true(proa_rejected_add(dir, HASH_A, "1.0.2", "boot-failed", NULL, &error));
	g_assert_true(proa_rejected_add(dir, HASH_B, NULL, "containerd-down", "no answer", &error));
	g_assert_true(proa_rejected_add(dir, HASH_A, "1.0.2", "root-corrupt", "block 7", &error));
	g_assert_no_error(error);

	g_autoptr(GPtrArray) list = proa_rejected_load(dir, &error);
	g_assert_cmpuint(list->len, ==, 2);
	const ProaRejected *a = proa_rejected_find(list, HASH_A);
	g_assert_cmpstr(a->reason, ==, "root-corrupt");
	g_assert_cmpstr(a->detail, ==, "block 7");
	g_assert_cmpint(a->time, >, 1000000000);
	const ProaRejected *b = proa_rejected_find(list, HASH_B);
	g_assert_cmpstr(b->version, ==, "");
	g_assert_true(g_ptr_array_index(list, 1) == a);

	g_assert_true(proa_rejected_remove(dir, HASH_A, &error));
	g_assert_true(proa_rejected_remove(dir, HASH_A, &error));
	g_autoptr(GPtrArray) rest = proa_rejected_load(dir, &error);
	g_assert_cmpuint(rest->len, ==, 1);
	g_assert_null(proa_rejected_find(rest, HASH_A));
}

static void the_newest_64_rejections_are_kept(void)
{
	g_auto(Scratch) scratch = scratch_new();

	for (guint i = 0; i < 70; i++) {
		g_autofree char *hash = g_strdup_printf("%064x", i);
		g_assert_true(proa_rejected_add(scratch.path, hash, "1", "boot-failed", NULL, NULL));
	}
	g_autoptr(GPtrArray) list = proa_rejected_load(scratch.path, NULL);
	g_assert_cmpuint(list->len, ==, 64);
	g_autofree char *oldest = g_strdup_printf("%064x", 6);
	g_autofree char *dropped = g_strdup_printf("%064x", 5);
	g_assert_nonnull(proa_rejected_find(list, oldest));
	g_assert_null(proa_rejected_find(list, dropped));
}

/* Details come from log lines: however long and of whatever bytes, the memory must stay readable. */
static void no_detail_makes_the_memory_unreadable(void)
{
	g_auto(Scratch) scratch = scratch_new();
	g_autofree char *novel = g_strnfill(20000, 'x');
	g_autoptr(GError) error = NULL;

	for (guint i = 0; i < 64; i++) {
		g_autofree char *hash = g_strdup_printf("%064x", i);
		g_assert_true(proa_rejected_add(scratch.path, hash, "1.0", "health-check", novel, &error));
		g_assert_no_error(error);
	}
	g_assert_true(proa_rejected_add(
		scratch.path, HASH_A, "1.0", "health-check", "bytes \xff\xfe of no text", &error));
	g_autoptr(GPtrArray) list = proa_rejected_load(scratch.path, &error);
	g_assert_no_error(error);
	g_assert_cmpuint(list->len, ==, 64);
	g_assert_nonnull(proa_rejected_find(list, HASH_A));
	g_assert_true(
		proa_history_append(scratch.path, "failed", NULL, "io-error", "bytes \xff\n\xfe", &error));
	g_autofree char *path = scratch_file(&scratch, "history.jsonl");
	g_autofree char *line = proa_file_read(path, 4096, NULL, NULL);
	g_assert_true(g_utf8_validate(line, -1, NULL));
}

static void a_broken_memory_of_rejections_is_told_and_replaced(void)
{
	static const char *const texts[] = { "", "{", "{}", "{\"rejected\":5}", "{\"rejected\":[5]}",
		"{\"rejected\":[null]}", "{\"rejected\":[{}]}", "{\"rejected\":[{\"root_hash\":\"short\"}]}",
		"{\"rejected\":[{\"root_hash\":7}]}", NULL };

	for (gsize i = 0; texts[i]; i++) {
		g_auto(Scratch) scratch = scratch_new();
		g_autofree char *path = scratch_write(&scratch, "rejected.json", texts[i], -1);
		g_autoptr(GError) error = NULL;
		g_assert_null(proa_rejected_load(scratch.path, &error));
		g_assert_error(error, PROA_ERROR, PROA_REASON_BAD_STATE);
		g_clear_error(&error);
		g_assert_true(proa_rejected_add(scratch.path, HASH_A, "1", "boot-failed", NULL, &error));
		g_autoptr(GPtrArray) list = proa_rejected_load(scratch.path, &error);
		g_assert_cmpuint(list->len, ==, 1);
	}
}

/* An operator lifts a rejection: the release may come again, but it is known to have been one. */
static void what_is_lifted_is_not_forgotten(void)
{
	g_autofree char *dir = g_dir_make_tmp("proa-state-XXXXXX", NULL);
	g_autofree char *path = g_build_filename(dir, "rejected.json", NULL);
	g_autofree char *a = g_strnfill(64, 'a'), *b = g_strnfill(64, 'b');
	gboolean found = TRUE;

	g_assert_true(proa_rejected_lift(dir, a, &found, NULL));
	g_assert_false(found);
	g_assert_true(proa_rejected_add(dir, a, "1", "root-corrupt", NULL, NULL));
	g_assert_true(proa_rejected_add(dir, b, "2", "boot-failed", NULL, NULL));
	g_assert_true(proa_rejected_lift(dir, a, &found, NULL));
	g_assert_true(found);
	g_assert_true(proa_rejected_lifted(dir, a));
	g_assert_false(proa_rejected_lifted(dir, b));
	g_autoptr(GPtrArray) list = proa_rejected_load(dir, NULL);
	g_assert_null(proa_rejected_find(list, a));
	g_assert_nonnull(proa_rejected_find(list, b));

	/* It fails again, or is blessed: lifted no more. */
	g_assert_true(proa_rejected_add(dir, a, "1", "boot-failed", NULL, NULL));
	g_assert_false(proa_rejected_lifted(dir, a));
	g_assert_true(proa_rejected_lift(dir, a, &found, NULL));
	g_assert_true(proa_rejected_remove(dir, a, NULL));
	g_assert_false(proa_rejected_lifted(dir, a));
	g_unlink(path);
	g_rmdir(dir);
}

static void history_is_one_object_a_line(void)
{
	g_auto(Scratch) scratch = scratch_new();
	ProaStateRelease release = { (char *)(gsize) "1.0.1", (char *)(gsize)HASH_B,
		(char *)(gsize) "root-b" };
	g_autoptr(GError) error = NULL;

	g_assert_true(proa_history_append(scratch.path, "staged", &release, NULL, NULL, &error));
	g_assert_true(
		proa_history_append(scratch.path, "refused", NULL, "stale-feed", "line\nbreak", &error));
	g_assert_no_error(error);
	g_autofree char *path = scratch_file(&scratch, "history.jsonl");
	g_autofree char *text = proa_file_read(path, 65536, NULL, NULL);
	g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
	g_assert_cmpuint(g_strv_length(lines), ==, 3);

	g_autoptr(JsonObject) first =
		proa_json_parse(lines[0], strlen(lines[0]), "1", PROA_REASON_BAD_STATE, &error);
	g_assert_no_error(error);
	g_assert_cmpstr(proa_json_string_or(first, "event", NULL), ==, "staged");
	g_assert_cmpstr(proa_json_string_or(first, "root_hash", NULL), ==, HASH_B);
	g_assert_cmpint(proa_json_int_or(first, "time", 0), >, 1000000000);
	g_assert_false(json_object_has_member(first, "reason"));
	g_autoptr(JsonObject) second =
		proa_json_parse(lines[1], strlen(lines[1]), "2", PROA_REASON_BAD_STATE, &error);
	g_assert_cmpstr(proa_json_string_or(second, "detail", NULL), ==, "line\nbreak");
	g_assert_false(json_object_has_member(second, "version"));
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/base/state/kinds-have-words", kinds_have_words);
	g_test_add_func("/base/state/a-missing-file-is-the-empty-state", a_missing_file_is_the_empty_state);
	g_test_add_func("/base/state/what-is-saved-is-what-is-loaded", what_is_saved_is_what_is_loaded);
	g_test_add_func("/base/state/since-changes-with-the-kind-only", since_changes_with_the_kind_only);
	g_test_add_func("/base/state/broken-files-are-bad-state", broken_files_are_bad_state);
	g_test_add_func("/base/state/a-file-without-end-is-bad-state", a_file_without_end_is_bad_state);
	g_test_add_func(
		"/base/state/rejected-releases-are-remembered-once", rejected_releases_are_remembered_once);
	g_test_add_func("/base/state/the-newest-64-rejections-are-kept", the_newest_64_rejections_are_kept);
	g_test_add_func(
		"/base/state/no-detail-makes-the-memory-unreadable", no_detail_makes_the_memory_unreadable);
	g_test_add_func("/base/state/a-broken-memory-of-rejections-is-told-and-replaced",
		a_broken_memory_of_rejections_is_told_and_replaced);
	g_test_add_func("/base/state/what-is-lifted-is-not-forgotten", what_is_lifted_is_not_forgotten);
	g_test_add_func("/base/state/history-is-one-object-a-line", history_is_one_object_a_line);
	return g_test_run();
}
