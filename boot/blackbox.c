/* SPDX-License-Identifier: Apache-2.0 */
#include "boot/blackbox.h"

#include "base/digest.h"
#include "base/file.h"
#include "base/json.h"

#include <string.h>

#define VERDICT "verdict.json"
#define MAX_VERDICT (32 * 1024)
/* Shares of a page: its end is what counts of the longer ones. */
#define MAX_CHECKS (8 * 1024)
#define MAX_ENTRIES (8 * 1024)
#define MAX_KERNEL (32 * 1024)
#define MAX_JOURNAL (80 * 1024)
#define NO_JOURNAL "none: no boot of this release wrote to the journal on /var, or it is not there any more"
#define MAX_TIME G_GINT64_CONSTANT(9999999999)
#define PAGE_SUFFIX ".txt"

static char *folder_of(const char *state_dir)
{
	return g_build_filename(state_dir, "blackbox", NULL);
}

/* The end of @text, at most @max bytes and a little, valid UTF-8; free with g_free(). */
static char *tail_of(const char *text, gsize max)
{
	gsize size = strlen(text);

	return g_utf8_make_valid(text + (size > max ? size - max : 0), -1);
}

gboolean proa_blackbox_set_verdict(const char *state_dir, const ProaStateRelease *release, const char *reason,
	const char *detail, const char *checks, GError **error)
{
	g_autofree char *folder = folder_of(state_dir);
	g_autofree char *path = g_build_filename(folder, VERDICT, NULL);
	g_autofree char *valid = g_utf8_make_valid(detail ? detail : "", -1);
	g_autoptr(JsonObject) top = json_object_new();

	proa_json_set_string(top, "root_hash", release->root_hash);
	proa_json_set_string(top, "version", release->version);
	proa_json_set_string(top, "reason", reason);
	proa_json_set_string(top, "detail", valid);
	g_autofree char *said = checks ? tail_of(checks, MAX_CHECKS) : NULL;
	proa_json_set_string(top, "checks", said);
	json_object_set_int_member(top, "time", g_get_real_time() / G_USEC_PER_SEC);
	g_autofree char *text = proa_json_to_text(top);
	return proa_file_make_dirs(folder, error) && proa_file_replace(path, text, strlen(text), 0600, error);
}

/* The document, if it speaks of @root_hash. */
static JsonObject *load_verdict(const char *state_dir, const char *root_hash)
{
	g_autofree char *folder = folder_of(state_dir);
	g_autofree char *path = g_build_filename(folder, VERDICT, NULL);
	gsize size = 0;
	g_autofree char *text = proa_file_read(path, MAX_VERDICT, &size, NULL);
	g_autoptr(JsonObject) top =
		text ? proa_json_parse(text, size, VERDICT, PROA_REASON_BAD_STATE, NULL) : NULL;

	if (!top || strcmp(proa_json_string_or(top, "root_hash", ""), root_hash) != 0)
		return NULL;
	return g_steal_pointer(&top);
}

ProaRejected *proa_blackbox_verdict(const char *state_dir, const char *root_hash)
{
	g_autoptr(JsonObject) top = load_verdict(state_dir, root_hash);
	const char *reason = top ? proa_json_string_or(top, "reason", "") : "";

	if (!top || proa_reason_from_string(reason) == PROA_REASON_MAX)
		return NULL;
	ProaRejected *verdict = g_new0(ProaRejected, 1);
	verdict->root_hash = g_strdup(root_hash);
	verdict->version = g_strdup(proa_json_string_or(top, "version", ""));
	verdict->reason = g_strdup(reason);
	verdict->detail = g_strdup(proa_json_string_or(top, "detail", NULL));
	verdict->time = proa_json_int_or(top, "time", 0);
	return verdict;
}

