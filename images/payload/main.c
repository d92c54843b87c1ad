/* SPDX-License-Identifier: Apache-2.0 */
/* proa-payload: makes payloads of root images and tells what is in one. See proa-payload(1). */
#include "base/file.h"
#include "base/json.h"
#include "images/payload/blocks-maker.h"
#include "images/payload/uki.h"
#include "updater/payload/delta-format.h"
#include "updater/payload/repack.h"
#include "updater/payload/wire.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The window is what saves bytes: level 19 saves a hundredth more, in ten times the time. */

static int usage_error(const char *message)
{
	fprintf(stderr, "proa-payload: %s\nSee proa-payload --help.\n", message);
	return PROA_EXIT_USAGE;
}

static int failed(const GError *error)
{
	ProaReason reason = proa_reason_of(error);

	fprintf(stderr, "proa-payload: %s (%s)\n", error->message, proa_reason_to_string(reason));
	return (int)proa_reason_exit(reason);
}

static void show_progress(guint64 done, guint64 total, gpointer user_data)
{
	if (!isatty(STDERR_FILENO))
		return;
	fprintf(stderr, "\r%3u %% of %" G_GUINT64_FORMAT " MiB", (guint)(done * 100 / total), total >> 20);
	if (done == total)
		fputc('\n', stderr);
}

static void show_percent(guint64 done, guint64 total, gpointer user_data)
{
	if (!isatty(STDERR_FILENO))
		return;
	fprintf(stderr, "\r%3u %%", (guint)(done * 100 / total));
	if (done == total)
		fputc('\n', stderr);
}

static void show_warning(const char *text, gpointer user_data)
{
	fprintf(stderr, "%sproa-payload: %s\n", isatty(STDERR_FILENO) ? "\r" : "", text);
}

/* "4M", "64K" or bytes; 0 if it is neither. */
static guint32 parse_size(const char *text)
{
	char *end = NULL;
	guint64 value = g_ascii_strtoull(text, &end, 10);

	if (*end == 'K' || *end == 'M') {
		value <<= *end == 'K' ? 10 : 20;
		end++;
	}
	return end == text || *end != '\0' || value > PROA_PAYLOAD_MAX_FRAME_SIZE ? 0 : (guint32)value;
}

static int run_full(int argc, char **argv)
{
	g_autoptr(GError) error = NULL;
	g_autofree char *image = NULL, *root_hash = NULL, *frame_size = NULL;
	ProaMaker maker = { .level = PROA_MAKER_LEVEL, .progress = show_progress };
	int threads = 0;
	const GOptionEntry options[] = {
		{ "image", 0, 0, G_OPTION_ARG_FILENAME, &image, "Root image", "FILE" },
		{ "root-hash", 0, 0, G_OPTION_ARG_STRING, &root_hash, "Its verity root hash", "HEX" },
		{ "level", 0, 0, G_OPTION_ARG_INT, &maker.level, "zstd level, 1 to 22 (default: 15)", "N" },
		{ "frame-size", 0, 0, G_OPTION_ARG_STRING, &frame_size,
			"Uncompressed bytes of a frame, at most 4M (default: 4M)", "SIZE" },
		{ "threads", 0, 0, G_OPTION_ARG_INT, &threads, "Threads (default: one a core)", "N" },
		{ NULL, 0, 0, G_OPTION_ARG_NONE, NULL, NULL, NULL },
	};
	g_autoptr(GOptionContext) context = g_option_context_new("OUT - make a full payload");

	g_option_context_add_main_entries(context, options, NULL);
	if (!g_option_context_parse(context, &argc, &argv, &error))
		return usage_error(error->message);
	if (argc != 2 || !image || !root_hash || threads < 0)
		return usage_error("full needs --image, --root-hash and one OUT");
	maker.frame_size = frame_size ? parse_size(frame_size) : PROA_MAKER_FRAME_SIZE;
	if (maker.frame_size == 0)
		return usage_error("--frame-size must be a size up to 4M");
	maker.threads = (guint)threads;
	if (!proa_maker_full(&maker, image, root_hash, argv[1], &error))
		return failed(error);
	return PROA_EXIT_OK;
}

