/* SPDX-License-Identifier: Apache-2.0 */
#include "images/payload/frames.h"

#include "images/payload/pack.h"

/* A frame ends once this much of it is news, or its difference is so long. Bytes. */
#define FRAME_NEWS ((guint64)3 * 1024 * 1024 / 2)
#define FRAME_DIFF (24u * 1024 * 1024)
/* Pieces are cut, so that a frame can end. */
#define MAX_NEW ((guint64)256 * 1024)
#define MAX_MATCHED ((guint64)4 * 1024 * 1024)

/* What a frame is made of, in order: a step of the plan, or a part of its piece. */
typedef struct {
	const ProaPlanStep *step;
	ProaPiece piece;
} Part;

typedef struct {
	guint number; /* from 1; 0: a part of another one */
	GArray *parts;
	ProaBuilder *builder;             /* until it is packed */
	guint64 old_tail_at, new_tail_at; /* where the last bytes of the module before ended */
	guint tails;                      /* of modules that the node keeps at its end, and their bytes */
	gsize tail_bytes;
	GPtrArray *made; /* what came of it: one or more ProaFrame */
} Frame;

typedef struct {
	const ProaDeltaMaker *maker;
	const ProaPlan *plan;
	GPtrArray *frames;
	GThreadPool *pool;
	GMutex lock;
	GCond finished;
	guint packed;
} Work;

static void made_free(gpointer data)
{
	ProaFrame *made = data;

	g_byte_array_unref(made->packed);
	g_free(made);
}

static Frame *frame_new(guint number)
{
	Frame *frame = g_new0(Frame, 1);

	frame->number = number;
	frame->parts = g_array_new(FALSE, FALSE, sizeof(Part));
	frame->builder = proa_builder_new();
	frame->made = g_ptr_array_new_with_free_func(made_free);
	return frame;
}

static void frame_free(gpointer data)
{
	Frame *frame = data;

	if (!frame)
		return;
	g_array_unref(frame->parts);
	proa_builder_free(frame->builder);
	g_ptr_array_unref(frame->made);
	g_free(frame);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Frame, frame_free)

static void add_part(Frame *frame, const ProaPlanStep *step, ProaPiece piece)
{
	const Part part = { step, piece };

	g_array_append_val(frame->parts, part);
}

/* The last bytes of a module whose blocks are among the parts from @first on are made with those. */
static gboolean made_with_blocks(const Frame *frame, guint first, const ProaModule *module)
{
	return module->later && module->frame == frame->number && module->part >= first;
}

/* Tells part @index of a frame to its builder, the parts before @first being another frame's. */
static void tell(const ProaPlan *plan, Frame *frame, guint first, guint index)
{
	const Part *part = &g_array_index(frame->parts, Part, index);
	const ProaModule *module = part->step ? part->step->module : NULL;

	if (!module) {
		proa_builder_piece(frame->builder, plan->old_data, plan->new_data, &part->piece, NULL);
	} else if (!part->step->tail) {
		proa_module_append(module, frame->builder, &frame->old_tail_at, &frame->new_tail_at);
	} else if (!made_with_blocks(frame, first, module)) {
		for (guint i = 0; i < module->tail->len; i++)
			proa_builder_piece(frame->builder, plan->old_data, plan->new_data,
				&g_array_index(module->tail, ProaPiece, i), NULL);
	}
}

/* --- packing, by a thread of the pool ---------------------------------------------------------------------
 */

static void pack_parts(Work *work, Frame *frame, guint first, guint n, GPtrArray *made);

/* A piece in two. */
static Frame *halve_piece(const Part *part)
{
	Frame *frame = frame_new(0);
	ProaPiece first = part->piece, second = part->piece;

	first.length /= 2;
	second.new_at += first.length;
	second.old_at += first.length;
	second.length -= first.length;
	add_part(frame, NULL, first);
	add_part(frame, NULL, second);
	return frame;
}

