/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/install/install.h"

#include "base/digest.h"
#include "base/file.h"
#include "base/pin.h"
#include "base/update-config.h"
#include "base/version.h"
#include "base/watch.h"
#include "updater/fetch/fetch.h"
#include "updater/install/boot-image.h"
#include "updater/install/bring.h"
#include "updater/install/checkpoint.h"
#include "updater/install/memory.h"
#include "updater/install/offer.h"
#include "updater/install/priority.h"
#include "updater/install/report.h"
#include "verity/build.h"
#include "verity/leaves.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

/* Before the first try after a break; milliseconds. */
#define RETRY_DELAY 250

typedef struct {
	const ProaInstallOptions *options;
	char *state_dir;
	int lock, trust_lock;
	ProaConfig *config;
	ProaFetch fetch;
	ProaSite *site;
	ProaManifest *release;   /* what is being installed */
	ProaStateRelease target; /* the same, and the slot it goes to */
	gboolean begun;          /* from step 2 on: something was changed */
} Install;

static void install_clear(Install *install)
{
	g_free(install->state_dir);
	if (install->config)
		proa_config_free(install->config);
	proa_site_free(install->site);
	proa_manifest_free(install->release);
	proa_state_set_release(&install->target, NULL, NULL, NULL);
	proa_close_fd(&install->lock);
	proa_close_fd(&install->trust_lock);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Install, install_clear)

static gboolean go_on(const Install *install, GError **error)
{
	if (g_cancellable_is_cancelled(install->options->cancellable))
		return proa_fail(error, PROA_REASON_CANCELLED, "cancelled; nothing was armed");
	return TRUE;
}

/* What the other slot is armed with already, or NULL. A check believes the state, a transaction looks. */
static const char *armed_root_hash(const Install *install, const ProaState *state)
{
	const char *root_hash = state->kind == PROA_STATE_STAGED ? state->staged.root_hash : NULL;

	return install->options->check || proa_site_armed(install->site, root_hash) ? root_hash : NULL;
}

/* What an operator asks for now, or pinned this node to before, or NULL: the newest. */
static gboolean find_wanted(const Install *install, char **ret_wanted, GError **error)
{
	const char *asked = install->options->wanted;
	g_autofree char *pinned = proa_pin_load(install->state_dir);

	if (pinned && asked && strcmp(pinned, asked) != 0)
		return proa_fail(error, PROA_REASON_PINNED, "this node is pinned to %s", pinned);
	if (pinned && strcmp(pinned, install->site->version) == 0)
		return proa_fail(
			error, PROA_REASON_NO_UPDATE, "this node is pinned to %s, which runs", pinned);
	*ret_wanted = pinned ? g_steal_pointer(&pinned) : g_strdup(asked);
	return TRUE;
}

/* Of the root image, as far as the manifest tells: where there is no delta, `blocks` may cost less. */
static guint64 most_bytes(const Install *install)
{
	static const ProaPayloadType told[] = { PROA_PAYLOAD_FULL, PROA_PAYLOAD_DELTA };
	const char *wanted = proa_config_string(install->config, "fetch", "payload");
	guint64 least = G_MAXUINT64;

	for (guint i = 0; i < G_N_ELEMENTS(told); i++) {
		const ProaManifestPayload *payload =
			proa_bring_payload(install->release, told[i], install->site->root_hash, wanted);
		if (payload)
			least = MIN(least, payload->file.size);
	}
	return least;
}

