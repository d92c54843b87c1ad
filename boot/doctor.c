/* SPDX-License-Identifier: Apache-2.0 */
#include "boot/doctor.h"

#include "base/file.h"
#include "base/json.h"
#include "boot/disk.h"
#include "boot/extension.h"
#include "boot/health/health.h"
#include "boot/pairing.h"
#include "boot/proof.h"
#include "boot/skew.h"
#include "boot/uki.h"
#include "boot/volatile.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define SECURE_BOOT "/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"
#define MAX_VARIABLE 64
/* A release's UKI may be larger than the one before by a quarter; less room than that is close. */
#define GROWTH(size) ((size) / 4)
#define MIN_VAR_BYTES (16u * 1024 * 1024)
/* Two generations of /etc, the journal, the black box, and what a download notes of itself. */
#define VAR_BYTES (64u * 1024 * 1024)
#define VAR_SIZE (256u * 1024 * 1024)
#define SECTOR 512

typedef struct {
	const ProaNode *node;
	JsonArray *array;
} Doctor;

/* Nothing to add: the check is all right, or does not apply. */
#define NO_REASON PROA_REASON_MAX

/* @hint NULL: that of the reason. */
static void say(Doctor *doctor, const char *check, const char *verdict, ProaReason reason, const char *hint,
	const char *format, ...) G_GNUC_PRINTF(6, 7);
static void say(Doctor *doctor, const char *check, const char *verdict, ProaReason reason, const char *hint,
	const char *format, ...)
{
	JsonObject *object = json_object_new();
	gboolean has_reason = reason != NO_REASON;
	va_list args;

	va_start(args, format);
	g_autofree char *message = g_strdup_vprintf(format, args);
	va_end(args);
	json_object_set_string_member(object, "check", check);
	json_object_set_string_member(object, "verdict", verdict);
	proa_json_set_string(object, "reason", has_reason ? proa_reason_to_string(reason) : NULL);
	json_object_set_string_member(object, "message", message);
	proa_json_set_string(object, "hint", hint ? hint : has_reason ? proa_reason_hint(reason) : NULL);
	json_array_add_object_element(doctor->array, object);
}

/* A size in bytes beside what was said last, for who knows more: `proa doctor` knows what the feed offers. */
static void add_number(Doctor *doctor, const char *member, guint64 number)
{
	JsonObject *last =
		json_array_get_object_element(doctor->array, json_array_get_length(doctor->array) - 1);

	json_object_set_int_member(last, member, (gint64)MIN(number, G_MAXINT64));
}

static void look_at_root(Doctor *doctor)
{
	const ProaNode *node = doctor->node;

	if (proa_node_verified(node))
		say(doctor, "root", "ok", NO_REASON, NULL, "every block of %s is checked as it is read",
			node->booted.version);
	else
		say(doctor, "root", "problem", PROA_REASON_NOT_VERIFIED, NULL,
			"the root is not under dm-verity");
	if (!node->booted_entry)
		say(doctor, "boot-entry", "problem", PROA_REASON_NO_BOOT_ENTRY, NULL,
			"no entry on the ESP boots the running release");
	else if (proa_node_on_trial(node))
		say(doctor, "boot-entry", "warning", PROA_REASON_TRIAL_BOOT, NULL,
			"%s is on trial: updates are refused until it is blessed", node->booted.version);
	else
		say(doctor, "boot-entry", "ok", NO_REASON, NULL, "%s is blessed", node->booted.version);
}

