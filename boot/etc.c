/* SPDX-License-Identifier: Apache-2.0 */
/*
 * proa-etc: in the initrd, when /sysroot and /sysroot/var are mounted: counts the boot, then mounts the
 * overlay of /etc (man page proa-etc(8)). Whatever goes wrong here is said and passed over: a node that lost
 * its state partition still boots, with a /var in memory.
 */
#include "base/file.h"
#include "boot/attempts.h"
#include "boot/entry.h"
#include "boot/generation.h"
#include "boot/giveup.h"
#include "boot/overlay.h"
#include "boot/pairing.h"
#include "boot/volatile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#define STATE_DIR "var/lib/proa"
/* Survives the switch to the root, as all of /run does; its presence says that changes of /etc will be lost.
 */
#define VOLATILE_DIR "/run/proa/etc"
#define SYNC_SECONDS 10
/* Of the memory: what runs on the node needs the rest. */
#define VOLATILE_SIZE "30%"

static void say(const char *doing, const GError *error)
{
	fprintf(stderr, "<4>%s: %s\n", doing, error->message);
}

static gboolean is_mount_point(const char *path, const char *parent)
{
	struct stat st, parent_st;

	return stat(path, &st) == 0 && stat(parent, &parent_st) == 0 && st.st_dev != parent_st.st_dev;
}

static gboolean leave(const char *root_hash, gboolean *ret_switched, GError **error)
{
	g_autofree char *detail =
		g_strdup_printf("%d boots in a row never came to health", PROA_ATTEMPTS_MAX);
	ProaGiveUp what = {
		.root_hash = root_hash, .reason = PROA_REASON_BOOT_FAILED, .detail = detail, .where = "initrd"
	};
	g_autoptr(ProaEsp) esp = proa_esp_open(NULL, error);
	g_autoptr(GPtrArray) entries = esp ? proa_entry_list(esp, error) : NULL;

	if (!entries)
		return FALSE;
	const ProaEntry *own = proa_entry_find(entries, root_hash);
	*ret_switched = FALSE;
	if (!own || !proa_give_up_counts(own) || !proa_entry_find_other(entries, root_hash))
		return TRUE;
	return proa_give_up(esp, &what, ret_switched, error);
}

static void count_attempt(const char *dir, const char *root_hash)
{
	guint attempts = proa_attempts_read(dir, root_hash);
	g_autoptr(GError) error = NULL;
	gboolean switched = FALSE;

	if (attempts >= PROA_ATTEMPTS_MAX) {
		if (!leave(root_hash, &switched, &error))
			say("giving up on this release", error);
		g_clear_error(&error);
	}
	if (switched) {
		fputs("<2>giving up on this release: its boots never came to health; the other slot is next\n",
			stderr);
		if (!proa_attempts_clear(dir, &error))
			say("resetting the count of boots", error);
		proa_reboot_now(SYNC_SECONDS);
	}
	g_clear_error(&error);
	if (!proa_attempts_write(dir, root_hash, attempts + 1, &error))
		say("counting this boot", error);
}

static gboolean mount_generation(
	const char *state_dir, const char *etc, const char *root_hash, GError **error)
{
	g_autofree char *etc_dir = g_build_filename(state_dir, "etc", NULL);
	g_autofree char *name = proa_generation_name(root_hash);
	g_autofree char *generation = g_build_filename(etc_dir, name, NULL);

	/* Before the overlay hides it. */
	PROA_AUTO_FD int shipped = open(etc, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return proa_generation_prepare(etc_dir, name, shipped, error) &&
	       proa_overlay_mount(etc, generation, error);
}

/* Before anything merges them, and before the generation is the one used last. */
static void pair_extensions(const char *sysroot, const char *state_dir, const char *root_hash)
{
	g_autofree char *etc_dir = g_build_filename(state_dir, "etc", NULL);
	g_autofree char *name = proa_generation_name(root_hash);
	g_autoptr(GError) error = NULL;

	if (!proa_pairing_bring_back(sysroot, etc_dir, name, &error))
		say("bringing the system extensions of this release back", error);
}

static gboolean mark(const char *path, GError **error)
{
	return proa_file_make_dirs("/run/proa", error) && proa_file_replace(path, "", 0, 0644, error);
}

/* With a /var that can only be read, or has no room, the operator's configuration is still there to be seen.
 */
static gboolean mount_volatile(const char *state_dir, const char *etc, const char *root_hash, GError **error)
{
	g_autofree char *etc_dir = g_build_filename(state_dir, "etc", NULL);
	g_autofree char *name = proa_generation_name(root_hash);
	g_autofree char *kept = proa_generation_upper(etc_dir, name);
	g_autoptr(GError) unmarked = NULL;

	if (!mark("/" PROA_VOLATILE_ETC, &unmarked))
		say("noting that /etc is in memory", unmarked);
	return proa_overlay_mount_volatile(etc, VOLATILE_DIR, kept, error);
}

/*
 * A node without its state partition is no good as a node, but it can be reached, asked and mended, and a
 * release whose kernel cannot mount the partition can be left. A reboot would bring none of that.
 */
static gboolean mount_volatile_var(const char *var, GError **error)
{
	if (mount("proa-var", var, "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755,size=" VOLATILE_SIZE) < 0)
		return proa_fail_errno(error, PROA_REASON_IO, errno, "mounting memory on %s", var);
	return mark("/" PROA_VOLATILE_VAR, error);
}

static int run(const char *sysroot)
{
	g_autoptr(GError) error = NULL;
	g_autofree char *root_hash = proa_booted_root_hash(NULL, &error);
	g_autofree char *var = g_build_filename(sysroot, "var", NULL);
	g_autofree char *etc = g_build_filename(sysroot, "etc", NULL);
	g_autofree char *state_dir = g_build_filename(sysroot, STATE_DIR, NULL);

	if (!root_hash) {
		say("no overlay of /etc", error);
		return PROA_EXIT_FAILED;
	}
	if (is_mount_point(var, sysroot)) {
		count_attempt(state_dir, root_hash);
		pair_extensions(sysroot, state_dir, root_hash);
		if (mount_generation(state_dir, etc, root_hash, &error))
			return PROA_EXIT_OK;
	} else {
		g_autoptr(GError) lost = NULL;
		proa_fail(&error, PROA_REASON_NOT_FOUND, "the state partition is not mounted on %s", var);
		if (!mount_volatile_var(var, &lost))
			say("/var stays read-only", lost);
	}
	say("this boot's changes of /etc will be lost; make room on /var or repair it, then reboot", error);
	g_clear_error(&error);
	if (mount_volatile(state_dir, etc, root_hash, &error))
		return PROA_EXIT_OK;
	say("/etc stays read-only", error);
	return PROA_EXIT_FAILED;
}

static int usage(FILE *out, int status)
{
	fputs("usage: proa-etc [--sysroot DIR]\n"
	      "Counts this boot, then mounts the overlay of /etc below DIR (default /sysroot).\n",
		out);
	return status;
}

int main(int argc, char **argv)
{
	const char *sysroot = "/sysroot";

	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--help") == 0)
			return usage(stdout, PROA_EXIT_OK);
		if (strcmp(argv[i], "--version") == 0)
			return puts("proa-etc " PROA_VERSION) < 0;
		if (strcmp(argv[i], "--sysroot") != 0 || i + 1 == argc)
			return usage(stderr, PROA_EXIT_USAGE);
		sysroot = argv[++i];
	}
	return run(sysroot);
}
