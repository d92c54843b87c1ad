/* SPDX-License-Identifier: Apache-2.0 */
#include "boot/status.h"

#include "base/file.h"
#include "base/json.h"
#include "base/pin.h"
#include "boot/generation.h"
#include "boot/proof.h"

#include <string.h>

#define MAX_PROC_STAT (1024 * 1024)

static void set_count(JsonObject *object, const char *member, int count)
{
	if (count < 0)
		json_object_set_null_member(object, member);
	else
		json_object_set_int_member(object, member, count);
}

static JsonObject *release_of(const ProaStateRelease *release)
{
	JsonObject *object = json_object_new();

	proa_json_set_string(object, "version", release->version);
	proa_json_set_string(object, "root_hash", release->root_hash);
	proa_json_set_string(object, "slot", release->slot);
	return object;
}

static void set_entry(JsonObject *object, const ProaEntry *entry)
{
	proa_json_set_string(object, "entry", entry ? entry->name : NULL);
	set_count(object, "tries_left", entry ? entry->tries_left : -1);
	set_count(object, "tries_done", entry ? entry->tries_done : -1);
}

static gint64 boot_time(const ProaNode *node)
{
	g_autofree char *path = g_build_filename(*node->root ? node->root : "/", "proc/stat", NULL);
	g_autofree char *text = proa_file_read(path, MAX_PROC_STAT, NULL, NULL);
	const char *line = text ? strstr(text, "\nbtime ") : NULL;

	return line ? g_ascii_strtoll(line + strlen("\nbtime "), NULL, 10) : 0;
}

static void set_release_or_null(JsonObject *top, const char *member, const ProaStateRelease *release)
{
	if (release->root_hash)
		json_object_set_object_member(top, member, release_of(release));
	else
		json_object_set_null_member(top, member);
}

static JsonArray *rejected_of(const ProaNode *node)
{
	g_autoptr(GPtrArray) list = proa_rejected_load(node->state_dir, NULL);
	JsonArray *array = json_array_new();

	for (guint i = 0; list && i < list->len; i++) {
		const ProaRejected *rejected = g_ptr_array_index(list, i);
		JsonObject *object = json_object_new();
		proa_json_set_string(object, "root_hash", rejected->root_hash);
		proa_json_set_string(object, "version", rejected->version);
		proa_json_set_string(object, "reason", rejected->reason);
		proa_json_set_string(object, "detail", rejected->detail);
		json_object_set_int_member(object, "time", rejected->time);
		json_array_add_object_element(array, object);
	}
	return array;
}

/* Paths of /etc that both the operator and the running release had changed. */
static JsonArray *conflicts_of(const ProaNode *node)
{
	g_autofree char *etc_dir = g_build_filename(node->state_dir, "etc", NULL);
	g_autofree char *name = proa_generation_name(node->booted.root_hash);
	g_auto(GStrv) paths = proa_generation_conflicts(etc_dir, name);
	JsonArray *array = json_array_new();

	for (char **path = paths; *path; path++) {
		g_autofree char *valid = g_utf8_make_valid(*path, -1);
		json_array_add_string_element(array, valid);
	}
	return array;
}

JsonObject *proa_status(const ProaNode *node)
{
	g_autoptr(ProaState) state = proa_state_load(node->state_dir, NULL);
	const ProaEntry *next = proa_entry_next(node->entries);
	JsonObject *top = json_object_new(), *booted = release_of(&node->booted),
		   *other = release_of(&node->other);

	if (!state)
		state = proa_state_new();
	set_entry(booted, node->booted_entry);
	json_object_set_boolean_member(
		booted, "blessed", node->booted_entry && node->booted_entry->tries_left < 0);
	json_object_set_boolean_member(booted, "verified", proa_node_verified(node));
	json_object_set_int_member(booted, "boot_time", boot_time(node));
	proa_json_set_string(other, "slot", node->other_slot);
	set_entry(other, node->other_entry);
	json_object_set_boolean_member(other, "bootable", proa_node_other_bootable(node));
	JsonObject *scrub = proa_proof_load(node->state_dir, node->other.root_hash);
	if (scrub)
		json_object_set_object_member(other, "scrub", scrub);
	else
		json_object_set_null_member(other, "scrub");

	json_object_set_object_member(top, "booted", booted);
	json_object_set_object_member(top, "other", other);
	proa_json_set_string(top, "next", next ? next->name : NULL);
	json_object_set_string_member(top, "state", proa_state_kind_to_string(state->kind));
	set_release_or_null(top, "good", &state->good);
	set_release_or_null(top, "staged", &state->staged);
	json_object_set_array_member(top, "rejected", rejected_of(node));
	g_autofree char *pinned = proa_pin_load(node->state_dir);
	proa_json_set_string(top, "pinned", pinned);
	json_object_set_array_member(top, "conflicts", conflicts_of(node));
	return top;
}
