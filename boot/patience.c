/* SPDX-License-Identifier: Apache-2.0 */
#include "boot/patience.h"

#include "boot/giveup.h"

#include <unistd.h>

#define LOOK_US 200000
#define SYNC_SECONDS 5
#define ENDLESS G_MAXINT64

static GMutex lock;
static gint64 until = ENDLESS; /* monotonic, microseconds */
static gboolean rehearsal;

static gpointer watch(G_GNUC_UNUSED gpointer data)
{
	for (;;) {
		g_usleep(LOOK_US);
		g_mutex_lock(&lock);
		gboolean over = g_get_monotonic_time() >= until;
		g_mutex_unlock(&lock);
		if (!over)
			continue;
		/* Not to a log: that may be on the same disk. The kernel's is not. */
		if (rehearsal)
			_exit(1);
		proa_reboot_now(SYNC_SECONDS);
	}
	return NULL;
}

static void set(gint64 time)
{
	g_mutex_lock(&lock);
	until = time;
	g_mutex_unlock(&lock);
}

void proa_patience_renew(gint64 seconds, gboolean no_reboot)
{
	static gsize started;

	rehearsal = no_reboot;
	set(g_get_monotonic_time() + seconds * G_USEC_PER_SEC);
	if (g_once_init_enter(&started)) {
		g_thread_unref(g_thread_new("patience", watch, NULL));
		g_once_init_leave(&started, 1);
	}
}

void proa_patience_end(void)
{
	set(ENDLESS);
}
