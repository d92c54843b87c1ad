/* SPDX-License-Identifier: Apache-2.0 */
#include "images/payload/uki.h"

#include "base/file.h"
#include "tests/unit/images/payload/uki.h"
#include "tests/unit/images/payload/vmlinux.h"
#include "tests/unit/scratch.h"
#include "updater/payload/uki.h"

#include <dlfcn.h>
#include <zstd.h>

#define OLD_HASH "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
#define NEW_HASH "ff112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
#define KERNEL_SIZE 600000
#define PROGRAM_SIZE 200000

static const char *const libraries[] = { "/usr/lib/x86_64-linux-gnu/libzstd.so.1", "/usr/lib64/libzstd.so.1",
	"/usr/lib/libzstd.so.1" };

typedef struct {
	Scratch scratch;
	char *old_uki, *new_uki, *root, *out;
	GByteArray *root_bytes, *new_bytes;
	ProaUkiMaker maker;
	ProaUkiRelease from, to;
} Fixture;

static char *put(const Fixture *fixture, const char *name, const GByteArray *bytes)
{
	return scratch_write(&fixture->scratch, name, (const char *)bytes->data, (gssize)bytes->len);
}

/*
 * Makes a copy of libzstd say that it is @number: where the function that tells it has the number, that
 * function being where it is in the library of this process.
 */
static void renumber(char *library, gsize size, guint32 number)
{
	Dl_info info;
	guint8 was[4];

	g_assert_cmpint(dladdr((gpointer)(guintptr)ZSTD_versionNumber, &info), !=, 0);
	gsize at = (gsize)((const char *)info.dli_saddr - (const char *)info.dli_fbase);
	proa_put_u32(was, ZSTD_versionNumber());
	for (gsize i = at; i < at + 16 && i + 4 < size; i++)
		if (memcmp(library + i, was, 4) == 0) {
			proa_put_u32((guint8 *)library + i, number);
			return;
		}
	g_assert_not_reached();
}

/*
 * The files of a root image: one that the initrd has too, and the libzstd that all of this is packed with,
 * which says that it is @number (0: what it is).
 */
static void make_root(Fixture *fixture, const GByteArray *program, const char *name, guint32 number)
{
	g_autofree char *library = NULL, *folder = scratch_file(&fixture->scratch, name);
	g_autofree char *library_name = g_strconcat(name, "/usr/lib/x/libzstd.so.1.5", NULL);
	g_autofree char *program_name = g_strconcat(name, "/usr/bin/program", NULL);
	g_autofree char *image_name = g_strconcat(name, ".img", NULL);
	g_autofree char *module_name = g_strconcat(name, "/usr/lib/x/m.ko", NULL);
	g_autoptr(GByteArray) module = module_new(120, G_MAXUINT, G_MAXUINT);
	gsize size = 0;

	g_free(fixture->root);
	g_clear_pointer(&fixture->root_bytes, g_byte_array_unref);
	fixture->root = scratch_file(&fixture->scratch, image_name);
	for (guint i = 0; i < G_N_ELEMENTS(libraries) && !library; i++)
		(void)g_file_get_contents(libraries[i], &library, &size, NULL);
	g_assert_nonnull(library);
	if (number > 0)
		renumber(library, size, number);
	g_free(scratch_write(&fixture->scratch, library_name, library, (gssize)size));
	g_free(put(fixture, program_name, program));
	g_free(put(fixture, module_name, module));
	fixture->root_bytes = erofs_new(folder, fixture->root);
}

static GByteArray *release_new(const GByteArray *kernel, const GByteArray *program, const char *word)
{
	g_autoptr(GByteArray) frame = frame_new(kernel, 3, TRUE), linux_image = bzimage_new(frame),
			      archive = g_byte_array_new(), module = module_new(120, 20, 50);

	cpio_add(archive, "usr/bin/program", 0100755, program->data, program->len);
	/* One that the root has not: a node takes no module told as such with a UKI. */
	cpio_add(archive, "usr/lib/x/m.ko", 0100644, module->data, module->len);
	cpio_add(archive, "etc/word", 0100644, (const guint8 *)word, strlen(word));
	cpio_add(archive, "TRAILER!!!", 0, NULL, 0);
	g_autoptr(GByteArray) initrd = frame_new(archive, 3, FALSE);
	return uki_new(linux_image, initrd);
}

/* How the new release's kernel differs from the old one's. */
typedef void (*Change)(GByteArray *kernel);

