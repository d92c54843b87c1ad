/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/cli/progress.h"

#include "agent/text.h"
#include "base/json.h"

/* A measurement this old weighs half as much as a new one. Seconds. */
#define HALF_LIFE 3.0
/* A terminal is redrawn at most this often; a plain line is written every so often, or at each tenth.
 * Microseconds. */
#define REDRAW_USEC (200 * G_GINT64_CONSTANT(1000))
#define LINE_USEC (10 * G_USEC_PER_SEC)
/* Shorter steps measure the scheduler rather than the network. */
#define MEASURE_USEC (200 * G_GINT64_CONSTANT(1000))

struct ProaProgress {
	FILE *out;
	ProaProgressStyle style;
	char *phase; /* the phase shown last */
	ProaMeter meter;
	gint64 drawn_usec;
	int drawn_percent;
	gboolean open_line; /* the cursor stands in a line of ours */
};

void proa_meter_update(ProaMeter *meter, guint64 done, gint64 usec)
{
	if (meter->last_usec == 0 || done < meter->last_done || usec < meter->last_usec) {
		*meter = (ProaMeter){ usec, done, 0 };
		return;
	}
	if (usec - meter->last_usec < MEASURE_USEC)
		return;
	double seconds = (double)(usec - meter->last_usec) / G_USEC_PER_SEC;
	double now = (double)(done - meter->last_done) / seconds;
	double weight = seconds / (seconds + HALF_LIFE);
	meter->rate = meter->rate > 0 ? meter->rate + weight * (now - meter->rate) : now;
	meter->last_usec = usec;
	meter->last_done = done;
}

gint64 proa_meter_left(const ProaMeter *meter, guint64 done, guint64 total)
{
	/* Below a byte a second the answer would be no help, and might not fit. */
	if (meter->rate < 1 || done > total)
		return -1;
	double seconds = (double)(total - done) / meter->rate;
	return seconds < 1e9 ? (gint64)(seconds + 0.5) : -1;
}

int proa_progress_percent(guint64 done, guint64 total)
{
	if (total == 0)
		return -1;
	return done >= total ? 100 : (int)((double)done / (double)total * 100);
}

ProaProgress *proa_progress_new(FILE *out, ProaProgressStyle style)
{
	ProaProgress *progress = g_new0(ProaProgress, 1);

	progress->out = out;
	progress->style = style;
	progress->drawn_percent = -1;
	return progress;
}

void proa_progress_end(ProaProgress *progress)
{
	if (progress->open_line)
		fputc('\n', progress->out);
	progress->open_line = FALSE;
	fflush(progress->out);
}

void proa_progress_free(ProaProgress *progress)
{
	proa_progress_end(progress);
	g_free(progress->phase);
	g_free(progress);
}

static char *describe(const ProaProgress *progress, guint64 done, guint64 total)
{
	if (total == 0)
		return g_strdup(progress->phase);
	g_autofree char *have = proa_text_bytes(done);
	g_autofree char *all = proa_text_bytes(total);
	g_autoptr(GString) line = g_string_new(NULL);
	gint64 left = proa_meter_left(&progress->meter, done, total);

	g_string_append_printf(
		line, "%-8s %3d%%  %s of %s", progress->phase, proa_progress_percent(done, total), have, all);
	if (progress->meter.rate >= 1) {
		g_autofree char *rate = proa_text_bytes((guint64)progress->meter.rate);
		g_string_append_printf(line, "  %s/s", rate);
	}
	if (left >= 0 && done < total) {
		g_autofree char *span = proa_text_span(left);
		g_string_append_printf(line, "  %s left", span);
	}
	return g_string_free(g_steal_pointer(&line), FALSE);
}

static void write_json(ProaProgress *progress, gboolean new_phase, guint64 done, guint64 total)
{
	g_autoptr(JsonObject) object = json_object_new();

	json_object_set_string_member(object, "event", total == 0 && new_phase ? "phase" : "progress");
	json_object_set_string_member(object, "phase", progress->phase);
	if (total > 0) {
		json_object_set_int_member(object, "done", (gint64)done);
		json_object_set_int_member(object, "total", (gint64)total);
	}
	g_autofree char *line = proa_json_to_line(object);
	fprintf(progress->out, "%s\n", line);
	fflush(progress->out);
}

static gboolean worth_showing(
	const ProaProgress *progress, gboolean new_phase, guint64 done, guint64 total, gint64 usec)
{
	int percent = proa_progress_percent(done, total);

	if (new_phase || (done == total && percent != progress->drawn_percent))
		return TRUE;
	if (progress->style == PROA_PROGRESS_TERMINAL)
		return usec - progress->drawn_usec >= REDRAW_USEC;
	return percent / 10 > progress->drawn_percent / 10 || usec - progress->drawn_usec >= LINE_USEC;
}

static void draw(ProaProgress *progress, gboolean new_phase, guint64 done, guint64 total, gint64 usec)
{
	g_autofree char *line = describe(progress, done, total);

	progress->drawn_usec = usec;
	progress->drawn_percent = MAX(proa_progress_percent(done, total), 0);
	if (progress->style == PROA_PROGRESS_LINES) {
		fprintf(progress->out, "%s\n", line);
	} else {
		if (new_phase)
			proa_progress_end(progress);
		/* Back to the start of the line, and clear what stood there. */
		fprintf(progress->out, "\r\033[K%s", line);
		progress->open_line = TRUE;
	}
	fflush(progress->out);
}

void proa_progress_update(ProaProgress *progress, const char *phase, guint64 done, guint64 total, gint64 usec)
{
	g_autofree char *safe = proa_text_safe(phase);
	gboolean new_phase = g_strcmp0(safe, progress->phase) != 0;

	if (progress->style == PROA_PROGRESS_NONE)
		return;
	if (new_phase) {
		g_free(progress->phase);
		progress->phase = g_steal_pointer(&safe);
		progress->meter = (ProaMeter){ 0 };
	}
	if (total > 0)
		proa_meter_update(&progress->meter, done, usec);
	if (progress->style == PROA_PROGRESS_JSON)
		write_json(progress, new_phase, done, total);
	else if (worth_showing(progress, new_phase, done, total, usec))
		draw(progress, new_phase, done, total, usec);
}

void proa_progress_say(ProaProgress *progress, const char *text)
{
	if (progress->style == PROA_PROGRESS_JSON || progress->style == PROA_PROGRESS_NONE)
		return;
	proa_progress_end(progress);
	fprintf(progress->out, "%s\n", text);
	fflush(progress->out);
}
