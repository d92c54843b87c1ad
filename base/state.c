/* SPDX-License-Identifier: Apache-2.0 */
#include "base/state.h"

#include "base/digest.h"
#include "base/file.h"
#include "base/json.h"

#include <fcntl.h>
#include <string.h>
#include <sys/file.h>

#define MAX_STATE_SIZE (64 * 1024)
#define MAX_REJECTED_SIZE (256 * 1024)
#define MAX_REJECTED 64
#define MAX_HISTORY_SIZE (1024 * 1024)
#define MAX_DETAIL 1024

static const char *const kinds[_PROA_STATE_MAX] = {
	[PROA_STATE_IDLE] = "idle",
	[PROA_STATE_STAGING] = "staging",
	[PROA_STATE_STAGED] = "staged",
	[PROA_STATE_TRIAL] = "trial",
	[PROA_STATE_GOOD] = "good",
	[PROA_STATE_FALLEN_BACK] = "fallen-back",
};

const char *proa_state_kind_to_string(ProaStateKind kind)
{
	return kind >= 0 && kind < _PROA_STATE_MAX ? kinds[kind] : "idle";
}

ProaStateKind proa_state_kind_from_string(const char *word)
{
	for (int i = 0; word && i < _PROA_STATE_MAX; i++)
		if (strcmp(kinds[i], word) == 0)
			return (ProaStateKind)i;
	return _PROA_STATE_INVALID;
}

static gint64 now(void)
{
	return g_get_real_time() / G_USEC_PER_SEC;
}

static void clear_release(ProaStateRelease *release)
{
	g_clear_pointer(&release->version, g_free);
	g_clear_pointer(&release->root_hash, g_free);
	g_clear_pointer(&release->slot, g_free);
}

void proa_state_set_release(
	ProaStateRelease *release, const char *version, const char *root_hash, const char *slot)
{
	ProaStateRelease copy = { g_strdup(version), g_strdup(root_hash), g_strdup(slot) };

	clear_release(release);
	*release = copy;
}

ProaState *proa_state_new(void)
{
	ProaState *state = g_new0(ProaState, 1);

	state->kind = PROA_STATE_IDLE;
	state->since = now();
	return state;
}

void proa_state_free(ProaState *state)
{
	clear_release(&state->booted);
	clear_release(&state->staged);
	clear_release(&state->good);
	g_free(state->last_check_result);
	g_free(state->last_check_offered);
	g_free(state);
}

static JsonObject *read_document(const char *path, gsize max, GError **error)
{
	g_autoptr(GError) inner = NULL;
	gsize size = 0;
	g_autofree char *text = proa_file_read(path, max, &size, &inner);

	if (text)
		return proa_json_parse(text, size, path, PROA_REASON_BAD_STATE, error);
	/* No state of ours is that large: it is broken like any other. */
	if (proa_reason_of(inner) == PROA_REASON_TOO_LARGE)
		proa_fail(error, PROA_REASON_BAD_STATE, "%s", inner->message);
	else
		g_propagate_error(error, g_steal_pointer(&inner));
	return NULL;
}

static gboolean read_release(JsonObject *top, const char *member, ProaStateRelease *release, GError **error)
{
	JsonObject *object = proa_json_object_or_null(top, member);

	if (!object)
		return TRUE;
	const char *version = proa_json_string(object, "version", PROA_REASON_BAD_STATE, error);
	const char *root_hash =
		version ? proa_json_string(object, "root_hash", PROA_REASON_BAD_STATE, error) : NULL;
	if (!root_hash)
		return FALSE;
	if (!proa_sha256_hex_valid(root_hash))
		return proa_fail(
			error, PROA_REASON_BAD_STATE, "member \"root_hash\" of \"%s\" is no digest", member);
	proa_state_set_release(release, version, root_hash, proa_json_string_or(object, "slot", NULL));
	return TRUE;
}

static void write_release(JsonObject *top, const char *member, const ProaStateRelease *release)
{
	if (!release->root_hash) {
		json_object_set_null_member(top, member);
		return;
	}
	JsonObject *object = json_object_new();
	proa_json_set_string(object, "version", release->version);
	proa_json_set_string(object, "root_hash", release->root_hash);
	proa_json_set_string(object, "slot", release->slot);
	json_object_set_object_member(top, member, object);
}