static void same(GByteArray *kernel)
{
}

static void edited(GByteArray *kernel)
{
	for (guint i = 0; i < 30; i++)
		kernel->data[i * 17777] ^= 1;
}

static void moved(GByteArray *kernel)
{
	g_autoptr(GByteArray) before = g_byte_array_append(g_byte_array_new(), kernel->data, kernel->len);

	g_byte_array_set_size(kernel, 0);
	g_byte_array_append(kernel, before->data + 222222, before->len - 222222);
	g_byte_array_append(kernel, (const guint8 *)"and more", 8);
	g_byte_array_append(kernel, before->data, 222222);
}

static void truncated(GByteArray *kernel)
{
	g_byte_array_set_size(kernel, KERNEL_SIZE / 3);
}

static void all_zero(GByteArray *kernel)
{
	memset(kernel->data, 0, kernel->len);
}

static void unrelated(GByteArray *kernel)
{
	g_autoptr(GByteArray) other = image_new(99, KERNEL_SIZE);

	memcpy(kernel->data, other->data, kernel->len);
}

static void fixture_make_of(Fixture *fixture, const GByteArray *old_kernel, const GByteArray *new_kernel)
{
	*fixture = (Fixture){ .scratch = scratch_new() };
	g_autoptr(GByteArray) program = image_new(6, PROGRAM_SIZE);
	g_autoptr(GByteArray) old_bytes = release_new(old_kernel, program, "old");

	make_root(fixture, program, "tree", 0);
	fixture->new_bytes = release_new(new_kernel, program, "new");
	fixture->old_uki = put(fixture, "old.efi", old_bytes);
	fixture->new_uki = put(fixture, "new.efi", fixture->new_bytes);
	fixture->out = scratch_file(&fixture->scratch, "out");
	fixture->maker = (ProaUkiMaker){ .base = { .threads = 1 }, .program = PROA_REPACK_SELF };
	fixture->from = (ProaUkiRelease){ fixture->old_uki, fixture->root, OLD_HASH };
	fixture->to = (ProaUkiRelease){ fixture->new_uki, fixture->root, NEW_HASH };
}

static void fixture_make_with(Fixture *fixture, Change change)
{
	g_autoptr(GByteArray) old_kernel = image_new(5, KERNEL_SIZE), new_kernel = image_new(5, KERNEL_SIZE);

	change(new_kernel);
	fixture_make_of(fixture, old_kernel, new_kernel);
}

/* Kernels with tables of places in their code. */
static void fixture_make_tables(Fixture *fixture)
{
	g_autoptr(GByteArray) old_kernel = vmlinux_new(0), new_kernel = vmlinux_new(160);

	fixture_make_of(fixture, old_kernel, new_kernel);
}

/* @kernel_changed: the new release has another kernel. */
static void fixture_make(Fixture *fixture, gboolean kernel_changed)
{
	fixture_make_with(fixture, kernel_changed ? edited : same);
}

static void fixture_clear(Fixture *fixture)
{
	g_free(fixture->old_uki);
	g_free(fixture->new_uki);
	g_free(fixture->root);
	g_free(fixture->out);
	g_byte_array_unref(fixture->root_bytes);
	g_byte_array_unref(fixture->new_bytes);
	scratch_clear(&fixture->scratch);
}

static gboolean make(Fixture *fixture, ProaUkiKind kind)
{
	g_autoptr(GError) error = NULL;
	g_autofree char *why = NULL;
	gboolean made = FALSE;

	g_assert_true(proa_uki_make(&fixture->maker, kind, kind == PROA_UKI_FULL ? NULL : &fixture->from,
		&fixture->to, fixture->out, &made, &why, &error));
	g_assert_no_error(error);
	g_assert_null(why);
	return made;
}

static gboolean read_root(guint64 offset, guint8 *data, gsize size, gpointer user_data, GError **error)
{
	const GByteArray *root = ((const Fixture *)user_data)->root_bytes;

	g_assert_true(offset <= root->len && size <= root->len - offset);
	memcpy(data, root->data + offset, size);
	return TRUE;
}

/* A stream whose reads end after @most bytes, and at @edge. */
typedef struct {
	ProaStream stream;
	const guint8 *data;
	gsize size, at, most, edge;
} Pieces;