static int run_blocks(int argc, char **argv)
{
	g_autoptr(GError) error = NULL;
	g_autofree char *image = NULL, *root_hash = NULL, *salt = NULL, *frame = NULL, *window = NULL,
			*step = NULL;
	ProaBlocksMaker maker = { .base = { .level = PROA_BLOCKS_MAKER_LEVEL, .progress = show_progress } };
	int threads = 0;
	const GOptionEntry options[] = {
		{ "image", 0, 0, G_OPTION_ARG_FILENAME, &image, "Root image", "FILE" },
		{ "root-hash", 0, 0, G_OPTION_ARG_STRING, &root_hash, "Its verity root hash", "HEX" },
		{ "salt", 0, 0, G_OPTION_ARG_STRING, &salt, "Its verity salt", "HEX" },
		{ "level", 0, 0, G_OPTION_ARG_INT, &maker.base.level, "zstd level, 1 to 22 (default: 12)",
			"N" },
		{ "frame-size", 0, 0, G_OPTION_ARG_STRING, &frame,
			"Uncompressed bytes of a frame, 4K to 512K (default: 32K)", "SIZE" },
		{ "window", 0, 0, G_OPTION_ARG_STRING, &window,
			"Bytes of the image before a frame that are its dictionary, at most 4M (default: 4M)",
			"SIZE" },
		{ "step", 0, 0, G_OPTION_ARG_STRING, &step,
			"Bytes of image that share a dictionary, 512K or 1M (default: 1M)", "SIZE" },
		{ "threads", 0, 0, G_OPTION_ARG_INT, &threads, "Threads (default: one a core)", "N" },
		{ NULL, 0, 0, G_OPTION_ARG_NONE, NULL, NULL, NULL },
	};
	g_autoptr(GOptionContext) context = g_option_context_new("OUT - make a blocks payload");

	g_option_context_add_main_entries(context, options, NULL);
	if (!g_option_context_parse(context, &argc, &argv, &error))
		return usage_error(error->message);
	if (argc != 2 || !image || !root_hash || !salt || threads < 0)
		return usage_error("blocks needs --image, --root-hash, --salt and one OUT");
	maker.base.frame_size = frame ? parse_size(frame) : PROA_BLOCKS_MAKER_FRAME_SIZE;
	maker.window = window ? parse_size(window) : PROA_BLOCKS_MAKER_WINDOW;
	maker.step = step ? parse_size(step) : PROA_BLOCKS_MAKER_STEP;
	maker.base.threads = (guint)threads;
	if (!proa_blocks_make(&maker, image, root_hash, salt, argv[1], &error))
		return failed(error);
	return PROA_EXIT_OK;
}

static int run_delta(int argc, char **argv)
{
	g_autoptr(GError) error = NULL;
	g_autofree char *from = NULL, *from_hash = NULL, *to = NULL, *to_hash = NULL;
	ProaDeltaMaker maker = { .progress = show_percent, .warn = show_warning };
	int threads = 0;
	const GOptionEntry options[] = {
		{ "from", 0, 0, G_OPTION_ARG_FILENAME, &from, "Image that a node has", "FILE" },
		{ "from-hash", 0, 0, G_OPTION_ARG_STRING, &from_hash,
			"Its verity root hash; of a UKI, its SHA-256", "HEX" },
		{ "to", 0, 0, G_OPTION_ARG_FILENAME, &to, "Image to make of it", "FILE" },
		{ "to-hash", 0, 0, G_OPTION_ARG_STRING, &to_hash, "Its root hash or SHA-256", "HEX" },
		{ "threads", 0, 0, G_OPTION_ARG_INT, &threads, "Threads (default: one a core)", "N" },
		{ NULL, 0, 0, G_OPTION_ARG_NONE, NULL, NULL, NULL },
	};
	g_autoptr(GOptionContext) context = g_option_context_new("OUT - make a delta payload");

	g_option_context_add_main_entries(context, options, NULL);
	if (!g_option_context_parse(context, &argc, &argv, &error))
		return usage_error(error->message);
	if (argc != 2 || !from || !from_hash || !to || !to_hash || threads < 0 || threads > 256)
		return usage_error("delta needs --from, --from-hash, --to, --to-hash and one OUT");
	maker.threads = (guint)threads;
	const ProaDeltaImage old_image = { from, from_hash }, new_image = { to, to_hash };
	return proa_delta_make(&maker, &old_image, &new_image, argv[1], &error) ? PROA_EXIT_OK
										: failed(error);
}

