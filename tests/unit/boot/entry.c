/* SPDX-License-Identifier: Apache-2.0 */
#include "boot/entry.h"

#include "tests/unit/boot/fixture.h"

#include <sys/mount.h>

static ProaEsp *open_esp(const Scratch *scratch)
{
	g_autoptr(GError) error = NULL;
	ProaEsp *esp = proa_esp_open(scratch->path, &error);

	g_assert_no_error(error);
	return esp;
}

static void expect_entries(const ProaEsp *esp, const char *expected)
{
	g_autofree char *names = fixture_entries(esp);

	g_assert_cmpstr(names, ==, expected);
}

static const ProaEntry *entry_of(const GPtrArray *list, const char *root_hash)
{
	const ProaEntry *entry = proa_entry_find(list, root_hash);

	g_assert_nonnull(entry);
	return entry;
}

static void expect_parsed(const char *name, const char *version, int left, int done)
{
	g_autoptr(ProaEntry) entry = proa_entry_parse(name);

	g_assert_nonnull(entry);
	g_assert_cmpstr(entry->name, ==, name);
	g_assert_cmpstr(entry->version, ==, version);
	g_assert_cmpint(entry->tries_left, ==, left);
	g_assert_cmpint(entry->tries_done, ==, done);
}

static void reads_names(void)
{
	expect_parsed("proa_1.0.1.efi", "1.0.1", -1, -1);
	expect_parsed("proa_1.0.1+3.efi", "1.0.1", 3, -1);
	expect_parsed("proa_1.0.1+2-1.efi", "1.0.1", 2, 1);
	expect_parsed("proa_1.0.1+0-3.efi", "1.0.1", 0, 3);
	expect_parsed("PROA_1.0.1~RC1+02-01.EFI", "1.0.1~RC1", 2, 1);
	expect_parsed("proa_1-2+99-99.efi", "1-2", 99, 99);
}

static void refuses_other_names(void)
{
	static const char *const names[] = { "", "proa_.efi", "proa_1.0", "proa_1.0.efi.tmp",
		"debian_1.0.efi", "proa_1.0+.efi", "proa_1.0+3-.efi", "proa_1.0+-1.efi", "proa_1.0+3-1-1.efi",
		"proa_1.0+100.efi", "proa_1.0+3x.efi", "proa_1.0+3+2.efi", "proa_../x.efi", "proa_1 0.efi",
		"proa_1.0+99999999999999999999.efi", "proa_1.0+3-100.efi" };

	for (gsize i = 0; i < G_N_ELEMENTS(names); i++)
		g_assert_null(proa_entry_parse(names[i]));
	g_autofree char *filler = g_strnfill(PROA_ENTRY_MAX_NAME, '1');
	g_autofree char *too_long = g_strdup_printf("proa_%s.efi", filler);
	g_assert_null(proa_entry_parse(too_long));
}

static void composes_what_it_reads(void)
{
	static const int counts[][2] = { { -1, -1 }, { 3, -1 }, { 0, 1 }, { 2, 1 }, { 99, 99 } };

	for (gsize i = 0; i < G_N_ELEMENTS(counts); i++) {
		g_autofree char *name = proa_entry_format("1.0.1", counts[i][0], counts[i][1]);
		expect_parsed(name, "1.0.1", counts[i][0], counts[i][1]);
	}
}

#define ORDER                                                                                                \
	"proa_1.0.10-1.efi", "proa_1.0.10+3.efi", "proa_1.0.9.efi", "proa_1.0.2+0-3.efi", "proa_0.9+0-1.efi"

static void fill(const char *esp)
{
	fixture_entry(esp, "proa_1.0.2+0-3.efi", "1.0.2", HASH_3);
	fixture_entry(esp, "proa_1.0.9.efi", "1.0.9", HASH_1);
	fixture_entry(esp, "proa_1.0.10+3.efi", "1.0.10", HASH_2);
	fixture_entry(esp, "proa_1.0.10-1.efi", "1.0.10-1", HASH_2);
	fixture_entry(esp, "proa_0.9+0-1.efi", "0.9", HASH_2);
}

static void orders_no_tries_last_then_newest_first(void)
{
	static const char *const order[] = { ORDER, NULL };
	g_auto(Scratch) scratch = scratch_new();
	g_autofree char *expected = g_strjoinv(" ", (char **)(void *)(gsize)order);

	fill(scratch.path);
	g_autoptr(ProaEsp) esp = open_esp(&scratch);
	expect_entries(esp, expected);
}

