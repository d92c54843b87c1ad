/* SPDX-License-Identifier: Apache-2.0 */
#include "boot/uki.h"

#include "base/digest.h"
#include "base/file.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

/* PE format: the DOS header's e_lfanew, the COFF header behind the signature, the section table behind both.
 */
#define DOS_HEADER_SIZE 64
#define DOS_LFANEW 60
#define PE_HEADER_SIZE 24
#define PE_SECTIONS 6
#define PE_OPTIONAL_SIZE 20
#define SECTION_SIZE 40
#define SECTION_NAME_SIZE 8
#define SECTION_VIRTUAL_SIZE 8
#define SECTION_RAW_SIZE 16
#define SECTION_RAW_OFFSET 20
/* Where a PE header may lie at most, and how many sections we look at: far over what ukify makes. */
#define MAX_PE_OFFSET (1024 * 1024)
#define MAX_SECTIONS 96

typedef struct {
	guint32 offset;
	guint32 size;
} Extent;

static guint32 le32(const guint8 *p)
{
	return (guint32)p[0] | (guint32)p[1] << 8 | (guint32)p[2] << 16 | (guint32)p[3] << 24;
}

static guint16 le16(const guint8 *p)
{
	return (guint16)(p[0] | p[1] << 8);
}

/* Reads from outside bytes: a short file is a bad image, not an I/O error. */
static gboolean read_at(int fd, void *buffer, gsize size, guint64 offset, GError **error)
{
	guint8 *p = buffer;

	while (size > 0) {
		ssize_t n = pread(fd, p, size, (off_t)offset);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return proa_fail_errno(error, PROA_REASON_IO, errno, "reading the boot image");
		if (n == 0)
			return proa_fail(error, PROA_REASON_BAD_UKI, "the boot image ends early");
		p += n;
		offset += (guint64)n;
		size -= (gsize)n;
	}
	return TRUE;
}

static gboolean read_pe_header(int fd, guint64 *ret_table, guint *ret_sections, GError **error)
{
	guint8 dos[DOS_HEADER_SIZE], pe[PE_HEADER_SIZE];

	if (!read_at(fd, dos, sizeof dos, 0, error))
		return FALSE;
	guint32 pe_offset = le32(dos + DOS_LFANEW);
	if (memcmp(dos, "MZ", 2) != 0 || pe_offset < DOS_HEADER_SIZE || pe_offset > MAX_PE_OFFSET)
		return proa_fail(error, PROA_REASON_BAD_UKI, "the boot image has no DOS header");
	if (!read_at(fd, pe, sizeof pe, pe_offset, error))
		return FALSE;
	if (memcmp(pe, "PE\0\0", 4) != 0)
		return proa_fail(error, PROA_REASON_BAD_UKI, "the boot image has no PE header");
	guint sections = le16(pe + PE_SECTIONS);
	if (sections == 0 || sections > MAX_SECTIONS)
		return proa_fail(
			error, PROA_REASON_BAD_UKI, "the boot image says it has %u sections", sections);
	*ret_table = (guint64)pe_offset + PE_HEADER_SIZE + le16(pe + PE_OPTIONAL_SIZE);
	*ret_sections = sections;
	return TRUE;
}

static gboolean find_section(int fd, const char *name, Extent *ret_extent, GError **error)
{
	guint8 wanted[SECTION_NAME_SIZE + 1] = { 0 };
	guint8 section[SECTION_SIZE];
	guint64 table = 0;
	guint count = 0;

	if (g_strlcpy((char *)wanted, name, sizeof wanted) >= sizeof wanted)
		return proa_fail(error, PROA_REASON_INTERNAL, "the section name %s is too long", name);
	if (!read_pe_header(fd, &table, &count, error))
		return FALSE;
	for (guint i = 0; i < count; i++) {
		if (!read_at(fd, section, sizeof section, table + (guint64)i * SECTION_SIZE, error))
			return FALSE;
		if (memcmp(section, wanted, SECTION_NAME_SIZE) != 0)
			continue;
		/* The raw size is padded up; what the loader sees ends at the virtual size. */
		ret_extent->size =
			MIN(le32(section + SECTION_VIRTUAL_SIZE), le32(section + SECTION_RAW_SIZE));
		ret_extent->offset = le32(section + SECTION_RAW_OFFSET);
		return TRUE;
	}
	return proa_fail(error, PROA_REASON_BAD_UKI, "the boot image has no %s section", name);
}

char *proa_uki_section(int fd, const char *name, GError **error)
{
	Extent extent = { 0 };

	if (!find_section(fd, name, &extent, error))
		return NULL;
	if (extent.size > PROA_UKI_MAX_SECTION) {
		proa_fail(error, PROA_REASON_TOO_LARGE, "section %s is %u bytes, over %d", name, extent.size,
			PROA_UKI_MAX_SECTION);
		return NULL;
	}
	g_autofree char *text = g_malloc0((gsize)extent.size + 1);
	if (!read_at(fd, text, extent.size, extent.offset, error)) {
		g_prefix_error(error, "section %s: ", name);
		return NULL;
	}
	gsize length = extent.size;
	while (length > 0 && text[length - 1] == '\0')
		length--;
	if (memchr(text, '\0', length)) {
		proa_fail(error, PROA_REASON_BAD_UKI, "section %s has a NUL byte inside", name);
		return NULL;
	}
	return g_steal_pointer(&text);
}

char *proa_uki_root_hash(int fd, GError **error)
{
	g_autofree char *cmdline = proa_uki_section(fd, ".cmdline", error);

	if (!cmdline)
		return NULL;
	char *root_hash = proa_cmdline_root_hash(cmdline);
	if (!root_hash)
		proa_fail(error, PROA_REASON_BAD_UKI,
			"the boot image's command line names no single roothash=");
	return root_hash;
}

char *proa_cmdline_root_hash(const char *cmdline)
{
	g_auto(GStrv) words = g_strsplit_set(cmdline, " \t\n", -1);
	const char *found = NULL;

	for (char **word = words; *word; word++) {
		if (!g_str_has_prefix(*word, "roothash="))
			continue;
		const char *value = *word + strlen("roothash=");
		if (!proa_sha256_hex_valid(value) || (found && strcmp(found, value) != 0))
			return NULL;
		found = value;
	}
	return g_strdup(found);
}

char *proa_os_release_value(const char *text, const char *key)
{
	g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
	gsize key_length = strlen(key);

	for (char **line = lines; *line; line++) {
		if (!g_str_has_prefix(*line, key) || (*line)[key_length] != '=')
			continue;
		char *value = g_strchomp(*line + key_length + 1);
		gsize length = strlen(value);
		if (length >= 2 && (value[0] == '"' || value[0] == '\'') && value[length - 1] == value[0]) {
			value[length - 1] = '\0';
			value++;
		}
		return strpbrk(value, "\"'\\$`") ? NULL : g_strdup(value);
	}
	return NULL;
}
