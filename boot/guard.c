/* SPDX-License-Identifier: Apache-2.0 */
/*
 * proa-guard: sees corruption of the running root as it happens, and leaves that root (man page
 * proa-guard(8)).
 *
 * It starts in the initrd and lives as long as the system: statically linked, in locked memory, holding
 * descriptors of /dev and /sys. So it needs nothing of the root it guards, nor of the initrd, whose files are
 * gone after the switch.
 */
#include "base/file.h"
#include "boot/attempts.h"
#include "boot/entry.h"
#include "boot/giveup.h"
#include "boot/starts.h"
#include "boot/uevent.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define ROOT_DEVICE "root"
/* While the ESP has not appeared yet, look for it this often; with no other slot to go to, try again no
 * sooner. */
#define LOOK_MILLISECONDS 500
#define RETRY_SECONDS 30
#define SYNC_SECONDS 3
/* Made once this boot has been counted, and seen by one who is started again. */
#define COUNTED_MARK "/run/proa/counted"
/* A root that cannot be opened and no other slot: wait before the next try, so that the console can be read.
 */
#define ALONE_SECONDS 30

typedef struct {
	int dev_fd;   /* /dev */
	int block_fd; /* /sys/dev/block */
	int kmsg_fd;
	int uevent_fd;
	char *root_hash;
	char *esp;      /* the ESP's device name, once it is known */
	gint64 acted;   /* monotonic time of the last attempt, microseconds; 0: none */
	gboolean again; /* it failed: the kernel tells of a hundred corrupt blocks, and of no more */
	gboolean worn;  /* too many boots of this release began and never came to health */
} Guard;

G_GNUC_PRINTF(2, 3) static void say(const Guard *guard, const char *format, ...)
{
	char line[1024];
	int prefix = g_snprintf(line, sizeof line, "<2>proa-guard: ");
	va_list args;

	va_start(args, format);
	g_vsnprintf(line + prefix, sizeof line - (gulong)prefix, format, args);
	va_end(args);
	g_strlcat(line, "\n", sizeof line);
	if (guard->kmsg_fd < 0 || write(guard->kmsg_fd, line, strlen(line)) < 0)
		fputs(line, stderr);
}

/* Opens the ESP once, so that its kernel modules are loaded while there still is a modprobe to load them. */
static void find_esp(Guard *guard)
{
	g_autoptr(GError) error = NULL;
	g_autofree char *device = proa_esp_find_device(NULL);

	if (!device)
		return;
	g_autoptr(ProaEsp) esp = proa_esp_open_to_read(NULL, &error);
	if (!esp) {
		/* Known all the same: by the time it is needed, it may work. */
		say(guard, "the ESP does not open yet: %s", error->message);
	}
	guard->esp = g_steal_pointer(&device);
}

static gboolean is_root_device(const Guard *guard, const ProaVerityEvent *event)
{
	char path[64];

	g_snprintf(path, sizeof path, "%u:%u/dm/name", event->major, event->minor);
	g_autofree char *name = proa_file_read_at(guard->block_fd, path, 256, NULL, NULL);
	if (!name)
		return proa_verity_corrupt(guard->dev_fd, ROOT_DEVICE);
	return strcmp(g_strchomp(name), ROOT_DEVICE) == 0;
}

static gboolean switch_slot(Guard *guard, const char *detail, gboolean *ret_switched, GError **error)
{
	ProaGiveUp what = { .root_hash = guard->root_hash,
		.reason = PROA_REASON_ROOT_CORRUPT,
		.detail = detail,
		.where = "guard" };
	gboolean switched = FALSE;

	if (!guard->esp)
		find_esp(guard);
	if (!guard->esp)
		return proa_fail(error, PROA_REASON_ESP_MISSING, "the EFI system partition was never found");
	g_autoptr(ProaEsp) esp = proa_esp_open_device(guard->dev_fd, guard->esp, error);
	if (!esp || !proa_give_up(esp, &what, &switched, error))
		return FALSE;
	*ret_switched = switched;
	return TRUE;
}

static void act(Guard *guard, const char *detail)
{
	g_autoptr(GError) error = NULL;
	gboolean switched = FALSE;
	gint64 now = g_get_monotonic_time();

	if (guard->acted != 0 && now - guard->acted < RETRY_SECONDS * G_USEC_PER_SEC)
		return;
	guard->acted = now;
	guard->again = TRUE;
	say(guard, "the running root is corrupt: %s", detail);
	if (!switch_slot(guard, detail, &switched, &error)) {
		/* A reboot would bring the same root again; its sound blocks still work, the others give
		 * errors. */
		say(guard, "could not leave it: %s", error->message);
		return;
	}
	if (!switched) {
		guard->again = FALSE;
		say(guard, "no other slot boots: this root goes on, without its corrupt blocks");
		return;
	}
	say(guard, "the other slot is next; rebooting");
	proa_reboot_now(SYNC_SECONDS);
	say(guard, "the kernel refuses to reboot: %s", g_strerror(errno));
}

