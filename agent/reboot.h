/* SPDX-License-Identifier: Apache-2.0 */
/* reboot: asks the system for an orderly reboot. */
#pragma once

#include "base/reason.h"

#include <systemd/sd-bus.h>

/*
 * Asks logind (which tells those who are logged in), and where there is none, systemd itself. Returns once
 * the request is taken. INTERNAL when neither takes it.
 */
gboolean proa_reboot(sd_bus *bus, GError **error) G_GNUC_WARN_UNUSED_RESULT;
