/* SPDX-License-Identifier: Apache-2.0 */
/* Modules told by hand: what a frame may say of where they lie and of their headers. Modules that are made as
 * they should be: tests/unit/images/payload/{delta,module}.c. */
#include "tests/unit/images/payload/delta.h"
#include "tests/unit/updater/payload/frame.h"
#include "updater/payload/delta-map.h"

#define BLOCK 4096u

/* Of the target of apply(). */
static gboolean refuse_modules;

typedef struct {
	GByteArray *old_image, *made;
} Node;

static gboolean read_image(const GByteArray *image, guint64 offset, guint8 *data, gsize size)
{
	g_assert_true(offset <= image->len && size <= image->len - offset);
	memcpy(data, image->data + offset, size);
	return TRUE;
}

static gboolean read_old(guint64 offset, guint8 *data, gsize size, gpointer user_data, GError **error)
{
	return read_image(((Node *)user_data)->old_image, offset, data, size);
}

static gboolean read_new(guint64 offset, guint8 *data, gsize size, gpointer user_data, GError **error)
{
	return read_image(((Node *)user_data)->made, offset, data, size);
}

static gboolean take(const guint8 *data, gsize size, gpointer user_data, GError **error)
{
	g_byte_array_append(((Node *)user_data)->made, data, (guint)size);
	return TRUE;
}

/* An old image that is one module: its whole blocks first, its last bytes behind them. */
static GByteArray *old_image(void)
{
	GByteArray *image = module_new(80, G_MAXUINT, G_MAXUINT);

	g_assert_cmpuint(image->len % BLOCK, >, 0);
	return image;
}

/* What a frame says of a module before its operations; all relative, as on the wire. */
typedef struct {
	gint64 blocks_at, blocks, tail_at;
	guint64 tail;
	gint64 new_tail_at;
	guint64 new_tail;
	gint64 head_offset, head_count, head_names;
	guint64 before_head;
} Says;

static void put_unit(Frame *frame, guint64 length, const Says *says)
{
	put_op(frame, PROA_DELTA_UNIT, length);
	put_seek(frame, says->blocks_at);
	put_seek(frame, says->blocks);
	put_seek(frame, says->tail_at);
	put_number(frame, PROA_DELTA_SEEK, says->tail);
	put_seek(frame, says->new_tail_at);
	put_number(frame, PROA_DELTA_SEEK, says->new_tail);
	const gint64 head[] = { says->head_offset, says->head_count, says->head_names };
	for (guint i = 0; i < G_N_ELEMENTS(head); i++)
		put_number(frame, PROA_DELTA_OPS,
			head[i] < 0 ? (guint64)(-(head[i] + 1)) * 2 + 1 : (guint64)head[i] * 2);
	put_number(frame, PROA_DELTA_OPS, says->before_head);
}

/* Applies the frame, which makes @length bytes, to @image; nothing is written of what is refused. */
static gboolean apply(const Frame *frame, GByteArray *image, guint64 length, GError **error)
{
	g_autoptr(GByteArray) payload = payload_of(frame, length, image->len), made = g_byte_array_new();
	g_autofree char *sha256 = proa_sha256_hex(payload->data, payload->len);
	g_autoptr(GBytes) bytes = g_bytes_new(payload->data, payload->len);
	g_autoptr(ProaStream) stream = proa_stream_of_bytes(bytes);
	Node node = { image, made };
	const ProaPayloadExpect expect = {
		.size = payload->len, .sha256 = sha256, .image_size = length, .root_hash = HASH
	};
	const ProaDeltaTarget target = { .old_hash = HASH,
		.read_old = read_old,
		.read_new = read_new,
		.sink = take,
		.user_data = &node,
		.no_modules = refuse_modules };

	gboolean ok = proa_delta_apply(stream, &expect, &target, error);
	g_assert_cmpuint(made->len, ==, ok ? length : 0);
	return ok;
}

/* The module as it lies in old_image(), to become the same; what follows are its operations. */
static Says honest(const GByteArray *image)
{
	guint64 blocks = image->len / BLOCK * BLOCK, tail = image->len - blocks;

	return (Says){
		.tail_at = (gint64)blocks, .tail = tail, .new_tail_at = (gint64)blocks, .new_tail = tail
	};
}

static void expect_refused(GByteArray *image, guint64 length, const Says *says)
{
	g_autoptr(GError) error = NULL;
	g_auto(Frame) frame = frame_new();

	put_unit(&frame, length, says);
	g_assert_false(apply(&frame, image, length, &error));
	g_assert_error(error, PROA_ERROR, PROA_REASON_BAD_PAYLOAD);
}