static gboolean find_offer(Install *install, GError **error)
{
	g_autofree char *wanted = NULL;

	if (!find_wanted(install, &wanted, error))
		return FALSE;
	g_autoptr(ProaState) state = proa_memory_load(install->state_dir);
	g_autoptr(GError) inner = NULL;
	g_autofree char *offered = NULL;
	ProaOfferAsk ask = { .root = install->options->site.root,
		.state_dir = install->state_dir,
		.feed_url = proa_config_string(install->config, "feed", "url"),
		.channel = proa_config_string(install->config, "feed", "channel"),
		.wanted = wanted,
		.token = install->options->token,
		.check = install->options->check,
		.pool = proa_config_string(install->config, "feed", "pool"),
		.accept_stale = install->options->accept_stale,
		.booted_version = install->site->version,
		.booted_root_hash = install->site->root_hash,
		.staged_root_hash = armed_root_hash(install, state),
		.fetch = &install->fetch };

	install->release = proa_offer_find(&ask, &offered, &inner);
	if (!g_error_matches(inner, PROA_ERROR, PROA_REASON_CANCELLED))
		proa_memory_checked(install->state_dir, offered, inner);
	if (!install->release) {
		g_propagate_error(error, g_steal_pointer(&inner));
		return FALSE;
	}
	proa_report_offer(install->release->version, install->release->root_hash,
		most_bytes(install) + proa_boot_image_least(install->release, install->site->root_hash,
					      proa_config_string(install->config, "fetch", "payload"),
					      proa_config_string(install->config, "fetch", "kernel_repack")),
		install->release->root_size, proa_verity_tree_size(install->release->root_size),
		install->release->uki.size);
	return TRUE;
}

static char *time_text(gint64 time)
{
	g_autoptr(GDateTime) utc = g_date_time_new_from_unix_utc(time);

	return utc ? g_date_time_format(utc, "%Y-%m-%d %H:%M UTC") : g_strdup("later");
}

/*
 * Blessed is not sound yet: until the running release is past the time in which crashes count against it, one
 * in the other slot that came to health before is the one that two bad releases in a row must leave.
 */
static gboolean may_overwrite(const Install *install, GError **error)
{
	const ProaSite *site = install->site;
	const char *floor = install->release->security_floor;
	gboolean urgent = floor && proa_version_compare(floor, site->version) > 0;
	const ProaEntry *sound = NULL;

	for (guint i = 0; i < site->entries->len; i++) {
		const ProaEntry *entry = g_ptr_array_index(site->entries, i);
		if (entry->root_hash && entry->tries_left < 0 &&
			strcmp(entry->root_hash, site->root_hash) != 0)
			sound = entry;
	}
	gint64 until = proa_watch_ends(install->state_dir, site->root_hash, urgent,
		g_get_real_time() / G_USEC_PER_SEC, proa_watch_uptime(install->options->site.root));
	if (!sound || until == 0)
		return TRUE;
	g_autofree char *when = time_text(until);
	if (!install->options->unattended) {
		proa_report_warning(
			"release %s is new here and watched for crashes until %s; %s, the last one known to be "
			"sound, is overwritten since somebody asked for it",
			site->version, when, sound->version);
		g_autofree char *detail =
			g_strdup_printf("over %s, though %s is watched for crashes until %s", sound->version,
				site->version, when);
		proa_memory_decided(
			install->state_dir, "overwrote-last-good", install->release->version, detail);
		return TRUE;
	}
	proa_report_wait(proa_reason_to_string(PROA_REASON_CRASH_WATCH), until);
	return proa_fail(error, PROA_REASON_CRASH_WATCH,
		"release %s is new here and watched for crashes until %s; %s holds %s, the last one known to be sound",
		site->version, when, site->slots.other.name, sound->version);
}

/* 1. Refuse before anything is written: what this node knows by itself first, then what the feed says. */
static gboolean refuse_early(Install *install, GError **error)
{
	const ProaSiteOptions *options = &install->options->site;

	install->site = proa_site_new(options, error);
	if (!install->site)
		return FALSE;
	if (install->options->check)
		return find_offer(install, error);
	if (!proa_site_open(install->site, options, error) || !proa_site_settled(install->site, error) ||
		!find_offer(install, error) || !may_overwrite(install, error))
		return FALSE;
	const ProaManifest *release = install->release;
	proa_state_set_release(
		&install->target, release->version, release->root_hash, install->site->slots.other.name);
	return proa_site_fits(install->site, release->root_size, proa_verity_tree_size(release->root_size),
		release->uki.size, error);
}