static char *bootctl_list(const char *esp)
{
	g_autoptr(GError) error = NULL;
	g_autofree char *path = g_strconcat("--esp-path=", esp, NULL);
	g_autoptr(GSubprocessLauncher) launcher =
		g_subprocess_launcher_new(G_SUBPROCESS_FLAGS_STDOUT_PIPE | G_SUBPROCESS_FLAGS_STDERR_SILENCE);
	char *output = NULL;

	/* Otherwise bootctl wants a partition of the right type. */
	g_subprocess_launcher_setenv(launcher, "SYSTEMD_RELAX_ESP_CHECKS", "1", TRUE);
	g_autoptr(GSubprocess) bootctl = g_subprocess_launcher_spawn(
		launcher, &error, "bootctl", path, "list", "--json=short", "--no-pager", NULL);
	g_assert_no_error(error);
	g_assert_true(g_subprocess_communicate_utf8(bootctl, NULL, NULL, &output, NULL, &error));
	return output;
}

/* systemd's own tool, which sorts as systemd-boot does, reads the same entries and must agree. */
static void orders_as_systemd_does(void)
{
	static const char *const order[] = { ORDER };
	g_auto(Scratch) scratch = scratch_new();

	if (mount("none", scratch.path, "tmpfs", 0, NULL) < 0) {
		g_test_skip("needs to mount: bootctl wants the root of a file system");
		return;
	}
	fill(scratch.path);
	g_autofree char *output = bootctl_list(scratch.path);
	g_assert_cmpint(umount2(scratch.path, MNT_DETACH), ==, 0);
	const char *before = output;
	for (gsize i = 0; i < G_N_ELEMENTS(order); i++) {
		g_autofree char *quoted = g_strdup_printf("/%s\"", order[i]);
		const char *found = strstr(before, quoted);
		if (!found)
			g_test_message("%s is not where it should be in: %s", quoted, output);
		g_assert_nonnull(found);
		before = found;
	}
}

static void boots_by_command_line_not_by_name(void)
{
	g_auto(Scratch) scratch = scratch_new();
	g_autofree char *broken = scratch_write(&scratch, PROA_ESP_ENTRY_DIR "/proa_3.0.0.efi", "no UKI", -1);

	fixture_entry(scratch.path, "proa_1.0.0.efi", "1.0.0", HASH_2);
	g_autoptr(ProaEsp) esp = open_esp(&scratch);
	g_autoptr(GPtrArray) list = proa_entry_list(esp, NULL);
	g_assert_cmpuint(list->len, ==, 2);
	g_assert_cmpstr(entry_of(list, HASH_2)->version, ==, "1.0.0");
	g_assert_null(proa_entry_find(list, HASH_1));
	g_assert_null(proa_entry_find(list, NULL));
	for (guint i = 0; i < list->len; i++) {
		const ProaEntry *entry = g_ptr_array_index(list, i);
		g_assert_cmpint(proa_entry_bootable(entry), ==, entry->root_hash != NULL);
	}
	g_assert_null(proa_entry_find_other(list, HASH_2));
}

static void ignores_what_is_not_ours(void)
{
	g_auto(Scratch) scratch = scratch_new();

	fixture_entry(scratch.path, "other_1.efi", "1", HASH_1);
	fixture_entry(scratch.path, "proa_1.efi.tmp", "1", HASH_1);
	g_autoptr(ProaEsp) esp = open_esp(&scratch);
	expect_entries(esp, "");
}

static void changes_counters(void)
{
	g_auto(Scratch) scratch = scratch_new();
	g_autoptr(ProaEsp) esp = NULL;

	fixture_entry(scratch.path, "proa_1.0.0+2-1.efi", "1.0.0", HASH_1);
	esp = open_esp(&scratch);
	static const struct {
		gboolean (*change)(const ProaEsp *, const ProaEntry *, GError **);
		const char *expected;
	} steps[] = {
		{ proa_entry_set_aside, "proa_1.0.0+0-1.efi" },
		{ proa_entry_set_aside, "proa_1.0.0+0-1.efi" },
		{ proa_entry_rearm, "proa_1.0.0+3.efi" },
		{ proa_entry_rearm, "proa_1.0.0+3.efi" },
		{ proa_entry_bless, "proa_1.0.0.efi" },
		{ proa_entry_bless, "proa_1.0.0.efi" },
		{ proa_entry_set_aside, "proa_1.0.0+0-1.efi" },
	};
	for (gsize i = 0; i < G_N_ELEMENTS(steps); i++) {
		g_autoptr(GError) error = NULL;
		g_autoptr(GPtrArray) list = proa_entry_list(esp, NULL);
		g_assert_true(steps[i].change(esp, entry_of(list, HASH_1), &error));
		g_assert_no_error(error);
		expect_entries(esp, steps[i].expected);
	}
}

