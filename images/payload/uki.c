/* SPDX-License-Identifier: Apache-2.0 */
#include "images/payload/uki.h"

#include "base/file.h"
#include "images/payload/parts.h"
#include "images/payload/prove.h"
#include "images/payload/vmlinux.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* Names of what is no file; no file of a root begins so. */
#define KERNEL "//kernel"
#define INITRD "//initrd"
#define HIGHEST_LEVEL 22

/* A UKI, and the parts of it that are packed. */
typedef struct {
	GMappedFile *file;
	const guint8 *data;
	gsize size;
	ProaRange kernel, initrd; /* zstd frames within it; length 0: none */
	char *sha256;
} Uki;

static void uki_clear(Uki *uki)
{
	g_clear_pointer(&uki->file, g_mapped_file_unref);
	g_free(uki->sha256);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Uki, uki_clear)

typedef struct {
	const ProaUkiMaker *maker;
	const ProaUkiRelease *from, *to;
	ProaUkiHeader header;
	Uki old_uki, new_uki;
	GMappedFile *root;
	GPtrArray *root_files;
	char *library;        /* directory of the libzstd that will pack */
	guint32 zstd_version; /* its number */
	guint8 *sources;
	gsize sources_size;
	GByteArray *unpacked; /* the new UKI */
	GPtrArray *old_files, *new_files;
} Work;

static void work_clear(Work *work)
{
	uki_clear(&work->old_uki);
	uki_clear(&work->new_uki);
	g_clear_pointer(&work->root, g_mapped_file_unref);
	g_clear_pointer(&work->root_files, g_ptr_array_unref);
	proa_prove_library_free(work->library);
	if (work->sources)
		munmap(work->sources, work->sources_size);
	g_clear_pointer(&work->unpacked, g_byte_array_unref);
	g_clear_pointer(&work->old_files, g_ptr_array_unref);
	g_clear_pointer(&work->new_files, g_ptr_array_unref);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Work, work_clear)

static GMappedFile *map(const char *path, GError **error)
{
	g_autoptr(GError) inner = NULL;
	GMappedFile *file = g_mapped_file_new(path, FALSE, &inner);

	if (!file)
		proa_fail(error,
			g_error_matches(inner, G_FILE_ERROR, G_FILE_ERROR_NOENT) ? PROA_REASON_NOT_FOUND
										 : PROA_REASON_IO,
			"%s", inner->message);
	return file;
}

static gboolean open_uki(const char *path, Uki *uki, GError **error)
{
	ProaRange section, frame;

	uki->file = map(path, error);
	if (!uki->file)
		return FALSE;
	uki->data = (const guint8 *)g_mapped_file_get_contents(uki->file);
	uki->size = g_mapped_file_get_length(uki->file);
	if (uki->size < 1 || uki->size > PROA_UKI_MAX_SIZE)
		return proa_fail(error, PROA_REASON_TOO_LARGE, "%s: 1 byte to 256 MiB are allowed", path);
	uki->sha256 = proa_sha256_hex(uki->data, uki->size);
	if (proa_parts_section(uki->data, uki->size, ".linux", &section) &&
		proa_parts_kernel(uki->data + section.at, section.length, &frame))
		uki->kernel = (ProaRange){ section.at + frame.at, frame.length };
	if (proa_parts_section(uki->data, uki->size, ".initrd", &section))
		uki->initrd = section;
	return TRUE;
}

static gboolean same_kernel(const Uki *a, const Uki *b)
{
	return a->kernel.length == b->kernel.length &&
	       memcmp(a->data + a->kernel.at, b->data + b->kernel.at, a->kernel.length) == 0;
}

/* The files of a root image; none if it is of another kind. */
static GPtrArray *files_of(GMappedFile *root, GError **error)
{
	const guint8 *data = (const guint8 *)g_mapped_file_get_contents(root);
	gsize size = g_mapped_file_get_length(root);

	return proa_erofs_is(data, size) ? proa_erofs_files(data, size, error) : proa_parts_new();
}

