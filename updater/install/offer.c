/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/install/offer.h"

#include "base/file.h"
#include "base/version.h"
#include "updater/install/memory.h"
#include "updater/install/report.h"
#include "updater/release/choose.h"
#include "updater/trust/token.h"

#include <string.h>
#include <sys/stat.h>

#define SHIPPED_ROOT "/usr/lib/proa/trust/root.json"
#define OS_RELEASE "/usr/lib/os-release"
#define MACHINE_ID "/etc/machine-id"
#define MAX_MACHINE_ID 256
/* So many releases that were rejected are stepped over in the search for an older one. */
#define MAX_CANDIDATES 16

/* As in the manifest (docs/formats.md); the only one that images are made for. */
#define ARCHITECTURE "x86-64"

/* For ProaTrust: a file of the feed's metadata/, whose path is percent-encoded already. */
static gboolean fetch_metadata(
	const char *path, gsize max_size, char **etag, GBytes **ret_bytes, gpointer data, GError **error)
{
	const ProaOfferAsk *ask = data;
	g_autofree char *folder = proa_fetch_url(ask->feed_url, "metadata");
	g_autofree char *url = g_strconcat(folder, "/", path, NULL);

	if (etag)
		return proa_fetch_if_changed(ask->fetch, url, max_size, etag, ret_bytes, error);
	return (*ret_bytes = proa_fetch_bytes(ask->fetch, url, max_size, error)) != NULL;
}

/* One small request as long as the feed has nothing new. */
static gboolean bring_up_to_date(ProaOfferAsk *ask, ProaTrust *trust, GError **error)
{
	gboolean news = TRUE;

	return proa_trust_poll(trust, fetch_metadata, ask, &news, error) &&
	       (!news || proa_trust_refresh(trust, fetch_metadata, ask, error));
}

/* All files of an image carry its build time. */
static gint64 build_time(const char *root)
{
	g_autofree char *path = g_strconcat(root, OS_RELEASE, NULL);
	struct stat st;

	return stat(path, &st) == 0 ? st.st_mtime : 0;
}

static ProaManifest *fetch_manifest(const ProaOfferAsk *ask, const ProaCandidate *candidate, GError **error)
{
	g_autofree char *path = proa_trust_target_url_path(candidate->target);
	g_autofree char *url = proa_fetch_url(ask->feed_url, path);
	gsize size = 0;

	if (candidate->target->length > PROA_MANIFEST_MAX_SIZE) {
		proa_fail(error, PROA_REASON_TOO_LARGE, "%s is over %d bytes", path, PROA_MANIFEST_MAX_SIZE);
		return NULL;
	}
	g_autoptr(GBytes) bytes = proa_fetch_bytes(ask->fetch, url, (gsize)candidate->target->length, error);
	if (!bytes || !proa_trust_check_target(candidate->target, bytes, error))
		return NULL;
	const char *text = g_bytes_get_data(bytes, &size);
	g_autoptr(ProaManifest) manifest = proa_manifest_parse(text ? text : "", size, error);
	if (!manifest)
		return NULL;
	if (strcmp(manifest->version, candidate->version) != 0 ||
		strcmp(manifest->architecture, ARCHITECTURE) != 0) {
		proa_fail(error, PROA_REASON_BAD_MANIFEST, "the manifest of %s is one of %s for %s",
			candidate->version, manifest->version, manifest->architecture);
		return NULL;
	}
	return g_steal_pointer(&manifest);
}

/* The newest candidate whose root hash did not fail here. */
static ProaManifest *first_not_rejected(
	const ProaOfferAsk *ask, const GPtrArray *candidates, char **ret_offered, GError **error)
{
	g_autoptr(GPtrArray) rejected = proa_memory_rejected(ask->state_dir);
	g_autoptr(GError) first = NULL;

	for (guint i = 0; i < candidates->len && i < MAX_CANDIDATES; i++) {
		const ProaCandidate *candidate = candidates->pdata[i];
		if (i == 0)
			*ret_offered = g_strdup(candidate->version);
		g_autoptr(ProaManifest) manifest = fetch_manifest(ask, candidate, error);
		if (!manifest)
			return NULL;
		const ProaRejected *failed = proa_rejected_find(rejected, manifest->root_hash);
		if (!failed) {
			g_set_str(ret_offered, candidate->version);
			return g_steal_pointer(&manifest);
		}
		if (!first)
			proa_fail(&first, PROA_REASON_REJECTED_BEFORE,
				"%s failed on this node before: %s%s%s", candidate->version, failed->reason,
				failed->detail ? ": " : "", failed->detail ? failed->detail : "");
	}
	g_propagate_error(error, g_steal_pointer(&first));
	return NULL;
}

static char *time_text(gint64 seconds)
{
	g_autoptr(GDateTime) when = g_date_time_new_from_unix_utc(seconds);

	return when ? g_date_time_format(when, "%Y-%m-%dT%H:%M:%SZ") : g_strdup("(out of range)");
}

/* This node's machine id, or NULL. */
static char *machine_id(const char *root)
{
	g_autofree char *path = g_strconcat(root, MACHINE_ID, NULL);
	char *text = proa_file_read(path, MAX_MACHINE_ID, NULL, NULL);

	return text ? g_strchomp(text) : NULL;
}

/* The token that lets the wanted release below the floor, or NULL. It must hold whether or not it is needed.
 */
