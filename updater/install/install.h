/* SPDX-License-Identifier: Apache-2.0 */
/* install: the transaction that brings a release into the other slot (docs/architecture.md, "The
 * transaction"). */
#pragma once

#include "updater/install/site.h"

#include <gio/gio.h>

typedef struct {
	ProaSiteOptions site;
	const char *wanted;  /* version that an operator named; NULL: the newest */
	const char *token;   /* file of a break-glass token for it; NULL: none */
	gint64 accept_stale; /* until then expired metadata is accepted; 0: never */
	gboolean unattended; /* nobody asked for it: it waits while the running release is watched for crashes
			      */
	gboolean check;      /* say what would be taken, and stop */
	const char *fetch_helper;  /* NULL: the installed one */
	GCancellable *cancellable; /* stops it; up to the commit point nothing is armed then */
} ProaInstallOptions;

/*
 * Runs one transaction, or as much of it as @options->check wants, and reports as it goes
 * (updater/install/report.h), except for the error. Holds the lock of transactions throughout: BUSY if
 * another does. TRUE: staged, or offered. After a failure nothing is armed, the running slot and its boot
 * entry are as they were, and state and history tell what happened.
 */
gboolean proa_install(const ProaInstallOptions *options, GError **error) G_GNUC_WARN_UNUSED_RESULT;