/* The words of ProaUkiKind. */
static const char *const uki_words[] = { "full", "delta", "kernel" };

/* From nothing it is full; otherwise whichever of the other two pays. */
static int make_uki(
	const ProaUkiMaker *maker, const ProaUkiRelease *from, const ProaUkiRelease *to, const char *out)
{
	const ProaUkiKind kinds[] = { from ? PROA_UKI_DELTA : PROA_UKI_FULL, PROA_UKI_KERNEL };
	g_autofree char *why = NULL;
	g_autoptr(GError) error = NULL;
	gboolean made = FALSE;

	for (guint i = 0; !made && i < (from ? 2u : 1u); i++)
		if (!proa_uki_make(maker, kinds[i], from, to, out, &made, &why, &error))
			return failed(error);
	if (made)
		return PROA_EXIT_OK;
	fprintf(stderr, "proa-payload: %s\n", why);
	return PROA_EXIT_NOTHING;
}

static int run_uki(int argc, char **argv)
{
	g_autoptr(GError) error = NULL;
	g_autofree char *uki = NULL, *root = NULL, *root_hash = NULL, *from_uki = NULL, *from_root = NULL,
			*from_hash = NULL;
	ProaUkiMaker maker = { .program = PROA_REPACK_SELF };
	int threads = 0;
	const GOptionEntry options[] = {
		{ "uki", 0, 0, G_OPTION_ARG_FILENAME, &uki, "UKI to make", "FILE" },
		{ "image", 0, 0, G_OPTION_ARG_FILENAME, &root, "Root image of its release", "FILE" },
		{ "root-hash", 0, 0, G_OPTION_ARG_STRING, &root_hash, "Its verity root hash", "HEX" },
		{ "from", 0, 0, G_OPTION_ARG_FILENAME, &from_uki, "UKI that a node has (default: none)",
			"FILE" },
		{ "from-image", 0, 0, G_OPTION_ARG_FILENAME, &from_root, "Root image of that release",
			"FILE" },
		{ "from-root-hash", 0, 0, G_OPTION_ARG_STRING, &from_hash, "Its verity root hash", "HEX" },
		{ "threads", 0, 0, G_OPTION_ARG_INT, &threads, "Threads (default: one a core)", "N" },
		{ NULL, 0, 0, G_OPTION_ARG_NONE, NULL, NULL, NULL },
	};
	g_autoptr(GOptionContext) context = g_option_context_new("OUT - make a payload of a UKI");

	g_option_context_add_main_entries(context, options, NULL);
	if (!g_option_context_parse(context, &argc, &argv, &error))
		return usage_error(error->message);
	if (argc != 2 || !uki || !root || !root_hash || !from_uki != !from_root || !from_uki != !from_hash ||
		threads < 0 || threads > 256)
		return usage_error(
			"uki needs --uki, --image, --root-hash and one OUT; --from, --from-image and --from-root-hash together");
	maker.base =
		(ProaDeltaMaker){ .threads = (guint)threads, .progress = show_percent, .warn = show_warning };
	const ProaUkiRelease to = { uki, root, root_hash }, from = { from_uki, from_root, from_hash };
	return make_uki(&maker, from_uki ? &from : NULL, &to, argv[1]);
}

/* What is told of a payload of any type. */
typedef struct {
	const char *type;
	char *root_hash, *from; /* from: of a delta */
	guint64 image_size, total, head_size;
	guint32 n_frames, frame_size; /* frame_size 0: frames differ */
	char *head_sha256;
	gboolean uki;   /* it makes a UKI */
	guint64 memory; /* of that: bytes that packing its kernel takes */
} Info;

static void info_clear(Info *info)
{
	g_free(info->root_hash);
	g_free(info->from);
	g_free(info->head_sha256);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Info, info_clear)

