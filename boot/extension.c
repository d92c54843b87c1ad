/* SPDX-License-Identifier: Apache-2.0 */
#include "boot/extension.h"

#include "base/file.h"
#include "boot/uki.h"

#include <string.h>
#include <sys/stat.h>

#define RELEASE_DIR "/usr/lib/extension-release.d"
#define RELEASE_PREFIX "extension-release."
#define UNPAIRED_DIR "/var/lib/extensions"
#define MAX_NAMES 128
#define ARCHITECTURE "x86-64"

/* Whether the value of @key is the same in both, and there is one. */
static gboolean matches(const char *extension, const char *release, const char *key, char **ret_why)
{
	g_autofree char *wanted = proa_os_release_value(extension, key);
	g_autofree char *own = proa_os_release_value(release, key);

	if (wanted && g_strcmp0(wanted, own) == 0)
		return TRUE;
	*ret_why = g_strdup_printf("it is made for %s=%s, the release has %s", key,
		wanted ? wanted : "(none)", own ? own : "none");
	return FALSE;
}

gboolean proa_extension_fits(const char *extension, const char *release, char **ret_why)
{
	g_autofree char *id = proa_os_release_value(extension, "ID");
	g_autofree char *architecture = proa_os_release_value(extension, "ARCHITECTURE");
	g_autofree char *level = proa_os_release_value(extension, "SYSEXT_LEVEL");
	g_autofree char *own_level = proa_os_release_value(release, "SYSEXT_LEVEL");
	g_autofree char *own_version = proa_os_release_value(release, "VERSION_ID");
	gboolean any = g_strcmp0(id, "_any") == 0;

	if (!any && !matches(extension, release, "ID", ret_why))
		return FALSE;
	if (architecture && strcmp(architecture, "_any") != 0 && strcmp(architecture, ARCHITECTURE) != 0) {
		*ret_why = g_strdup_printf("it is made for ARCHITECTURE=%s", architecture);
		return FALSE;
	}
	if (any)
		return TRUE;
	if (level && own_level)
		return matches(extension, release, "SYSEXT_LEVEL", ret_why);
	return !own_version || matches(extension, release, "VERSION_ID", ret_why);
}

char **proa_extension_names(const char *root)
{
	g_autofree char *folder = g_strconcat(root, RELEASE_DIR, NULL);
	g_autoptr(GStrvBuilder) names = g_strv_builder_new();
	g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
	const char *name;

	for (guint i = 0; i < MAX_NAMES && dir && (name = g_dir_read_name(dir)); i++)
		if (g_str_has_prefix(name, RELEASE_PREFIX) && name[strlen(RELEASE_PREFIX)])
			g_strv_builder_add(names, name + strlen(RELEASE_PREFIX));
	return g_strv_builder_end(names);
}

char *proa_extension_release(const char *root, const char *name)
{
	g_autofree char *path = g_strconcat(root, RELEASE_DIR "/" RELEASE_PREFIX, name, NULL);

	return proa_file_read(path, PROA_EXTENSION_MAX_RELEASE, NULL, NULL);
}

gboolean proa_extension_unpaired(const char *root)
{
	g_autofree char *folder = g_strconcat(root, UNPAIRED_DIR, NULL);
	g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
	const char *name;

	while (dir && (name = g_dir_read_name(dir))) {
		g_autofree char *path = g_build_filename(folder, name, NULL);
		struct stat st;
		if (lstat(path, &st) == 0 && !(S_ISREG(st.st_mode) && g_str_has_suffix(name, ".raw")))
			return TRUE;
	}
	return FALSE;
}

/* A "NAME.raw.v" holds images only, of which systemd takes one (systemd.v(7)). */
static gboolean is_directory(const char *folder, const char *name)
{
	g_autofree char *path = g_build_filename(folder, name, NULL);

	return !g_str_has_suffix(name, ".raw.v") && g_file_test(path, G_FILE_TEST_IS_DIR);
}

gboolean proa_extension_find_directory(const char *root, char **ret_path, GError **error)
{
	/* systemd 257, src/shared/discover-image.c, image_search_path[IMAGE_SYSEXT]. */
	static const char *const folders[] = { "/etc/extensions", "/run/extensions", UNPAIRED_DIR };

	*ret_path = NULL;
	for (gsize i = 0; i < G_N_ELEMENTS(folders) && !*ret_path; i++) {
		g_autofree char *folder = g_strconcat(root, folders[i], NULL);
		g_autoptr(GError) local = NULL;
		g_autoptr(GDir) dir = g_dir_open(folder, 0, &local);
		if (!dir && !g_error_matches(local, G_FILE_ERROR, G_FILE_ERROR_NOENT))
			return proa_fail(error, PROA_REASON_IO, "%s", local->message);
		for (const char *name; dir && !*ret_path && (name = g_dir_read_name(dir));)
			if (is_directory(folder, name))
				*ret_path = g_build_filename(folder, name, NULL);
	}
	return TRUE;
}
