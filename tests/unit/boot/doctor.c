/* SPDX-License-Identifier: Apache-2.0 */
#include "boot/doctor.h"

#include "base/json.h"
#include "boot/volatile.h"
#include "tests/unit/boot/fixture.h"

#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

/* The first entry of @check, or NULL. */
static JsonObject *find(JsonArray *checks, const char *check)
{
	for (guint i = 0; i < json_array_get_length(checks); i++) {
		JsonObject *object = json_array_get_object_element(checks, i);
		if (strcmp(json_object_get_string_member(object, "check"), check) == 0)
			return object;
	}
	return NULL;
}

/* Its verdict and reason as "verdict reason". Free with g_free(). */
static char *said(JsonArray *checks, const char *check)
{
	JsonObject *object = find(checks, check);

	return object ? g_strdup_printf("%s %s", json_object_get_string_member(object, "verdict"),
				proa_json_string_or(object, "reason", "-"))
		      : g_strdup("nothing");
}

static void expect(JsonArray *checks, const char *check, const char *words)
{
	g_autofree char *found = said(checks, check);

	if (strcmp(found, words) != 0)
		g_error("%s: %s, not %s", check, found, words);
}

static JsonArray *ask(const Fixture *fixture)
{
	g_autoptr(ProaNode) node = fixture_open(fixture);

	return proa_doctor(node);
}

/* A bare machine: everything that is missing is named, with a reason and a way out. */
static void everything_has_its_reason_and_way_out(void)
{
	g_auto(Fixture) fixture = fixture_new();

	fixture_entry(fixture.esp, "proa_1.0.0.efi", "1.0.0", HASH_1);
	g_autoptr(JsonArray) checks = ask(&fixture);
	expect(checks, "root", "problem not-verified");
	expect(checks, "boot-entry", "ok -");
	expect(checks, "way-back", "warning nothing-to-roll-back");
	expect(checks, "slots", "ok -");
	expect(checks, "var", "problem read-only");
	expect(checks, "watchdog", "warning no-watchdog");
	expect(checks, "secure-boot", "warning no-secure-boot");
	expect(checks, "tpm", "warning no-tpm");
	expect(checks, "clock", "ok -");
	expect(checks, "kubelet-skew", "skipped -");
	for (guint i = 0; i < json_array_get_length(checks); i++) {
		JsonObject *object = json_array_get_object_element(checks, i);
		const char *verdict = json_object_get_string_member(object, "verdict");
		gboolean bad = strcmp(verdict, "warning") == 0 || strcmp(verdict, "problem") == 0;
		g_assert_cmpint(proa_json_string_or(object, "reason", NULL) != NULL, ==, bad);
		g_assert_cmpint(proa_json_string_or(object, "hint", NULL) != NULL, ==, bad);
	}
}

static void a_machine_that_has_it_all_is_told_so(void)
{
	g_auto(Fixture) fixture = fixture_new();
	static const char secure[] = { 6, 0, 0, 0, 1 };

	fixture_entry(fixture.esp, "proa_1.0.0.efi", "1.0.0", HASH_1);
	fixture_entry(fixture.esp, "proa_2.0.0+0-1.efi", "2.0.0", HASH_2);
	g_autofree char *variable = scratch_write(&fixture.scratch,
		"root/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c", secure,
		sizeof secure);
	g_autofree char *watchdog =
		scratch_write(&fixture.scratch, "root/sys/class/watchdog/watchdog0/x", "", 0);
	g_autofree char *tpm = scratch_write(&fixture.scratch, "root/sys/class/tpm/tpm0/x", "", 0);
	g_autofree char *var = scratch_write(&fixture.scratch, "root/var/lib/x", "", 0);
	g_assert_true(variable && watchdog && tpm && var);
	g_autoptr(JsonArray) checks = ask(&fixture);
	expect(checks, "way-back", "warning nothing-to-roll-back");
	expect(checks, "watchdog", "ok -");
	expect(checks, "secure-boot", "ok -");
	expect(checks, "tpm", "ok -");
	expect(checks, "var", "ok -");
}