static void arms_by_rename(void)
{
	g_auto(Scratch) scratch = scratch_new();
	g_autoptr(GError) error = NULL;

	fixture_entry(scratch.path, "new.tmp", "1.0.1", HASH_2);
	g_autoptr(ProaEsp) esp = open_esp(&scratch);
	expect_entries(esp, "");
	g_assert_true(proa_entry_arm(esp, "new.tmp", "1.0.1", HASH_2, &error));
	g_assert_no_error(error);
	expect_entries(esp, "proa_1.0.1+3.efi");
}

static void refuses_to_arm_another_root(void)
{
	g_auto(Scratch) scratch = scratch_new();
	g_autoptr(GError) error = NULL;

	fixture_entry(scratch.path, "new.tmp", "1.0.1", HASH_2);
	g_autoptr(ProaEsp) esp = open_esp(&scratch);
	g_assert_false(proa_entry_arm(esp, "new.tmp", "1.0.1", HASH_1, &error));
	g_assert_error(error, PROA_ERROR, PROA_REASON_BAD_UKI);
	g_clear_error(&error);
	g_assert_false(proa_entry_arm(esp, "../x", "1.0.1", HASH_2, &error));
	g_clear_error(&error);
	g_assert_false(proa_entry_arm(esp, "new.tmp", "../1", HASH_2, &error));
	expect_entries(esp, "");
}

static void removes_all_but_the_running(void)
{
	g_auto(Scratch) scratch = scratch_new();
	g_autoptr(GError) error = NULL;

	fixture_entry(scratch.path, "proa_1.0.0.efi", "1.0.0", HASH_1);
	fixture_entry(scratch.path, "proa_1.0.1+3.efi", "1.0.1", HASH_2);
	fixture_entry(scratch.path, "proa_0.9+0-3.efi", "0.9", HASH_3);
	g_autofree char *broken = scratch_write(&scratch, PROA_ESP_ENTRY_DIR "/proa_3.0.0.efi", "no UKI", -1);
	g_autofree char *temporary = scratch_write(&scratch, PROA_ESP_ENTRY_DIR "/new.tmp", "half", -1);
	g_autoptr(ProaEsp) esp = open_esp(&scratch);
	g_assert_true(proa_entry_remove_others(esp, HASH_1, &error));
	g_assert_no_error(error);
	expect_entries(esp, "proa_1.0.0.efi");
	g_assert_false(g_file_test(temporary, G_FILE_TEST_EXISTS));
}

static void keeps_all_when_the_running_has_no_entry(void)
{
	g_auto(Scratch) scratch = scratch_new();
	g_autoptr(GError) error = NULL;

	fixture_entry(scratch.path, "proa_1.0.1.efi", "1.0.1", HASH_2);
	fixture_entry(scratch.path, "proa_1.0.0+0-1.efi", "1.0.0", HASH_1);
	g_autoptr(ProaEsp) esp = open_esp(&scratch);
	g_assert_false(proa_entry_remove_others(esp, HASH_1, &error));
	g_assert_error(error, PROA_ERROR, PROA_REASON_NO_BOOT_ENTRY);
	g_clear_error(&error);
	g_assert_false(proa_entry_remove_others(esp, HASH_3, &error));
	g_assert_error(error, PROA_ERROR, PROA_REASON_NO_BOOT_ENTRY);
	expect_entries(esp, "proa_1.0.1.efi proa_1.0.0+0-1.efi");
}

static void tells_an_entry_that_has_gone(void)
{
	g_auto(Scratch) scratch = scratch_new();
	g_autoptr(GError) error = NULL;

	fixture_entry(scratch.path, "proa_1.0.1+3.efi", "1.0.1", HASH_2);
	g_autoptr(ProaEsp) esp = open_esp(&scratch);
	g_autoptr(GPtrArray) list = proa_entry_list(esp, NULL);
	g_assert_true(proa_entry_remove(esp, entry_of(list, HASH_2), NULL));
	g_assert_false(proa_entry_bless(esp, entry_of(list, HASH_2), &error));
	g_assert_error(error, PROA_ERROR, PROA_REASON_NO_BOOT_ENTRY);
}

