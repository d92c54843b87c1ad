/* SPDX-License-Identifier: Apache-2.0 */
#include "base/reason.h"

#include <gio/gio.h>
#include <string.h>

typedef struct {
	const char *word;
	ProaExit exit;
	const char *hint;
} Entry;

#define SEE_FEED "Ask whoever publishes the feed; until it is mended this node keeps what it runs."
#define RETRIED "It is tried again at the next check; `proa check` tries at once."

static const Entry table[PROA_REASON_MAX] = {
	[PROA_REASON_INTERNAL] = { "internal", PROA_EXIT_FAILED, "Report it with the journal of this unit." },
	[PROA_REASON_USAGE] = { "usage", PROA_EXIT_USAGE, "See --help." },
	[PROA_REASON_IO] = { "io-error", PROA_EXIT_FAILED,
		"Look at the kernel's messages (journalctl -k) for the device named." },
	[PROA_REASON_PERMISSION] = { "permission", PROA_EXIT_REFUSED, "Run it as root." },
	[PROA_REASON_BUSY] = { "busy", PROA_EXIT_REFUSED,
		"Wait for the other one to end; `proa status` shows it." },
	[PROA_REASON_NOT_FOUND] = { "not-found", PROA_EXIT_FAILED, "Check the name." },
	[PROA_REASON_TOO_LARGE] = { "too-large", PROA_EXIT_FAILED, SEE_FEED },
	[PROA_REASON_BAD_CONFIG] = { "bad-config", PROA_EXIT_FAILED,
		"Mend the line named; until then the default holds." },
	[PROA_REASON_BAD_STATE] = { "bad-state", PROA_EXIT_FAILED,
		"Move the file named away; the node makes it anew from what it boots." },
	[PROA_REASON_CANCELLED] = { "cancelled", PROA_EXIT_FAILED,
		"Nothing was armed; start it again when it suits." },
	[PROA_REASON_NO_AGENT] = { "no-agent", PROA_EXIT_FAILED, "Look at `systemctl status proad`." },

	[PROA_REASON_NO_TRUST] = { "no-trust", PROA_EXIT_REFUSED,
		"The image must hold the feed's root metadata in /usr/lib/proa/trust/root.json." },
	[PROA_REASON_BAD_METADATA] = { "bad-metadata", PROA_EXIT_REFUSED, SEE_FEED },
	[PROA_REASON_BAD_SIGNATURE] = { "bad-signature", PROA_EXIT_REFUSED, SEE_FEED },
	[PROA_REASON_METADATA_ROLLBACK] = { "metadata-rollback", PROA_EXIT_REFUSED,
		"The server gives out an older feed than before: check the mirror." },
	[PROA_REASON_METADATA_MISMATCH] = { "metadata-mismatch", PROA_EXIT_REFUSED,
		"The mirror is incomplete or altered: check it against the original feed." },
	[PROA_REASON_STALE_FEED] = { "stale-feed", PROA_EXIT_REFUSED,
		"The feed was not refreshed in time, or this node's clock is ahead: check both." },
	[PROA_REASON_CLOCK_UNUSABLE] = { "clock-unusable", PROA_EXIT_REFUSED,
		"Set the clock (chronyc tracking), then try again." },

	[PROA_REASON_FEED_UNREACHABLE] = { "feed-unreachable", PROA_EXIT_FAILED,
		"Check the network and [feed] url in /etc/proa/update.conf. " RETRIED },
	[PROA_REASON_FEED_ERROR] = { "feed-error", PROA_EXIT_FAILED, SEE_FEED },
	[PROA_REASON_TRANSFER_INTERRUPTED] = { "transfer-interrupted", PROA_EXIT_FAILED, RETRIED },
	[PROA_REASON_TRANSFER_SLOW] = { "transfer-slow", PROA_EXIT_FAILED, RETRIED },

	[PROA_REASON_BAD_MANIFEST] = { "bad-manifest", PROA_EXIT_REFUSED, SEE_FEED },
	[PROA_REASON_NO_UPDATE] = { "no-update", PROA_EXIT_NOTHING, "Nothing to do." },
	[PROA_REASON_NO_SUCH_RELEASE] = { "no-such-release", PROA_EXIT_REFUSED,
		"`proa check` lists what the channel offers." },
	[PROA_REASON_REJECTED_BEFORE] = { "rejected-before", PROA_EXIT_REFUSED,
		"It failed on this node; `proa history` says why. A newer release is not hindered." },
	[PROA_REASON_BELOW_FLOOR] = { "below-floor", PROA_EXIT_REFUSED,
		"Choose a release at or above the floor, or ask for a break-glass token." },
	[PROA_REASON_WRONG_ARCHITECTURE] = { "wrong-architecture", PROA_EXIT_REFUSED,
		"Point the node at its own feed." },
	[PROA_REASON_BAD_TOKEN] = { "bad-token", PROA_EXIT_REFUSED,
		"Ask whoever holds the break-glass keys for a token for this node and release." },

	[PROA_REASON_BAD_PAYLOAD] = { "bad-payload", PROA_EXIT_FAILED, SEE_FEED },
	[PROA_REASON_PAYLOAD_DIGEST] = { "payload-digest", PROA_EXIT_FAILED,
		"A mirror, proxy or disk altered the bytes. " RETRIED },
	[PROA_REASON_PAYLOAD_TRUNCATED] = { "payload-truncated", PROA_EXIT_FAILED, RETRIED },

	[PROA_REASON_NO_SLOT] = { "no-slot", PROA_EXIT_REFUSED,
		"The disk needs GPT partitions labelled root-a, root-a-verity, root-b and root-b-verity." },
	[PROA_REASON_SLOT_TOO_SMALL] = { "slot-too-small", PROA_EXIT_REFUSED,
		"This release needs larger slots: reinstall the node from a current disk image." },
	[PROA_REASON_DISK_LAYOUT] = { "disk-layout", PROA_EXIT_FAILED, "Look at the disk with `fdisk -l`." },
	[PROA_REASON_ROOT_HASH_MISMATCH] = { "root-hash-mismatch", PROA_EXIT_FAILED,
		"The release or the disk is bad; nothing was armed. Another release is not hindered." },

	[PROA_REASON_ESP_MISSING] = { "esp-missing", PROA_EXIT_REFUSED,
		"The disk needs an EFI system partition that holds EFI/Linux." },
	[PROA_REASON_ESP_FULL] = { "esp-full", PROA_EXIT_REFUSED,
		"Remove what is not Proa's from the EFI system partition." },
	[PROA_REASON_BAD_UKI] = { "bad-uki", PROA_EXIT_FAILED, SEE_FEED },
	[PROA_REASON_NO_BOOT_ENTRY] = { "no-boot-entry", PROA_EXIT_REFUSED,
		"`proa status` shows what the slots hold." },
	[PROA_REASON_TRIAL_BOOT] = { "trial-boot", PROA_EXIT_REFUSED,
		"Wait until the running release is blessed, or `proa rollback`." },
	[PROA_REASON_CRASH_WATCH] = { "crash-watch", PROA_EXIT_REFUSED,
		"It goes on by itself at the time named; `proa update` does not wait." },
	[PROA_REASON_NOTHING_TO_ROLL_BACK] = { "nothing-to-roll-back", PROA_EXIT_REFUSED,
		"`proa update` brings a release into the other slot." },
	[PROA_REASON_NOT_VERIFIED] = { "not-verified", PROA_EXIT_REFUSED,
		"Boot the node through one of its own boot entries." },

	[PROA_REASON_UNIT_FAILED] = { "unit-failed", PROA_EXIT_FAILED, "See `systemctl --failed`." },
	[PROA_REASON_NOT_RUNNING] = { "not-running", PROA_EXIT_FAILED, "See `systemctl list-jobs`." },
	[PROA_REASON_CONTAINERD_DOWN] = { "containerd-down", PROA_EXIT_FAILED,
		"See `systemctl status containerd`." },
	[PROA_REASON_HEALTH_CHECK] = { "health-check", PROA_EXIT_FAILED, "See the journal of proa-bootd." },
	[PROA_REASON_BOOT_FAILED] = { "boot-failed", PROA_EXIT_FAILED,
		"It left no report: look at the machine's console while it boots." },
	[PROA_REASON_ROOT_CORRUPT] = { "root-corrupt", PROA_EXIT_FAILED,
		"The disk damaged a block of this release: check the disk, then install the release again." },
	[PROA_REASON_ROOT_MISSING] = { "root-missing", PROA_EXIT_FAILED,
		"A partition is gone or damaged: look at the disk with `fdisk -l`." },
	[PROA_REASON_ROLLED_BACK] = { "rolled-back", PROA_EXIT_REFUSED,
		"An operator left it; `proa rollback` goes forward to it again." },
	[PROA_REASON_UNIT_RESTARTED] = { "unit-restarted", PROA_EXIT_FAILED,
		"See the journal of the unit named (journalctl -u)." },
	[PROA_REASON_CANARY] = { "canary-failed", PROA_EXIT_FAILED,
		"See `journalctl -u containerd`: it could not start a container." },
	[PROA_REASON_DISK_SPACE] = { "disk-space", PROA_EXIT_FAILED,
		"Make room on the file system named (du -x), or change [disk] in health.conf." },
	[PROA_REASON_READ_ONLY] = { "read-only", PROA_EXIT_FAILED,
		"Look at the kernel's messages (journalctl -k): a damaged file system is mounted read-only, or not at all." },
	[PROA_REASON_NO_ROUTE] = { "no-route", PROA_EXIT_FAILED, "See `networkctl` and `ip route`." },
	[PROA_REASON_DNS] = { "dns-failed", PROA_EXIT_FAILED, "See `resolvectl status`." },
	[PROA_REASON_TIME] = { "clock-not-in-step", PROA_EXIT_FAILED, "See `chronyc sources`." },
	[PROA_REASON_KUBELET] = { "kubelet-down", PROA_EXIT_FAILED, "See `journalctl -u kubelet`." },
	[PROA_REASON_NODE_NOT_READY] = { "node-not-ready", PROA_EXIT_FAILED,
		"See the conditions in `kubectl describe node`." },
	[PROA_REASON_CRASHED] = { "crashed", PROA_EXIT_FAILED,
		"It ran well at first, then the node went down unasked again and again: `proa log --last-failure`." },
	[PROA_REASON_REJECTED] = { "rejected", PROA_EXIT_REFUSED,
		"An operator rejected it; `proa unreject` takes that back." },
	[PROA_REASON_PINNED] = { "pinned", PROA_EXIT_REFUSED,
		"An operator pinned this node; `proa unpin` lets it follow its channel again." },

	[PROA_REASON_KUBELET_SKEW] = { "kubelet-skew", PROA_EXIT_FAILED,
		"Update the older of the two; the API server goes first." },
	[PROA_REASON_EXTENSION] = { "extension-mismatch", PROA_EXIT_FAILED,
		"Bring an image of the extension that is made for that release, or take its link out of /etc/extensions." },
	[PROA_REASON_EXTENSIONS_LEFT] = { "extensions-left", PROA_EXIT_FAILED,
		"Going back to the release that had one brings it back; `mv` what you need to /var/lib/proa/extensions, remove what nobody does." },
	[PROA_REASON_NO_SCRUB] = { "not-scrubbed", PROA_EXIT_FAILED,
		"`proa rollback --check` reads it; proa-scrub.timer does every week." },
	[PROA_REASON_NO_WATCHDOG] = { "no-watchdog", PROA_EXIT_FAILED,
		"Give the machine a watchdog (a virtual one: i6300esb)." },
	[PROA_REASON_NO_SECURE_BOOT] = { "no-secure-boot", PROA_EXIT_FAILED,
		"Boot files are not checked by the firmware; enrol keys to have that." },
	[PROA_REASON_NO_TPM] = { "no-tpm", PROA_EXIT_FAILED,
		"Nothing of Proa needs one; secrets can't be bound to the boot without it." },
	[PROA_REASON_EXPIRES_SOON] = { "expires-soon", PROA_EXIT_FAILED,
		"Ask whoever publishes the feed to renew it." },
};