static void lying_places_refused(void)
{
	g_autoptr(GByteArray) image = old_image();
	guint64 length = image->len / BLOCK * BLOCK;
	const Says good = honest(image);
	Says bad[16];
	guint n = 0;

	for (guint i = 0; i < G_N_ELEMENTS(bad); i++)
		bad[i] = good;
	bad[n++].blocks_at = -1;
	bad[n++].blocks_at = (gint64)image->len + 1;
	bad[n++].blocks_at = G_MAXINT64;
	bad[n++].blocks_at = G_MININT64;
	bad[n++].blocks = PROA_DELTA_MAX_UNIT;
	bad[n++].blocks = G_MININT64;
	bad[n++].tail_at = -1;
	bad[n++].tail_at = (gint64)image->len;
	bad[n++].tail = PROA_DELTA_MAX_TAIL + 1;
	bad[n++].tail = G_MAXUINT64;
	bad[n++].new_tail_at = -1;
	bad[n++].new_tail_at = (gint64)length + 1;
	bad[n++].new_tail = PROA_DELTA_MAX_TAIL + 1;
	bad[n++].head_offset = (gint64)image->len;
	bad[n++].head_count = G_MAXINT32;
	bad[n++].before_head = G_MAXUINT64;
	g_assert_cmpuint(n, ==, G_N_ELEMENTS(bad));
	for (guint i = 0; i < n; i++)
		expect_refused(image, length, &bad[i]);
	expect_refused(image, PROA_DELTA_MAX_UNIT + BLOCK, &good);
}

static void what_is_no_module_refused(void)
{
	g_autoptr(GByteArray) text = image_new(3, 5 * BLOCK + 100);
	const Says says = honest(text);

	expect_refused(text, 5 * BLOCK, &says);
}

/* Operations and tables out of dice: refused, or something of the right size, and nothing read or written
 * where it must not be. */
static void dice_stay_within_bounds(void)
{
	g_autoptr(GByteArray) image = old_image();
	const Says says = honest(image);
	Dice dice = { 4711 };

	for (guint round = 0; round < 400; round++) {
		g_autoptr(GError) error = NULL;
		g_auto(Frame) frame = frame_new();
		put_unit(&frame, image->len / BLOCK * BLOCK, &says);
		for (guint i = 0; i < _PROA_DELTA_STREAM_MAX; i++)
			for (guint k = dice_roll(&dice, 400); k > 0; k--) {
				guint8 byte = (guint8)dice_roll(&dice, dice_roll(&dice, 2) ? 256 : 16);
				g_byte_array_append(frame.stream[i], &byte, 1);
			}
		if (!apply(&frame, image, image->len / BLOCK * BLOCK, &error))
			g_assert_error(error, PROA_ERROR, PROA_REASON_BAD_PAYLOAD);
	}
}

static void expect_refused_for(Frame *frame, GByteArray *image, guint64 length, const char *why)
{
	g_autoptr(GError) error = NULL;

	g_assert_false(apply(frame, image, length, &error));
	g_assert_error(error, PROA_ERROR, PROA_REASON_BAD_PAYLOAD);
	g_assert_nonnull(strstr(error->message, why));
}

/* Each byte from another place: what is to be known of them would take more memory than a node has for it. */
static void bytes_of_too_many_places_refused(void)
{
	g_autoptr(GByteArray) image = module_new(900, G_MAXUINT, G_MAXUINT);
	g_auto(Frame) frame = frame_new();
	Says says = honest(image);
	guint64 length = image->len / BLOCK * BLOCK, limit = MIN(proa_get_u64(image->data + 40), length);

	put_unit(&frame, length, &says);
	put_op(&frame, PROA_DELTA_COPY_AT, length - limit + says.new_tail);
	put_seek(&frame, (gint64)limit);
	put_op(&frame, PROA_DELTA_COPY_AT, 64);
	put_seek(&frame, -(gint64)(length + says.new_tail));
	for (guint i = 0; i < PROA_DELTA_MAX_RUNS * 5 / 4; i++) {
		put_op(&frame, PROA_DELTA_COPY_AT, 1);
		put_seek(&frame, 1);
	}
	expect_refused_for(&frame, image, length + says.new_tail, "places");
}

static void small_modules_refused(void)
{
	g_autoptr(GByteArray) image = old_image();
	g_auto(Frame) frame = frame_new();
	const Says says = honest(image);

	put_unit(&frame, BLOCK - 1, &says);
	expect_refused_for(&frame, image, BLOCK - 1, "not allowed");
}

/* Where there can be none, as in a UKI, a module is no operation. */
static void none_where_there_may_be_none(void)
{
	g_autoptr(GByteArray) image = old_image();
	g_auto(Frame) frame = frame_new();
	const Says says = honest(image);

	put_unit(&frame, image->len / BLOCK * BLOCK, &says);
	refuse_modules = TRUE;
	expect_refused_for(&frame, image, image->len / BLOCK * BLOCK, "operation 6");
	refuse_modules = FALSE;
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/payload/delta-unit/lying-places-refused", lying_places_refused);
	g_test_add_func("/payload/delta-unit/what-is-no-module-refused", what_is_no_module_refused);
	g_test_add_func("/payload/delta-unit/dice-stay-within-bounds", dice_stay_within_bounds);
	g_test_add_func(
		"/payload/delta-unit/bytes-of-too-many-places-refused", bytes_of_too_many_places_refused);
	g_test_add_func("/payload/delta-unit/small-modules-refused", small_modules_refused);
	g_test_add_func("/payload/delta-unit/none-where-there-may-be-none", none_where_there_may_be_none);
	return g_test_run();
}