static void handle_message(Guard *guard, const char *message, gsize size)
{
	ProaVerityEvent event;

	if (!proa_uevent_parse_verity(message, size, &event) || !is_root_device(guard, &event))
		return;
	g_autofree char *detail = g_strdup_printf("%s block %" G_GUINT64_FORMAT " is not of the release",
		event.hash_tree ? "hash tree" : "data", event.block);
	act(guard, detail);
}

/*
 * The other slot, if the firmware does not count for this release, and if another boots. proa-etc does the
 * same with what /var remembers, if it comes to that.
 */
static void leave_worn(Guard *guard)
{
	g_autofree char *detail = g_strdup_printf(
		"%d boots in a row never came to health, as the firmware remembers", PROA_ATTEMPTS_MAX);
	ProaGiveUp what = { .root_hash = guard->root_hash,
		.reason = PROA_REASON_BOOT_FAILED,
		.detail = detail,
		.where = "initrd" };
	gboolean switched = FALSE;
	g_autoptr(GError) error = NULL;

	guard->worn = FALSE;
	g_autoptr(ProaEsp) esp = proa_esp_open_device(guard->dev_fd, guard->esp, &error);
	g_autoptr(GPtrArray) entries = esp ? proa_entry_list(esp, &error) : NULL;
	const ProaEntry *own = entries ? proa_entry_find(entries, guard->root_hash) : NULL;
	if (own && (!proa_give_up_counts(own) || !proa_entry_find_other(entries, guard->root_hash)))
		return;
	if (!own || !proa_give_up(esp, &what, &switched, &error)) {
		say(guard, "could not leave this release: %s", error ? error->message : "it has no entry");
		return;
	}
	say(guard, "giving up on this release: %s%s", detail, switched ? "; the other slot is next" : "");
	if (switched)
		proa_reboot_now(SYNC_SECONDS);
}

/* The first thing of a boot: whatever comes to hang or to crash after this has been counted. */
static void count_start(Guard *guard)
{
	g_autoptr(GError) error = NULL;
	guint starts = proa_starts_read(PROA_EFIVARS_DIR, guard->root_hash);

	if (access(COUNTED_MARK, F_OK) == 0)
		return;
	if (!proa_file_make_dirs("/run/proa", &error) ||
		!proa_file_replace(COUNTED_MARK, "", 0, 0644, &error))
		say(guard, "noting that this boot is counted: %s", error->message);
	g_clear_error(&error);
	guard->worn = starts >= PROA_ATTEMPTS_MAX;
	if (!guard->worn && !proa_starts_write(PROA_EFIVARS_DIR, guard->root_hash, starts + 1, &error) &&
		!g_error_matches(error, PROA_ERROR, PROA_REASON_NOT_FOUND))
		say(guard, "the firmware does not count this boot: %s", error->message);
}

static void check_status(Guard *guard)
{
	if (proa_verity_corrupt(guard->dev_fd, ROOT_DEVICE))
		act(guard, "dm-verity says that it has met a corrupt block");
}

G_NORETURN static void watch(Guard *guard)
{
	g_autofree char *buffer = g_malloc(PROA_UEVENT_MAX_SIZE);

	for (;;) {
		gssize size = 1;
		if (!guard->esp)
			find_esp(guard);
		if (guard->esp && guard->worn)
			leave_worn(guard);
		int wait = guard->again ? RETRY_SECONDS * 1000 : -1;
		for (wait = guard->esp ? wait : LOOK_MILLISECONDS; size > 0; wait = 0) {
			gboolean sees = guard->uevent_fd >= 0;
			size = proa_uevent_wait(&guard->uevent_fd, wait, buffer);
			if (size > 0)
				handle_message(guard, buffer, (gsize)size);
			else if (size < 0)
				check_status(guard); /* one of those that were lost may have been ours */
			if (sees && guard->uevent_fd < 0)
				say(guard, "the kernel's messages fail: dm-verity is asked every %d seconds",
					PROA_UEVENT_BLIND / 1000);
		}
		/* act() keeps the distance between two. */
		if (guard->again)
			check_status(guard);
	}
}

static gboolean in_initrd(void)
{
	return access("/etc/initrd-release", F_OK) == 0;
}