static gboolean read_state(JsonObject *top, ProaState *state, GError **error)
{
	const char *word = proa_json_string(top, "state", PROA_REASON_BAD_STATE, error);

	if (!word)
		return FALSE;
	state->kind = proa_state_kind_from_string(word);
	if ((int)state->kind < 0)
		return proa_fail(error, PROA_REASON_BAD_STATE, "unknown state \"%s\"", word);
	state->since = proa_json_int_or(top, "since", 0);
	state->last_check = proa_json_int_or(top, "last_check", 0);
	state->last_check_result = g_strdup(proa_json_string_or(top, "last_check_result", NULL));
	state->last_check_offered = g_strdup(proa_json_string_or(top, "last_check_offered", NULL));
	return read_release(top, "booted", &state->booted, error) &&
	       read_release(top, "staged", &state->staged, error) &&
	       read_release(top, "good", &state->good, error);
}

ProaState *proa_state_load(const char *dir, GError **error)
{
	g_autofree char *path = g_build_filename(dir, "state.json", NULL);
	g_autoptr(GError) inner = NULL;
	g_autoptr(JsonObject) top = read_document(path, MAX_STATE_SIZE, &inner);

	if (!top && proa_reason_of(inner) == PROA_REASON_NOT_FOUND)
		return proa_state_new();
	if (!top) {
		g_propagate_error(error, g_steal_pointer(&inner));
		return NULL;
	}
	g_autoptr(ProaState) state = proa_state_new();
	if (!read_state(top, state, error)) {
		g_prefix_error(error, "%s: ", path);
		return NULL;
	}
	return g_steal_pointer(&state);
}

gboolean proa_state_save(const char *dir, ProaState *state, GError **error)
{
	g_autoptr(ProaState) before = proa_state_load(dir, NULL);
	g_autofree char *path = g_build_filename(dir, "state.json", NULL);
	g_autoptr(JsonObject) top = json_object_new();

	if (!before || before->kind != state->kind)
		state->since = now();
	json_object_set_string_member(top, "state", proa_state_kind_to_string(state->kind));
	json_object_set_int_member(top, "since", state->since);
	write_release(top, "booted", &state->booted);
	write_release(top, "staged", &state->staged);
	write_release(top, "good", &state->good);
	json_object_set_int_member(top, "last_check", state->last_check);
	proa_json_set_string(top, "last_check_result", state->last_check_result);
	proa_json_set_string(top, "last_check_offered", state->last_check_offered);

	g_autofree char *text = proa_json_to_text(top);
	return proa_file_make_dirs(dir, error) && proa_file_replace(path, text, strlen(text), 0644, error);
}

static int lock_state(const char *dir, GError **error)
{
	g_autofree char *path = g_build_filename(dir, "state.lock", NULL);
	/* Nobody else may open it: whoever could take the lock could hold it for ever. */
	PROA_AUTO_FD int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

	while (fd >= 0 && flock(fd, LOCK_EX) < 0 && errno == EINTR)
		;
	if (fd < 0)
		proa_fail_errno(error, PROA_REASON_IO, errno, "locking %s", path);
	return proa_steal_fd(&fd);
}

gboolean proa_state_update(const char *dir, ProaStateChange change, gpointer data, GError **error)
{
	if (!proa_file_make_dirs(dir, error))
		return FALSE;
	PROA_AUTO_FD int lock = lock_state(dir, error);
	if (lock < 0)
		return FALSE;
	g_autoptr(ProaState) state = proa_state_load(dir, NULL);
	if (!state)
		state = proa_state_new();
	change(state, data);
	return proa_state_save(dir, state, error);
}

void proa_rejected_free(ProaRejected *rejected)
{
	g_free(rejected->root_hash);
	g_free(rejected->version);
	g_free(rejected->reason);
	g_free(rejected->detail);
	g_free(rejected);
}

/*
 * @text as it may stand in a state file: UTF-8, at most MAX_DETAIL bytes. Details come from log lines; 64
 * long ones must not make a file that is over the cap of its own reader.
 */
static char *bounded(const char *text)
{
	if (!text)
		return NULL;
	gsize length = strnlen(text, MAX_DETAIL + 1);
	g_autofree char *valid = g_utf8_make_valid(text, (gssize)length);
	if (strlen(valid) <= MAX_DETAIL)
		return g_steal_pointer(&valid);
	const char *end = g_utf8_find_prev_char(valid, valid + MAX_DETAIL - 2);
	return g_strdup_printf("%.*s...", (int)(end - valid), valid);
}

