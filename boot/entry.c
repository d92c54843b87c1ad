/* SPDX-License-Identifier: Apache-2.0 */
#include "boot/entry.h"

#include "base/file.h"
#include "base/version.h"
#include "boot/uki.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define PREFIX "proa_"
#define SUFFIX ".efi"
#define MAX_CMDLINE (16 * 1024)

void proa_entry_free(ProaEntry *entry)
{
	g_free(entry->name);
	g_free(entry->version);
	g_free(entry->root_hash);
	g_free(entry->image_version);
	g_free(entry->sort_key);
	g_free(entry);
}

/* Reads one or two digits at *@p and moves behind them. */
static gboolean parse_count(const char **p, int *ret_count)
{
	int count = 0, digits = 0;

	for (; g_ascii_isdigit(**p) && digits < 3; (*p)++, digits++)
		count = count * 10 + (**p - '0');
	if (digits == 0 || count > PROA_ENTRY_MAX_COUNT)
		return FALSE;
	*ret_count = count;
	return TRUE;
}

/* Reads "[+<left>[-<done>]]" up to @end. */
static gboolean parse_counters(const char *p, const char *end, int *ret_left, int *ret_done)
{
	int left = -1, done = -1;

	if (p < end) {
		p++;
		if (!parse_count(&p, &left))
			return FALSE;
		if (p < end && (*p++ != '-' || !parse_count(&p, &done)))
			return FALSE;
	}
	if (p != end)
		return FALSE;
	*ret_left = left;
	*ret_done = done;
	return TRUE;
}

ProaEntry *proa_entry_parse(const char *name)
{
	gsize length = strlen(name);
	int left, done;

	if (length <= strlen(PREFIX SUFFIX) || length > PROA_ENTRY_MAX_NAME ||
		g_ascii_strncasecmp(name, PREFIX, strlen(PREFIX)) != 0 ||
		g_ascii_strcasecmp(name + length - strlen(SUFFIX), SUFFIX) != 0)
		return NULL;
	const char *begin = name + strlen(PREFIX), *end = name + length - strlen(SUFFIX);
	const char *plus = memchr(begin, '+', (gsize)(end - begin));
	g_autofree char *version = g_strndup(begin, (gsize)((plus ? plus : end) - begin));
	if (!proa_version_valid(version) || !parse_counters(plus ? plus : end, end, &left, &done))
		return NULL;

	ProaEntry *entry = g_new0(ProaEntry, 1);
	entry->name = g_strdup(name);
	entry->version = g_steal_pointer(&version);
	entry->tries_left = left;
	entry->tries_done = done;
	return entry;
}

char *proa_entry_format(const char *version, int tries_left, int tries_done)
{
	if (tries_left < 0)
		return g_strconcat(PREFIX, version, SUFFIX, NULL);
	if (tries_done < 0)
		return g_strdup_printf(PREFIX "%s+%d" SUFFIX, version, tries_left);
	return g_strdup_printf(PREFIX "%s+%d-%d" SUFFIX, version, tries_left, tries_done);
}

