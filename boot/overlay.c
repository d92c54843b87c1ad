/* SPDX-License-Identifier: Apache-2.0 */
#include "boot/overlay.h"

#include "base/file.h"
#include "base/reason.h"

#include <errno.h>
#include <sys/mount.h>

/* @kept: a layer between the two, or NULL. */
static gboolean mount_layers(const char *etc, const char *kept, const char *upper_and_work, GError **error)
{
	g_autofree char *options = g_strdup_printf("lowerdir=%s%s%s,upperdir=%s/upper,workdir=%s/work",
		kept ? kept : "", kept ? ":" : "", etc, upper_and_work, upper_and_work);

	if (mount("proa-etc", etc, "overlay", MS_NOSUID | MS_NODEV, options) < 0)
		return proa_fail_errno(error, PROA_REASON_IO, errno, "mounting the overlay of %s", etc);
	return TRUE;
}

gboolean proa_overlay_mount(const char *etc, const char *generation, GError **error)
{
	return mount_layers(etc, NULL, generation, error);
}

gboolean proa_overlay_mount_volatile(const char *etc, const char *memory, const char *kept, GError **error)
{
	g_autofree char *upper = g_build_filename(memory, "upper", NULL);
	g_autofree char *work = g_build_filename(memory, "work", NULL);

	if (!proa_file_make_dirs(upper, error) || !proa_file_make_dirs(work, error))
		return FALSE;
	/* One that is damaged must not cost the node a /etc that can be written. */
	return (kept && mount_layers(etc, kept, memory, NULL)) || mount_layers(etc, NULL, memory, error);
}
