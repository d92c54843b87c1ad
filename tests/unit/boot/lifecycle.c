/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The whole of a node's life in small: every place that it can be in, everything that can happen there, and
 * the power cut before, between and in the middle of any two durable steps. The real functions act on a
 * folder that behaves as FAT does; the firmware is four lines.
 *
 * After each cut: an entry that boots by its own turn leads to a good release at every power-on, no release
 * is on trial once it is rejected, and the node comes to health within a few boots.
 */
#include "boot/attempts.h"
#include "boot/giveup.h"
#include "boot/operator.h"
#include "boot/rollback.h"
#include "tests/unit/boot/fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* --- durable steps, as on FAT */

static int steps_left = -1; /* until the power goes; -1: it stays */
static gboolean torn;       /* it goes in the middle of that step, where that makes a difference */

#define POWER_CUT 99

/* Before a step: whether the power goes in the middle of it. */
static gboolean step(void)
{
	if (steps_left < 0 || steps_left-- > 0)
		return FALSE;
	if (!torn)
		_exit(POWER_CUT);
	return TRUE;
}

/* Two names are one chain of clusters: to remove one of them gives the chain away. */
static void give_clusters_away(int dir_fd, const char *name)
{
	struct stat st;

	if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode) && st.st_nlink > 1) {
		int fd = openat(dir_fd, name, O_WRONLY | O_TRUNC | O_CLOEXEC);
		g_assert_cmpint(fd, >=, 0);
		close(fd);
	}
}

static int rename_as_fat_does(int from_fd, const char *from, int to_fd, const char *to, unsigned flags)
{
	struct stat st;
	gboolean there = fstatat(to_fd, to, &st, AT_SYMLINK_NOFOLLOW) == 0;

	if (there && flags == RENAME_NOREPLACE) {
		errno = EEXIST;
		return -1;
	}
	if (step()) {
		/* The new name is written, the old one still there. */
		if (!there && syscall(SYS_linkat, from_fd, from, to_fd, to, 0) < 0)
			_exit(1);
		_exit(POWER_CUT);
	}
	if (there)
		give_clusters_away(to_fd, to);
	return (int)syscall(SYS_renameat2, from_fd, from, to_fd, to, 0);
}

int rename(const char *from, const char *to)
{
	return rename_as_fat_does(AT_FDCWD, from, AT_FDCWD, to, 0);
}

int renameat2(int from_fd, const char *from, int to_fd, const char *to, unsigned flags)
{
	return rename_as_fat_does(from_fd, from, to_fd, to, flags);
}