static gboolean root_is_mounted(void)
{
	struct stat root, sysroot;

	return !in_initrd() ||
	       (stat("/", &root) == 0 && stat("/sysroot", &sysroot) == 0 && root.st_dev != sysroot.st_dev);
}

static int reboot_now(const Guard *guard)
{
	proa_reboot_now(SYNC_SECONDS);
	say(guard, "the kernel refuses to reboot: %s", g_strerror(errno));
	return PROA_EXIT_FAILED;
}

static gboolean leave(const Guard *guard, const ProaGiveUp *what)
{
	g_autoptr(GError) error = NULL;
	gboolean switched = FALSE;
	g_autoptr(ProaEsp) esp = proa_esp_open(NULL, &error);

	if (!esp || !proa_give_up(esp, what, &switched, &error))
		say(guard, "the boot entries stay as they are: %s", error->message);
	else
		say(guard,
			switched ? "the other slot is next" : "no other slot boots: this one is tried again");
	return switched;
}

static int give_up(Guard *guard, const char *word, const char *given_detail)
{
	g_autofree char *diagnosis = NULL;
	ProaGiveUp what = { .root_hash = guard->root_hash,
		.reason = proa_reason_from_string(word),
		.detail = given_detail,
		.where = in_initrd() ? "initrd" : "system" };

	if (strcmp(word, "auto") == 0) {
		/*
		 * The root itself works, so leaving it may mend nothing (a state partition serves both
		 * slots). The counters decide: the firmware's for a trial, proa-etc's for a blessed release.
		 */
		if (root_is_mounted()) {
			say(guard, "emergency mode: rebooting");
			return reboot_now(guard);
		}
		what.reason = proa_give_up_diagnose(guard->root_hash, &diagnosis);
	}
	if (!what.detail)
		what.detail = diagnosis;
	say(guard, "giving up on this root (%s): %s", proa_reason_to_string(what.reason),
		what.detail ? what.detail : "asked to");
	if (!leave(guard, &what))
		g_usleep((gulong)ALONE_SECONDS * G_USEC_PER_SEC);
	return reboot_now(guard);
}

static gboolean start(Guard *guard)
{
	g_autoptr(GError) error = NULL;

	guard->kmsg_fd = open("/dev/kmsg", O_WRONLY | O_CLOEXEC | O_NOCTTY);
	guard->dev_fd = open("/dev", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	guard->block_fd = open("/sys/dev/block", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	guard->root_hash = proa_booted_root_hash(NULL, &error);
	if (!guard->root_hash)
		say(guard, "nothing to guard: %s", error->message);
	return guard->root_hash != NULL;
}

G_NORETURN static void run(Guard *guard)
{
	guard->uevent_fd = proa_uevent_open();
	if (guard->uevent_fd < 0)
		say(guard, "no uevents from the kernel (%s): dm-verity is asked every %d seconds",
			g_strerror(errno), PROA_UEVENT_BLIND / 1000);
	if (mlockall(MCL_CURRENT | MCL_FUTURE) < 0)
		say(guard, "memory cannot be locked: %s", g_strerror(errno));
	if (in_initrd())
		count_start(guard);
	check_status(guard);
	watch(guard);
}

static int usage(FILE *out, int status)
{
	fputs("usage: proa-guard\n"
	      "       proa-guard --give-up REASON|auto [--detail TEXT]\n"
	      "Watches the running root for corruption; on the first corrupt block boots the other slot.\n"
	      "With --give-up: leaves the root that the initrd could not open, and reboots.\n",
		out);
	return status;
}

int main(int argc, char **argv)
{
	const char *reason = NULL, *detail = NULL;
	Guard guard = { .dev_fd = -1, .block_fd = -1, .kmsg_fd = -1, .uevent_fd = -1 };

	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--help") == 0)
			return usage(stdout, PROA_EXIT_OK);
		if (strcmp(argv[i], "--version") == 0)
			return puts("proa-guard " PROA_VERSION) < 0;
		if (strcmp(argv[i], "--give-up") == 0 && i + 1 < argc)
			reason = argv[++i];
		else if (strcmp(argv[i], "--detail") == 0 && i + 1 < argc)
			detail = argv[++i];
		else
			return usage(stderr, PROA_EXIT_USAGE);
	}
	if (reason && strcmp(reason, "auto") != 0 && proa_reason_from_string(reason) == PROA_REASON_MAX)
		return usage(stderr, PROA_EXIT_USAGE);
	if (!start(&guard))
		return reason ? reboot_now(&guard) : PROA_EXIT_FAILED;
	if (!reason)
		run(&guard);
	return give_up(&guard, reason, detail);
}