static void an_etc_in_memory_is_told_of(void)
{
	g_auto(Fixture) fixture = fixture_new();

	fixture_entry(fixture.esp, "proa_1.0.0.efi", "1.0.0", HASH_1);
	g_autoptr(JsonArray) before = ask(&fixture);
	expect(before, "etc", "ok -");
	g_autofree char *mark = scratch_write(&fixture.scratch, "root/" PROA_VOLATILE_ETC, "", 0);
	g_autoptr(JsonArray) after = ask(&fixture);
	g_assert_nonnull(mark);
	expect(after, "etc", "problem read-only");
}

/* Before the reboot, out of the boot image of the release that would boot. */
static void an_extension_that_will_not_fit_is_told_of(void)
{
	g_auto(Fixture) fixture = fixture_new();

	fixture_entry(fixture.esp, "proa_1.0.0.efi", "1.0.0", HASH_1);
	fixture_entry(fixture.esp, "proa_2.0.0+3.efi", "2.0.0", HASH_2);
	g_autofree char *fits = scratch_write(
		&fixture.scratch, "root/usr/lib/extension-release.d/extension-release.gpu", "ID=proa\n", -1);
	g_autoptr(JsonArray) before = ask(&fixture);
	expect(before, "extension", "ok -");
	g_autofree char *not = scratch_write(&fixture.scratch,
		"root/usr/lib/extension-release.d/extension-release.gpu", "ID=debian\n", -1);
	g_autofree char *image =
		scratch_write(&fixture.scratch, "root/var/lib/extensions/x.raw.v/x_1.raw", "", 0);
	g_assert_true(fits && not&&image);
	g_autoptr(JsonArray) after = ask(&fixture);
	expect(after, "extension", "warning extension-mismatch");
	expect(after, "extensions", "warning extension-mismatch");
}

/* Nothing but an operator ever removes them. */
static void images_kept_aside_are_told_of(void)
{
	g_auto(Fixture) fixture = fixture_new();

	fixture_entry(fixture.esp, "proa_1.0.0.efi", "1.0.0", HASH_1);
	g_free(scratch_write(&fixture.scratch, "root/var/lib/proa/extensions-left/README", "x", -1));
	g_autoptr(JsonArray) before = ask(&fixture);
	g_assert_null(find(before, "extensions-left"));
	g_autofree char *lone =
		scratch_write(&fixture.scratch, "root/var/lib/proa/extensions-left/4711-gpu.raw", "x", -1);
	g_autofree char *held =
		scratch_write(&fixture.scratch, "root/var/lib/proa/extensions-left/gpu.raw", "x", -1);
	g_autofree char *other = g_build_filename(fixture.scratch.path, "gpu.raw", NULL);
	g_assert_cmpint(link(held, other), ==, 0);
	g_autoptr(JsonArray) after = ask(&fixture);
	expect(after, "extensions-left", "warning extensions-left");
	JsonObject *left = find(after, "extensions-left");
	const char *message = json_object_get_string_member(left, "message");
	struct stat st;
	g_assert_cmpint(stat(lone, &st), ==, 0);
	g_autofree char *bytes =
		g_strdup_printf("; %" G_GUINT64_FORMAT " bytes ", (guint64)st.st_blocks * 512);
	g_assert_true(g_str_has_prefix(message, "2 of at most 128 "));
	g_assert_nonnull(strstr(message, bytes));
	g_assert_nonnull(strstr(json_object_get_string_member(left, "hint"), "/var/lib/proa/extensions"));
}

/* @sectors of 512 bytes as the running image's size; each slot of the fixture's disk has 1 MiB. */
static JsonArray *ask_with_image(const Fixture *fixture, guint sectors)
{
	g_autofree char *root = fixture_root(fixture);
	struct stat st;

	g_assert_cmpint(stat(root, &st), ==, 0);
	g_autofree char *name =
		g_strdup_printf("root/sys/dev/block/%u:%u/size", major(st.st_dev), minor(st.st_dev));
	g_autofree char *text = g_strdup_printf("%u\n", sectors);
	g_free(scratch_write(&fixture->scratch, name, text, -1));
	return ask(fixture);
}

