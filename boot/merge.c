/* SPDX-License-Identifier: Apache-2.0 */
#include "boot/merge.h"

#include "base/file.h"
#include "base/reason.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#define CHUNK (64 * 1024)
/* The kernel's limit of a link's target. */
#define MAX_TARGET 4096
/* overlayfs's mark for "nothing below this shows through". */
#define OPAQUE "trusted.overlay.opaque"

static gboolean fail_on(GError **error, const char *doing, const char *path)
{
	return proa_fail_errno(error, PROA_REASON_IO, errno, "%s %s", doing, path);
}

static char *digest_at(int dir_fd, const char *name, GError **error)
{
	g_autoptr(GChecksum) checksum = g_checksum_new(G_CHECKSUM_SHA256);
	g_autofree guint8 *buffer = g_malloc(CHUNK);
	PROA_AUTO_FD int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	ssize_t size = fd < 0 ? -1 : 1;

	while (size > 0) {
		size = read(fd, buffer, CHUNK);
		if (size < 0 && errno == EINTR)
			size = 1;
		else if (size > 0)
			g_checksum_update(checksum, buffer, size);
	}
	if (size < 0) {
		fail_on(error, "reading", name);
		return NULL;
	}
	return g_strdup(g_checksum_get_string(checksum));
}

/* overlayfs's mark for "the operator removed it". */
static gboolean is_whiteout(const struct stat *st)
{
	return S_ISCHR(st->st_mode) && st->st_rdev == makedev(0, 0);
}

/* What makes two entries the same; NULL with an error. */
static char *fingerprint(int dir_fd, const char *name, const struct stat *st, GError **error)
{
	g_autofree char *rest = NULL;

	if (S_ISREG(st->st_mode)) {
		rest = digest_at(dir_fd, name, error);
	} else if (S_ISLNK(st->st_mode)) {
		char target[MAX_TARGET + 1];
		ssize_t size = readlinkat(dir_fd, name, target, MAX_TARGET);
		if (size < 0)
			fail_on(error, "reading the link", name);
		else
			rest = g_compute_checksum_for_data(
				G_CHECKSUM_SHA256, (const guchar *)target, (gsize)size);
	} else {
		rest = g_strdup_printf("%u:%u", major(st->st_rdev), minor(st->st_rdev));
	}
	return rest ? g_strdup_printf("%o:%u:%u:%s", st->st_mode, st->st_uid, st->st_gid, rest) : NULL;
}