G_DEFINE_QUARK(proa - error - quark, proa_error)

static const Entry *entry_of(ProaReason reason)
{
	if ((int)reason < 0 || reason >= PROA_REASON_MAX)
		reason = PROA_REASON_INTERNAL;
	return &table[reason];
}

const char *proa_reason_to_string(ProaReason reason)
{
	return entry_of(reason)->word;
}

ProaReason proa_reason_from_string(const char *word)
{
	for (int i = 0; word && i < PROA_REASON_MAX; i++)
		if (strcmp(table[i].word, word) == 0)
			return (ProaReason)i;
	return PROA_REASON_MAX;
}

const char *proa_reason_hint(ProaReason reason)
{
	return entry_of(reason)->hint;
}

ProaExit proa_reason_exit(ProaReason reason)
{
	return entry_of(reason)->exit;
}

ProaReason proa_reason_of(const GError *error)
{
	if (!error)
		return PROA_REASON_INTERNAL;
	if (error->domain == PROA_ERROR && error->code >= 0 && error->code < PROA_REASON_MAX)
		return (ProaReason)error->code;
	if (error->domain == G_FILE_ERROR) {
		if (error->code == G_FILE_ERROR_NOENT)
			return PROA_REASON_NOT_FOUND;
		if (error->code == G_FILE_ERROR_ACCES || error->code == G_FILE_ERROR_PERM)
			return PROA_REASON_PERMISSION;
		return PROA_REASON_IO;
	}
	/* Not G_IO_ERROR: for that one quark every program would load all of GIO, three MiB of it. */
	if (error->domain == g_quark_try_string("g-io-error-quark"))
		return error->code == G_IO_ERROR_CANCELLED ? PROA_REASON_CANCELLED : PROA_REASON_IO;
	if (error->domain == G_OPTION_ERROR)
		return PROA_REASON_USAGE;
	return PROA_REASON_INTERNAL;
}