static gboolean take_library(Work *work, GMappedFile *root, const GPtrArray *files, GError **error)
{
	work->library = proa_prove_library((const guint8 *)g_mapped_file_get_contents(root), files, error);
	return work->library &&
	       proa_repack_library_version(work->maker->program, work->library, &work->zstd_version, error);
}

/* The root image whose libzstd packs: of the release that runs, or, of any release, the new one. */
static gboolean open_library(Work *work, GError **error)
{
	if (!work->from)
		return take_library(work, work->root, work->root_files, error);
	g_autoptr(GMappedFile) root = map(work->from->root, error);
	g_autoptr(GPtrArray) files = root ? files_of(root, error) : NULL;
	return files && take_library(work, root, files, error);
}

static gboolean open_all(Work *work, GError **error)
{
	if (!open_uki(work->to->uki, &work->new_uki, error) ||
		(work->from && !open_uki(work->from->uki, &work->old_uki, error)))
		return FALSE;
	work->root = map(work->to->root, error);
	if (!work->root)
		return FALSE;
	work->root_files = files_of(work->root, error);
	if (!work->root_files)
		return FALSE;
	/* Without one that is there and runs, nothing is packed anew. */
	g_autoptr(GError) inner = NULL;
	if (open_library(work, &inner))
		return TRUE;
	g_clear_pointer(&work->library, proa_prove_library_free);
	if (g_error_matches(inner, PROA_ERROR, PROA_REASON_NOT_FOUND) ||
		g_error_matches(inner, PROA_ERROR, PROA_REASON_BAD_PAYLOAD))
		return TRUE;
	g_propagate_error(error, g_steal_pointer(&inner));
	return FALSE;
}

/* Adds the new UKI from where that ended to @to, as it is. */
static void copy_to(Work *work, guint64 *at, guint64 to)
{
	g_byte_array_append(work->unpacked, work->new_uki.data + *at, (guint)(to - *at));
	*at = to;
}

GHashTable *proa_uki_proofs_new(void)
{
	return g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
}

/* What a frame, a library and a level tell apart; g_free(). */
static char *proof_key(const Work *work, const ProaProof *proof, guint max_level)
{
	g_autofree char *path = g_build_filename(work->library, "libzstd.so.1", NULL), *library = NULL;
	gsize size = 0;

	if (!g_file_get_contents(path, &library, &size, NULL))
		return g_strdup("");
	g_autofree char *of_library = proa_sha256_hex(library, size);
	g_autofree char *of_frame = proa_sha256_hex(proof->packed, proof->frame.packed_size);
	return g_strdup_printf("%s %s %u", of_library, of_frame, max_level);
}

/* As proa_prove(), but only once for each library. */
static gboolean prove(const Work *work, ProaProof *proof, guint max_level, gboolean *ret_same, GError **error)
{
	GHashTable *proofs = work->maker->proofs;
	g_autofree char *key = proofs ? proof_key(work, proof, max_level) : NULL;
	const ProaProof *known = key ? g_hash_table_lookup(proofs, key) : NULL;

	if (known) {
		proof->frame.params = known->frame.params;
		proof->max_rss = known->max_rss;
		*ret_same = known->frame.params.level > 0;
		return TRUE;
	}
	if (!proa_prove(work->maker->program, work->library, proof, max_level, ret_same, error))
		return FALSE;
	if (key) {
		ProaProof *kept = g_memdup2(proof, sizeof *proof);
		if (!*ret_same)
			kept->frame.params.level = 0;
		g_hash_table_replace(proofs, g_steal_pointer(&key), kept);
	}
	return TRUE;
}

/*
 * Unpacks a frame, and shows that it packs to the same bytes. *@ret_bytes: where it lies in what is made;
 * length 0 if it stays as it is.
 */