/* 2. From here on the running slot is the only one that boots. */
static gboolean remove_boot_entry(Install *install, GError **error)
{
	proa_report_phase("prepare");
	PROA_AUTO_FD int lock = go_on(install, error) ? proa_site_lock_entries(install->site, error) : -1;
	if (lock < 0)
		return FALSE;
	install->begun = TRUE;
	proa_memory_begin(install->state_dir, &install->target);
	return proa_entry_remove_others(install->site->esp, install->site->root_hash, error);
}

/* Of transfers that may take long: how fast, and how often again. */
static void set_manners(const Install *install, ProaFetch *fetch)
{
	fetch->max_speed = proa_config_integer(install->config, "fetch", "max_speed");
	fetch->retries = (guint)proa_config_integer(install->config, "fetch", "retries");
	fetch->retry_delay = RETRY_DELAY;
}

/* What lies in the slot is armed, or it is no good: there is nothing to go on with. */
static void forget_checkpoint(const Install *install)
{
	g_autoptr(GError) error = NULL;

	if (!proa_checkpoint_forget(install->state_dir, install->site->run_dir, &error) ||
		!proa_checkpoint_forget_parts(install->state_dir, &error))
		proa_report_warning("%s", error->message);
}

/* What is flushed is read back while the rest is still written. NULL with an error. */
static ProaVerityBuild *begin_tree(const Install *install, GError **error)
{
	const ProaManifest *release = install->release;
	const ProaSlot *slot = &install->site->slots.other;
	ProaVerityParams params = { .data_size = release->root_size };

	if (!proa_hex_decode(release->root_salt, params.salt, sizeof params.salt)) {
		proa_fail(error, PROA_REASON_BAD_MANIFEST, "the manifest's salt is malformed");
		return NULL;
	}
	g_strlcpy(params.uuid, release->root_uuid, sizeof params.uuid);
	return proa_verity_build_new(slot->data->path, slot->hash->path, &params, error);
}

/* What the device gives back has the last word, whatever path the bytes took. */
static gboolean verify_slot(Install *install, ProaVerityBuild *tree, GError **error)
{
	const ProaManifest *release = install->release;
	const ProaSlot *slot = &install->site->slots.other;
	g_autofree char *root_hash = NULL;

	proa_report_phase("verify");
	if (!go_on(install, error) || !proa_verity_build_finish(tree, &root_hash, error))
		return FALSE;
	if (strcmp(root_hash, release->root_hash) != 0) {
		forget_checkpoint(install);
		return proa_fail(error, PROA_REASON_ROOT_HASH_MISMATCH,
			"%s reads as %s, the manifest says %s", slot->name, root_hash, release->root_hash);
	}
	return TRUE;
}

/*
 * 3 and 4. Stream the cheapest payload into the slot: no temporary copy, memory that does not grow. A delta
 * believes what it reads of the running slot; where that has rotted, the other payloads mend it.
 */
static gboolean write_slot(Install *install, GError **error)
{
	ProaFetch fetch = install->fetch;
	ProaBringAsk ask = { .release = install->release,
		.site = install->site,
		.fetch = &fetch,
		.feed_url = proa_config_string(install->config, "feed", "url"),
		.state_dir = install->state_dir,
		.wanted = proa_config_string(install->config, "fetch", "payload") };

	set_manners(install, &fetch);
	for (;;) {
		g_autoptr(GError) inner = NULL;
		const char *suspect = NULL;

		g_autoptr(ProaVerityBuild) tree = begin_tree(install, error);
		ask.tree = tree;
		proa_report_phase("fetch");
		if (!tree || !proa_bring(&ask, &suspect, error))
			return FALSE;
		if (verify_slot(install, tree, &inner))
			return TRUE;
		if (!suspect || !g_error_matches(inner, PROA_ERROR, PROA_REASON_ROOT_HASH_MISMATCH)) {
			g_propagate_error(error, g_steal_pointer(&inner));
			return FALSE;
		}
		proa_bring_gave_up(install->state_dir, install->release, suspect, inner);
		ask.no_delta = TRUE;
	}
}

/* 5. `roothash=` finds the slot by these. */
static gboolean set_partition_uuids(Install *install, GError **error)
{
	return go_on(install, error) &&
	       proa_slot_set_root_hash(
		       install->site->disk, &install->site->slots.other, install->release->root_hash, error);
}

