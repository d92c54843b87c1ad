/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reason: the one table of stable reason codes, and the error domain built on it.
 *
 * Every failure that a user can meet is a GError in the domain PROA_ERROR whose code is a ProaReason. The
 * word of a reason ("esp-full") never changes once released: the command line, D-Bus, journal messages,
 * metrics and docs/reasons.md all use it. The message of the error names the thing and the place, the hint of
 * the reason names the way out.
 */
#pragma once

#include <glib.h>

typedef enum {
	/* General */
	PROA_REASON_INTERNAL,   /* a mistake of this program */
	PROA_REASON_USAGE,      /* the command line is wrong */
	PROA_REASON_IO,         /* reading or writing a file or device failed */
	PROA_REASON_PERMISSION, /* must be root, or a file may not be read */
	PROA_REASON_BUSY,       /* another transaction holds the lock */
	PROA_REASON_NOT_FOUND,  /* a file, device or target does not exist */
	PROA_REASON_TOO_LARGE,  /* outside bytes are over the cap of their parser */
	PROA_REASON_BAD_CONFIG, /* a configuration file has an unknown key or a bad value */
	PROA_REASON_BAD_STATE,  /* a state file cannot be understood */
	PROA_REASON_CANCELLED,  /* an operator or a shutdown stopped it */
	PROA_REASON_NO_AGENT,   /* proad does not answer on D-Bus */

	/* Trust */
	PROA_REASON_NO_TRUST,          /* no shipped or stored root metadata to begin with */
	PROA_REASON_BAD_METADATA,      /* signed metadata is malformed or of the wrong type or version */
	PROA_REASON_BAD_SIGNATURE,     /* too few valid signatures of distinct keys */
	PROA_REASON_METADATA_ROLLBACK, /* older than what was already trusted */
	PROA_REASON_METADATA_MISMATCH, /* length or digest differs from what the signed parent says */
	PROA_REASON_STALE_FEED,        /* signed metadata has expired */
	PROA_REASON_CLOCK_UNUSABLE,    /* the system clock is before the image's build time */

	/* Feed */
	PROA_REASON_FEED_UNREACHABLE,     /* no connection: name, route, TLS or refused */
	PROA_REASON_FEED_ERROR,           /* the server answered with an error status */
	PROA_REASON_TRANSFER_INTERRUPTED, /* the connection ended before the last byte */
	PROA_REASON_TRANSFER_SLOW,        /* below the lowest speed allowed, or over the time limit */

	/* Release */
	PROA_REASON_BAD_MANIFEST,       /* the release manifest is malformed */
	PROA_REASON_NO_UPDATE,          /* nothing newer than what runs or is staged */
	PROA_REASON_NO_SUCH_RELEASE,    /* the version asked for is not in the channel */
	PROA_REASON_REJECTED_BEFORE,    /* this root hash failed here before */
	PROA_REASON_BELOW_FLOOR,        /* below the lowest version allowed */
	PROA_REASON_WRONG_ARCHITECTURE, /* made for another machine */
	PROA_REASON_BAD_TOKEN,          /* a break-glass token is malformed, expired, or for something else */

	/* Payload */
	PROA_REASON_BAD_PAYLOAD,       /* the payload's header or frames are malformed */
	PROA_REASON_PAYLOAD_DIGEST,    /* bytes differ from the digest that the manifest or header names */
	PROA_REASON_PAYLOAD_TRUNCATED, /* the payload ended early */

	/* Slot */
	PROA_REASON_NO_SLOT,            /* the disk has no such partition */
	PROA_REASON_SLOT_TOO_SMALL,     /* the image or its hash tree does not fit */
	PROA_REASON_DISK_LAYOUT,        /* the partition table cannot be read or changed */
	PROA_REASON_ROOT_HASH_MISMATCH, /* what was read back from the slot is not the release */

	/* Boot */
	PROA_REASON_ESP_MISSING,   /* the EFI system partition cannot be found or mounted */
	PROA_REASON_ESP_FULL,      /* the UKI does not fit on the EFI system partition */
	PROA_REASON_BAD_UKI,       /* the boot image is malformed or boots another root hash */
	PROA_REASON_NO_BOOT_ENTRY, /* no entry on the ESP boots that release */
	PROA_REASON_TRIAL_BOOT,    /* the running release is still on trial */
	PROA_REASON_CRASH_WATCH, /* blessed, but still watched: the other slot holds the last sound release */
	PROA_REASON_NOTHING_TO_ROLL_BACK, /* the other slot holds no release that boots */
	PROA_REASON_NOT_VERIFIED,         /* the running root is not under dm-verity */

	/* Health, and why a release was rejected */
	PROA_REASON_UNIT_FAILED,     /* a unit is in the failed state */
	PROA_REASON_NOT_RUNNING,     /* the system did not reach "running" before the deadline */
	PROA_REASON_CONTAINERD_DOWN, /* containerd does not answer on its socket, or says it is not serving */
	PROA_REASON_HEALTH_CHECK,    /* a health check added by the operator or a package failed */
	PROA_REASON_BOOT_FAILED,     /* it never came far enough to say why: panic, hang, power */
	PROA_REASON_ROOT_CORRUPT,    /* dm-verity found a block that is not of the release */
	PROA_REASON_ROOT_MISSING,    /* the initrd could not find or open the root */
	PROA_REASON_ROLLED_BACK,     /* an operator left it */
	PROA_REASON_UNIT_RESTARTED,  /* a unit that must stay active ended and was started again */
	PROA_REASON_CANARY,          /* a container could not be run */
	PROA_REASON_DISK_SPACE,      /* a file system is full */
	PROA_REASON_READ_ONLY,       /* a file system that must be written is read-only or missing */
	PROA_REASON_NO_ROUTE,        /* no network interface, or no default route */
	PROA_REASON_DNS,             /* a name that must resolve does not */
	PROA_REASON_TIME,            /* the clock is not in step with a time source */
	PROA_REASON_KUBELET,         /* the kubelet does not say that it is well */
	PROA_REASON_NODE_NOT_READY,  /* the API server does not say that this node is Ready */
	PROA_REASON_CRASHED,         /* blessed, but crashed or rebooted unasked too often after that */
	PROA_REASON_REJECTED,        /* an operator rejected it */
	PROA_REASON_PINNED,          /* an operator pinned this node to a release */

	/* What `proa doctor` finds beside those */
	PROA_REASON_KUBELET_SKEW,    /* the kubelet's version and the API server's do not go together */
	PROA_REASON_EXTENSIONS_LEFT, /* images of system extensions lie aside, which nothing merges */
	PROA_REASON_EXTENSION,       /* a system extension does not fit a release, or is paired with none */
	PROA_REASON_NO_SCRUB,        /* the other slot was never read as a whole */
	PROA_REASON_NO_WATCHDOG,     /* nothing resets a node that hangs */
	PROA_REASON_NO_SECURE_BOOT,  /* the firmware does not check what it boots */
	PROA_REASON_NO_TPM,          /* nothing measures the boot */
	PROA_REASON_EXPIRES_SOON,    /* signed metadata expires within days */
	PROA_REASON_MAX,
} ProaReason;

