/* SPDX-License-Identifier: Apache-2.0 */
/* fixture: a directory in place of an ESP, UKIs as small as can be, and a node around them. For unit tests
 * only. */
#pragma once

#include "base/file.h"
#include "boot/entry.h"
#include "boot/node.h"
#include "boot/settle.h"
#include "tests/unit/scratch.h"

#include <gio/gio.h>
#include <string.h>
#include <unistd.h>

#define HASH_1 "1111111122223333444455555555555566666666777788889999aaaaaaaaaaaa"
#define HASH_2 "bbbbbbbbccccddddeeeeffffffffffff00000000111122223333444444444444"
#define HASH_3 "cafecafe00000000000000000000000000000000000000000000000000000000"

/* Where the section headers of a fixture_uki() begin; .cmdline is the second. */
#define FIXTURE_SECTIONS (128 + 24 + 240)
#define FIXTURE_CMDLINE (FIXTURE_SECTIONS + 40)

/* A UKI that systemd takes for one, though nothing of it would run. Its length is *@ret_size; free with
 * g_free(). */
static inline guint8 *fixture_uki(const char *cmdline, const char *os_release, gsize *ret_size)
{
	const char *names[] = { ".osrel", ".cmdline", ".linux" }, *texts[] = { os_release, cmdline, "" };
	guint8 *image = g_malloc0(4096), *optional = image + 128 + 24;
	guint32 at = 1024;

	memcpy(image, "MZ", 2);
	image[60] = 128;
	memcpy(image + 128, "PE\0\0\x64\x86\3", 7); /* x86-64, three sections */
	image[128 + 20] = 240;                      /* size of the optional header */
	memcpy(optional, "\x0b\x02", 2);            /* PE32+ */
	optional[61] = 4;                           /* size of the headers: 1024 */
	optional[68] = 10;                          /* EFI application */
	optional[108] = 16;                         /* data directories */
	for (gsize i = 0; i < 3; i++) {
		guint8 *section = image + FIXTURE_SECTIONS + 40 * i;
		guint32 fields[] = { (guint32)strlen(texts[i]), 4096 * (guint32)(i + 1), 512, at };
		g_assert_cmpuint(strlen(texts[i]), <=, 512);
		memcpy(section, names[i], strlen(names[i]));
		memcpy(section + 8, fields, sizeof fields);
		memcpy(image + at, texts[i], strlen(texts[i]));
		at += 512;
	}
	*ret_size = at;
	return image;
}

static inline void fixture_write_uki(const char *path, const char *version, const char *root_hash)
{
	g_autofree char *cmdline = g_strdup_printf("roothash=%s quiet", root_hash);
	g_autofree char *os_release = g_strdup_printf("ID=proa\nIMAGE_ID=proa\nIMAGE_VERSION=%s\n", version);
	gsize size;
	g_autofree guint8 *image = fixture_uki(cmdline, os_release, &size);

	g_assert_true(g_file_set_contents(path, (const char *)image, (gssize)size, NULL));
}

/* An entry on the ESP @esp (a directory); @name as "proa_1.0.0+3.efi". */
static inline void fixture_entry(
	const char *esp, const char *name, const char *version, const char *root_hash)
{
	g_autofree char *folder = g_build_filename(esp, PROA_ESP_ENTRY_DIR, NULL);
	g_autofree char *path = g_build_filename(folder, name, NULL);

	g_assert_cmpint(g_mkdir_with_parents(folder, 0755), ==, 0);
	fixture_write_uki(path, version, root_hash);
}

/* The names of the entries in the firmware's order, separated by spaces; free with g_free(). */
static inline char *fixture_entries(const ProaEsp *esp)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(GPtrArray) list = proa_entry_list(esp, &error);
	GString *names = g_string_new(NULL);

	g_assert_no_error(error);
	for (guint i = 0; i < list->len; i++)
		g_string_append_printf(names, "%s%s", i > 0 ? " " : "",
			((const ProaEntry *)g_ptr_array_index(list, i))->name);
	return g_string_free(names, FALSE);
}

/* A node that runs HASH_1 from root-a; HASH_2 is in root-b. The disk is a GPT made by sfdisk. */
typedef struct {
	Scratch scratch;
	char *esp, *disk, *state_dir;
} Fixture;

static inline void fixture_clear(Fixture *fixture)
{
	scratch_clear(&fixture->scratch);
	g_free(fixture->esp);
	g_free(fixture->disk);
	g_free(fixture->state_dir);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Fixture, fixture_clear)

static inline void fixture_make_disk(const char *path)
{
	static const char table[] =
		"label: gpt\n"
		"size=1MiB, type=U, name=\"esp\"\n"
		"size=1MiB, type=L, name=\"root-a\", uuid=11111111-2222-3333-4444-555555555555\n"
		"size=1MiB, type=L, name=\"root-a-verity\", uuid=66666666-7777-8888-9999-aaaaaaaaaaaa\n"
		"size=1MiB, type=L, name=\"root-b\", uuid=bbbbbbbb-cccc-dddd-eeee-ffffffffffff\n"
		"size=1MiB, type=L, name=\"root-b-verity\", uuid=00000000-1111-2222-3333-444444444444\n";
	g_autoptr(GError) error = NULL;
	FILE *empty = fopen(path, "we");

	g_assert_nonnull(empty);
	g_assert_cmpint(ftruncate(fileno(empty), 10 << 20), ==, 0);
	fclose(empty);
	g_autoptr(GSubprocess) sfdisk =
		g_subprocess_new(G_SUBPROCESS_FLAGS_STDIN_PIPE | G_SUBPROCESS_FLAGS_STDOUT_SILENCE, &error,
			"sfdisk", "--quiet", path, NULL);
	g_assert_no_error(error);
	g_assert_true(g_subprocess_communicate_utf8(sfdisk, table, NULL, NULL, NULL, &error));
	g_assert_true(g_subprocess_get_successful(sfdisk));
}