static gssize pieces_read(ProaStream *stream, void *data, gsize size, GError **error)
{
	Pieces *pieces = (Pieces *)stream;
	gsize n = MIN(MIN(size, pieces->most), pieces->size - pieces->at);

	if (pieces->at < pieces->edge)
		n = MIN(n, pieces->edge - pieces->at);
	if (n > 0)
		memcpy(data, pieces->data + pieces->at, n);
	pieces->at += n;
	return (gssize)n;
}

static void pieces_close(ProaStream *stream)
{
}

/* Applies the @size bytes of a payload, that come @most at a time; the UKI, or NULL. */
static GByteArray *apply_pieces(const Fixture *fixture, ProaUkiKind kind, const guint8 *data, gsize size,
	const char *head_sha256, gsize head_size, gsize most, GError **error)
{
	static const ProaStreamKind pieces_kind = { pieces_read, pieces_close };
	Pieces pieces = { { &pieces_kind }, data, size, 0, most, head_size };
	ProaStream *in = &pieces.stream;
	g_autofree char *sha256 = proa_sha256_hex(fixture->new_bytes->data, fixture->new_bytes->len);
	PROA_AUTO_FD int old_fd = open(fixture->old_uki, O_RDONLY | O_CLOEXEC);
	PROA_AUTO_FD int out_fd = memfd_create("out", MFD_CLOEXEC);
	const ProaUkiExpect expect = { kind, size, head_sha256, head_size, fixture->new_bytes->len, sha256,
		fixture->root_bytes->len, NEW_HASH };
	const ProaUkiPlace place = { .program = PROA_REPACK_SELF,
		.read_root = read_root,
		.user_data = (gpointer)(guintptr)fixture,
		.old_fd = kind == PROA_UKI_FULL ? -1 : old_fd,
		.out_fd = out_fd };
	ProaUkiHeader header;

	if (!proa_uki_take_head(in, &expect, &header, error) ||
		!proa_uki_apply(in, &expect, &header, &place, error))
		return NULL;
	GByteArray *made = g_byte_array_new();
	g_byte_array_set_size(made, (guint)lseek(out_fd, 0, SEEK_END));
	g_assert_true(proa_pread_all(out_fd, made->data, made->len, 0, NULL));
	return made;
}

static GByteArray *apply(const Fixture *fixture, ProaUkiKind kind, const guint8 *data, gsize size,
	const char *head_sha256, gsize head_size, GError **error)
{
	return apply_pieces(fixture, kind, data, size, head_sha256, head_size, G_MAXSSIZE, error);
}

/* What was made applies to the UKI, however the stream is split; tells how long it is. */
static gsize assert_applies(const Fixture *fixture, ProaUkiKind kind)
{
	g_autoptr(GError) error = NULL;
	g_autofree char *data = NULL, *head_sha256 = NULL;
	gsize size = 0;
	ProaUkiHeader header;

	g_assert_true(proa_uki_file_header(fixture->out, &header, &head_sha256, &error));
	g_assert_cmpint(header.kind, ==, kind);
	g_assert_true(g_file_get_contents(fixture->out, &data, &size, NULL));
	static const gsize splits[] = { 1, 4093, G_MAXSSIZE };
	for (guint i = 0; i < G_N_ELEMENTS(splits); i++) {
		g_autoptr(GByteArray) made = apply_pieces(fixture, kind, (const guint8 *)data, size,
			head_sha256, proa_uki_head_size(&header), splits[i], &error);
		g_assert_no_error(error);
		g_assert_cmpmem(made->data, made->len, fixture->new_bytes->data, fixture->new_bytes->len);
	}
	return size;
}

/* The initrd's program is of the root, the rest is the kernel. */
static void full_takes_files_from_root(void)
{
	Fixture fixture;

	fixture_make(&fixture, TRUE);
	g_assert_true(make(&fixture, PROA_UKI_FULL));
	g_assert_cmpuint(
		assert_applies(&fixture, PROA_UKI_FULL) + PROGRAM_SIZE / 4, <, fixture.new_bytes->len);
	fixture_clear(&fixture);
}

static void kernel_is_unpacked_where_it_changed(void)
{
	Fixture fixture;

	fixture_make(&fixture, TRUE);
	g_assert_false(make(&fixture, PROA_UKI_DELTA));
	g_assert_true(make(&fixture, PROA_UKI_KERNEL));
	g_assert_cmpuint(assert_applies(&fixture, PROA_UKI_KERNEL), <, 8000);
	fixture_clear(&fixture);
}

