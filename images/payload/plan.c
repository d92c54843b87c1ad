/* SPDX-License-Identifier: Apache-2.0 */
#include "images/payload/plan.h"

#include "images/payload/pair.h"

/* Bytes that are compared as one must fit the suffix sorter's numbers. */
#define MAX_COMPARED ((guint64)G_MAXINT32 - 1)

/* One file, or all that is in no file. */
typedef struct {
	const ProaErofsFile *old_file, *new_file; /* NULL: all that is in no file */
	GArray *old_ranges, *new_ranges;
	gboolean equal;
	guint64 size;
	GArray *pieces;
	ProaModule *module;
} Job;

typedef struct {
	ProaPlan *plan;
	ProaMakerProgress progress;
	gpointer user_data;
	GMutex lock;
	guint64 done;
} Work;

void proa_plan_free(ProaPlan *plan)
{
	if (!plan)
		return;
	g_array_unref(plan->steps);
	g_ptr_array_unref(plan->modules);
	g_clear_pointer(&plan->old_files, g_ptr_array_unref);
	g_clear_pointer(&plan->new_files, g_ptr_array_unref);
	g_free(plan);
}

static GArray *ranges_of(const ProaErofsFile *file)
{
	GArray *ranges = proa_ranges_new();

	if (file) {
		proa_ranges_add(ranges, file->blocks_at, file->blocks);
		proa_ranges_add(ranges, file->tail_at, file->tail);
	}
	return ranges;
}

static int by_place(gconstpointer a, gconstpointer b)
{
	const ProaRange *first = a, *second = b;

	return first->at < second->at ? -1 : first->at > second->at;
}

/* All of an image of @size bytes that is in no file; NULL if files overlap. */
static GArray *rest_of(const GPtrArray *files, guint64 size)
{
	g_autoptr(GArray) taken = proa_ranges_new(), rest = proa_ranges_new();
	guint64 at = 0;

	for (guint i = 0; i < files->len; i++) {
		g_autoptr(GArray) ranges = ranges_of(files->pdata[i]);
		g_array_append_vals(taken, ranges->data, ranges->len);
	}
	g_array_sort(taken, by_place);
	for (guint i = 0; i < taken->len; i++) {
		const ProaRange *range = &g_array_index(taken, ProaRange, i);
		if (range->at < at)
			return NULL;
		proa_ranges_add(rest, at, range->at - at);
		at = range->at + range->length;
	}
	proa_ranges_add(rest, at, size - at);
	return g_steal_pointer(&rest);
}

static void job_free(gpointer data)
{
	Job *job = data;

	g_array_unref(job->old_ranges);
	g_array_unref(job->new_ranges);
	g_array_unref(job->pieces);
	proa_module_free(job->module);
	g_free(job);
}

static void add_job(GPtrArray *jobs, const ProaPair *pair, GArray *old_ranges, GArray *new_ranges)
{
	Job *job = g_new0(Job, 1);

	job->old_ranges = old_ranges;
	job->new_ranges = new_ranges;
	job->pieces = proa_pieces_new();
	if (pair) {
		job->old_file = pair->old_file;
		job->new_file = pair->new_file;
		job->equal = pair->equal;
	}
	for (guint i = 0; i < new_ranges->len; i++)
		job->size += g_array_index(new_ranges, ProaRange, i).length;
	g_ptr_array_add(jobs, job);
}

static void run_job(gpointer data, gpointer user_data)
{
	Job *job = data;
	Work *work = user_data;
	const ProaPlan *plan = work->plan;

	if (job->equal)
		proa_align_equal(job->old_ranges, job->new_ranges, job->pieces);
	else if (job->old_file && job->new_file)
		job->module = proa_module_make(plan->old_data, job->old_file, plan->new_data, job->new_file);
	if (!job->equal && !job->module)
		proa_align(plan->old_data, job->old_ranges, plan->new_data, job->new_ranges, job->pieces);
	g_mutex_lock(&work->lock);
	work->done += job->size;
	if (work->progress)
		work->progress(work->done, plan->new_size, work->user_data);
	g_mutex_unlock(&work->lock);
}

static int largest_first(gconstpointer a, gconstpointer b)
{
	const Job *first = *(const Job *const *)a, *second = *(const Job *const *)b;

	if (first->equal != second->equal)
		return first->equal ? 1 : -1;
	return first->size > second->size ? -1 : first->size < second->size;
}

static gboolean run_jobs(Work *work, GPtrArray *jobs, guint threads, GError **error)
{
	GThreadPool *pool = g_thread_pool_new(run_job, work, (gint)threads, TRUE, error);
	gboolean ok = pool != NULL;

	g_ptr_array_sort(jobs, largest_first);
	for (guint i = 0; ok && i < jobs->len; i++)
		ok = g_thread_pool_push(pool, jobs->pdata[i], error);
	if (pool)
		g_thread_pool_free(pool, !ok, TRUE);
	return ok;
}

static int by_new_place(gconstpointer a, gconstpointer b)
{
	const ProaPlanStep *first = a, *second = b;

	return first->piece.new_at < second->piece.new_at ? -1 : first->piece.new_at > second->piece.new_at;
}

static void add_module(ProaPlan *plan, ProaModule *module)
{
	const ProaErofsFile *file = module->new_file;
	ProaPlanStep blocks = { { file->blocks_at, 0, file->blocks, FALSE }, module, FALSE };
	ProaPlanStep last = { { file->tail_at, 0, file->tail, FALSE }, module, TRUE };

	g_array_append_val(plan->steps, blocks);
	if (file->tail > 0)
		g_array_append_val(plan->steps, last);
}

