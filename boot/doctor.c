/* SPDX-License-Identifier: Apache-2.0 */
#include "boot/doctor.h"

#include "base/file.h"
#include "base/json.h"
#include "boot/disk.h"
#include "boot/health/health.h"
#include "boot/proof.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#define SECURE_BOOT "/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"
#define MAX_VARIABLE 64
/* A release's UKI may be larger than the one before by a quarter; less room than that is close. */
#define GROWTH(size) ((size) / 4)
#define MIN_VAR_BYTES (16u * 1024 * 1024)

typedef struct {
	const ProaNode *node;
	JsonArray *array;
} Doctor;

static void say(Doctor *doctor, const char *check, const char *verdict, const char *hint, const char *format,
	...) G_GNUC_PRINTF(5, 6);
static void say(
	Doctor *doctor, const char *check, const char *verdict, const char *hint, const char *format, ...)
{
	JsonObject *object = json_object_new();
	va_list args;

	va_start(args, format);
	g_autofree char *message = g_strdup_vprintf(format, args);
	va_end(args);
	json_object_set_string_member(object, "check", check);
	json_object_set_string_member(object, "verdict", verdict);
	json_object_set_string_member(object, "message", message);
	proa_json_set_string(object, "hint", hint);
	json_array_add_object_element(doctor->array, object);
}

static const char *hint_of(ProaReason reason)
{
	return proa_reason_hint(reason);
}

static void look_at_root(Doctor *doctor)
{
	const ProaNode *node = doctor->node;

	if (proa_node_verified(node))
		say(doctor, "root", "ok", NULL, "every block of %s is checked as it is read",
			node->booted.version);
	else
		say(doctor, "root", "problem", hint_of(PROA_REASON_NOT_VERIFIED),
			"the root is not under dm-verity");
	if (!node->booted_entry)
		say(doctor, "boot-entry", "problem", hint_of(PROA_REASON_NO_BOOT_ENTRY),
			"no entry on the ESP boots the running release");
	else if (proa_node_on_trial(node))
		say(doctor, "boot-entry", "warning", hint_of(PROA_REASON_TRIAL_BOOT),
			"%s is on trial: updates are refused until it is blessed", node->booted.version);
	else
		say(doctor, "boot-entry", "ok", NULL, "%s is blessed", node->booted.version);
}

static void look_at_other(Doctor *doctor)
{
	const ProaNode *node = doctor->node;
	g_autoptr(JsonObject) scrub = proa_proof_load(node->state_dir, node->other.root_hash);

	if (!node->other.root_hash)
		say(doctor, "way-back", "warning", hint_of(PROA_REASON_NOTHING_TO_ROLL_BACK),
			"the other slot holds no release: there is no way back");
	else if (scrub && !proa_json_bool_or(scrub, "sound", TRUE))
		say(doctor, "way-back", "problem",
			"The disk damaged the other slot: check the disk, then install a release into it.",
			"%" G_GINT64_FORMAT " blocks of release %s in %s are damaged",
			proa_json_int_or(scrub, "bad", 0), node->other.version, node->other.slot);
	else if (!proa_node_other_bootable(node))
		say(doctor, "way-back", "warning",
			"`proa rollback` gives it its tries back; `proa update` replaces it.",
			"release %s in %s is set aside: the node does not fall back to it by itself",
			node->other.version, node->other.slot);
	else
		say(doctor, "way-back", scrub ? "ok" : "warning",
			scrub ? NULL : "`proa rollback --check` reads it; proa-scrub.timer does every week.",
			"release %s in %s boots%s", node->other.version, node->other.slot,
			scrub ? ", and every block of it was found sound" : "; it was not scrubbed yet");
}