static void kernel_stays_as_it_is_where_it_did_not(void)
{
	Fixture fixture;

	fixture_make(&fixture, FALSE);
	g_assert_false(make(&fixture, PROA_UKI_KERNEL));
	g_assert_true(make(&fixture, PROA_UKI_DELTA));
	g_assert_cmpuint(assert_applies(&fixture, PROA_UKI_DELTA), <, 8000);
	fixture_clear(&fixture);
}

static void tables_are_told_by_steps(void)
{
	Fixture fixture;
	ProaUkiHeader header;

	fixture_make_tables(&fixture);
	g_assert_true(make(&fixture, PROA_UKI_KERNEL));
	g_assert_true(proa_uki_file_header(fixture.out, &header, NULL, NULL));
	g_assert_cmpuint(header.n_old_tables, ==, 4);
	g_assert_cmpuint(header.n_new_tables, ==, 4);
	/* Number by number, half of them would be news. */
	g_assert_cmpuint(assert_applies(&fixture, PROA_UKI_KERNEL), <, 8000);
	fixture_clear(&fixture);
}

/* Of one kernel only: a new one that has tables where the old had none, and the other way round. */
static void tables_that_came_or_went(void)
{
	g_autoptr(GByteArray) with = vmlinux_new(0), without = vmlinux_new(50);

	without->data[0] = 0;
	for (guint i = 0; i < 2; i++) {
		Fixture fixture;
		ProaUkiHeader header;
		fixture_make_of(&fixture, i == 0 ? with : without, i == 0 ? without : with);
		g_assert_true(make(&fixture, PROA_UKI_KERNEL));
		g_assert_true(proa_uki_file_header(fixture.out, &header, NULL, NULL));
		g_assert_cmpuint(header.n_old_tables, ==, i == 0 ? 4 : 0);
		g_assert_cmpuint(header.n_new_tables, ==, i == 0 ? 0 : 4);
		assert_applies(&fixture, PROA_UKI_KERNEL);
		fixture_clear(&fixture);
	}
}

/* Whatever became of the kernel: each kind that can be made makes the UKI, and one of them always can. */
static void every_kernel_comes_through(void)
{
	static const Change changes[] = { same, edited, moved, truncated, all_zero, unrelated };

	for (guint i = 0; i < G_N_ELEMENTS(changes); i++) {
		Fixture fixture;
		guint made = 0;
		fixture_make_with(&fixture, changes[i]);
		for (ProaUkiKind kind = PROA_UKI_FULL; kind < _PROA_UKI_KIND_MAX; kind++) {
			if (!make(&fixture, kind))
				continue;
			assert_applies(&fixture, kind);
			made++;
		}
		g_assert_cmpuint(made, ==, 2);
		fixture_clear(&fixture);
	}
}

/* A kernel that no parameters pack to its bytes. */
static void what_packs_otherwise_is_told(void)
{
	Fixture fixture;
	g_autoptr(GError) error = NULL;
	g_autofree char *why = NULL;
	gboolean made = TRUE;

	fixture_make(&fixture, TRUE);
	/* A raw block of 1024 zeros, and one that repeats 60000 (RFC 8878, 3.1.1.2): zstd makes one of them.
	 */
	g_autoptr(GByteArray) frame = g_byte_array_new(), archive = g_byte_array_new();
	static const guint8 head[] = { 0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x58, 0x00, 0x20, 0x00 };
	static const guint8 end[] = { 0x03, 0x53, 0x07, 0x00 };
	guint8 zero[1024] = { 0 };
	g_byte_array_append(frame, head, sizeof head);
	g_byte_array_append(frame, zero, sizeof zero);
	g_byte_array_append(frame, end, sizeof end);
	g_autoptr(GByteArray) linux_image = bzimage_new(frame), uki = uki_new(linux_image, archive);
	g_free(put(&fixture, "new.efi", uki));
	g_assert_true(proa_uki_make(&fixture.maker, PROA_UKI_KERNEL, &fixture.from, &fixture.to, fixture.out,
		&made, &why, &error));
	g_assert_false(made);
	g_assert_nonnull(why);
	fixture_clear(&fixture);
}