static gboolean read_full_info(const char *path, Info *info, GError **error)
{
	g_autoptr(ProaPayloadHeader) header = proa_payload_file_header(path, &info->head_sha256, error);

	if (!header)
		return FALSE;
	info->type = "full";
	info->root_hash = proa_hex_encode(header->root_hash, PROA_SHA256_SIZE);
	info->image_size = header->image_size;
	info->total = proa_payload_total_size(header);
	info->head_size = PROA_PAYLOAD_HEADER_SIZE + proa_payload_table_size(header);
	info->n_frames = header->n_frames;
	info->frame_size = header->frame_size;
	return TRUE;
}

static gboolean read_blocks_info(const char *path, Info *info, GError **error)
{
	g_autoptr(ProaBlocksHeader) header = proa_blocks_file_header(path, &info->head_sha256, error);

	if (!header)
		return FALSE;
	info->type = "blocks";
	info->root_hash = proa_hex_encode(header->root_hash, PROA_SHA256_SIZE);
	info->image_size = header->image_size;
	info->total = proa_blocks_total_size(header);
	info->head_size = proa_blocks_head_size(header);
	info->n_frames = header->n_frames;
	info->frame_size = header->frame_size;
	return TRUE;
}

static gboolean read_delta_info(const char *path, Info *info, GError **error)
{
	g_autoptr(ProaDeltaHeader) header = proa_delta_file_header(path, &info->head_sha256, error);

	if (!header)
		return FALSE;
	info->type = "delta";
	info->root_hash = proa_hex_encode(header->new_hash, PROA_SHA256_SIZE);
	info->from = proa_hex_encode(header->old_hash, PROA_SHA256_SIZE);
	info->image_size = header->new_size;
	info->total = proa_delta_total_size(header);
	info->head_size = PROA_DELTA_HEADER_SIZE + proa_delta_table_size(header);
	info->n_frames = header->n_frames;
	return TRUE;
}

static gboolean read_uki_info(const char *path, Info *info, GError **error)
{
	ProaUkiHeader header;
	struct stat file;

	if (!proa_uki_file_header(path, &header, &info->head_sha256, error))
		return FALSE;
	if (stat(path, &file) < 0)
		return proa_fail_errno(error, PROA_REASON_IO, errno, "%s", path);
	info->type = uki_words[header.kind];
	info->uki = TRUE;
	info->root_hash = proa_hex_encode(header.root_hash, PROA_SHA256_SIZE);
	if (header.kind != PROA_UKI_FULL)
		info->from = proa_hex_encode(header.old_root_hash, PROA_SHA256_SIZE);
	info->image_size = header.size;
	info->total = (guint64)file.st_size;
	info->head_size = proa_uki_head_size(&header);
	info->n_frames = header.n_frames;
	info->memory = header.memory;
	return TRUE;
}

/* The type is the third number of the header. What is of no type is read as a full payload, and refused as
 * one. */
static gboolean read_info(const char *path, Info *info, GError **error)
{
	guint8 start[16] = { 0 };
	PROA_AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
	gboolean known = fd >= 0 && proa_pread_all(fd, start, sizeof start, 0, NULL);
	guint32 type = known ? proa_get_u32(start + 12) : 0;

	if (type == PROA_UKI_TYPE)
		return read_uki_info(path, info, error);
	if (type == PROA_BLOCKS_TYPE)
		return read_blocks_info(path, info, error);
	return (type == PROA_DELTA_TYPE ? read_delta_info : read_full_info)(path, info, error);
}

static void print_info(const Info *info)
{
	printf("type           %s%s\nroot hash      %s\n", info->uki ? "UKI, " : "", info->type,
		info->root_hash);
	if (info->from)
		printf("from           %s\n", info->from);
	printf("image size     %" G_GUINT64_FORMAT "\npayload size   %" G_GUINT64_FORMAT " (%.2f %%)\n",
		info->image_size, info->total, 100.0 * (double)info->total / (double)info->image_size);
	if (info->frame_size > 0)
		printf("frames         %u of %u bytes\n", info->n_frames, info->frame_size);
	else
		printf("frames         %u\n", info->n_frames);
	if (info->memory > 0)
		printf("memory         %" G_GUINT64_FORMAT "\n", info->memory);
	printf("header size    %" G_GUINT64_FORMAT "\nheader sha256  %s\n", info->head_size,
		info->head_sha256);
}