/* A power cut in the middle of a rename: two names, and on FAT one chain of clusters. Neither may go alone.
 */
static void a_second_name_is_never_renamed_over(void)
{
	g_auto(Scratch) scratch = scratch_new();

	fixture_entry(scratch.path, "proa_2.0.0+2-1.efi", "2.0.0", HASH_2);
	fixture_entry(scratch.path, "proa_2.0.0.efi", "2.0.0", HASH_2);
	g_autoptr(ProaEsp) esp = open_esp(&scratch);
	g_autoptr(GPtrArray) list = proa_entry_list(esp, NULL);
	g_assert_true(proa_entry_bless(esp, entry_of(list, HASH_2), NULL));
	expect_entries(esp, "proa_2.0.0.efi proa_2.0.0+0-1.efi");
	g_autoptr(GPtrArray) again = proa_entry_list(esp, NULL);
	g_assert_true(proa_entry_set_aside(esp, entry_of(again, HASH_2), NULL));
	expect_entries(esp, "proa_2.0.0+0-1.efi proa_2.0.0+0-2.efi");
}

static void a_temporary_name_of_the_running_image_stays(void)
{
	g_auto(Scratch) scratch = scratch_new();
	g_autoptr(GError) error = NULL;

	fixture_entry(scratch.path, "proa_2.0.0.efi", "2.0.0", HASH_2);
	fixture_entry(scratch.path, "proa-uki.tmp", "2.0.0", HASH_2);
	g_autoptr(ProaEsp) esp = open_esp(&scratch);
	g_assert_true(proa_entry_remove_others(esp, HASH_2, &error));
	g_assert_no_error(error);
	expect_entries(esp, "proa_2.0.0.efi proa_2.0.0+0-1.efi");
}

static void knows_the_running_root(void)
{
	g_auto(Scratch) scratch = scratch_new();
	g_autoptr(GError) error = NULL;
	g_autofree char *path = scratch_write(&scratch, "proc/cmdline", "a roothash=" HASH_1 "\n", -1);
	g_autofree char *root_hash = proa_booted_root_hash(scratch.path, &error);

	g_assert_no_error(error);
	g_assert_cmpstr(root_hash, ==, HASH_1);
	g_autofree char *again = scratch_write(&scratch, "proc/cmdline", "a\n", -1);
	g_assert_null(proa_booted_root_hash(scratch.path, &error));
	g_assert_error(error, PROA_ERROR, PROA_REASON_NOT_VERIFIED);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/entry/reads-names", reads_names);
	g_test_add_func("/entry/refuses-other-names", refuses_other_names);
	g_test_add_func("/entry/composes-what-it-reads", composes_what_it_reads);
	g_test_add_func(
		"/entry/orders-no-tries-last-then-newest-first", orders_no_tries_last_then_newest_first);
	g_test_add_func("/entry/orders-as-systemd-does", orders_as_systemd_does);
	g_test_add_func("/entry/boots-by-command-line-not-by-name", boots_by_command_line_not_by_name);
	g_test_add_func("/entry/ignores-what-is-not-ours", ignores_what_is_not_ours);
	g_test_add_func("/entry/changes-counters", changes_counters);
	g_test_add_func("/entry/arms-by-rename", arms_by_rename);
	g_test_add_func("/entry/refuses-to-arm-another-root", refuses_to_arm_another_root);
	g_test_add_func("/entry/removes-all-but-the-running", removes_all_but_the_running);
	g_test_add_func(
		"/entry/keeps-all-when-the-running-has-no-entry", keeps_all_when_the_running_has_no_entry);
	g_test_add_func("/entry/tells-an-entry-that-has-gone", tells_an_entry_that_has_gone);
	g_test_add_func("/entry/a-second-name-is-never-renamed-over", a_second_name_is_never_renamed_over);
	g_test_add_func("/entry/a-temporary-name-of-the-running-image-stays",
		a_temporary_name_of_the_running_image_stays);
	g_test_add_func("/entry/knows-the-running-root", knows_the_running_root);
	return g_test_run();
}
