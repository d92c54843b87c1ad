/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/install/bring.h"

#include "base/file.h"
#include "base/pages.h"
#include "updater/install/checkpoint.h"
#include "updater/install/memory.h"
#include "updater/install/report.h"
#include "updater/payload/apply.h"
#include "updater/payload/blocks.h"
#include "updater/payload/delta.h"
#include "updater/slot/writer.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/*
 * Before more is fetched, the slot is flushed and a checkpoint written if so many bytes of the image were
 * made (one frame of a full payload), if a frame of a payload with few frames has ended, or if so many bytes
 * were fetched in many small frames: as much as one of the others has.
 */
#define DURABLE_INTERVAL (4u * 1024 * 1024)
#define DURABLE_FETCHED (256u * 1024)
/* Bytes of the slots that may lie in the page cache. */
#define CACHED_MOST (8u * 1024 * 1024)
/* A payload whose cost is known only from its head is asked if the head is this much smaller than what is
 * known. */
#define HEAD_WORTH 4

typedef struct {
	const ProaBringAsk *ask;
	ProaCheckpoint *checkpoint;
	ProaWriter *writer;
	int old_fd, new_fd;                 /* the running slot, and the other one to be read back */
	const ProaManifestPayload *payload; /* the one that is open */
	ProaBlocksPlan *plan;
	guint64 taken;   /* bytes of the image given to the writer, and those that were there */
	gsize tail_size; /* and those of the next block that an applier keeps */
	guint8 tail[PROA_CHECKPOINT_MAX_TAIL];
	guint64 saved;    /* bytes of the image under a durable checkpoint, those of a tail too */
	guint64 saved_at; /* bytes fetched by then */
	gboolean ended;   /* a frame has ended since then */
	guint64 cached;   /* bytes read of the slots since the page cache was rid of them */
	guint64 fetched;  /* bytes, all payloads together */
	gboolean delta;   /* one was taken, or begun, now or before a break */
	gboolean resumed; /* some of it is from before a break */
	char *scratch;    /* file of an applier's own */
} Bring;

static void bring_clear(Bring *bring)
{
	proa_writer_free(bring->writer); /* its thread uses what is freed after it */
	proa_checkpoint_free(bring->checkpoint);
	proa_blocks_plan_free(bring->plan);
	g_free(bring->scratch);
	if (bring->old_fd >= 0)
		(void)posix_fadvise(bring->old_fd, 0, 0, POSIX_FADV_DONTNEED);
	proa_close_fd(&bring->old_fd);
	proa_close_fd(&bring->new_fd);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Bring, bring_clear)

/* --- what an applier is given -----------------------------------------------------------------------------
 */

/* Where to go on is worth time, not more: a checkpoint that can't be written stops nothing. */
static void save(Bring *bring, gboolean durable)
{
	g_autoptr(GError) error = NULL;

	if (!proa_checkpoint_save(bring->checkpoint, durable, &error))
		proa_report_warning("writing a checkpoint: %s", error->message);
	if (!durable)
		return;
	bring->saved = proa_checkpoint_done(bring->checkpoint) + bring->tail_size;
	bring->saved_at = bring->fetched;
	bring->ended = FALSE;
}

/*
 * In the writer's thread: what the device took. It is written down before it counts as done: what was told as
 * progress outlives this process.
 */
static void wrote(const guint8 *data, gsize size, gpointer user_data)
{
	Bring *bring = user_data;

	proa_checkpoint_took(bring->checkpoint, data, size);
	save(bring, FALSE);
	if (bring->ask->tree)
		proa_verity_build_written(bring->ask->tree, proa_checkpoint_done(bring->checkpoint));
}

static void keep(const guint8 *tail, gsize size, gpointer user_data)
{
	Bring *bring = user_data;

	memcpy(bring->tail, tail, size);
	bring->tail_size = size;
}

static void frame_ends(guint64 done, gpointer user_data)
{
	((Bring *)user_data)->ended = TRUE;
}

static gboolean durable_is_due(const Bring *bring)
{
	guint64 made = bring->taken + bring->tail_size - bring->saved;

	if (made == 0)
		return FALSE;
	return made >= DURABLE_INTERVAL || bring->fetched - bring->saved_at >= DURABLE_FETCHED ||
	       (bring->ended && bring->payload->type != PROA_PAYLOAD_BLOCKS);
}