char *proa_blackbox_checks(const char *state_dir, const char *root_hash)
{
	g_autoptr(JsonObject) top = load_verdict(state_dir, root_hash);

	return top ? g_strdup(proa_json_string_or(top, "checks", NULL)) : NULL;
}

static void add_part(GString *text, const char *title, const char *part, gsize max)
{
	if (!part || !*part)
		return;
	g_autofree char *kept = tail_of(part, max);
	g_string_append_printf(text, "\n%s:\n%s%s", title, kept, g_str_has_suffix(kept, "\n") ? "" : "\n");
}

char *proa_blackbox_evidence(const char *checks, const char *entries, const char *kernel, const char *journal)
{
	GString *text = g_string_new(NULL);

	add_part(text, "What the checks said", checks, MAX_CHECKS);
	add_part(text, "Boot entries", entries, MAX_ENTRIES);
	add_part(text, "The kernel's last words", kernel, MAX_KERNEL);
	add_part(text, "Last messages of that boot", journal ? journal : NO_JOURNAL, MAX_JOURNAL);
	return g_string_free(text, FALSE);
}

static int compare_names(gconstpointer a, gconstpointer b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Page names begin with their time in seconds, ten digits from 2001 to 2286, so their order is that of their
 * age. */
static gboolean remove_old_pages(const char *folder, GError **error)
{
	g_autoptr(GDir) dir = g_dir_open(folder, 0, error);
	g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
	const char *name;

	while (dir && (name = g_dir_read_name(dir)))
		if (g_str_has_suffix(name, PAGE_SUFFIX))
			g_ptr_array_add(names, g_strdup(name));
	g_ptr_array_sort(names, compare_names);
	for (guint i = 0; i + PROA_BLACKBOX_PAGES < names->len; i++) {
		g_autofree char *path = g_build_filename(folder, g_ptr_array_index(names, i), NULL);
		if (!proa_file_remove(path, error))
			return FALSE;
	}
	return dir != NULL;
}

/* Seconds since 1970, but later than each page there is: the newest must be the last one under any clock. */
static gint64 page_time(const char *folder, gint64 now)
{
	g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
	const char *name;

	while (dir && (name = g_dir_read_name(dir)))
		if (g_str_has_suffix(name, PAGE_SUFFIX))
			now = MAX(now, MIN(g_ascii_strtoll(name, NULL, 10), MAX_TIME - 1) + 1);
	return now;
}

gboolean proa_blackbox_write(const char *state_dir, const ProaStateRelease *release, const char *reason,
	const char *detail, const char *text, GError **error)
{
	g_autoptr(GDateTime) now = g_date_time_new_now_utc();
	g_autofree char *when = g_date_time_format_iso8601(now);
	g_autofree char *folder = folder_of(state_dir);
	g_autofree char *name = g_strdup_printf("%010" G_GINT64_FORMAT "-%s" PAGE_SUFFIX,
		page_time(folder, g_date_time_to_unix(now)), release->version ? release->version : "unknown");
	g_autofree char *path = g_build_filename(folder, name, NULL);
	g_autoptr(GString) page = g_string_new(NULL);

	g_string_append_printf(
		page, "Release %s failed: %s\n\n", release->version ? release->version : "unknown", reason);
	g_string_append_printf(page, "When:      %s\n", when);
	g_string_append_printf(page, "Root hash: %s\n", release->root_hash);
	g_string_append_printf(page, "Slot:      %s\n", release->slot ? release->slot : "unknown");
	g_string_append_printf(page, "Detail:    %s\n", detail && *detail ? detail : "none");
	g_string_append_printf(page, "What now:  %s\n", proa_reason_hint(proa_reason_from_string(reason)));
	if (text) {
		g_autofree char *kept = tail_of(text, PROA_BLACKBOX_MAX_TEXT);
		g_string_append(page, kept);
	}
	return proa_file_make_dirs(folder, error) &&
	       proa_file_replace(path, page->str, page->len, 0600, error) && remove_old_pages(folder, error);
}