static void print_info_json(const Info *info)
{
	g_autoptr(JsonObject) object = json_object_new();

	json_object_set_string_member(object, "type", info->type);
	json_object_set_string_member(object, "root_hash", info->root_hash);
	if (info->from)
		json_object_set_string_member(object, "from", info->from);
	json_object_set_int_member(object, "image_size", (gint64)info->image_size);
	json_object_set_int_member(object, "size", (gint64)info->total);
	json_object_set_int_member(object, "frames", info->n_frames);
	if (info->frame_size > 0)
		json_object_set_int_member(object, "frame_size", info->frame_size);
	if (info->uki) {
		json_object_set_boolean_member(object, "uki", TRUE);
		json_object_set_int_member(object, "memory", (gint64)info->memory);
	}
	json_object_set_int_member(object, "header_size", (gint64)info->head_size);
	json_object_set_string_member(object, "header_sha256", info->head_sha256);
	g_autofree char *line = proa_json_to_line(object);
	puts(line);
}

static int run_info(int argc, char **argv)
{
	g_autoptr(GError) error = NULL;
	gboolean as_json = FALSE;
	g_auto(Info) info = { 0 };
	const GOptionEntry options[] = {
		{ "json", 0, 0, G_OPTION_ARG_NONE, &as_json, "One JSON object", NULL },
		{ NULL, 0, 0, G_OPTION_ARG_NONE, NULL, NULL, NULL },
	};
	g_autoptr(GOptionContext) context = g_option_context_new("FILE - tell what is in a payload");

	g_option_context_add_main_entries(context, options, NULL);
	if (!g_option_context_parse(context, &argc, &argv, &error))
		return usage_error(error->message);
	if (argc != 2)
		return usage_error("info needs one FILE");
	if (!read_info(argv[1], &info, &error))
		return failed(error);
	(as_json ? print_info_json : print_info)(&info);
	return PROA_EXIT_OK;
}

int main(int argc, char **argv)
{
	const char *verb = argc > 1 ? argv[1] : "";
	int status;

	if (proa_repack_main(argc, argv, &status))
		return status;
	g_set_prgname("proa-payload");
	if (strcmp(verb, "--version") == 0) {
		puts("proa-payload " PROA_VERSION);
		return PROA_EXIT_OK;
	}
	if (strcmp(verb, "--help") == 0 || strcmp(verb, "-h") == 0) {
		puts("usage: proa-payload full --image FILE --root-hash HEX [--level N] [--frame-size SIZE] OUT\n"
		     "       proa-payload blocks --image FILE --root-hash HEX --salt HEX [--level N] [--frame-size SIZE]\n"
		     "                    [--window SIZE] [--step SIZE] OUT\n"
		     "       proa-payload delta --from FILE --from-hash HEX --to FILE --to-hash HEX OUT\n"
		     "       proa-payload uki --uki FILE --image FILE --root-hash HEX\n"
		     "                    [--from FILE --from-image FILE --from-root-hash HEX] OUT\n"
		     "       proa-payload info FILE [--json]\n\n"
		     "Makes the payload of an image, whole, in blocks or out of an older image, or tells what is in one.\n"
		     "Each verb has --help.");
		return PROA_EXIT_OK;
	}
	if (strcmp(verb, "blocks") == 0)
		return run_blocks(argc - 1, argv + 1);
	if (strcmp(verb, "full") == 0)
		return run_full(argc - 1, argv + 1);
	if (strcmp(verb, "delta") == 0)
		return run_delta(argc - 1, argv + 1);
	if (strcmp(verb, "uki") == 0)
		return run_uki(argc - 1, argv + 1);
	if (strcmp(verb, "info") == 0)
		return run_info(argc - 1, argv + 1);
	return usage_error("the verb must be full, blocks, delta, uki or info");
}