/*
 * Before more is fetched, what was made of what came before lies in the slot, and every so often for good: so
 * no break makes more than one frame come twice. And the checkpoint is this thread's until the next write.
 */
static gboolean settle(Bring *bring, GError **error)
{
	if (!proa_writer_drain(bring->writer, error))
		return FALSE;
	if (bring->tail_size > 0) {
		gsize size = 0;
		(void)proa_checkpoint_tail(bring->checkpoint, &size);
		proa_checkpoint_keep(bring->checkpoint, bring->tail, bring->tail_size);
		if (size != bring->tail_size)
			save(bring, FALSE);
	}
	if (!durable_is_due(bring))
		return TRUE;
	if (!proa_writer_flush(bring->writer, error))
		return FALSE;
	save(bring, TRUE);
	return TRUE;
}

/* A stream that counts what comes. */
typedef struct {
	ProaStream stream;
	ProaStream *inner;
	Bring *bring;
} Counted;

static gssize counted_read(ProaStream *stream, void *data, gsize size, GError **error)
{
	Counted *self = (Counted *)stream;

	if (!settle(self->bring, error))
		return -1;
	gssize n = proa_stream_read(self->inner, data, size, error);
	if (n > 0)
		self->bring->fetched += (guint64)n;
	return n;
}

static void counted_close(ProaStream *stream)
{
	proa_stream_close(((Counted *)stream)->inner);
	g_free(stream);
}

static ProaStream *open_parts(const ProaPayloadRange *ranges, guint n, gpointer user_data, GError **error)
{
	static const ProaStreamKind kind = { counted_read, counted_close };
	Bring *bring = user_data;
	const ProaManifestFile *file = &bring->payload->file;
	g_autofree char *url = proa_fetch_url(bring->ask->feed_url, file->path);
	/* The whole is asked for as such: it needs no server that serves parts. */
	gboolean whole = n == 1 && ranges[0].offset == 0 && ranges[0].length == file->size;
	ProaStream *inner = whole ? proa_fetch_open(bring->ask->fetch, url, 0, 0, file->size, error)
				  : proa_fetch_open_ranges(bring->ask->fetch, url, ranges, n, error);

	if (!inner)
		return NULL;
	Counted *self = g_new0(Counted, 1);
	self->stream.kind = &kind;
	self->inner = inner;
	self->bring = bring;
	return &self->stream;
}

/*
 * Leaves little in the page cache, which is the workload's: what is near is often read again, so it may stay
 * for a while. A mounted root's own pages are not those of its partition.
 */
static gboolean read_slot(
	Bring *bring, int fd, guint64 offset, guint8 *data, gsize size, const char *slot, GError **error)
{
	if (fd < 0 || !proa_pread_all(fd, data, size, (goffset)offset, error)) {
		if (fd < 0)
			proa_fail(error, PROA_REASON_IO, "it can't be read");
		g_prefix_error(error, "reading %s: ", slot);
		return FALSE;
	}
	bring->cached += size;
	if (bring->cached >= CACHED_MOST) {
		(void)posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
		bring->cached = 0;
	}
	return TRUE;
}

static gboolean read_old(guint64 offset, guint8 *data, gsize size, gpointer user_data, GError **error)
{
	Bring *bring = user_data;

	return read_slot(
		bring, bring->old_fd, offset, data, size, bring->ask->site->slots.booted.name, error);
}

static gboolean read_new(guint64 offset, guint8 *data, gsize size, gpointer user_data, GError **error)
{
	Bring *bring = user_data;

	return proa_writer_drain_to(bring->writer, offset + size, error) &&
	       read_slot(bring, bring->new_fd, offset, data, size, bring->ask->site->slots.other.name, error);
}

static gboolean take(const guint8 *data, gsize size, gpointer user_data, GError **error)
{
	Bring *bring = user_data;

	if (g_cancellable_is_cancelled(bring->ask->fetch->cancellable))
		return proa_fail(error, PROA_REASON_CANCELLED, "cancelled; nothing was armed");
	if (!proa_writer_write(bring->writer, data, size, error))
		return FALSE;
	bring->taken += size;
	bring->tail_size = 0;
	proa_report_progress("fetch", proa_writer_done(bring->writer), bring->ask->release->root_size);
	return TRUE;
}

static guint8 *room(gsize *ret_size, gpointer user_data, GError **error)
{
	return proa_writer_room(((Bring *)user_data)->writer, PROA_DELTA_OUT_SIZE, ret_size, error);
}

