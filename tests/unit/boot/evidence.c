/* SPDX-License-Identifier: Apache-2.0 */
#include "boot/evidence.h"

#include "tests/unit/boot/fixture.h"

static void expect_refused(const char *text)
{
	g_autoptr(GError) error = NULL;

	g_assert_null(proa_evidence_parse(text, strlen(text), &error));
	g_assert_error(error, PROA_ERROR, PROA_REASON_BAD_STATE);
}

static void reads_what_it_writes(void)
{
	g_auto(Scratch) scratch = scratch_new();
	g_autoptr(ProaEsp) esp = proa_esp_open(scratch.path, NULL);
	char hash[] = HASH_1, version[] = "1.0.1", reason[] = "root-missing", where[] = "initrd";
	char detail[] = "a \"quoted\" \\ word,\nand a line \x01 \xff";
	ProaEvidence written = { hash, version, reason, detail, where, 1780000000 };
	g_autoptr(GError) error = NULL;

	g_assert_true(proa_evidence_write(esp, &written, &error));
	g_autoptr(ProaEvidence) read = proa_evidence_read(esp, &error);
	g_assert_no_error(error);
	g_assert_cmpstr(read->root_hash, ==, HASH_1);
	g_assert_cmpstr(read->version, ==, "1.0.1");
	g_assert_cmpstr(read->reason, ==, "root-missing");
	g_assert_cmpstr(read->where, ==, "initrd");
	g_assert_cmpint(read->time, ==, 1780000000);
	g_assert_true(g_str_has_prefix(read->detail, "a \"quoted\" \\ word, and a line"));
	g_assert_true(g_utf8_validate(read->detail, -1, NULL));
}

static void stays_under_its_cap(void)
{
	g_auto(Scratch) scratch = scratch_new();
	g_autoptr(ProaEsp) esp = proa_esp_open(scratch.path, NULL);
	g_autofree char *detail = g_strnfill(100000, '"');
	char hash[] = HASH_1, reason[] = "root-corrupt", where[] = "guard";
	ProaEvidence written = { hash, NULL, reason, detail, where, 1 };
	g_autoptr(GError) error = NULL;

	g_assert_true(proa_evidence_write(esp, &written, &error));
	g_autoptr(ProaEvidence) read = proa_evidence_read(esp, &error);
	g_assert_no_error(error);
	g_assert_null(read->version);
	g_assert_cmpuint(strlen(read->detail), ==, PROA_EVIDENCE_MAX_DETAIL);
}

static void none_is_no_error(void)
{
	g_auto(Scratch) scratch = scratch_new();
	g_autoptr(ProaEsp) esp = proa_esp_open(scratch.path, NULL);
	g_autoptr(GError) error = NULL;

	g_assert_null(proa_evidence_read(esp, &error));
	g_assert_no_error(error);
	g_assert_true(proa_evidence_remove(esp, NULL));
}

/* A full ESP has no room for the directory; a file in its place is what a test can make. */
static void without_its_directory_there_is_none(void)
{
	g_auto(Scratch) scratch = scratch_new();
	g_autofree char *file = scratch_write(&scratch, PROA_ESP_PROA_DIR, "", 0);
	g_autofree char *linux_dir = scratch_write(&scratch, PROA_ESP_ENTRY_DIR "/x", "", 0);
	g_autoptr(GError) error = NULL;
	g_autoptr(ProaEsp) esp = proa_esp_open(scratch.path, &error);
	char hash[] = HASH_1, reason[] = "root-corrupt", where[] = "guard";
	ProaEvidence evidence = { .root_hash = hash, .reason = reason, .where = where };

	g_assert_true(file && linux_dir);
	g_assert_no_error(error);
	g_assert_null(proa_evidence_read(esp, &error));
	g_assert_no_error(error);
	g_assert_true(proa_evidence_remove(esp, &error));
	g_assert_true(proa_esp_sync(esp, &error));
	g_assert_false(proa_evidence_write(esp, &evidence, &error));
	g_assert_error(error, PROA_ERROR, PROA_REASON_ESP_FULL);
}

static void refuses_nonsense(void)
{
	expect_refused("");
	expect_refused("[]");
	expect_refused("{}");
	expect_refused("{\"root_hash\":\"" HASH_1 "\"}");
	expect_refused("{\"root_hash\":\"short\",\"reason\":\"root-corrupt\"}");
	expect_refused("{\"root_hash\":\"" HASH_1 "\",\"reason\":\"no-such-word\"}");
	expect_refused("{\"root_hash\":1,\"reason\":\"root-corrupt\"}");
}

static void refuses_a_large_file(void)
{
	g_auto(Scratch) scratch = scratch_new();
	g_autoptr(ProaEsp) esp = proa_esp_open(scratch.path, NULL);
	g_autofree char *text = g_strnfill(PROA_EVIDENCE_MAX_SIZE + 1, ' ');
	g_autofree char *path = scratch_write(&scratch, PROA_ESP_PROA_DIR "/" PROA_EVIDENCE_NAME, text, -1);
	g_autoptr(GError) error = NULL;

	g_assert_null(proa_evidence_read(esp, &error));
	g_assert_error(error, PROA_ERROR, PROA_REASON_TOO_LARGE);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/evidence/reads-what-it-writes", reads_what_it_writes);
	g_test_add_func("/evidence/stays-under-its-cap", stays_under_its_cap);
	g_test_add_func("/evidence/none-is-no-error", none_is_no_error);
	g_test_add_func("/evidence/without-its-directory-there-is-none", without_its_directory_there_is_none);
	g_test_add_func("/evidence/refuses-nonsense", refuses_nonsense);
	g_test_add_func("/evidence/refuses-a-large-file", refuses_a_large_file);
	return g_test_run();
}
