/* SPDX-License-Identifier: Apache-2.0 */
#include "base/version.h"

#include <string.h>

gboolean proa_version_valid(const char *text)
{
	if (!text || !g_ascii_isalnum(text[0]) || strlen(text) > PROA_VERSION_MAX_LENGTH)
		return FALSE;
	for (const char *p = text; *p; p++)
		if (!g_ascii_isalnum(*p) && !strchr(".~^-", *p))
			return FALSE;
	return TRUE;
}

static gboolean counts(char c)
{
	return g_ascii_isalnum(c) || c == '~' || c == '-' || c == '^' || c == '.';
}

/*
 * Whether one of the two stands at @separator, so that the order is known: that one sorts to @side. Where
 * both do, it is passed over.
 */
static gboolean separated(const char **a, const char **b, char separator, int side, int *ret_order)
{
	if (**a != separator && **b != separator)
		return FALSE;
	if (**a != **b) {
		*ret_order = **a == separator ? side : -side;
		return TRUE;
	}
	(*a)++;
	(*b)++;
	return FALSE;
}

static int compare_digits(const char **a, const char **b)
{
	while (**a == '0')
		(*a)++;
	while (**b == '0')
		(*b)++;
	gsize length_a = strspn(*a, "0123456789"), length_b = strspn(*b, "0123456789");
	int order = length_a != length_b ? (length_a < length_b ? -1 : 1) : strncmp(*a, *b, length_a);
	*a += length_a;
	*b += length_b;
	return order;
}

static int compare_letters(const char **a, const char **b)
{
	gsize length_a = 0, length_b = 0;

	while (g_ascii_isalpha((*a)[length_a]))
		length_a++;
	while (g_ascii_isalpha((*b)[length_b]))
		length_b++;
	int order = strncmp(*a, *b, MIN(length_a, length_b));
	if (order == 0 && length_a != length_b)
		order = length_a < length_b ? -1 : 1;
	*a += length_a;
	*b += length_b;
	return order;
}

int proa_version_compare(const char *a, const char *b)
{
	for (;;) {
		int order = 0;

		/* The numbers are the steps of the specification. 1: drop what does not count. */
		while (*a && !counts(*a))
			a++;
		while (*b && !counts(*b))
			b++;
		/*
		 * 2: '~' is older than even the end; 3: the end; 4 to 6: '-', '^' and '.' in this order. What
		 * follows a separator that both have is judged by the steps after it, as systemd-boot does:
		 * "1-" is newer than "1-^".
		 */
		if (separated(&a, &b, '~', -1, &order))
			return order;
		if (!*a || !*b)
			return *a ? 1 : *b ? -1 : 0;
		if (separated(&a, &b, '-', -1, &order) || separated(&a, &b, '^', -1, &order) ||
			separated(&a, &b, '.', -1, &order))
			return order;
		/* 7: numbers by value, and newer than letters; 8: letters by their code. */
		if (g_ascii_isdigit(*a) || g_ascii_isdigit(*b)) {
			if (!g_ascii_isdigit(*a) || !g_ascii_isdigit(*b))
				return g_ascii_isdigit(*a) ? 1 : -1;
			order = compare_digits(&a, &b);
		} else {
			order = compare_letters(&a, &b);
		}
		if (order)
			return order < 0 ? -1 : 1;
	}
}