/* What cannot be read stays NULL: an entry that does not boot is still an entry. */
static void read_uki(int dir_fd, ProaEntry *entry)
{
	PROA_AUTO_FD int fd = openat(dir_fd, entry->name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

	if (fd < 0)
		return;
	g_autofree char *os_release = proa_uki_section(fd, ".osrel", NULL);
	entry->root_hash = proa_uki_root_hash(fd, NULL);
	if (!os_release)
		return;
	entry->image_version = proa_os_release_value(os_release, "IMAGE_VERSION");
	entry->sort_key = proa_os_release_value(os_release, "IMAGE_ID");
	if (!entry->sort_key)
		entry->sort_key = proa_os_release_value(os_release, "ID");
}

static int compare_flags(gboolean a, gboolean b)
{
	return (a ? 1 : 0) - (b ? 1 : 0);
}

/* The part of a file name before its counter, in lower case: systemd-boot's id without ".efi". */
static char *id_of(const ProaEntry *entry)
{
	g_autofree char *name = g_strconcat(PREFIX, entry->version, NULL);

	return g_ascii_strdown(name, -1);
}

/* Step by step as systemd-boot 257 does it. */
static int compare(gconstpointer first, gconstpointer second)
{
	const ProaEntry *a = *(const ProaEntry *const *)first, *b = *(const ProaEntry *const *)second;
	int order = compare_flags(a->tries_left == 0, b->tries_left == 0);

	if (order == 0)
		order = compare_flags(!a->sort_key, !b->sort_key);
	if (order == 0 && a->sort_key && b->sort_key) {
		order = strcmp(a->sort_key, b->sort_key);
		if (order == 0)
			order = -proa_version_compare(a->image_version ? a->image_version : "",
				b->image_version ? b->image_version : "");
	}
	if (order != 0)
		return order;

	g_autofree char *a_id = id_of(a), *b_id = id_of(b);
	order = -proa_version_compare(a_id, b_id);
	if (order == 0)
		order = b->tries_left - a->tries_left;
	return order != 0 ? order : a->tries_done - b->tries_done;
}

static DIR *open_entries(const ProaEsp *esp, GError **error)
{
	PROA_AUTO_FD int fd = openat(proa_esp_entries_fd(esp), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);

	if (!dir)
		proa_fail_errno(error, PROA_REASON_IO, errno, "reading the directory %s of the ESP",
			PROA_ESP_ENTRY_DIR);
	else
		proa_steal_fd(&fd);
	return dir;
}

GPtrArray *proa_entry_list(const ProaEsp *esp, GError **error)
{
	DIR *dir = open_entries(esp, error);

	if (!dir)
		return NULL;
	GPtrArray *list = g_ptr_array_new_with_free_func((GDestroyNotify)proa_entry_free);
	for (struct dirent *found; list->len < PROA_ENTRY_MAX_ENTRIES && (found = readdir(dir));) {
		ProaEntry *entry = proa_entry_parse(found->d_name);
		if (!entry)
			continue;
		read_uki(proa_esp_entries_fd(esp), entry);
		g_ptr_array_add(list, entry);
	}
	closedir(dir);
	g_ptr_array_sort(list, compare);
	return list;
}

const ProaEntry *proa_entry_next(const GPtrArray *entries)
{
	return entries->len > 0 ? g_ptr_array_index(entries, 0) : NULL;
}

const ProaEntry *proa_entry_find(const GPtrArray *entries, const char *root_hash)
{
	for (guint i = 0; root_hash && i < entries->len; i++) {
		const ProaEntry *entry = g_ptr_array_index(entries, i);
		if (g_strcmp0(entry->root_hash, root_hash) == 0)
			return entry;
	}
	return NULL;
}

gboolean proa_entry_bootable(const ProaEntry *entry)
{
	return entry->root_hash && entry->tries_left != 0;
}

const ProaEntry *proa_entry_find_other(const GPtrArray *entries, const char *root_hash)
{
	for (guint i = 0; i < entries->len; i++) {
		const ProaEntry *entry = g_ptr_array_index(entries, i);
		if (proa_entry_bootable(entry) && g_strcmp0(entry->root_hash, root_hash) != 0)
			return entry;
	}
	return NULL;
}

/*
 * FAT knows no second name of a file: a power cut in the middle of a rename leaves two directory entries over
 * the same clusters. To remove one of them, or to rename a file over it, gives the clusters of both away. So
 * no rename here replaces a file: *@ret_taken says that the name was taken, and nothing was done then.
 */
static gboolean rename_to_free(
	const ProaEsp *esp, const char *from, const char *to, gboolean *ret_taken, GError **error)
{
	int fd = proa_esp_entries_fd(esp);

	*ret_taken = FALSE;
	if (renameat2(fd, from, fd, to, RENAME_NOREPLACE) < 0) {
		*ret_taken = errno == EEXIST;
		return *ret_taken ||
		       proa_fail_errno(error, errno == ENOENT ? PROA_REASON_NO_BOOT_ENTRY : PROA_REASON_IO,
			       errno, "renaming the boot entry %s to %s", from, to);
	}
	if (fsync(fd) < 0)
		return proa_fail_errno(
			error, PROA_REASON_IO, errno, "syncing the directory %s", PROA_ESP_ENTRY_DIR);
	return proa_esp_sync(esp, error);
}

static gboolean boots(const ProaEsp *esp, const char *name, const char *root_hash)
{
	PROA_AUTO_FD int fd =
		openat(proa_esp_entries_fd(esp), name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	g_autofree char *own = fd < 0 ? NULL : proa_uki_root_hash(fd, NULL);

	return own && g_strcmp0(own, root_hash) == 0;
}

/* A name that says "set aside", the first that is free from @done on. */
static gboolean rename_aside(
	const ProaEsp *esp, const char *from, const char *version, int done, GError **error)
{
	for (; done <= PROA_ENTRY_MAX_COUNT; done++) {
		g_autofree char *name = proa_entry_format(version, 0, done);
		gboolean taken = FALSE;
		if (!rename_to_free(esp, from, name, &taken, error))
			return FALSE;
		if (!taken)
			return TRUE;
	}
	return proa_fail(error, PROA_REASON_IO, "no name is left to set the boot entry %s aside", from);
}

/* Renames an entry, or finds that it bears the new name already, as a second one, and sets the first aside.
 */
static gboolean rename_entry(const ProaEsp *esp, const ProaEntry *entry, const char *to, GError **error)
{
	gboolean taken = FALSE;

	if (!rename_to_free(esp, entry->name, to, &taken, error))
		return FALSE;
	if (!taken)
		return TRUE;
	if (boots(esp, to, entry->root_hash))
		return proa_entry_set_aside(esp, entry, error);
	/* Another release of the same version: a file of its own, which has lost its turn. */
	return proa_esp_remove_file(esp, proa_esp_entries_fd(esp), to, error) &&
	       rename_to_free(esp, entry->name, to, &taken, error);
}

gboolean proa_entry_bless(const ProaEsp *esp, const ProaEntry *entry, GError **error)
{
	if (entry->tries_left < 0)
		return TRUE;
	g_autofree char *name = proa_entry_format(entry->version, -1, -1);
	return rename_entry(esp, entry, name, error);
}

gboolean proa_entry_set_aside(const ProaEsp *esp, const ProaEntry *entry, GError **error)
{
	if (entry->tries_left == 0)
		return TRUE;
	return rename_aside(esp, entry->name, entry->version, MAX(entry->tries_done, 1), error);
}

gboolean proa_entry_rearm(const ProaEsp *esp, const ProaEntry *entry, GError **error)
{
	g_autofree char *name = proa_entry_format(entry->version, PROA_ENTRY_TRIES, -1);

	return strcmp(name, entry->name) == 0 || rename_entry(esp, entry, name, error);
}

gboolean proa_entry_arm(
	const ProaEsp *esp, const char *temporary, const char *version, const char *root_hash, GError **error)
{
	if (g_str_has_suffix(temporary, SUFFIX) || strchr(temporary, '/') || !proa_version_valid(version))
		return proa_fail(
			error, PROA_REASON_INTERNAL, "cannot arm %s as version %s", temporary, version);

	PROA_AUTO_FD int fd = openat(proa_esp_entries_fd(esp), temporary, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return proa_fail_errno(error, PROA_REASON_IO, errno, "opening %s on the ESP", temporary);
	g_autofree char *own = proa_uki_root_hash(fd, error);
	gboolean taken = FALSE;
	if (!own)
		return FALSE;
	if (strcmp(own, root_hash) != 0)
		return proa_fail(error, PROA_REASON_BAD_UKI, "the boot image boots root hash %s, not %s", own,
			root_hash);
	g_autofree char *name = proa_entry_format(version, PROA_ENTRY_TRIES, -1);
	if (!rename_to_free(esp, temporary, name, &taken, error))
		return FALSE;
	return !taken || proa_fail(error, PROA_REASON_IO, "%s is on the ESP already", name);
}

gboolean proa_entry_remove(const ProaEsp *esp, const ProaEntry *entry, GError **error)
{
	return proa_esp_remove_file(esp, proa_esp_entries_fd(esp), entry->name, error);
}

/*
 * One that boots what @kept boots is the running release's own boot image: the power went in the middle of
 * the rename that armed it. It is named for what it is, and goes when that release does.
 */
static gboolean remove_temporary_files(const ProaEsp *esp, const ProaEntry *kept, GError **error)
{
	DIR *dir = open_entries(esp, error);
	gboolean ok = dir != NULL;

	for (struct dirent *found; ok && (found = readdir(dir));) {
		if (!g_str_has_suffix(found->d_name, ".tmp"))
			continue;
		ok = boots(esp, found->d_name, kept->root_hash)
			     ? rename_aside(esp, found->d_name, kept->version, 1, error)
			     : proa_esp_remove_file(esp, proa_esp_entries_fd(esp), found->d_name, error);
	}
	if (dir)
		closedir(dir);
	return ok;
}

gboolean proa_entry_remove_others(const ProaEsp *esp, const char *keep_root_hash, GError **error)
{
	g_autoptr(GPtrArray) list = proa_entry_list(esp, error);

	if (!list)
		return FALSE;
	const ProaEntry *kept = proa_entry_find(list, keep_root_hash);
	if (!kept || !proa_entry_bootable(kept))
		return proa_fail(error, PROA_REASON_NO_BOOT_ENTRY,
			"no entry that boots the running release is on the ESP");
	for (guint i = 0; i < list->len; i++) {
		const ProaEntry *entry = g_ptr_array_index(list, i);
		if (g_strcmp0(entry->root_hash, keep_root_hash) != 0 && !proa_entry_remove(esp, entry, error))
			return FALSE;
	}
	return remove_temporary_files(esp, kept, error);
}

char *proa_booted_root_hash(const char *root, GError **error)
{
	g_autofree char *path = g_build_filename(root && *root ? root : "/", "proc/cmdline", NULL);
	g_autofree char *cmdline = proa_file_read(path, MAX_CMDLINE, NULL, error);

	if (!cmdline)
		return NULL;
	char *root_hash = proa_cmdline_root_hash(cmdline);
	if (!root_hash)
		proa_fail(error, PROA_REASON_NOT_VERIFIED,
			"the kernel's command line names no single roothash=");
	return root_hash;
}