static gboolean is_dot(const char *name)
{
	return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

/* Called for each entry but directories, then, if it is a directory, for what it holds. */
typedef gboolean (*Visit)(
	int dir_fd, const char *name, const char *path, const struct stat *st, gpointer data, GError **error);

static gboolean walk(int fd, const char *parent, guint max_depth, Visit visit, gpointer data, GError **error)
{
	int copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = copy < 0 ? NULL : fdopendir(copy);
	gboolean ok = TRUE;

	if (!dir) {
		fail_on(error, "opening", *parent ? parent : "the tree");
		proa_close_fd(&copy);
		return FALSE;
	}
	/* cppcheck-suppress readdirCalled ; each stream is this function's own */
	for (struct dirent *found; ok && (found = readdir(dir));) {
		const char *name = found->d_name;
		g_autofree char *path = g_strconcat(parent, *parent ? "/" : "", name, NULL);
		struct stat st;
		if (is_dot(name))
			continue;
		if (fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
			ok = fail_on(error, "looking at", path);
		} else if (!S_ISDIR(st.st_mode)) {
			ok = visit(fd, name, path, &st, data, error);
		} else if (max_depth == 0) {
			ok = proa_fail(
				error, PROA_REASON_TOO_LARGE, "directories are nested too deep at %s", path);
		} else {
			PROA_AUTO_FD int below =
				openat(fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
			ok = below < 0 ? fail_on(error, "opening", path)
				       : walk(below, path, max_depth - 1, visit, data, error);
		}
	}
	closedir(dir);
	return ok;
}

static gboolean add_entry(
	int dir_fd, const char *name, const char *path, const struct stat *st, gpointer data, GError **error)
{
	GHashTable *list = data;
	char *print = fingerprint(dir_fd, name, st, error);

	if (!print)
		return FALSE;
	g_hash_table_insert(list, g_strdup(path), print);
	return g_hash_table_size(list) <= PROA_MERGE_MAX_ENTRIES ||
	       proa_fail(
		       error, PROA_REASON_TOO_LARGE, "there are more than %d files", PROA_MERGE_MAX_ENTRIES);
}

static GHashTable *new_list(void)
{
	return g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
}

GHashTable *proa_merge_list(int fd, guint max_depth, GError **error)
{
	g_autoptr(GHashTable) list = new_list();

	return walk(fd, "", max_depth, add_entry, list, error) ? g_steal_pointer(&list) : NULL;
}

static int compare_names(gconstpointer a, gconstpointer b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* One line an entry: fingerprint, space, path with its odd characters escaped. */
gboolean proa_merge_save(const char *path, GHashTable *list, GError **error)
{
	g_autoptr(GString) text = g_string_new(NULL);
	g_autoptr(GPtrArray) names = g_hash_table_get_keys_as_ptr_array(list);

	g_ptr_array_sort(names, compare_names);
	for (guint i = 0; i < names->len; i++) {
		const char *name = g_ptr_array_index(names, i);
		g_autofree char *escaped = g_strescape(name, NULL);
		g_string_append_printf(
			text, "%s %s\n", (const char *)g_hash_table_lookup(list, name), escaped);
	}
	return proa_file_replace(path, text->str, text->len, 0600, error);
}

GHashTable *proa_merge_load(const char *path)
{
	g_autofree char *text = proa_file_read(path, PROA_MERGE_MAX_LIST, NULL, NULL);
	g_auto(GStrv) lines = g_strsplit(text ? text : "", "\n", -1);
	GHashTable *list = new_list();

	for (char **line = lines; *line; line++) {
		char *space = strchr(*line, ' ');
		if (!space || space == *line)
			continue;
		g_hash_table_insert(list, g_strcompress(space + 1), g_strndup(*line, (gsize)(space - *line)));
	}
	return list;
}

typedef struct {
	int upper_fd;
	GHashTable *base, *lower;
	GHashTable *base_below, *lower_below; /* as summarize() */
	GPtrArray *conflicts;
} Merge;

/* A list holds no directories: each path that has something below it, to a GChecksum of what that is. */
static GHashTable *summarize(GHashTable *list)
{
	GHashTable *below =
		g_hash_table_new_full(g_str_hash, g_str_equal, g_free, (GDestroyNotify)g_checksum_free);
	g_autoptr(GPtrArray) names = g_hash_table_get_keys_as_ptr_array(list);

	g_ptr_array_sort(names, compare_names);
	for (guint i = 0; i < names->len; i++) {
		const char *name = g_ptr_array_index(names, i), *print = g_hash_table_lookup(list, name);
		for (const char *slash = strchr(name, '/'); slash; slash = strchr(slash + 1, '/')) {
			g_autofree char *folder = g_strndup(name, (gsize)(slash - name));
			GChecksum *sum = g_hash_table_lookup(below, folder);
			if (!sum) {
				sum = g_checksum_new(G_CHECKSUM_SHA256);
				g_hash_table_insert(below, g_steal_pointer(&folder), sum);
			}
			/* With their NULs: nothing runs into the next. */
			g_checksum_update(sum, (const guchar *)name, (gssize)strlen(name) + 1);
			g_checksum_update(sum, (const guchar *)print, (gssize)strlen(print) + 1);
		}
	}
	return below;
}

/* What one side has at @path: a file, a directory that is not empty, or NULL. */
static const char *lookup(GHashTable *list, GHashTable *below, const char *path)
{
	const char *print = g_hash_table_lookup(list, path);
	GChecksum *sum = print ? NULL : g_hash_table_lookup(below, path);

	return sum ? g_checksum_get_string(sum) : print;
}

/* Below a directory that the operator made, or removed and made anew, nothing of a release shows: what stayed
 * behind there would be gone. */
static gboolean is_cut_off(int upper_fd, const char *path)
{
	for (const char *slash = strchr(path, '/'); slash; slash = strchr(slash + 1, '/')) {
		g_autofree char *folder = g_strndup(path, (gsize)(slash - path));
		PROA_AUTO_FD int fd =
			openat(upper_fd, folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
		char value = 0;
		if (fd >= 0 && fgetxattr(fd, OPAQUE, &value, 1) == 1 && value == 'y')
			return TRUE;
	}
	return FALSE;
}

typedef enum { GOES_ALONG, STAYS_BEHIND, CONFLICT } Fate;

/* The table of the header. NULL: not there. */
static Fate decide(const char *base, const char *upper, const char *lower)
{
	if (g_strcmp0(upper, lower) == 0 || (base && g_strcmp0(upper, base) == 0))
		return STAYS_BEHIND;
	return g_strcmp0(base, lower) == 0 ? GOES_ALONG : CONFLICT;
}

static gboolean merge_entry(
	int dir_fd, const char *name, const char *path, const struct stat *st, gpointer data, GError **error)
{
	Merge *merge = data;
	g_autofree char *print = is_whiteout(st) ? NULL : fingerprint(dir_fd, name, st, error);

	if (!print && !is_whiteout(st))
		return FALSE;
	/* What the operator removed is, to the table, not there: as what the next release does not ship any
	 * more. One mark stands for a whole directory, as does what was put in the place of one. */
	switch (decide(lookup(merge->base, merge->base_below, path), print,
		lookup(merge->lower, merge->lower_below, path))) {
	case STAYS_BEHIND:
		if (print && is_cut_off(merge->upper_fd, path))
			return TRUE;
		return unlinkat(dir_fd, name, 0) == 0 || fail_on(error, "removing", path);
	case CONFLICT:
		g_ptr_array_add(merge->conflicts, g_strdup(path));
		return TRUE;
	default:
		return TRUE;
	}
}

gboolean proa_merge_upper(int upper_fd, GHashTable *base, GHashTable *lower, guint max_depth,
	char ***ret_conflicts, GError **error)
{
	g_autoptr(GPtrArray) conflicts = g_ptr_array_new_with_free_func(g_free);
	g_autoptr(GHashTable) base_below = summarize(base), lower_below = summarize(lower);
	Merge merge = { upper_fd, base, lower, base_below, lower_below, conflicts };

	if (!walk(upper_fd, "", max_depth, merge_entry, &merge, error))
		return FALSE;
	g_ptr_array_sort(conflicts, compare_names);
	g_ptr_array_add(conflicts, NULL);
	*ret_conflicts = (char **)g_ptr_array_steal(conflicts, NULL);
	return TRUE;
}