/* --- the types of payload ---------------------------------------------------------------------------------
 */

/* What an applier is given for the payload that is open, from where the slot stands now. */
typedef struct {
	ProaPayloadExpect expect;
	ProaPayloadJob job;
} Job;

static void job_of(Bring *bring, Job *job)
{
	const ProaManifestPayload *payload = bring->payload;

	job->expect = (ProaPayloadExpect){ .size = payload->file.size,
		.sha256 = payload->file.sha256,
		.header_sha256 = payload->header_sha256,
		.header_size = payload->header_size,
		.image_size = bring->ask->release->root_size,
		.root_hash = bring->ask->release->root_hash };
	job->job = (ProaPayloadJob){ .expect = &job->expect,
		.open = open_parts,
		.read_old = read_old,
		.read_new = read_new,
		.from = bring->taken,
		.sink = take,
		.room = room,
		.user_data = bring,
		.progress = frame_ends,
		.scratch = bring->scratch,
		.keep = keep,
		.tail = bring->tail,
		.tail_size = bring->taken > 0 ? bring->tail_size : 0 };
}

static gboolean cost_of_full(Bring *bring, const ProaPayloadJob *job, guint64 *ret_bytes, GError **error)
{
	return proa_full_cost(job, ret_bytes, error);
}

static gboolean apply_full(Bring *bring, const ProaPayloadJob *job, GError **error)
{
	return proa_full_apply(job, error);
}

/* The running slot's tree, as an index; without one, every block is fetched. */
static ProaBlocksPlan *plan_blocks(const Bring *bring, const ProaPayloadJob *job, GError **error)
{
	g_auto(ProaVerityLeaves) leaves = { .fd = -1 };
	g_autoptr(GError) inner = NULL;

	if (!proa_verity_leaves_open(bring->ask->site->slots.booted.hash->path, &leaves, &inner))
		proa_report_warning("%s; no block of the running slot can be used", inner->message);
	ProaBlocksPlan *plan = proa_blocks_plan_new(job, leaves.fd >= 0 ? &leaves : NULL, error);
	if (plan && plan->unreadable > 0)
		proa_report_warning("the hash tree of %s can't be read in places; %" G_GUINT64_FORMAT
				    " blocks of it can't be used",
			bring->ask->site->slots.booted.name, plan->unreadable);
	return plan;
}

static gboolean cost_of_blocks(Bring *bring, const ProaPayloadJob *job, guint64 *ret_bytes, GError **error)
{
	if (!bring->plan)
		bring->plan = plan_blocks(bring, job, error);
	return bring->plan && proa_blocks_plan_cost(bring->plan, job->from, ret_bytes, error);
}

static gboolean apply_blocks(Bring *bring, const ProaPayloadJob *job, GError **error)
{
	ProaBlocksCount count = { 0 };
	gboolean ok = proa_blocks_apply(bring->plan, job, &count, error);

	if (count.mended > 0)
		proa_report_warning(
			"%s: blocks in %u places are not what its hash tree says; they were fetched",
			bring->ask->site->slots.booted.name, count.mended);
	if (count.unreadable > 0)
		proa_report_warning("%s: blocks in %u places can't be read; they were fetched",
			bring->ask->site->slots.booted.name, count.unreadable);
	return ok;
}

static gboolean cost_of_delta(Bring *bring, const ProaPayloadJob *job, guint64 *ret_bytes, GError **error)
{
	return proa_delta_cost(job, bring->ask->site->root_hash, ret_bytes, error);
}

static gboolean apply_delta(Bring *bring, const ProaPayloadJob *job, GError **error)
{
	/* Nothing may be on its way to the writer, who reads it. */
	if (!proa_writer_drain(bring->writer, error))
		return FALSE;
	bring->delta = TRUE;
	proa_checkpoint_set_delta(bring->checkpoint);
	return proa_delta_apply_job(job, bring->ask->site->root_hash, error);
}

/* The order in which costs are asked: what is known from the manifest first. */
typedef struct {
	ProaPayloadType type;
	/* Bytes still to be fetched; FALSE if it can't be used. */
	gboolean (*cost)(Bring *bring, const ProaPayloadJob *job, guint64 *ret_bytes, GError **error);
	gboolean (*apply)(Bring *bring, const ProaPayloadJob *job, GError **error);
	gboolean asks_head; /* to tell the cost its head, which is not small, must be fetched */
} Kind;