static ProaToken *read_token(const ProaOfferAsk *ask, ProaTrust *trust, GError **error)
{
	gsize size;
	char *text = proa_file_read(ask->token, PROA_TOKEN_MAX_SIZE, &size, error);
	g_autoptr(GBytes) bytes = text ? g_bytes_new_take(text, size) : NULL;
	g_autofree char *node = machine_id(ask->root);
	const ProaTokenUse use = { ask->wanted, ask->channel, node, ask->pool };

	return bytes ? proa_token_check(trust, bytes, &use, error) : NULL;
}

/* Whether the floor stands; a token that opens it is told of. */
static gboolean floor_opens(
	const ProaOfferAsk *ask, ProaTrust *trust, const char *floor, gboolean *ret_open, GError **error)
{
	if (!ask->token)
		return TRUE;
	g_autoptr(ProaToken) token = read_token(ask, trust, error);
	if (!token)
		return FALSE;
	*ret_open = TRUE;
	if (ask->check || !floor || proa_version_compare(ask->wanted, floor) >= 0)
		return TRUE;
	g_autofree char *until = time_text(token->expires);
	g_autofree char *text = g_strdup_printf("token %s for the %s %s until %s: %s", token->id,
		token->node ? "node" : "pool", token->node ? token->node : token->pool, until, token->reason);
	proa_memory_decided(ask->state_dir, "token-used", ask->wanted, text);
	return TRUE;
}

/*
 * The floor here, or the one in the manifest of the channel's newest release, if that is higher: whoever asks
 * for an older release by name may never have installed one that says it.
 */
static gboolean find_floor(
	const ProaOfferAsk *ask, const GPtrArray *targets, char **ret_floor, GError **error)
{
	const ProaChooseRules rules = { .channel = ask->channel, .architecture = ARCHITECTURE, .booted = "" };
	g_autofree char *floor = proa_memory_floor(ask->state_dir);
	g_autoptr(GPtrArray) all = ask->wanted ? proa_choose(targets, &rules, NULL) : NULL;
	const ProaCandidate *newest = all ? all->pdata[0] : NULL;

	if (newest && strcmp(newest->version, ask->wanted) != 0) {
		g_autoptr(ProaManifest) manifest = fetch_manifest(ask, newest, error);
		if (!manifest)
			return FALSE;
		if (manifest->security_floor &&
			(!floor || proa_version_compare(manifest->security_floor, floor) > 0))
			g_set_str(&floor, manifest->security_floor);
	}
	*ret_floor = g_steal_pointer(&floor);
	return TRUE;
}

static GPtrArray *choose(const ProaOfferAsk *ask, ProaTrust *trust, GError **error)
{
	g_autofree char *prefix = g_strconcat(ask->channel, "/", NULL);
	g_autoptr(GPtrArray) targets = proa_trust_list_targets(trust, prefix, error);
	g_autofree char *floor = NULL;
	gboolean open = FALSE;

	if (!targets || !find_floor(ask, targets, &floor, error) ||
		!floor_opens(ask, trust, floor, &open, error))
		return NULL;
	if (open)
		g_clear_pointer(&floor, g_free);
	const ProaChooseRules rules = { .channel = ask->channel,
		.architecture = ARCHITECTURE,
		.booted = ask->booted_version,
		.floor = floor,
		.wanted = ask->wanted };
	return proa_choose(targets, &rules, error);
}

static void tell_stale(const ProaOfferAsk *ask)
{
	g_autofree char *until = time_text(ask->accept_stale);
	g_autofree char *text = g_strdup_printf("expired metadata is accepted until %s", until);

	proa_memory_decided(ask->state_dir, "accepted-stale", NULL, text);
}

static gboolean is_news(const ProaOfferAsk *ask, const ProaManifest *manifest, GError **error)
{
	if (strcmp(manifest->root_hash, ask->booted_root_hash) == 0)
		return proa_fail(error, PROA_REASON_NO_UPDATE, "%s is what runs", manifest->version);
	if (g_strcmp0(manifest->root_hash, ask->staged_root_hash) == 0)
		return proa_fail(error, PROA_REASON_NO_UPDATE, "%s is staged already: the next boot tries it",
			manifest->version);
	return TRUE;
}

ProaManifest *proa_offer_find(ProaOfferAsk *ask, char **ret_offered, GError **error)
{
	g_autofree char *store = g_build_filename(ask->state_dir, "trust", NULL);
	g_autofree char *shipped = g_strconcat(ask->root, SHIPPED_ROOT, NULL);

	proa_report_phase("trust");
	if (!*ask->feed_url) {
		proa_fail(error, PROA_REASON_BAD_CONFIG, "update.conf names no feed: [feed] url is empty");
		return NULL;
	}
	g_autoptr(ProaTrust) trust = proa_trust_open(store, shipped, build_time(ask->root), error);
	if (!trust)
		return NULL;
	proa_trust_accept_stale(trust, ask->accept_stale);
	if (!bring_up_to_date(ask, trust, error))
		return NULL;

	proa_report_phase("choose");
	g_autoptr(GPtrArray) candidates = choose(ask, trust, error);
	/* Only now: the channel's own role was loaded by choosing. */
	if (proa_trust_was_stale(trust))
		tell_stale(ask);
	if (!candidates)
		return NULL;
	g_autoptr(ProaManifest) manifest = first_not_rejected(ask, candidates, ret_offered, error);
	return manifest && is_news(ask, manifest, error) ? g_steal_pointer(&manifest) : NULL;
}
