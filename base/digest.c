/* SPDX-License-Identifier: Apache-2.0 */
#include "base/digest.h"

#include <string.h>

gboolean proa_hex_valid(const char *text, gsize length)
{
	if (!text || strlen(text) != length)
		return FALSE;
	return strspn(text, "0123456789abcdef") == length;
}

gboolean proa_sha256_hex_valid(const char *text)
{
	return proa_hex_valid(text, PROA_SHA256_HEX_LENGTH);
}

char *proa_hex_encode(const guint8 *data, gsize size)
{
	static const char digits[] = "0123456789abcdef";
	char *text = g_malloc(size * 2 + 1);

	for (gsize i = 0; i < size; i++) {
		text[i * 2] = digits[data[i] >> 4];
		text[i * 2 + 1] = digits[data[i] & 15];
	}
	text[size * 2] = '\0';
	return text;
}

gboolean proa_hex_decode(const char *text, guint8 *out, gsize size)
{
	if (!text || strlen(text) != size * 2)
		return FALSE;
	for (gsize i = 0; i < size * 2; i++)
		if (!g_ascii_isxdigit(text[i]))
			return FALSE;
	for (gsize i = 0; i < size; i++)
		out[i] = (guint8)(g_ascii_xdigit_value(text[i * 2]) << 4 |
				  g_ascii_xdigit_value(text[i * 2 + 1]));
	return TRUE;
}

char *proa_sha256_hex(const void *data, gsize size)
{
	return g_compute_checksum_for_data(G_CHECKSUM_SHA256, data, size);
}