static const Kind kinds[] = {
	{ PROA_PAYLOAD_FULL, cost_of_full, apply_full, FALSE },
	{ PROA_PAYLOAD_DELTA, cost_of_delta, apply_delta, FALSE },
	{ PROA_PAYLOAD_BLOCKS, cost_of_blocks, apply_blocks, TRUE },
};

/* --- choice and fallback ----------------------------------------------------------------------------------
 */

typedef struct {
	const Kind *kind; /* NULL: none */
	const ProaManifestPayload *payload;
	guint64 cost; /* bytes */
} Choice;

gboolean proa_bring_another_may_do(const GError *error)
{
	switch (proa_reason_of(error)) {
	case PROA_REASON_BAD_PAYLOAD:
	case PROA_REASON_BAD_MANIFEST:
	case PROA_REASON_PAYLOAD_DIGEST:
	case PROA_REASON_PAYLOAD_TRUNCATED:
	case PROA_REASON_ROOT_HASH_MISMATCH:
	case PROA_REASON_NOT_FOUND:
	case PROA_REASON_FEED_ERROR:
	case PROA_REASON_TOO_LARGE:
	case PROA_REASON_IO:
		return TRUE;
	default:
		return FALSE;
	}
}

void proa_bring_gave_up(
	const char *state_dir, const ProaManifest *release, const char *word, const GError *error)
{
	proa_report_fallback(word, error);
	proa_memory_payload_failed(state_dir, release, word, error);
}

static void gave_up(const Bring *bring, ProaPayloadType type, const GError *error)
{
	proa_bring_gave_up(
		bring->ask->state_dir, bring->ask->release, proa_payload_type_to_string(type), error);
}

static gboolean asked_for(const char *wanted, ProaPayloadType type)
{
	return strcmp(wanted, proa_payload_type_to_string(type)) == 0;
}

const ProaManifestPayload *proa_bring_payload(
	const ProaManifest *release, ProaPayloadType type, const char *root_hash, const char *wanted)
{
	gboolean may = type == PROA_PAYLOAD_FULL || strcmp(wanted, "auto") == 0 || asked_for(wanted, type);

	return may ? proa_manifest_payload(release, type, root_hash) : NULL;
}

static const ProaManifestPayload *payload_of(const Bring *bring, const Kind *kind, const gboolean *failed)
{
	const ProaBringAsk *ask = bring->ask;

	if (failed[kind - kinds] || (kind->type == PROA_PAYLOAD_DELTA && ask->no_delta))
		return NULL;
	return proa_bring_payload(ask->release, kind->type, ask->site->root_hash, ask->wanted);
}

/*
 * The cheapest payload from where the slot stands now, of those that have not failed; what an operator asked
 * for before full, whatever it costs. One whose cost can't be told has failed. FALSE only if nothing can be
 * fetched at all.
 */
static gboolean choose(Bring *bring, gboolean *failed, Choice *ret_best, GError **error)
{
	Choice best = { 0 };

	for (guint i = 0; i < G_N_ELEMENTS(kinds); i++) {
		Choice choice = { &kinds[i], payload_of(bring, &kinds[i], failed), 0 };
		g_autoptr(GError) inner = NULL;
		Job job;

		if (!choice.payload || (choice.kind->asks_head && best.kind &&
					       !asked_for(bring->ask->wanted, choice.kind->type) &&
					       choice.payload->header_size > best.cost / HEAD_WORTH))
			continue;
		bring->payload = choice.payload;
		job_of(bring, &job);
		if (choice.kind->cost(bring, &job.job, &choice.cost, &inner)) {
			if (!best.kind || choice.cost < best.cost ||
				asked_for(bring->ask->wanted, choice.kind->type))
				best = choice;
			continue;
		}
		if (!proa_bring_another_may_do(inner)) {
			g_propagate_error(error, g_steal_pointer(&inner));
			return FALSE;
		}
		failed[i] = TRUE;
		gave_up(bring, choice.kind->type, inner);
	}
	*ret_best = best;
	return TRUE;
}