/* Exit statuses of every program; docs/reasons.md says which reason gives which. */
typedef enum {
	PROA_EXIT_OK = 0,
	PROA_EXIT_FAILED = 1,  /* it was tried and did not work; nothing half-done is left */
	PROA_EXIT_USAGE = 2,   /* the command line is wrong */
	PROA_EXIT_REFUSED = 3, /* it was not tried, and the reason code says why */
	PROA_EXIT_NOTHING = 4, /* there is nothing to do */
} ProaExit;

#define PROA_ERROR (proa_error_quark())
GQuark proa_error_quark(void);

/* The stable word of a reason, such as "esp-full". Never NULL; an unknown value gives "internal". */
const char *proa_reason_to_string(ProaReason reason);

/* The reason of a word, or PROA_REASON_MAX if there is none such. */
ProaReason proa_reason_from_string(const char *word);

/* One sentence that tells an operator the way out; never NULL. */
const char *proa_reason_hint(ProaReason reason);

/* The exit status that goes with a reason. */
ProaExit proa_reason_exit(ProaReason reason);

/* The reason of an error: its code in the domain PROA_ERROR, otherwise the nearest (IO for file errors). */
ProaReason proa_reason_of(const GError *error);

/* Sets *error in PROA_ERROR; as g_set_error() otherwise. Returns FALSE, so that it can end a function. */
gboolean proa_fail(GError **error, ProaReason reason, const char *format, ...) G_GNUC_PRINTF(3, 4);

/* As proa_fail(), with ": " and the text of the errno value @saved_errno at the end. */
gboolean proa_fail_errno(GError **error, ProaReason reason, int saved_errno, const char *format, ...)
	G_GNUC_PRINTF(4, 5);

/* What proa_printable() keeps. Bytes. */
#define PROA_PRINTABLE_MAX 2000

/*
 * @text as one line for a terminal or a log: what servers and files say may be in it. Control and formatting
 * characters, line ends and what is not UTF-8 become '?' or U+FFFD, and what is over PROA_PRINTABLE_MAX
 * bytes is cut off. Free with g_free().
 */
char *proa_printable(const char *text);

/* Makes the message of *@error printable, if there is one. Returns FALSE, so that it can end a function. */
gboolean proa_error_make_printable(GError **error);