static ProaRejected *read_rejected(JsonArray *array, guint index, const char *path, GError **error)
{
	JsonNode *node = json_array_get_element(array, index);
	JsonObject *object = JSON_NODE_HOLDS_OBJECT(node) ? json_node_get_object(node) : NULL;
	const char *root_hash = object ? proa_json_string_or(object, "root_hash", NULL) : NULL;

	if (!proa_sha256_hex_valid(root_hash)) {
		proa_fail(error, PROA_REASON_BAD_STATE, "%s: entry %u has no root hash", path, index);
		return NULL;
	}
	ProaRejected *entry = g_new0(ProaRejected, 1);
	entry->root_hash = g_strdup(root_hash);
	entry->version = g_strdup(proa_json_string_or(object, "version", ""));
	entry->reason = g_strdup(proa_json_string_or(object, "reason", "boot-failed"));
	entry->detail = g_strdup(proa_json_string_or(object, "detail", NULL));
	entry->time = proa_json_int_or(object, "time", 0);
	return entry;
}

GPtrArray *proa_rejected_load(const char *dir, GError **error)
{
	g_autofree char *path = g_build_filename(dir, "rejected.json", NULL);
	g_autoptr(GPtrArray) list = g_ptr_array_new_with_free_func((GDestroyNotify)proa_rejected_free);
	g_autoptr(GError) inner = NULL;
	g_autoptr(JsonObject) top = read_document(path, MAX_REJECTED_SIZE, &inner);

	if (!top && proa_reason_of(inner) == PROA_REASON_NOT_FOUND)
		return g_steal_pointer(&list);
	if (!top) {
		g_propagate_error(error, g_steal_pointer(&inner));
		return NULL;
	}
	JsonArray *array = proa_json_array(top, "rejected", PROA_REASON_BAD_STATE, error);
	if (!array) {
		g_prefix_error(error, "%s: ", path);
		return NULL;
	}
	for (guint i = 0; i < json_array_get_length(array); i++) {
		ProaRejected *entry = read_rejected(array, i, path, error);
		if (!entry)
			return NULL;
		g_ptr_array_add(list, entry);
	}
	return g_steal_pointer(&list);
}

gboolean proa_rejected_is_operators(const ProaRejected *entry)
{
	return strcmp(entry->reason, proa_reason_to_string(PROA_REASON_REJECTED)) == 0 ||
	       strcmp(entry->reason, proa_reason_to_string(PROA_REASON_ROLLED_BACK)) == 0;
}

const ProaRejected *proa_rejected_find(const GPtrArray *rejected, const char *root_hash)
{
	for (guint i = 0; i < rejected->len; i++) {
		const ProaRejected *entry = g_ptr_array_index(rejected, i);
		if (strcmp(entry->root_hash, root_hash) == 0)
			return entry;
	}
	return NULL;
}

/* The root hashes that were taken off the list; an empty array if there are none. */
static GPtrArray *load_lifted(const char *dir)
{
	g_autofree char *path = g_build_filename(dir, "rejected.json", NULL);
	g_autoptr(JsonObject) top = read_document(path, MAX_REJECTED_SIZE, NULL);
	JsonArray *array = top ? proa_json_array_or_null(top, "lifted") : NULL;
	GPtrArray *lifted = g_ptr_array_new_with_free_func(g_free);

	for (guint i = 0; array && i < json_array_get_length(array); i++) {
		JsonNode *node = json_array_get_element(array, i);
		const char *root_hash = JSON_NODE_HOLDS_VALUE(node) ? json_node_get_string(node) : NULL;
		if (proa_sha256_hex_valid(root_hash))
			g_ptr_array_add(lifted, g_strdup(root_hash));
	}
	return lifted;
}

static void remove_lifted(GPtrArray *lifted, const char *root_hash)
{
	guint index;

	while (g_ptr_array_find_with_equal_func(lifted, root_hash, g_str_equal, &index))
		g_ptr_array_remove_index(lifted, index);
}