static gboolean add_frame(Work *work, const ProaRange *range, guint max_level, guint64 *at,
	ProaRange *ret_bytes, GError **error)
{
	g_autoptr(GBytes) bytes =
		range->length > 0 ? proa_prove_unpack(work->new_uki.data + range->at, range->length) : NULL;
	gboolean same = FALSE;

	*ret_bytes = (ProaRange){ 0, 0 };
	if (!bytes || !work->library)
		return TRUE;
	ProaProof proof = { .packed = work->new_uki.data + range->at,
		.data = g_bytes_get_data(bytes, NULL),
		.frame = { .offset = range->at,
			.packed_size = range->length,
			.size = g_bytes_get_size(bytes) } };
	if (!prove(work, &proof, max_level, &same, error))
		return FALSE;
	if (!same)
		return TRUE;
	copy_to(work, at, range->at);
	*ret_bytes = (ProaRange){ work->unpacked->len, proof.frame.size };
	g_byte_array_append(work->unpacked, proof.data, (guint)proof.frame.size);
	*at = range->at + range->length;
	work->header.frames[work->header.n_frames++] = proof.frame;
	if (max_level > PROA_UKI_LIGHT_LEVEL)
		work->header.memory += proof.max_rss;
	return TRUE;
}

/* The kernel's tables of places hold steps from here on. Returns how many tables. */
static guint make_steps(guint8 *kernel, gsize size, ProaStepTable tables[PROA_STEPS_MAX_TABLES])
{
	guint n = proa_vmlinux_tables(kernel, size, tables);
	ProaSteps steps = proa_steps_begin(tables, n, 0, FALSE);

	proa_steps_run(&steps, kernel, size);
	return n;
}

static void add_kernel(Work *work, const ProaRange *bytes)
{
	ProaUkiHeader *header = &work->header;

	header->n_new_tables =
		make_steps(work->unpacked->data + bytes->at, bytes->length, header->new_tables);
	for (guint i = 0; i < header->n_new_tables; i++)
		header->new_tables[i].offset += bytes->at;
	proa_parts_add(work->new_files, KERNEL, bytes->at, bytes->length);
}

/* *@ret_same: FALSE if the kernel, which must be, could not be packed to the same bytes. */
static gboolean unpack_new(Work *work, gboolean *ret_same, GError **error)
{
	const Uki *uki = &work->new_uki;
	gboolean kernel = work->header.kind == PROA_UKI_KERNEL;
	guint64 at = 0;
	ProaRange bytes;

	work->unpacked = g_byte_array_sized_new((guint)uki->size);
	work->new_files = proa_parts_new();
	*ret_same = TRUE;
	for (guint turn = 0; turn < 2; turn++) {
		/* In the order of the file. */
		gboolean is_kernel = (turn == 0) == (uki->kernel.at < uki->initrd.at);
		const ProaRange *range = is_kernel ? &uki->kernel : &uki->initrd;
		guint level = is_kernel ? HIGHEST_LEVEL : PROA_UKI_LIGHT_LEVEL;
		if (is_kernel && !kernel) {
			copy_to(work, &at, range->at);
			if (range->length > 0)
				proa_parts_add(work->new_files, KERNEL, work->unpacked->len, range->length);
			copy_to(work, &at, range->at + range->length);
			continue;
		}
		if (!add_frame(work, range, level, &at, &bytes, error))
			return FALSE;
		if (is_kernel) {
			*ret_same = bytes.length > 0;
			if (!*ret_same)
				return TRUE;
			add_kernel(work, &bytes);
		} else if (bytes.length == 0) {
			/* As it is: an archive, or bytes of any kind. */
			copy_to(work, &at, range->at);
			bytes = (ProaRange){ work->unpacked->len, range->length };
			copy_to(work, &at, range->at + range->length);
		}
		if (!is_kernel &&
			proa_parts_files(work->unpacked->data + bytes.at, bytes.length, bytes.at,
				work->new_files) == 0 &&
			bytes.length > 0)
			proa_parts_add(work->new_files, INITRD, bytes.at, bytes.length);
	}
	copy_to(work, &at, uki->size);
	return TRUE;
}