int unlinkat(int dir_fd, const char *name, int flags)
{
	if (faccessat(dir_fd, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0) {
		if (step())
			_exit(POWER_CUT);
		give_clusters_away(dir_fd, name);
	}
	return (int)syscall(SYS_unlinkat, dir_fd, name, flags);
}

int unlink(const char *path)
{
	return unlinkat(AT_FDCWD, path, 0);
}

/* What is not on disk yet is not what is shown here; thousands of lives need not wait for a disk. */
int fsync(int fd)
{
	return fd < 0;
}

int syncfs(int fd)
{
	return fd < 0;
}

/* --- places and events */

typedef enum { GOOD, DEAD, SICK, ROTTEN } Nature;

typedef struct {
	const char *name;
	const char *entry_1, *entry_2; /* NULL: none */
	ProaStateKind kind;
	const char *staged, *good, *running, *rejected;
} Place;

static const Place places[] = {
	{ "first boot", "proa_1.0.0.efi", NULL, PROA_STATE_IDLE, NULL, NULL, HASH_1, NULL },
	{ "good", "proa_1.0.0.efi", NULL, PROA_STATE_GOOD, NULL, HASH_1, HASH_1, NULL },
	{ "staging", "proa_1.0.0.efi", NULL, PROA_STATE_STAGING, HASH_2, HASH_1, HASH_1, NULL },
	{ "staged", "proa_1.0.0.efi", "proa_2.0.0+3.efi", PROA_STATE_STAGED, HASH_2, HASH_1, HASH_1, NULL },
	{ "armed, not recorded", "proa_1.0.0.efi", "proa_2.0.0+3.efi", PROA_STATE_GOOD, NULL, HASH_1, HASH_1,
		NULL },
	{ "first try", "proa_1.0.0.efi", "proa_2.0.0+2-1.efi", PROA_STATE_STAGED, HASH_2, HASH_1, HASH_2,
		NULL },
	{ "last try", "proa_1.0.0.efi", "proa_2.0.0+0-3.efi", PROA_STATE_TRIAL, HASH_2, HASH_1, HASH_2,
		NULL },
	{ "updated", "proa_1.0.0.efi", "proa_2.0.0.efi", PROA_STATE_GOOD, NULL, HASH_2, HASH_2, NULL },
	{ "fallen back", "proa_1.0.0.efi", "proa_2.0.0+0-3.efi", PROA_STATE_FALLEN_BACK, NULL, HASH_1, HASH_1,
		HASH_2 },
	{ "going back", "proa_1.0.0.efi", "proa_2.0.0+0-1.efi", PROA_STATE_STAGED, HASH_1, HASH_2, HASH_2,
		HASH_2 },
	{ "gone back", "proa_1.0.0.efi", "proa_2.0.0+0-1.efi", PROA_STATE_GOOD, NULL, HASH_1, HASH_1,
		HASH_2 },
};

static gboolean settle(ProaNode *node)
{
	g_autoptr(ProaSettled) settled = proa_settle(node, NULL);

	return settled != NULL;
}

static gboolean bless(ProaNode *node)
{
	return proa_node_bless(node, NULL);
}

static gboolean bless_twice(ProaNode *node)
{
	if (!bless(node))
		return FALSE;
	return bless(node);
}

static gboolean give_up(ProaNode *node)
{
	ProaGiveUp what = { node->booted.root_hash, PROA_REASON_ROOT_CORRUPT, NULL, "guard" };
	gboolean switched = FALSE;

	return proa_give_up(node->esp, &what, &switched, NULL);
}

static gboolean roll_back(ProaNode *node)
{
	const ProaStateRelease *next = NULL;

	return proa_rollback(node, NULL, &next, NULL);
}

static gboolean roll_back_and_forward(ProaNode *node)
{
	return roll_back(node) && proa_node_reload(node, NULL) && roll_back(node);
}

static gboolean reject_the_other(ProaNode *node)
{
	ProaStateRelease release = { 0 };
	gboolean ok = proa_operator_reject(node, NULL, &release, NULL);

	proa_state_set_release(&release, NULL, NULL, NULL);
	return ok;
}

static gboolean reject_the_running(ProaNode *node)
{
	ProaStateRelease release = { 0 };
	g_autofree char *own = g_strdup(node->booted.root_hash);
	gboolean ok = proa_operator_reject(node, own, &release, NULL);

	proa_state_set_release(&release, NULL, NULL, NULL);
	return ok;
}

static gboolean unreject(ProaNode *node)
{
	ProaStateRelease release = { 0 };
	gboolean ok = proa_operator_unreject(node, NULL, &release, NULL);

	proa_state_set_release(&release, NULL, NULL, NULL);
	return ok;
}

/* As the transaction does it: nothing leads to the other slot, then it is written. */
static gboolean prepare(ProaNode *node)
{
	return !proa_node_on_trial(node) && proa_entry_remove_others(node->esp, node->booted.root_hash, NULL);
}

/* The whole transaction, with the same release again. */
static gboolean update(ProaNode *node)
{
	gboolean second = strcmp(node->booted.root_hash, HASH_1) == 0;
	const char *hash = second ? HASH_2 : HASH_1, *version = second ? "2.0.0" : "1.0.0";
	g_autofree char *path =
		g_strdup_printf("/proc/self/fd/%d/proa-uki.tmp", proa_esp_entries_fd(node->esp));

	g_autoptr(GPtrArray) rejected = proa_rejected_load(node->state_dir, NULL);
	/* The transaction refuses those before it touches anything. */
	if (proa_rejected_find(rejected, hash) || !prepare(node))
		return FALSE;
	fixture_write_uki(path, version, hash);
	return proa_entry_arm(node->esp, "proa-uki.tmp", version, hash, NULL);
}

static const struct {
	const char *name;
	gboolean (*act)(ProaNode *node);
	gboolean writes; /* the other slot is written to once this is through; update() then leaves it good */
} events[] = {
	{ "settle", settle, FALSE },
	{ "bless twice", bless_twice, FALSE },
	{ "give up", give_up, FALSE },
	{ "roll back and forward", roll_back_and_forward, FALSE },
	{ "reject the other", reject_the_other, FALSE },
	{ "reject the running", reject_the_running, FALSE },
	{ "unreject", unreject, FALSE },
	{ "prepare", prepare, TRUE },
	{ "update", update, FALSE },
};

/* --- one life */

typedef struct {
	const Place *place;
	gsize event;
	Nature second; /* what 2.0.0 is; 1.0.0 is good */
	int cut;
	gboolean torn;
} Life;

/* FALSE where the two do not fit: what was blessed here came to health, and what runs runs. */
static gboolean fits(const Life *life)
{
	const Place *place = life->place;
	gboolean blessed = g_strcmp0(place->good, HASH_2) == 0;
	gboolean runs = strcmp(place->running, HASH_2) == 0;
	const char *event = events[life->event].name;
	gboolean says_good = strstr(event, "bless") != NULL;
	/* Two releases that are bad at once are one more than anybody can help. */
	gboolean leaves = strcmp(event, "give up") == 0;

	if (!place->entry_2)
		return life->second == GOOD;
	gboolean takes = strcmp(event, "reject the other") == 0 || events[life->event].writes ||
			 strcmp(event, "update") == 0;
	if ((!runs && leaves && life->second != GOOD) || (runs && takes && life->second == ROTTEN))
		return FALSE;
	if (blessed || (runs && says_good))
		return life->second == GOOD || life->second == ROTTEN;
	return TRUE;
}

static void begin(const Fixture *fixture, const Place *place)
{
	fixture_entry(fixture->esp, place->entry_1, "1.0.0", HASH_1);
	if (place->entry_2)
		fixture_entry(fixture->esp, place->entry_2, "2.0.0", HASH_2);
	fixture_state(fixture, place->kind, place->staged, place->good);
	if (place->rejected)
		g_assert_true(proa_rejected_add(
			fixture->state_dir, place->rejected, "2.0.0", "boot-failed", NULL, NULL));
	fixture_run_root(fixture, place->running);
}

/* In a process of its own; whether it came to its end, or to @ret_cut. */
static gboolean happen(const Fixture *fixture, const Life *life, gboolean *ret_cut)
{
	int status;
	pid_t pid = fork();

	g_assert_cmpint(pid, >=, 0);
	if (pid == 0) {
		g_autoptr(ProaNode) node = fixture_open(fixture);
		steps_left = life->cut;
		torn = life->torn;
		_exit(events[life->event].act(node) ? 0 : 1);
	}
	g_assert_cmpint(waitpid(pid, &status, 0), ==, pid);
	g_assert_true(WIFEXITED(status));
	*ret_cut = WEXITSTATUS(status) == POWER_CUT;
	return WEXITSTATUS(status) == 0;
}

static Nature nature_of(const Life *life, const char *root_hash, gboolean written)
{
	gboolean second = strcmp(root_hash, HASH_2) == 0;
	gboolean other = strcmp(root_hash, life->place->running) != 0;

	return other && written ? ROTTEN : second ? life->second : GOOD;
}

/* systemd-boot: takes the first entry and counts its tries down. The root hash; free with g_free(). */
static char *firmware(const Fixture *fixture, const Life *life, gboolean written)
{
	g_autoptr(ProaEsp) esp = proa_esp_open(fixture->esp, NULL);
	g_autoptr(GPtrArray) entries = proa_entry_list(esp, NULL);
	g_autofree char *names = fixture_entries(esp);
	gboolean way_out = FALSE;

	g_test_message("boots %s", names);
	for (guint i = 0; i < entries->len; i++) {
		const ProaEntry *entry = g_ptr_array_index(entries, i);
		way_out |= proa_entry_bootable(entry) && nature_of(life, entry->root_hash, written) == GOOD;
	}
	const ProaEntry *next = proa_entry_next(entries);
	g_autofree char *rejected = next->root_hash ? fixture_rejected(fixture, next->root_hash) : NULL;
	if (!way_out || !next->root_hash)
		g_error("no way out of: %s", names);
	if (rejected && next->tries_left > 0)
		g_error("%s is on trial though it was rejected: %s", next->name, names);
	if (next->tries_left > 0) {
		g_autofree char *counted =
			proa_entry_format(next->version, next->tries_left - 1, MAX(next->tries_done, 0) + 1);
		int fd = proa_esp_entries_fd(esp);
		g_assert_cmpint(renameat2(fd, next->name, fd, counted, RENAME_NOREPLACE), ==, 0);
	}
	return g_strdup(next->root_hash);
}

/* proa-etc's part in the initrd; whether it left the release. */
static gboolean count_attempt(const Fixture *fixture, const char *root_hash)
{
	g_autoptr(ProaNode) node = fixture_open(fixture);
	guint attempts = proa_attempts_read(fixture->state_dir, root_hash);
	const ProaEntry *own = proa_entry_find(node->entries, root_hash);

	if (attempts >= PROA_ATTEMPTS_MAX && own->tries_left < 0 &&
		proa_entry_find_other(node->entries, root_hash)) {
		g_assert_true(give_up(node));
		g_assert_true(proa_attempts_clear(fixture->state_dir, NULL));
		return TRUE;
	}
	g_assert_true(proa_attempts_write(fixture->state_dir, root_hash, attempts + 1, NULL));
	return FALSE;
}

/* One boot; whether it came to health. */
static gboolean boot(const Fixture *fixture, const Life *life, gboolean written)
{
	g_autofree char *root_hash = firmware(fixture, life, written);
	Nature nature = nature_of(life, root_hash, written);

	fixture_reboot(fixture, root_hash);
	if (nature == ROTTEN) {
		g_autoptr(ProaNode) node = fixture_open(fixture);
		g_assert_true(give_up(node));
		return FALSE;
	}
	if (count_attempt(fixture, root_hash) || nature == DEAD)
		return FALSE;
	fixture_settle(fixture);
	if (nature == SICK)
		return FALSE;
	fixture_bless(fixture);
	return TRUE;
}

/* The disk is only read: one for all lives. */
static Fixture fixture_with_disk(const char *disk)
{
	Fixture fixture = { .scratch = scratch_new(), .disk = g_strdup(disk) };

	fixture.esp = scratch_file(&fixture.scratch, "esp");
	fixture.state_dir = scratch_file(&fixture.scratch, "root" PROA_STATE_DIR);
	g_assert_cmpint(g_mkdir(fixture.esp, 0755), ==, 0);
	return fixture;
}

static gboolean live(const Life *life, const char *disk)
{
	g_auto(Fixture) fixture = fixture_with_disk(disk);
	gboolean cut = FALSE, healthy = FALSE;

	begin(&fixture, life->place);
	g_test_message("%s: %s, 2.0.0 is %d, cut %d%s", life->place->name, events[life->event].name,
		life->second, life->cut, life->torn ? " torn" : "");
	gboolean done = happen(&fixture, life, &cut);
	for (int boots = 0; boots < 6 && !healthy; boots++)
		healthy = boot(&fixture, life, done && events[life->event].writes);
	g_assert_true(healthy);
	g_autoptr(ProaNode) node = fixture_open(&fixture);
	g_assert_false(proa_node_on_trial(node));
	ProaStateKind kind = fixture_kind(&fixture);
	g_assert_true(kind == PROA_STATE_GOOD || kind == PROA_STATE_FALLEN_BACK || kind == PROA_STATE_STAGED);
	/* The next update removes what is left, and must not take the running release with it. */
	g_assert_true(proa_entry_remove_others(node->esp, node->booted.root_hash, NULL));
	g_assert_true(proa_node_reload(node, NULL));
	g_assert_nonnull(node->booted_entry);
	g_assert_true(proa_entry_bootable(node->booted_entry));
	return cut;
}

static void every_event_in_every_place_with_the_power_cut_anywhere(void)
{
	g_auto(Scratch) scratch = scratch_new();
	g_autofree char *disk = scratch_file(&scratch, "disk");
	guint lives = 0;

	fixture_make_disk(disk);
	for (gsize i = G_N_ELEMENTS(places); i-- > 0;)
		for (gsize event = 0; event < G_N_ELEMENTS(events); event++)
			for (int second = GOOD; second <= ROTTEN; second++)
				for (int tear = 0; tear <= 1; tear++) {
					Life life = { &places[i], event, (Nature)second, 0, tear };
					/* How it fails matters little in the middle of a step, and on trial
					 * alone. */
					if (!fits(&life) || (tear && second != GOOD) ||
						(second == SICK && places[i].kind != PROA_STATE_STAGED))
						continue;
					for (; live(&life, disk); life.cut++)
						lives++;
				}
	/* Fewer would mean that something is never reached. */
	g_test_message("%u lives", lives);
	g_assert_cmpuint(lives, >, 500);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_log_set_always_fatal(G_LOG_LEVEL_ERROR);
	g_test_add_func("/lifecycle/every-event-in-every-place-with-the-power-cut-anywhere",
		every_event_in_every_place_with_the_power_cut_anywhere);
	return g_test_run();
}