gboolean proa_fail(GError **error, ProaReason reason, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	g_autofree char *message = g_strdup_vprintf(format, args);
	va_end(args);
	g_set_error_literal(error, PROA_ERROR, (int)reason, message);
	return FALSE;
}

gboolean proa_fail_errno(GError **error, ProaReason reason, int saved_errno, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	g_autofree char *message = g_strdup_vprintf(format, args);
	va_end(args);
	g_set_error(error, PROA_ERROR, (int)reason, "%s: %s", message, g_strerror(saved_errno));
	return FALSE;
}

static gboolean is_plain(gunichar c)
{
	GUnicodeType type = g_unichar_type(c);

	return type != G_UNICODE_CONTROL && type != G_UNICODE_FORMAT && type != G_UNICODE_LINE_SEPARATOR &&
	       type != G_UNICODE_PARAGRAPH_SEPARATOR;
}

char *proa_printable(const char *text)
{
	g_autofree char *valid = g_utf8_make_valid(text, -1);
	GString *line = g_string_new(NULL);
	const char *at = valid;

	for (; *at && line->len < PROA_PRINTABLE_MAX; at = g_utf8_next_char(at)) {
		gunichar c = g_utf8_get_char(at);
		g_string_append_unichar(line, is_plain(c) ? c : '?');
	}
	if (*at)
		g_string_append(line, "...");
	return g_string_free(line, FALSE);
}

gboolean proa_error_make_printable(GError **error)
{
	if (error && *error) {
		char *message = proa_printable((*error)->message);
		g_free((*error)->message);
		(*error)->message = message;
	}
	return FALSE;
}