/* A module by its bytes, as any other file. */
static Frame *plain_module(Work *work, const ProaModule *module)
{
	const ProaErofsFile *old_file = module->old_file, *new_file = module->new_file;
	g_autoptr(GArray) from = proa_ranges_new(), to = proa_ranges_new(), pieces = proa_pieces_new();
	Frame *frame = frame_new(0);

	proa_ranges_add(from, old_file->blocks_at, old_file->blocks);
	proa_ranges_add(from, old_file->tail_at, old_file->tail);
	proa_ranges_add(to, new_file->blocks_at, new_file->blocks);
	proa_align(work->plan->old_data, from, work->plan->new_data, to, pieces);
	for (guint i = 0; i < pieces->len; i++)
		add_part(frame, NULL, g_array_index(pieces, ProaPiece, i));
	if (work->maker->warn) {
		g_autofree char *text =
			g_strdup_printf("%s: it has changed too much for its tables to be foreseen; it is "
					"told by its bytes",
				new_file->path);
		g_mutex_lock(&work->lock);
		work->maker->warn(text, work->maker->user_data);
		g_mutex_unlock(&work->lock);
	}
	return frame;
}

/* What is too much for one frame, in two or more. A single byte never is. */
static void split_parts(Work *work, Frame *frame, guint first, guint n, GPtrArray *made)
{
	const Part *part = &g_array_index(frame->parts, Part, first);
	const ProaPlanStep *step = part->step;

	if (n > 1) {
		pack_parts(work, frame, first, n / 2, made);
		pack_parts(work, frame, first + n / 2, n - n / 2, made);
		return;
	}
	g_assert(!step || !step->module || !step->tail);
	g_autoptr(Frame) parts = step && step->module ? plain_module(work, step->module) : halve_piece(part);
	pack_parts(work, parts, 0, parts->parts->len, made);
}

static void add_made(const Frame *frame, guint first, guint n, GByteArray *packed, GPtrArray *made)
{
	ProaFrame *one = g_new0(ProaFrame, 1);

	for (guint i = first; i < first + n; i++)
		one->length += g_array_index(frame->parts, Part, i).piece.length;
	one->packed = packed;
	g_ptr_array_add(made, one);
}

static void pack_parts(Work *work, Frame *frame, guint first, guint n, GPtrArray *made)
{
	g_clear_pointer(&frame->builder, proa_builder_free);
	frame->builder = proa_builder_new();
	frame->old_tail_at = frame->new_tail_at = 0;
	for (guint i = first; i < first + n; i++)
		tell(work->plan, frame, first, i);
	GByteArray *packed = proa_pack_frame(frame->builder, NULL);
	if (packed)
		add_made(frame, first, n, packed, made);
	else
		split_parts(work, frame, first, n, made);
}

static void pack_job(gpointer data, gpointer user_data)
{
	Frame *frame = data;
	Work *work = user_data;
	GByteArray *packed = proa_pack_frame(frame->builder, NULL);

	if (packed)
		add_made(frame, 0, frame->parts->len, packed, frame->made);
	else
		split_parts(work, frame, 0, frame->parts->len, frame->made);
	g_clear_pointer(&frame->builder, proa_builder_free);
	g_mutex_lock(&work->lock);
	work->packed++;
	g_cond_signal(&work->finished);
	g_mutex_unlock(&work->lock);
}

/* --- cutting ----------------------------------------------------------------------------------------------
 */

static Frame *begin_frame(Work *work)
{
	Frame *frame = frame_new(work->frames->len + 1);

	g_ptr_array_add(work->frames, frame);
	return frame;
}

/* Gives a frame to be packed and begins the next. */
static gboolean next_frame(Work *work, Frame **frame, GError **error)
{
	if (!g_thread_pool_push(work->pool, *frame, error))
		return FALSE;
	*frame = begin_frame(work);
	return TRUE;
}

/* Another one, if this one has enough. */
static gboolean frame_with_room(Work *work, Frame **frame, GError **error)
{
	const ProaBuilder *builder = (*frame)->builder;

	return (builder->news < FRAME_NEWS && builder->streams[PROA_DELTA_DIFF]->len < FRAME_DIFF) ||
	       next_frame(work, frame, error);
}

static void take_part(Work *work, Frame *frame, const ProaPlanStep *step, ProaPiece piece)
{
	add_part(frame, step, piece);
	tell(work->plan, frame, 0, frame->parts->len - 1);
}