/* The root image, and the old UKI with its kernel unpacked after it, as one. */
static gboolean lay_sources(Work *work, GError **error)
{
	gsize root_size = g_mapped_file_get_length(work->root);
	const Uki *uki = &work->old_uki;
	g_autoptr(GBytes) kernel = NULL;
	gsize kernel_size = uki->kernel.length;
	PROA_AUTO_FD int fd = open(work->to->root, O_RDONLY | O_CLOEXEC);

	if (work->header.kind == PROA_UKI_KERNEL) {
		kernel = proa_prove_unpack(uki->data + uki->kernel.at, uki->kernel.length);
		if (!kernel)
			return proa_fail(error, PROA_REASON_BAD_UKI, "%s: its kernel can't be unpacked",
				work->from->uki);
		kernel_size = g_bytes_get_size(kernel);
		work->header.old_kernel =
			(ProaRepackFrame){ uki->kernel.at, uki->kernel.length, kernel_size, { .level = 1 } };
		work->header.memory += kernel_size;
	}
	work->sources_size = root_size + uki->size - uki->kernel.length + kernel_size;
	work->sources =
		mmap(NULL, work->sources_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (work->sources == MAP_FAILED) {
		work->sources = NULL;
		return proa_fail_errno(error, PROA_REASON_IO, errno, "making room for the images");
	}
	if (fd < 0 || mmap(work->sources, root_size, PROT_READ, MAP_PRIVATE | MAP_FIXED, fd, 0) == MAP_FAILED)
		return proa_fail_errno(error, PROA_REASON_IO, errno, "mapping %s", work->to->root);
	if (!work->from)
		return TRUE;
	guint8 *at = work->sources + root_size;
	gsize after = uki->kernel.at + uki->kernel.length;
	memcpy(at, uki->data, uki->kernel.at);
	at += uki->kernel.at;
	memcpy(at, kernel ? g_bytes_get_data(kernel, NULL) : uki->data + uki->kernel.at, kernel_size);
	memcpy(at + kernel_size, uki->data + after, uki->size - after);
	if (kernel)
		work->header.n_old_tables = make_steps(at, kernel_size, work->header.old_tables);
	return TRUE;
}

static void name_old_files(Work *work)
{
	const Uki *uki = &work->old_uki;
	guint64 root_size = g_mapped_file_get_length(work->root);
	guint64 kernel_size =
		work->header.old_kernel.size > 0 ? work->header.old_kernel.size : uki->kernel.length;

	work->old_files = proa_parts_new();
	for (guint i = 0; i < work->root_files->len; i++) {
		const ProaErofsFile *file = work->root_files->pdata[i];
		ProaErofsFile *copy = g_memdup2(file, sizeof *file);
		copy->path = g_strdup(file->path);
		g_ptr_array_add(work->old_files, copy);
	}
	if (uki->kernel.length > 0)
		proa_parts_add(work->old_files, KERNEL, root_size + uki->kernel.at, kernel_size);
	if (uki->initrd.length > 0)
		proa_parts_add(work->old_files, INITRD,
			root_size + uki->initrd.at +
				(uki->initrd.at > uki->kernel.at ? kernel_size - uki->kernel.length : 0),
			uki->initrd.length);
}

/* The delta that the payload carries. */
static gboolean make_delta(Work *work, const char *path, GError **error)
{
	const ProaDeltaMaker *base = &work->maker->base;
	const ProaPlanSide old_side = { work->sources, work->sources_size, work->old_files };
	const ProaPlanSide new_side = { work->unpacked->data, work->unpacked->len, work->new_files };
	g_autoptr(ProaPlan) plan =
		proa_plan_of_files(base, &old_side, &new_side, g_mapped_file_get_length(work->root), error);

	return plan && proa_delta_pack(base, plan, work->to->root_hash, work->new_uki.sha256, path, error);
}

static gboolean fill_header(Work *work, const char *delta_path, GError **error)
{
	ProaUkiHeader *header = &work->header;
	g_autofree char *head_sha256 = NULL;
	g_autoptr(ProaDeltaHeader) delta = proa_delta_file_header(delta_path, &head_sha256, error);

	if (!delta)
		return FALSE;
	header->size = work->new_uki.size;
	header->old_size = work->old_uki.size;
	header->root_size = g_mapped_file_get_length(work->root);
	header->zstd_version = work->header.n_frames > 0 ? work->zstd_version : 0;
	header->delta_head_size = PROA_DELTA_HEADER_SIZE + proa_delta_table_size(delta);
	gboolean ok = proa_hex_decode(work->new_uki.sha256, header->sha256, PROA_SHA256_SIZE) &&
		      proa_hex_decode(work->to->root_hash, header->root_hash, PROA_SHA256_SIZE) &&
		      proa_hex_decode(head_sha256, header->delta_head_sha256, PROA_SHA256_SIZE) &&
		      (!work->from ||
			      (proa_hex_decode(work->old_uki.sha256, header->old_sha256, PROA_SHA256_SIZE) &&
				      proa_hex_decode(work->from->root_hash, header->old_root_hash,
					      PROA_SHA256_SIZE)));
	return ok || proa_fail(error, PROA_REASON_USAGE, "a hash is not 64 hexadecimal digits");
}

/* Head and delta, one after the other. */
static gboolean write_payload(const Work *work, const char *delta_path, int fd, GError **error)
{
	g_autoptr(GBytes) head = proa_uki_header_serialize(&work->header);
	g_autoptr(GMappedFile) delta = map(delta_path, error);

	return delta && proa_write_all(fd, g_bytes_get_data(head, NULL), g_bytes_get_size(head), error) &&
	       proa_write_all(
		       fd, g_mapped_file_get_contents(delta), g_mapped_file_get_length(delta), error) &&
	       (fsync(fd) == 0 || proa_fail_errno(error, PROA_REASON_IO, errno, "flushing"));
}

static gboolean write_file(Work *work, const char *out_path, GError **error)
{
	g_autofree char *delta_path = g_strconcat(out_path, ".delta.tmp", NULL);
	g_autofree char *temporary = g_strconcat(out_path, ".tmp", NULL);
	PROA_AUTO_FD int fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	if (fd < 0)
		return proa_fail_errno(error, PROA_REASON_IO, errno, "creating %s", temporary);
	gboolean ok = make_delta(work, delta_path, error) && fill_header(work, delta_path, error) &&
		      write_payload(work, delta_path, fd, error);
	if (ok && rename(temporary, out_path) < 0)
		ok = proa_fail_errno(error, PROA_REASON_IO, errno, "renaming %s to %s", temporary, out_path);
	unlink(delta_path);
	if (!ok)
		unlink(temporary);
	return ok;
}

/* Whether the kernels of both releases are such that a payload of that kind pays. */
static gboolean pays(const Work *work)
{
	if (work->header.kind == PROA_UKI_FULL)
		return TRUE;
	gboolean both = work->old_uki.kernel.length > 0 && work->new_uki.kernel.length > 0;
	return (work->header.kind == PROA_UKI_DELTA) ==
	       (!both || same_kernel(&work->old_uki, &work->new_uki));
}

gboolean proa_uki_make(const ProaUkiMaker *maker, ProaUkiKind kind, const ProaUkiRelease *from,
	const ProaUkiRelease *to, const char *out_path, gboolean *ret_made, char **ret_why, GError **error)
{
	g_auto(Work) work = { .maker = maker, .from = from, .to = to, .header = { .kind = kind } };
	gboolean same = FALSE;

	*ret_made = FALSE;
	if ((kind == PROA_UKI_FULL) != (from == NULL) || (from && !proa_sha256_hex_valid(from->root_hash)) ||
		!proa_sha256_hex_valid(to->root_hash))
		return proa_fail(error, PROA_REASON_USAGE, "a payload from nothing is a full one");
	if (!open_all(&work, error))
		return FALSE;
	if (!pays(&work))
		return TRUE;
	if (maker->begin)
		maker->begin(kind, maker->base.user_data);
	if (!unpack_new(&work, &same, error))
		return FALSE;
	if (!same) {
		*ret_why = g_strdup("the zstd of the older release packs its kernel to other bytes");
		return TRUE;
	}
	if (!lay_sources(&work, error))
		return FALSE;
	name_old_files(&work);
	if (!write_file(&work, out_path, error)) {
		g_prefix_error(error, "making %s: ", out_path);
		return FALSE;
	}
	*ret_made = TRUE;
	return TRUE;
}
