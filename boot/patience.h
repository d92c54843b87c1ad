/* SPDX-License-Identifier: Apache-2.0 */
/*
 * patience: the end of a trial that gets nowhere. What a dead disk holds up in the kernel (a read, an fsync)
 * cannot be broken off, and whoever waits for it judges nothing any more; a thread that touches no disk waits
 * beside it, and reboots.
 */
#pragma once

#include <glib.h>

/*
 * Unless this is called again within @seconds, the node reboots, or with @no_reboot (tests) this process ends
 * with status 1. The first call starts the thread.
 */
void proa_patience_renew(gint64 seconds, gboolean no_reboot);

/* Whatever comes now may take as long as it likes. */
void proa_patience_end(void);