static gboolean save_rejected(const char *dir, const GPtrArray *list, const GPtrArray *lifted, GError **error)
{
	g_autofree char *path = g_build_filename(dir, "rejected.json", NULL);
	g_autoptr(JsonObject) top = json_object_new();
	JsonArray *array = json_array_new();

	for (guint i = list->len > MAX_REJECTED ? list->len - MAX_REJECTED : 0; i < list->len; i++) {
		const ProaRejected *entry = g_ptr_array_index(list, i);
		JsonObject *object = json_object_new();
		json_object_set_string_member(object, "root_hash", entry->root_hash);
		json_object_set_string_member(object, "version", entry->version);
		json_object_set_string_member(object, "reason", entry->reason);
		if (entry->detail)
			json_object_set_string_member(object, "detail", entry->detail);
		json_object_set_int_member(object, "time", entry->time);
		json_array_add_object_element(array, object);
	}
	json_object_set_array_member(top, "rejected", array);
	JsonArray *off = json_array_new();
	for (guint i = lifted->len > MAX_REJECTED ? lifted->len - MAX_REJECTED : 0; i < lifted->len; i++)
		json_array_add_string_element(off, g_ptr_array_index(lifted, i));
	json_object_set_array_member(top, "lifted", off);
	g_autofree char *text = proa_json_to_text(top);
	return proa_file_make_dirs(dir, error) && proa_file_replace(path, text, strlen(text), 0644, error);
}

/* Loads the list without the entry of @root_hash; a broken file is set aside, since remembering must go on.
 */
static GPtrArray *load_without(const char *dir, const char *root_hash, gboolean *ret_found)
{
	GPtrArray *list = proa_rejected_load(dir, NULL);

	*ret_found = FALSE;
	if (!list)
		return g_ptr_array_new_with_free_func((GDestroyNotify)proa_rejected_free);
	for (guint i = list->len; i-- > 0;) {
		const ProaRejected *entry = g_ptr_array_index(list, i);
		if (strcmp(entry->root_hash, root_hash) != 0)
			continue;
		g_ptr_array_remove_index(list, i);
		*ret_found = TRUE;
	}
	return list;
}

gboolean proa_rejected_add(const char *dir, const char *root_hash, const char *version, const char *reason,
	const char *detail, GError **error)
{
	gboolean found;
	g_autoptr(GPtrArray) list = load_without(dir, root_hash, &found);
	ProaRejected *entry = g_new0(ProaRejected, 1);

	entry->root_hash = g_strdup(root_hash);
	entry->version = g_strdup(version ? version : "");
	entry->reason = g_strdup(reason);
	entry->detail = bounded(detail);
	entry->time = now();
	g_ptr_array_add(list, entry);
	g_autoptr(GPtrArray) lifted = load_lifted(dir);
	remove_lifted(lifted, root_hash);
	return save_rejected(dir, list, lifted, error);
}

gboolean proa_rejected_remove(const char *dir, const char *root_hash, GError **error)
{
	gboolean found;
	g_autoptr(GPtrArray) list = load_without(dir, root_hash, &found);

	g_autoptr(GPtrArray) lifted = load_lifted(dir);
	guint before = lifted->len;
	remove_lifted(lifted, root_hash);
	return (!found && lifted->len == before) || save_rejected(dir, list, lifted, error);
}

gboolean proa_rejected_lift(const char *dir, const char *root_hash, gboolean *ret_found, GError **error)
{
	gboolean found;
	g_autoptr(GPtrArray) list = load_without(dir, root_hash, &found);
	g_autoptr(GPtrArray) lifted = load_lifted(dir);

	if (found) {
		remove_lifted(lifted, root_hash);
		g_ptr_array_add(lifted, g_strdup(root_hash));
		if (!save_rejected(dir, list, lifted, error))
			return FALSE;
	}
	*ret_found = found;
	return TRUE;
}

gboolean proa_rejected_lifted(const char *dir, const char *root_hash)
{
	g_autoptr(GPtrArray) lifted = load_lifted(dir);

	return g_ptr_array_find_with_equal_func(lifted, root_hash, g_str_equal, NULL);
}

gboolean proa_history_append(const char *dir, const char *event, const ProaStateRelease *release,
	const char *reason, const char *detail, GError **error)
{
	g_autofree char *path = g_build_filename(dir, "history.jsonl", NULL);
	g_autoptr(JsonObject) object = json_object_new();

	json_object_set_int_member(object, "time", now());
	json_object_set_string_member(object, "event", event);
	if (release && release->version)
		json_object_set_string_member(object, "version", release->version);
	if (release && release->root_hash)
		json_object_set_string_member(object, "root_hash", release->root_hash);
	if (release && release->slot)
		json_object_set_string_member(object, "slot", release->slot);
	if (reason)
		json_object_set_string_member(object, "reason", reason);
	g_autofree char *text = bounded(detail);
	if (text)
		json_object_set_string_member(object, "detail", text);

	g_autofree char *line = proa_json_to_line(object);
	return proa_file_make_dirs(dir, error) && proa_file_append_line(path, line, MAX_HISTORY_SIZE, error);
}
