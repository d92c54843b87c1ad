/* SPDX-License-Identifier: Apache-2.0 */
/*
 * direct: proa without proad, for root: it runs proa-install and proa-bootd itself. A dead agent then neither
 * hides what the node runs, nor keeps a security fix or the way back from an operator.
 */
#pragma once

#include "agent/cli/progress.h"
#include "agent/transaction.h"

/*
 * The status document from proa-bootd (asked only by root) and the state files. Never fails: what cannot be
 * read is told in its "problems".
 */
JsonObject *proa_direct_status(const ProaPaths *paths);

/* As proa_client_operate(), with a child of our own. PERMISSION for anyone but root. */
JsonObject *proa_direct_operate(const ProaPaths *paths, ProaOperation operation, const char *version,
	ProaProgress *progress, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Reboots with systemctl, which needs no bus. PERMISSION for anyone but root. */
gboolean proa_direct_reboot(const ProaPaths *paths, GError **error) G_GNUC_WARN_UNUSED_RESULT;