/* Whatever byte is changed: another UKI at most, and nothing read or written where it must not be. */
static void damage_is_bounded(void)
{
	Fixture fixture;
	Dice dice = { 8 };
	g_autofree char *data = NULL;
	gsize size = 0;

	fixture_make_tables(&fixture);
	g_assert_true(make(&fixture, PROA_UKI_KERNEL));
	g_assert_true(g_file_get_contents(fixture.out, &data, &size, NULL));
	gsize head_size = PROA_UKI_HEADER_SIZE + 2 * PROA_UKI_FRAME_ENTRY_SIZE + 8 * PROA_STEPS_ENTRY_SIZE;
	guint refused = 0;
	for (guint i = 0; i < 60; i++) {
		g_autoptr(GError) error = NULL;
		guint at = dice_roll(&dice, i % 3 ? (guint32)head_size : (guint32)size);
		char was = data[at];
		data[at] = (char)(was ^ (1 << dice_roll(&dice, 8)));
		/* As if the publisher had signed it. */
		g_autofree char *sha256 = proa_sha256_hex(data, head_size);
		g_autoptr(GByteArray) made = apply(
			&fixture, PROA_UKI_KERNEL, (const guint8 *)data, size, sha256, head_size, &error);
		g_assert_true((made == NULL) == (error != NULL));
		refused += !made;
		data[at] = was;
	}
	g_assert_cmpuint(refused, >, 30);
	fixture_clear(&fixture);
}

/* Who packs is the node, with the library of the release that it runs: it takes what names that one. */
static void version_is_of_the_library_that_packs(void)
{
	Fixture fixture;
	g_autoptr(GError) error = NULL;
	g_autoptr(GByteArray) program = image_new(6, PROGRAM_SIZE);
	g_autofree char *data = NULL, *head_sha256 = NULL;
	guint32 number = ZSTD_versionNumber() + 100;
	gsize size = 0;
	ProaUkiHeader header;

	fixture_make(&fixture, TRUE);
	g_autofree char *root = g_steal_pointer(&fixture.root);
	g_autoptr(GByteArray) root_bytes = g_steal_pointer(&fixture.root_bytes);
	make_root(&fixture, program, "older", number);
	fixture.from.root = fixture.root;
	fixture.to.root = root;
	g_assert_true(make(&fixture, PROA_UKI_KERNEL));
	g_assert_true(proa_uki_file_header(fixture.out, &header, &head_sha256, &error));
	g_assert_cmpuint(header.zstd_version, ==, number);
	g_assert_true(g_file_get_contents(fixture.out, &data, &size, NULL));
	g_autofree char *older = g_steal_pointer(&fixture.root);
	g_byte_array_unref(fixture.root_bytes);
	fixture.root = g_steal_pointer(&root);
	fixture.root_bytes = g_steal_pointer(&root_bytes);
	g_assert_null(apply(&fixture, PROA_UKI_KERNEL, (const guint8 *)data, size, head_sha256,
		proa_uki_head_size(&header), &error));
	g_assert_error(error, PROA_ERROR, PROA_REASON_BAD_PAYLOAD);
	g_assert_true(make(&fixture, PROA_UKI_FULL));
	g_clear_pointer(&head_sha256, g_free);
	g_clear_error(&error);
	g_assert_true(proa_uki_file_header(fixture.out, &header, &head_sha256, &error));
	g_assert_cmpuint(header.zstd_version, ==, ZSTD_versionNumber());
	fixture_clear(&fixture);
}

int main(int argc, char **argv)
{
	int status;

	if (proa_repack_main(argc, argv, &status))
		return status;
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/payload/uki/full-takes-files-from-root", full_takes_files_from_root);
	g_test_add_func(
		"/payload/uki/kernel-is-unpacked-where-it-changed", kernel_is_unpacked_where_it_changed);
	g_test_add_func("/payload/uki/kernel-stays-as-it-is-where-it-did-not",
		kernel_stays_as_it_is_where_it_did_not);
	g_test_add_func("/payload/uki/tables-are-told-by-steps", tables_are_told_by_steps);
	g_test_add_func("/payload/uki/tables-that-came-or-went", tables_that_came_or_went);
	g_test_add_func("/payload/uki/every-kernel-comes-through", every_kernel_comes_through);
	g_test_add_func("/payload/uki/what-packs-otherwise-is-told", what_packs_otherwise_is_told);
	g_test_add_func(
		"/payload/uki/version-is-of-the-library-that-packs", version_is_of_the_library_that_packs);
	g_test_add_func("/payload/uki/damage-is-bounded", damage_is_bounded);
	return g_test_run();
}