static void look_at_other(Doctor *doctor)
{
	const ProaNode *node = doctor->node;
	g_autoptr(JsonObject) scrub = proa_proof_load(node->state_dir, node->other.root_hash);

	if (!node->other.root_hash)
		say(doctor, "way-back", "warning", PROA_REASON_NOTHING_TO_ROLL_BACK, NULL,
			"the other slot holds no release: there is no way back");
	else if (scrub && !proa_json_bool_or(scrub, "sound", TRUE))
		say(doctor, "way-back", "problem", PROA_REASON_ROOT_CORRUPT,
			"The disk damaged the other slot: check the disk, then install a release into it.",
			"%" G_GINT64_FORMAT " blocks of release %s in %s are damaged",
			proa_json_int_or(scrub, "bad", 0), node->other.version, node->other.slot);
	else if (!proa_node_other_bootable(node))
		say(doctor, "way-back", "warning", PROA_REASON_NOTHING_TO_ROLL_BACK,
			"`proa rollback` gives it its tries back; `proa update` replaces it.",
			"release %s in %s is set aside: the node does not fall back to it by itself",
			node->other.version, node->other.slot);
	else
		say(doctor, "way-back", scrub ? "ok" : "warning", scrub ? NO_REASON : PROA_REASON_NO_SCRUB,
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
	guint64 free_bytes = 0, size = 0, own = entry_size(node, node->booted_entry);
	g_autoptr(GError) error = NULL;

	if (!proa_esp_free_bytes(node->esp, &free_bytes, &error) ||
		!proa_esp_size(node->esp, &size, &error)) {
		say(doctor, "esp", "problem", PROA_REASON_ESP_MISSING, NULL, "%s", error->message);
		return;
	}
	guint64 room = free_bytes + entry_size(node, node->other_entry);
	guint64 two = 2 * (own + GROWTH(own));
	gboolean enough = room >= own, roomy = room >= own + GROWTH(own), large = size >= two;
	say(doctor, "esp",
		roomy && large ? "ok"
		: enough       ? "warning"
			       : "problem",
		roomy && large ? NO_REASON : PROA_REASON_ESP_FULL,
		large ? NULL : "Reinstall the node from a current disk image: its ESP is larger.",
		"%" G_GUINT64_FORMAT " bytes for the next boot image; the running one has %" G_GUINT64_FORMAT
		", and two that may grow by a quarter need %" G_GUINT64_FORMAT " of %" G_GUINT64_FORMAT,
		room, own, two, size);
	add_number(doctor, "room", room);
}

/* Of the running root as dm-verity maps it, the image without its hash tree. Bytes; 0: unknown. */
static guint64 booted_image_size(const ProaNode *node)
{
	struct stat st;

	if (stat(*node->root ? node->root : "/", &st) < 0)
		return 0;
	g_autofree char *path = g_strdup_printf(
		"%s/sys/dev/block/%u:%u/size", node->root, major(st.st_dev), minor(st.st_dev));
	g_autofree char *text = proa_file_read(path, MAX_VARIABLE, NULL, NULL);
	return text ? g_ascii_strtoull(text, NULL, 10) * SECTOR : 0;
}

static void look_at_slots(Doctor *doctor)
{
	static const char *const labels[] = { "root-a", "root-a-verity", "root-b", "root-b-verity" };
	const ProaPartition *found[G_N_ELEMENTS(labels)];
	guint64 own = booted_image_size(doctor->node);

	for (gsize i = 0; i < G_N_ELEMENTS(labels); i++) {
		found[i] = proa_partition_by_label(doctor->node->partitions, labels[i]);
		if (!found[i]) {
			say(doctor, "slots", "problem", PROA_REASON_NO_SLOT, NULL,
				"the disk has no partition labelled %s", labels[i]);
			return;
		}
	}
	/* Each must hold any release, in turn: the smaller one counts. */
	guint64 data = MIN(found[0]->size, found[2]->size), tree = MIN(found[1]->size, found[3]->size);
	/* A tree of digests of 32 bytes for blocks of 4096 has a little more than a 128th of their size. */
	gboolean enough = data >= own && tree >= own / 128;
	gboolean roomy = data >= own + GROWTH(own) && tree >= (own + GROWTH(own)) / 127;
	say(doctor, "slots",
		roomy    ? "ok"
		: enough ? "warning"
			 : "problem",
		roomy ? NO_REASON : PROA_REASON_SLOT_TOO_SMALL, NULL,
		"each slot has room for %" G_GUINT64_FORMAT " bytes and a hash tree of %" G_GUINT64_FORMAT
		"; the running image has %" G_GUINT64_FORMAT,
		data, tree, own);
	add_number(doctor, "data_size", data);
	add_number(doctor, "tree_size", tree);
}

static void look_at_etc(Doctor *doctor)
{
	g_autofree char *lost = g_build_filename(doctor->node->root, "/" PROA_VOLATILE_ETC, NULL);

	if (access(lost, F_OK) == 0)
		say(doctor, "etc", "problem", PROA_REASON_READ_ONLY,
			"Make room on /var (du -x /var) or repair it (fsck.ext4 -f /dev/disk/by-partlabel/state), then reboot.",
			"/etc is in memory: its generation on /var could not be written to, and changes are gone with the next boot");
	else
		say(doctor, "etc", "ok", NO_REASON, NULL, "changes of /etc are kept");
}

static void look_at_var(Doctor *doctor)
{
	const char *dir = doctor->node->state_dir;
	g_autofree char *var = g_strconcat(doctor->node->root, "/var", NULL);
	g_autoptr(ProaState) state = NULL;
	g_autoptr(GPtrArray) rejected = NULL;
	g_autoptr(GError) error = NULL;
	g_autofree char *lost = g_build_filename(doctor->node->root, "/" PROA_VOLATILE_VAR, NULL);
	struct statvfs fs;

	if (access(lost, F_OK) == 0)
		say(doctor, "var", "problem", PROA_REASON_READ_ONLY,
			"Repair it (fsck.ext4 -f /dev/disk/by-partlabel/state) or make it anew (mkfs.ext4 -L state), then reboot.",
			"the state partition could not be mounted: /var is in memory, and gone with the next boot");
	else if (statvfs(var, &fs) < 0)
		say(doctor, "var", "problem", PROA_REASON_READ_ONLY, NULL, "/var: %s", g_strerror(errno));
	else if (fs.f_flag & ST_RDONLY)
		say(doctor, "var", "problem", PROA_REASON_READ_ONLY, NULL, "/var is mounted read-only");
	else if ((guint64)fs.f_bavail * fs.f_frsize < MIN_VAR_BYTES)
		say(doctor, "var", "problem", PROA_REASON_DISK_SPACE, NULL, "/var is full");
	else if ((guint64)fs.f_blocks * fs.f_frsize < VAR_SIZE)
		say(doctor, "var", "warning", PROA_REASON_DISK_SPACE,
			"Enlarge the state partition, or reinstall the node on a larger disk.",
			"/var has %" G_GUINT64_FORMAT " bytes as a whole, at least %u are wanted",
			(guint64)fs.f_blocks * fs.f_frsize, VAR_SIZE);
	else if ((guint64)fs.f_bavail * fs.f_frsize < VAR_BYTES)
		say(doctor, "var", "warning", PROA_REASON_DISK_SPACE, NULL,
			"/var has %" G_GUINT64_FORMAT
			" bytes free, and %u are wanted for an update and the next boot",
			(guint64)fs.f_bavail * fs.f_frsize, VAR_BYTES);
	else
		say(doctor, "var", "ok", NO_REASON, NULL, "/var can be written");
	state = proa_state_load(dir, &error);
	rejected = state ? proa_rejected_load(dir, &error) : NULL;
	if (rejected)
		say(doctor, "state", "ok", NO_REASON, NULL, "what the node remembers can be read");
	else
		say(doctor, "state", "warning", PROA_REASON_BAD_STATE, NULL, "%s", error->message);
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
		say(doctor, "watchdog", "ok", NO_REASON, NULL, "a watchdog resets the node when it hangs");
	else
		say(doctor, "watchdog", "warning", PROA_REASON_NO_WATCHDOG, NULL,
			"no watchdog: a node that hangs stays so until someone resets it");
	say(doctor, "secure-boot", secure ? "ok" : "warning", secure ? NO_REASON : PROA_REASON_NO_SECURE_BOOT,
		NULL, secure ? "Secure Boot is on" : "Secure Boot is off");
	if (exists(doctor, "/sys/class/tpm/tpm0"))
		say(doctor, "tpm", "ok", NO_REASON, NULL, "a TPM measures the boot");
	else
		say(doctor, "tpm", "warning", PROA_REASON_NO_TPM, NULL, "no TPM");
}

static void look_at_clock(Doctor *doctor)
{
	g_autofree char *path = g_strconcat(doctor->node->root, "/usr/lib/os-release", NULL);
	gint64 now = g_get_real_time() / G_USEC_PER_SEC;
	struct stat st;

	if (stat(path, &st) == 0 && now < st.st_mtime)
		say(doctor, "clock", "problem", PROA_REASON_CLOCK_UNUSABLE, NULL,
			"the clock is before the release's build time");
	else
		say(doctor, "clock", "ok", NO_REASON, NULL, "the clock is after the release's build time");
}

static void look_at_kubelet(Doctor *doctor, const ProaConfig *config)
{
	g_auto(ProaSkewFacts) facts = { 0 };
	g_autoptr(GError) error = NULL;

	if (!proa_skew_look(doctor->node->root, config, &facts, &error)) {
		say(doctor, "kubelet-skew", "warning", proa_reason_of(error), NULL, "%s", error->message);
		return;
	}
	if (!facts.has_kubelet) {
		say(doctor, "kubelet-skew", "skipped", NO_REASON, NULL, "this node has no kubelet");
		return;
	}
	switch (facts.skew) {
	case PROA_SKEW_FINE:
		say(doctor, "kubelet-skew", "ok", NO_REASON, NULL, "kubelet %s goes with API server %s",
			facts.kubelet, facts.server);
		break;
	case PROA_SKEW_AT_LIMIT:
		say(doctor, "kubelet-skew", "warning", PROA_REASON_KUBELET_SKEW,
			"Update the kubelet before the API server is updated again.",
			"kubelet %s is as old as API server %s allows", facts.kubelet, facts.server);
		break;
	case PROA_SKEW_TOO_OLD:
		say(doctor, "kubelet-skew", "problem", PROA_REASON_KUBELET_SKEW,
			"Update the kubelet: at most three minor versions older than the API server.",
			"kubelet %s is too old for API server %s", facts.kubelet, facts.server);
		break;
	case PROA_SKEW_TOO_NEW:
		say(doctor, "kubelet-skew", "problem", PROA_REASON_KUBELET_SKEW,
			"Update the API server first, or go back to the kubelet before.",
			"kubelet %s is newer than API server %s", facts.kubelet, facts.server);
		break;
	}
}

/* What the other slot's release says of itself, out of its boot image; NULL: it cannot be read. */
static char *other_release(const ProaNode *node)
{
	PROA_AUTO_FD int fd = openat(proa_esp_entries_fd(node->esp), node->other_entry->name,
		O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

	return fd < 0 ? NULL : proa_uki_section(fd, ".osrel", NULL);
}

static void look_at_extension(Doctor *doctor, const char *name, const char *release)
{
	const ProaNode *node = doctor->node;
	g_autofree char *own = proa_extension_release(node->root, name);
	g_autofree char *why = NULL;

	if (!own || proa_extension_fits(own, release, &why))
		say(doctor, "extension", "ok", NO_REASON, NULL, "%s goes with %s too", name,
			node->other.version);
	else
		say(doctor, "extension", "warning", PROA_REASON_EXTENSION, NULL,
			"%s will be left out when %s boots: %s", name, node->other.version, why);
}

/* Told before the reboot; at the reboot systemd-sysext leaves out what does not fit. */
static void look_at_extensions(Doctor *doctor)
{
	const ProaNode *node = doctor->node;
	g_auto(GStrv) names = proa_extension_names(node->root);
	g_autofree char *release = node->other_entry ? other_release(node) : NULL;

	g_autofree char *directory = NULL;
	g_autoptr(GError) error = NULL;
	if (!proa_extension_find_directory(node->root, &directory, &error))
		say(doctor, "extensions", "problem", proa_reason_of(error), NULL, "%s", error->message);
	else if (directory)
		say(doctor, "extensions", "problem", PROA_REASON_NOT_VERIFIED,
			"Take it away; a signed image (systemd-sysext(8)) can take its place.",
			"%s is a directory, which nothing verifies: no system extension is merged",
			directory);
	if (proa_extension_unpaired(node->root))
		say(doctor, "extensions", "warning", PROA_REASON_EXTENSION,
			"Put images (*.raw) there themselves, or into /var/lib/proa/extensions with links from /etc/extensions.",
			"what is no image in /var/lib/extensions is merged into every release, whichever runs");
	guint64 bytes = 0;
	guint left = proa_pairing_left(node->root, &bytes);
	if (left > 0)
		say(doctor, "extensions-left", "warning", PROA_REASON_EXTENSIONS_LEFT, NULL,
			"%u of at most %d images of system extensions that other releases had lie in "
			"/var/lib/proa/extensions-left; %" G_GUINT64_FORMAT
			" bytes would be free without them",
			left, PROA_PAIRING_MAX, bytes);
	for (char **name = names; release && *name; name++)
		look_at_extension(doctor, *name, release);
}

static void look_at_configuration(Doctor *doctor, const ProaConfig *config)
{
	const char *const *problems = proa_config_problems(config);

	for (; *problems; problems++)
		say(doctor, "health.conf", "warning", PROA_REASON_BAD_CONFIG, NULL, "%s", *problems);
}

JsonArray *proa_doctor(const ProaNode *node)
{
	g_autoptr(ProaConfig) config =
		proa_config_load(node->root, PROA_HEALTH_CONFIG_NAME, proa_health_config_keys);
	Doctor doctor = { node, json_array_new() };

	look_at_root(&doctor);
	look_at_other(&doctor);
	look_at_esp(&doctor);
	look_at_slots(&doctor);
	look_at_var(&doctor);
	look_at_etc(&doctor);
	look_at_machine(&doctor);
	look_at_clock(&doctor);
	look_at_extensions(&doctor);
	look_at_kubelet(&doctor, config);
	look_at_configuration(&doctor, config);
	return doctor.array;
}