static guint64 entry_size(const ProaNode *node, const ProaEntry *entry)
{
	struct stat st;

	if (!entry || fstatat(proa_esp_entries_fd(node->esp), entry->name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return 0;
	return (guint64)st.st_size;
}

/* The other slot's UKI goes before the next one comes. */
static void look_at_esp(Doctor *doctor)
{
	const ProaNode *node = doctor->node;
	guint64 free_bytes = 0, own = entry_size(node, node->booted_entry);
	g_autoptr(GError) error = NULL;

	if (!proa_esp_free_bytes(node->esp, &free_bytes, &error)) {
		say(doctor, "esp", "problem", hint_of(PROA_REASON_ESP_MISSING), "%s", error->message);
		return;
	}
	guint64 room = free_bytes + entry_size(node, node->other_entry);
	gboolean enough = room >= own, roomy = room >= own + GROWTH(own);
	say(doctor, "esp",
		roomy    ? "ok"
		: enough ? "warning"
			 : "problem",
		roomy ? NULL : hint_of(PROA_REASON_ESP_FULL),
		"%" G_GUINT64_FORMAT " bytes for the next boot image; the running one has %" G_GUINT64_FORMAT,
		room, own);
}

static void look_at_slots(Doctor *doctor)
{
	static const char *const labels[] = { "root-a", "root-a-verity", "root-b", "root-b-verity" };

	for (gsize i = 0; i < G_N_ELEMENTS(labels); i++)
		if (!proa_partition_by_label(doctor->node->partitions, labels[i])) {
			say(doctor, "slots", "problem", hint_of(PROA_REASON_NO_SLOT),
				"the disk has no partition labelled %s", labels[i]);
			return;
		}
	say(doctor, "slots", "ok", NULL, "both slots are there");
}

static void look_at_var(Doctor *doctor)
{
	const char *dir = doctor->node->state_dir;
	g_autofree char *var = g_strconcat(doctor->node->root, "/var", NULL);
	g_autoptr(ProaState) state = NULL;
	g_autoptr(GPtrArray) rejected = NULL;
	g_autoptr(GError) error = NULL;
	struct statvfs fs;

	if (statvfs(var, &fs) < 0)
		say(doctor, "var", "problem", hint_of(PROA_REASON_READ_ONLY), "/var: %s", g_strerror(errno));
	else if (fs.f_flag & ST_RDONLY)
		say(doctor, "var", "problem", hint_of(PROA_REASON_READ_ONLY), "/var is mounted read-only");
	else if ((guint64)fs.f_bavail * fs.f_frsize < MIN_VAR_BYTES)
		say(doctor, "var", "problem", hint_of(PROA_REASON_DISK_SPACE), "/var is full");
	else
		say(doctor, "var", "ok", NULL, "/var can be written");
	state = proa_state_load(dir, &error);
	rejected = state ? proa_rejected_load(dir, &error) : NULL;
	if (rejected)
		say(doctor, "state", "ok", NULL, "what the node remembers can be read");
	else
		say(doctor, "state", "warning", hint_of(PROA_REASON_BAD_STATE), "%s", error->message);
}

static gboolean exists(const Doctor *doctor, const char *path)
{
	g_autofree char *full = g_strconcat(doctor->node->root, path, NULL);

	return g_file_test(full, G_FILE_TEST_EXISTS);
}

static void look_at_machine(Doctor *doctor)
{
	g_autofree char *variable = g_strconcat(doctor->node->root, SECURE_BOOT, NULL);
	gsize size = 0;
	g_autofree char *value = proa_file_read(variable, MAX_VARIABLE, &size, NULL);
	/* Four bytes of attributes, then one of value. */
	gboolean secure = value && size == 5 && value[4] == 1;

	if (exists(doctor, "/sys/class/watchdog/watchdog0"))
		say(doctor, "watchdog", "ok", NULL, "a watchdog resets the node when it hangs");
	else
		say(doctor, "watchdog", "warning", "Give the machine a watchdog (a virtual one: i6300esb).",
			"no watchdog: a node that hangs stays so until someone resets it");
	say(doctor, "secure-boot", secure ? "ok" : "warning",
		secure ? NULL : "Boot files are not checked by the firmware; enrol keys to have that.",
		secure ? "Secure Boot is on" : "Secure Boot is off");
	if (exists(doctor, "/sys/class/tpm/tpm0"))
		say(doctor, "tpm", "ok", NULL, "a TPM measures the boot");
	else
		say(doctor, "tpm", "warning",
			"Nothing of Proa needs one; secrets can't be bound to the boot without it.",
			"no TPM");
}

static void look_at_clock(Doctor *doctor)
{
	g_autofree char *path = g_strconcat(doctor->node->root, "/usr/lib/os-release", NULL);
	gint64 now = g_get_real_time() / G_USEC_PER_SEC;
	struct stat st;

	if (stat(path, &st) == 0 && now < st.st_mtime)
		say(doctor, "clock", "problem", hint_of(PROA_REASON_CLOCK_UNUSABLE),
			"the clock is before the release's build time");
	else
		say(doctor, "clock", "ok", NULL, "the clock is after the release's build time");
}

static void look_at_configuration(Doctor *doctor)
{
	g_autoptr(ProaConfig) config =
		proa_config_load(doctor->node->root, PROA_HEALTH_CONFIG_NAME, proa_health_config_keys);
	const char *const *problems = proa_config_problems(config);

	for (; *problems; problems++)
		say(doctor, "health.conf", "warning", hint_of(PROA_REASON_BAD_CONFIG), "%s", *problems);
}

JsonArray *proa_doctor(const ProaNode *node)
{
	Doctor doctor = { node, json_array_new() };

	look_at_root(&doctor);
	look_at_other(&doctor);
	look_at_esp(&doctor);
	look_at_slots(&doctor);
	look_at_var(&doctor);
	look_at_machine(&doctor);
	look_at_clock(&doctor);
	look_at_configuration(&doctor);
	return doctor.array;
}