/* The next release is larger, as a rule. */
static void slots_must_have_room_for_what_runs_and_more(void)
{
	g_auto(Fixture) fixture = fixture_new();

	fixture_entry(fixture.esp, "proa_1.0.0.efi", "1.0.0", HASH_1);
	g_autoptr(JsonArray) fits = ask_with_image(&fixture, 1600);
	expect(fits, "slots", "ok -");
	g_autoptr(JsonArray) tight = ask_with_image(&fixture, 2000);
	expect(tight, "slots", "warning slot-too-small");
	g_autoptr(JsonArray) small = ask_with_image(&fixture, 2049);
	expect(small, "slots", "problem slot-too-small");
}

static void an_esp_must_hold_two_boot_images(void)
{
	g_auto(Fixture) fixture = fixture_new();
	g_autofree char *entry = g_build_filename(fixture.esp, "EFI/Linux/proa_1.0.0.efi", NULL);

	fixture_entry(fixture.esp, "proa_1.0.0.efi", "1.0.0", HASH_1);
	if (mount("esp", fixture.esp, "tmpfs", 0, "size=1M") < 0) {
		g_test_skip("no file system can be mounted here");
		return;
	}
	g_autofree char *folder = g_build_filename(fixture.esp, "EFI/Linux", NULL);
	g_assert_cmpint(g_mkdir_with_parents(folder, 0755), ==, 0);
	fixture_entry(fixture.esp, "proa_1.0.0.efi", "1.0.0", HASH_1);
	g_autoptr(JsonArray) large = ask(&fixture);
	g_assert_cmpint(truncate(entry, 420 * 1024), ==, 0);
	g_autoptr(JsonArray) small = ask(&fixture);
	umount2(fixture.esp, MNT_DETACH);
	expect(large, "esp", "ok -");
	expect(small, "esp", "warning esp-full");
}

static void a_small_var_is_told_of(void)
{
	g_auto(Fixture) fixture = fixture_new();
	g_autofree char *var = scratch_file(&fixture.scratch, "root/var");
	static const struct {
		const char *options, *words;
	} cases[] = { { "size=1G", "ok -" }, { "size=200M", "warning disk-space" },
		{ "size=8M", "problem disk-space" } };

	fixture_entry(fixture.esp, "proa_1.0.0.efi", "1.0.0", HASH_1);
	g_assert_cmpint(g_mkdir_with_parents(var, 0755), ==, 0);
	for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
		if (mount("var", var, "tmpfs", 0, cases[i].options) < 0) {
			g_test_skip("no file system can be mounted here");
			return;
		}
		g_autoptr(JsonArray) checks = ask(&fixture);
		umount2(var, MNT_DETACH);
		expect(checks, "var", cases[i].words);
	}
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func(
		"/doctor/everything-has-its-reason-and-way-out", everything_has_its_reason_and_way_out);
	g_test_add_func("/doctor/a-machine-that-has-it-all-is-told-so", a_machine_that_has_it_all_is_told_so);
	g_test_add_func("/doctor/slots-must-have-room-for-what-runs-and-more",
		slots_must_have_room_for_what_runs_and_more);
	g_test_add_func("/doctor/an-esp-must-hold-two-boot-images", an_esp_must_hold_two_boot_images);
	g_test_add_func("/doctor/a-small-var-is-told-of", a_small_var_is_told_of);
	g_test_add_func("/doctor/an-etc-in-memory-is-told-of", an_etc_in_memory_is_told_of);
	g_test_add_func("/doctor/images-kept-aside-are-told-of", images_kept_aside_are_told_of);
	g_test_add_func("/doctor/an-extension-that-will-not-fit-is-told-of",
		an_extension_that_will_not_fit_is_told_of);
	return g_test_run();
}