/* Which root hash the node says it runs. */
static inline void fixture_run_root(const Fixture *fixture, const char *root_hash)
{
	g_autofree char *cmdline = g_strdup_printf("initrd=x roothash=%s ro\n", root_hash);
	g_autofree char *path = scratch_write(&fixture->scratch, "root/proc/cmdline", cmdline, -1);

	g_assert_nonnull(path);
}

/* Forgets that this boot was settled: the next boot begins. */
static inline void fixture_reboot(const Fixture *fixture, const char *root_hash)
{
	g_autofree char *marker = scratch_file(&fixture->scratch, "root/run/proa/settled");

	g_unlink(marker);
	fixture_run_root(fixture, root_hash);
}

static inline Fixture fixture_new(void)
{
	Fixture fixture = { .scratch = scratch_new() };

	fixture.esp = scratch_file(&fixture.scratch, "esp");
	fixture.disk = scratch_file(&fixture.scratch, "disk");
	fixture.state_dir = scratch_file(&fixture.scratch, "root" PROA_STATE_DIR);
	g_assert_cmpint(g_mkdir(fixture.esp, 0755), ==, 0);
	fixture_make_disk(fixture.disk);
	fixture_run_root(&fixture, HASH_1);
	return fixture;
}

static inline char *fixture_root(const Fixture *fixture)
{
	return scratch_file(&fixture->scratch, "root");
}

static inline ProaNode *fixture_open(const Fixture *fixture)
{
	g_autofree char *root = fixture_root(fixture);
	g_autoptr(GError) error = NULL;
	ProaNode *node = proa_node_open(
		&(ProaNodeOptions){ .root = root, .esp = fixture->esp, .disk = fixture->disk }, &error);

	g_assert_no_error(error);
	return node;
}

/* Puts a state on disk. @staged and @good are root hashes or NULL. */
static inline void fixture_state(
	const Fixture *fixture, ProaStateKind kind, const char *staged, const char *good)
{
	g_autoptr(ProaState) state = proa_state_new();

	state->kind = kind;
	if (staged)
		proa_state_set_release(&state->staged, "2.0.0", staged, "root-b");
	if (good)
		proa_state_set_release(&state->good, "1.0.0", good, "root-a");
	g_assert_true(proa_state_save(fixture->state_dir, state, NULL));
}

/* Whether the history holds an event with these members (NULL: any). */
static inline gboolean fixture_history_has(
	const Fixture *fixture, const char *event, const char *root_hash, const char *reason)
{
	g_autofree char *path = g_build_filename(fixture->state_dir, "history.jsonl", NULL);
	g_autofree char *text = proa_file_read(path, 1 << 20, NULL, NULL);
	g_auto(GStrv) lines = g_strsplit(text ? text : "", "\n", -1);
	g_autofree char *event_word = g_strdup_printf("\"event\":\"%s\"", event);
	g_autofree char *reason_word = g_strdup_printf("\"reason\":\"%s\"", reason ? reason : "");

	for (char **line = lines; *line; line++)
		if (strstr(*line, event_word) && (!root_hash || strstr(*line, root_hash)) &&
			(!reason || strstr(*line, reason_word)))
			return TRUE;
	return FALSE;
}

/* The word for why @root_hash is rejected, or NULL; free with g_free(). */
static inline char *fixture_rejected(const Fixture *fixture, const char *root_hash)
{
	g_autoptr(GPtrArray) list = proa_rejected_load(fixture->state_dir, NULL);
	const ProaRejected *found = list ? proa_rejected_find(list, root_hash) : NULL;

	return found ? g_strdup(found->reason) : NULL;
}

static inline void fixture_expect_entries(const Fixture *fixture, const char *expected)
{
	g_autoptr(ProaEsp) esp = proa_esp_open(fixture->esp, NULL);
	g_autofree char *names = fixture_entries(esp);

	g_assert_cmpstr(names, ==, expected);
}

static inline void fixture_settle(const Fixture *fixture)
{
	g_autoptr(ProaNode) node = fixture_open(fixture);
	g_autoptr(ProaSettled) settled = proa_settle(node, NULL);

	g_assert_nonnull(settled);
}

static inline void fixture_bless(const Fixture *fixture)
{
	g_autoptr(ProaNode) node = fixture_open(fixture);
	g_autoptr(GError) error = NULL;

	g_assert_true(proa_node_bless(node, &error));
	g_assert_no_error(error);
}

static inline ProaStateKind fixture_kind(const Fixture *fixture)
{
	g_autoptr(ProaState) state = proa_state_load(fixture->state_dir, NULL);

	return state->kind;
}