static void collect(ProaPlan *plan, const GPtrArray *jobs)
{
	guint64 at = 0;

	for (guint i = 0; i < jobs->len; i++) {
		Job *job = jobs->pdata[i];
		for (guint j = 0; j < job->pieces->len; j++) {
			ProaPlanStep step = { .piece = g_array_index(job->pieces, ProaPiece, j) };
			g_array_append_val(plan->steps, step);
		}
		if (!job->module)
			continue;
		add_module(plan, job->module);
		g_ptr_array_add(plan->modules, g_steal_pointer(&job->module));
	}
	g_array_sort(plan->steps, by_new_place);
	for (guint i = 0; i < plan->steps->len; i++) {
		const ProaPiece *piece = &g_array_index(plan->steps, ProaPlanStep, i).piece;
		g_assert(piece->new_at == at);
		at += piece->length;
	}
	g_assert(at == plan->new_size);
}

static gboolean find_files(ProaPlan *plan, GError **error)
{
	gboolean both = proa_erofs_is(plan->old_data, plan->old_size) &&
			proa_erofs_is(plan->new_data, plan->new_size);

	if (!both) {
		plan->old_files = g_ptr_array_new();
		plan->new_files = g_ptr_array_new();
		return TRUE;
	}
	plan->old_files = proa_erofs_files(plan->old_data, plan->old_size, error);
	if (!plan->old_files)
		return FALSE;
	plan->new_files = proa_erofs_files(plan->new_data, plan->new_size, error);
	return plan->new_files != NULL;
}

/* What of @ranges lies at @from or after it. */
static void drop_before(GArray *ranges, guint64 from)
{
	for (guint i = ranges->len; i-- > 0;) {
		ProaRange *range = &g_array_index(ranges, ProaRange, i);
		guint64 skip = range->at < from ? MIN(from - range->at, range->length) : 0;
		range->at += skip;
		range->length -= skip;
		if (range->length == 0)
			g_array_remove_index(ranges, i);
	}
}

static gboolean find_jobs(ProaPlan *plan, guint64 rest_from, GPtrArray *jobs, GError **error)
{
	g_autoptr(GArray) old_rest = rest_of(plan->old_files, plan->old_size);
	g_autoptr(GArray) new_rest = rest_of(plan->new_files, plan->new_size);

	if (!old_rest || !new_rest)
		return proa_fail(error, PROA_REASON_BAD_STATE, "files of the image overlap");
	drop_before(old_rest, rest_from);
	g_autoptr(GArray) pairs =
		proa_pair_files(plan->old_data, plan->old_files, plan->new_data, plan->new_files);
	for (guint i = 0; i < pairs->len; i++) {
		const ProaPair *pair = &g_array_index(pairs, ProaPair, i);
		add_job(jobs, pair, ranges_of(pair->old_file), ranges_of(pair->new_file));
	}
	if (new_rest->len > 0)
		add_job(jobs, NULL, g_steal_pointer(&old_rest), g_steal_pointer(&new_rest));
	for (guint i = 0; i < jobs->len; i++) {
		const Job *job = jobs->pdata[i];
		guint64 old_size = 0;
		for (guint j = 0; j < job->old_ranges->len; j++)
			old_size += g_array_index(job->old_ranges, ProaRange, j).length;
		if (old_size > MAX_COMPARED || job->size > MAX_COMPARED)
			return proa_fail(error, PROA_REASON_TOO_LARGE,
				"something of over 2 GiB can't be compared as one");
	}
	return TRUE;
}

static gboolean make_plan(ProaPlan *plan, guint64 rest_from, guint threads, ProaMakerProgress progress,
	gpointer user_data, GError **error)
{
	g_autoptr(GPtrArray) jobs = g_ptr_array_new_with_free_func(job_free);
	Work work = { .plan = plan, .progress = progress, .user_data = user_data };

	if (!find_jobs(plan, rest_from, jobs, error))
		return FALSE;
	g_mutex_init(&work.lock);
	gboolean ok = run_jobs(&work, jobs, threads, error);
	g_mutex_clear(&work.lock);
	if (ok)
		collect(plan, jobs);
	return ok;
}

static ProaPlan *plan_of(const guint8 *old_data, gsize old_size, const guint8 *new_data, gsize new_size)
{
	ProaPlan *plan = g_new0(ProaPlan, 1);

	*plan = (ProaPlan){ old_data, new_data, old_size, new_size,
		g_array_new(FALSE, TRUE, sizeof(ProaPlanStep)),
		g_ptr_array_new_with_free_func((GDestroyNotify)proa_module_free), NULL, NULL };
	return plan;
}

ProaPlan *proa_plan_new(const guint8 *old_data, gsize old_size, const guint8 *new_data, gsize new_size,
	guint threads, ProaMakerProgress progress, gpointer user_data, GError **error)
{
	g_autoptr(ProaPlan) plan = plan_of(old_data, old_size, new_data, new_size);

	if (!find_files(plan, error) || !make_plan(plan, 0, threads, progress, user_data, error))
		return NULL;
	return g_steal_pointer(&plan);
}

ProaPlan *proa_plan_of_files(const ProaPlanSide *old_side, const ProaPlanSide *new_side, guint64 rest_from,
	guint threads, ProaMakerProgress progress, gpointer user_data, GError **error)
{
	g_autoptr(ProaPlan) plan = plan_of(old_side->data, old_side->size, new_side->data, new_side->size);

	plan->old_files = g_ptr_array_ref(old_side->files);
	plan->new_files = g_ptr_array_ref(new_side->files);
	if (!make_plan(plan, rest_from, threads, progress, user_data, error))
		return NULL;
	return g_steal_pointer(&plan);
}