static gboolean add_piece(Work *work, Frame **frame, ProaPiece piece, GError **error)
{
	guint64 most = piece.matched ? MAX_MATCHED : MAX_NEW;

	while (piece.length > 0) {
		ProaPiece part = piece;
		part.length = MIN(piece.length, most);
		if (!frame_with_room(work, frame, error))
			return FALSE;
		take_part(work, *frame, NULL, part);
		piece.new_at += part.length;
		piece.old_at += part.length;
		piece.length -= part.length;
	}
	return TRUE;
}

/* The last bytes of a module. */
static gboolean add_tail(Work *work, Frame **frame, const ProaPlanStep *step, GError **error)
{
	if (!frame_with_room(work, frame, error))
		return FALSE;
	if (made_with_blocks(*frame, 0, step->module)) {
		(*frame)->tails--;
		(*frame)->tail_bytes -= step->piece.length;
	}
	take_part(work, *frame, step, step->piece);
	return TRUE;
}

/* The node keeps the last bytes that come later, and not too many of them. */
static gboolean tails_fit(const Frame *frame, const ProaModule *module)
{
	return !module->later ||
	       (frame->tails < PROA_DELTA_MAX_TAILS &&
		       frame->tail_bytes + module->new_file->tail <= PROA_DELTA_MAX_TAIL_BYTES);
}

static gboolean add_module(Work *work, Frame **frame, const ProaPlanStep *step, GError **error)
{
	ProaModule *module = step->module;

	if (!frame_with_room(work, frame, error) ||
		(!tails_fit(*frame, module) && !next_frame(work, frame, error)))
		return FALSE;
	module->frame = (*frame)->number;
	module->part = (*frame)->parts->len;
	if (module->later && module->new_file->tail > 0) {
		(*frame)->tails++;
		(*frame)->tail_bytes += module->new_file->tail;
	}
	take_part(work, *frame, step, step->piece);
	return TRUE;
}

static gboolean cut(Work *work, GError **error)
{
	Frame *frame = begin_frame(work);

	for (guint i = 0; i < work->plan->steps->len; i++) {
		const ProaPlanStep *step = &g_array_index(work->plan->steps, ProaPlanStep, i);
		gboolean ok = !step->module ? add_piece(work, &frame, step->piece, error)
			      : step->tail  ? add_tail(work, &frame, step, error)
					    : add_module(work, &frame, step, error);
		if (!ok)
			return FALSE;
	}
	return g_thread_pool_push(work->pool, frame, error);
}

/* Waits until all frames are packed. */
static void wait_packed(Work *work)
{
	const ProaDeltaMaker *maker = work->maker;
	guint64 size = work->plan->new_size;

	g_mutex_lock(&work->lock);
	while (work->packed < work->frames->len) {
		g_cond_wait(&work->finished, &work->lock);
		if (maker->progress)
			maker->progress(
				size + size * work->packed / work->frames->len, 2 * size, maker->user_data);
	}
	g_mutex_unlock(&work->lock);
}

static GPtrArray *collect(const Work *work)
{
	GPtrArray *frames = g_ptr_array_new_with_free_func(made_free);

	for (guint i = 0; i < work->frames->len; i++) {
		Frame *frame = work->frames->pdata[i];
		g_ptr_array_extend_and_steal(frames, g_steal_pointer(&frame->made));
		frame->made = g_ptr_array_new();
	}
	return frames;
}

GPtrArray *proa_frames_new(const ProaDeltaMaker *maker, const ProaPlan *plan, GError **error)
{
	g_autoptr(GPtrArray) frames = g_ptr_array_new_with_free_func(frame_free);
	Work work = { .maker = maker, .plan = plan, .frames = frames };

	g_mutex_init(&work.lock);
	g_cond_init(&work.finished);
	work.pool = g_thread_pool_new(pack_job, &work, (gint)proa_delta_maker_threads(maker), TRUE, error);
	gboolean ok = work.pool && cut(&work, error);
	if (ok)
		wait_packed(&work);
	if (work.pool)
		g_thread_pool_free(work.pool, !ok, TRUE);
	g_cond_clear(&work.finished);
	g_mutex_clear(&work.lock);
	return ok ? collect(&work) : NULL;
}