static gboolean apply_choice(Bring *bring, const Choice *choice, GError **error)
{
	const char *word = proa_payload_type_to_string(choice->payload->type);
	guint64 before = bring->fetched;
	Job job;

	bring->payload = choice->payload;
	job_of(bring, &job);
	proa_report_payload(word, choice->cost, job.job.from);
	if (!choice->kind->apply(bring, &job.job, error) || !proa_writer_finish(bring->writer, error))
		return FALSE;
	save(bring, TRUE);
	proa_report_progress("fetch", bring->taken, bring->ask->release->root_size);
	proa_memory_fetched(
		bring->ask->state_dir, bring->ask->release, word, bring->fetched - before, job.job.from);
	return TRUE;
}

static gboolean apply_best(Bring *bring, GError **error)
{
	gboolean failed[G_N_ELEMENTS(kinds)] = { FALSE };
	Choice choice;

	if (!choose(bring, failed, &choice, error))
		return FALSE;
	if (!choice.kind)
		return proa_fail(error, PROA_REASON_BAD_PAYLOAD, "no payload of release %s can be used",
			bring->ask->release->version);
	for (;;) {
		g_autoptr(GError) inner = NULL;
		Choice next = { 0 };

		if (apply_choice(bring, &choice, &inner))
			return TRUE;
		failed[choice.kind - kinds] = TRUE;
		if (proa_bring_another_may_do(inner) && !choose(bring, failed, &next, error))
			return FALSE;
		if (!next.kind) {
			g_propagate_error(error, g_steal_pointer(&inner));
			return FALSE;
		}
		gave_up(bring, choice.payload->type, inner);
		choice = next;
	}
}

static void show_reading_back(guint64 done, gpointer image_size)
{
	proa_report_progress("fetch", done, *(const guint64 *)image_size);
}

/* Opens the slots, and goes back to where an interrupted transaction stopped. */
static gboolean open_slots(Bring *bring, GError **error)
{
	const ProaBringAsk *ask = bring->ask;
	const ProaSlots *slots = &ask->site->slots;
	guint64 image_size = ask->release->root_size;
	g_autoptr(GError) inner = NULL;

	bring->writer = proa_writer_open(slots->other.data->path, ask->release->root_size, error);
	if (!bring->writer)
		return FALSE;
	bring->old_fd = open(slots->booted.data->path, O_RDONLY | O_CLOEXEC);
	bring->new_fd = open(slots->other.data->path, O_RDONLY | O_CLOEXEC);
	bring->checkpoint = proa_checkpoint_new(ask->state_dir, ask->site->run_dir, ask->release->root_hash,
		slots->other.name, slots->other.data->path, ask->release->root_size);
	bring->taken = proa_checkpoint_resume(bring->checkpoint, show_reading_back, &image_size);
	if (bring->taken > 0)
		proa_report_warning("%s holds %" G_GUINT64_FORMAT " of %" G_GUINT64_FORMAT
				    " bytes of %s already; going on there",
			slots->other.name, bring->taken, ask->release->root_size, ask->release->version);
	else if (!proa_checkpoint_forget(ask->state_dir, ask->site->run_dir, &inner))
		proa_report_warning("forgetting an old checkpoint: %s", inner->message);
	/* It lies there, but need not survive a power cut: the first thing to do is to see to that. */
	bring->ended = bring->taken > 0;
	bring->resumed = bring->taken > 0;
	bring->delta = proa_checkpoint_delta(bring->checkpoint);
	const guint8 *tail = proa_checkpoint_tail(bring->checkpoint, &bring->tail_size);
	memcpy(bring->tail, tail, bring->tail_size);
	proa_writer_skip(bring->writer, bring->taken);
	if (ask->tree)
		proa_verity_build_written(ask->tree, bring->taken);
	proa_writer_watch(bring->writer, wrote, bring);
	return TRUE;
}

gboolean proa_bring(const ProaBringAsk *ask, const char **ret_suspect, GError **error)
{
	g_auto(Bring) bring = { .ask = ask, .old_fd = -1, .new_fd = -1 };

	bring.scratch = g_build_filename(ask->state_dir, PROA_CHECKPOINT_HEAD, NULL);
	/* What is to come takes the most memory, and little of the code that led here. */
	proa_pages_drop_code();
	if (!open_slots(&bring, error) || !apply_best(&bring, error))
		return FALSE;
	g_assert(bring.payload);
	*ret_suspect = NULL;
	if (!ask->no_delta && (bring.delta || bring.resumed))
		*ret_suspect =
			proa_payload_type_to_string(bring.delta ? PROA_PAYLOAD_DELTA : bring.payload->type);
	return TRUE;
}
