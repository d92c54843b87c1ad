/* SPDX-License-Identifier: Apache-2.0 */
#include "images/payload/plan.h"

#include "images/payload/pair.h"

/* Bytes that are compared as one must fit the suffix sorter's numbers. */
#define MAX_COMPARED ((guint64)G_MAXINT32 - 1)

/* One file, or all that is in no file. */
typedef struct {
	const ProaErofsFile *old_file, *new_file; /* NULL: all that is in no file */
	GArray *old_ranges, *new_ranges;
	gboolean equal, large; /* large: more than is compared as one */
	guint64 size;
	GArray *pieces;
	ProaModule *module;
} Job;

typedef struct {
	const ProaDeltaMaker *maker;
	ProaPlan *plan;
	gboolean modules; /* may be made as such */
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

guint proa_delta_maker_threads(const ProaDeltaMaker *maker)
{
	return maker->threads > 0 ? maker->threads : g_get_num_processors();
}

static void run_job(gpointer data, gpointer user_data)
{
	Job *job = data;
	Work *work = user_data;
	const ProaPlan *plan = work->plan;
	const ProaDeltaMaker *maker = work->maker;

	if (job->equal)
		proa_align_equal(job->old_ranges, job->new_ranges, job->pieces);
	else if (job->large)
		proa_align_in_place(
			plan->old_data, job->old_ranges, plan->new_data, job->new_ranges, job->pieces);
	else if (work->modules && job->old_file && job->new_file)
		job->module = proa_module_make(plan->old_data, job->old_file, plan->new_data, job->new_file);
	if (!job->equal && !job->large && !job->module)
		proa_align(plan->old_data, job->old_ranges, plan->new_data, job->new_ranges, job->pieces);
	g_mutex_lock(&work->lock);
	work->done += job->size;
	if (maker->progress)
		maker->progress(work->done, 2 * plan->new_size, maker->user_data);
	g_mutex_unlock(&work->lock);
}

static int largest_first(gconstpointer a, gconstpointer b)
{
	const Job *first = *(const Job *const *)a, *second = *(const Job *const *)b;

	if (first->equal != second->equal)
		return first->equal ? 1 : -1;
	return first->size > second->size ? -1 : first->size < second->size;
}

static gboolean run_jobs(Work *work, GPtrArray *jobs, GError **error)
{
	gint threads = (gint)proa_delta_maker_threads(work->maker);
	GThreadPool *pool = g_thread_pool_new(run_job, work, threads, TRUE, error);
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

/* What is larger than may be compared as one need not be: it is made, if not as well. */
static void look_at_size(const ProaDeltaMaker *maker, Job *job)
{
	guint64 most = maker->max_compared > 0 ? MIN(maker->max_compared, MAX_COMPARED) : MAX_COMPARED;
	guint64 old_size = 0;

	for (guint i = 0; i < job->old_ranges->len; i++)
		old_size += g_array_index(job->old_ranges, ProaRange, i).length;
	job->large = !job->equal && (old_size > most || job->size > most);
	if (!job->large || !maker->warn)
		return;
	g_autofree char *text = g_strdup_printf(
		"%s: over %" G_GUINT64_FORMAT
		" bytes are not compared as one; only blocks that stayed where they were are taken from the older",
		job->new_file ? job->new_file->path : "what is in no file", most);
	maker->warn(text, maker->user_data);
}

static gboolean find_jobs(
	const ProaDeltaMaker *maker, ProaPlan *plan, guint64 rest_from, GPtrArray *jobs, GError **error)
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
	for (guint i = 0; i < jobs->len; i++)
		look_at_size(maker, jobs->pdata[i]);
	return TRUE;
}

static gboolean make_plan(
	const ProaDeltaMaker *maker, ProaPlan *plan, guint64 rest_from, gboolean modules, GError **error)
{
	g_autoptr(GPtrArray) jobs = g_ptr_array_new_with_free_func(job_free);
	Work work = { .maker = maker, .plan = plan, .modules = modules };

	if (!find_jobs(maker, plan, rest_from, jobs, error))
		return FALSE;
	g_mutex_init(&work.lock);
	gboolean ok = run_jobs(&work, jobs, error);
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

ProaPlan *proa_plan_new(const ProaDeltaMaker *maker, const guint8 *old_data, gsize old_size,
	const guint8 *new_data, gsize new_size, GError **error)
{
	g_autoptr(ProaPlan) plan = plan_of(old_data, old_size, new_data, new_size);

	if (!find_files(plan, error) || !make_plan(maker, plan, 0, TRUE, error))
		return NULL;
	return g_steal_pointer(&plan);
}

ProaPlan *proa_plan_of_files(const ProaDeltaMaker *maker, const ProaPlanSide *old_side,
	const ProaPlanSide *new_side, guint64 rest_from, GError **error)
{
	g_autoptr(ProaPlan) plan = plan_of(old_side->data, old_side->size, new_side->data, new_side->size);

	plan->old_files = g_ptr_array_ref(old_side->files);
	plan->new_files = g_ptr_array_ref(new_side->files);
	if (!make_plan(maker, plan, rest_from, FALSE, error))
		return NULL;
	return g_steal_pointer(&plan);
}