/* 6. The rename in here is the commit point. */
static gboolean arm(Install *install, GError **error)
{
	ProaFetch fetch = install->fetch;
	const ProaBootImageAsk ask = { .release = install->release,
		.site = install->site,
		.fetch = &fetch,
		.feed_url = proa_config_string(install->config, "feed", "url"),
		.state_dir = install->state_dir,
		.wanted = proa_config_string(install->config, "fetch", "payload"),
		.kernel_repack = proa_config_string(install->config, "fetch", "kernel_repack") };

	proa_report_phase("arm");
	set_manners(install, &fetch);
	return go_on(install, error) && proa_boot_image_arm(&ask, error);
}

/* 7. The node boots the new release whether or not this succeeds. */
static void record(Install *install)
{
	forget_checkpoint(install);
	proa_memory_staged(install->state_dir, &install->target);
	proa_report_done(install->target.version, install->target.root_hash, install->target.slot);
}

static gboolean transaction(Install *install, GError **error)
{
	if (!refuse_early(install, error))
		return FALSE;
	if (install->options->check)
		return TRUE;
	if (!remove_boot_entry(install, error) || !write_slot(install, error) ||
		!set_partition_uuids(install, error))
		return FALSE;
	/* Before the commit point: nothing of a power cut behind that may lose it, and it only ever rises. */
	if (install->release->security_floor)
		proa_memory_raise_floor(install->state_dir, install->release->security_floor);
	if (!arm(install, error))
		return FALSE;
	record(install);
	return TRUE;
}

static gboolean take_lock(Install *install, const char *name, int *ret_lock, GError **error)
{
	g_autofree char *dir = g_strconcat(install->options->site.root, PROA_ESP_RUN_DIR, NULL);
	g_autofree char *path = g_build_filename(dir, name, NULL);

	if (!proa_file_make_dirs(dir, error))
		return FALSE;
	*ret_lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	if (*ret_lock < 0)
		return proa_fail_errno(error, errno == EACCES ? PROA_REASON_PERMISSION : PROA_REASON_IO,
			errno, "opening %s", path);
	if (flock(*ret_lock, LOCK_EX | LOCK_NB) < 0)
		return errno == EWOULDBLOCK
			       ? proa_fail(error, PROA_REASON_BUSY, "another transaction is under way")
			       : proa_fail_errno(error, PROA_REASON_IO, errno, "locking %s", path);
	return TRUE;
}

/*
 * The store of trusted metadata is one program's at a time. install.lock keeps operators out
 * (proa_node_lock_install()): a look at the feed leaves it to them.
 */
static gboolean take_locks(Install *install, GError **error)
{
	return take_lock(install, "trust.lock", &install->trust_lock, error) &&
	       (install->options->check || take_lock(install, "install.lock", &install->lock, error));
}

static void load_config(Install *install)
{
	install->config = proa_update_config_load(install->options->site.root);
	for (const char *const *problem = proa_config_problems(install->config); *problem; problem++)
		proa_report_warning("%s", *problem);
	if (!proa_priority_lower(proa_config_string(install->config, "fetch", "io_priority"),
		    proa_config_string(install->config, "fetch", "cpu_priority")))
		proa_report_warning("the priority of this process could not be lowered");
	install->fetch.helper = install->options->fetch_helper;
	install->fetch.cancellable = install->options->cancellable;
}

gboolean proa_install(const ProaInstallOptions *options, GError **error)
{
	g_auto(Install) install = { .options = options, .lock = -1, .trust_lock = -1 };
	g_autoptr(GError) inner = NULL;

	install.state_dir = g_strconcat(options->site.root, PROA_STATE_DIR, NULL);
	if (!take_locks(&install, error))
		return FALSE;
	load_config(&install);
	/* Whoever has no lock can't tell a transaction that ended from one under way. */
	if (!options->check)
		proa_memory_recover(install.state_dir);
	if (transaction(&install, &inner))
		return TRUE;
	if (install.begun) {
		proa_memory_failed(install.state_dir, &install.target, inner);
	}
	g_propagate_error(error, g_steal_pointer(&inner));
	return FALSE;
}
