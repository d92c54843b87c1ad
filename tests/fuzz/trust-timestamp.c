/* SPDX-License-Identifier: Apache-2.0 */
// link: trust base
#include "updater/trust/timestamp.h"

int LLVMFuzzerTestOneInput(const guint8 *data, size_t size);

/* Any bytes as timestamp metadata. */
int LLVMFuzzerTestOneInput(const guint8 *data, size_t size)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(GBytes) bytes = g_bytes_new(data, size);
	g_autoptr(ProaTimestamp) timestamp = proa_timestamp_parse(bytes, "input", &error);

	g_assert_true((timestamp == NULL) == (error != NULL));
	if (!timestamp)
		return 0;
	g_assert_cmpint(timestamp->snapshot->version, >=, 1);
	g_assert_cmpint(timestamp->time, >=, 0);
	g_assert_true(timestamp->time <= timestamp->head.expires || timestamp->time == 0);
	return 0;
}
