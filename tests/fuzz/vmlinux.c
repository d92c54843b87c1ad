/* SPDX-License-Identifier: Apache-2.0 */
// link: maker
#include "images/payload/vmlinux.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const guint8 *data, size_t size);

/* Whatever is taken for a kernel has tables that a node takes, and steps in them become its numbers again. */
int LLVMFuzzerTestOneInput(const guint8 *data, size_t size)
{
	ProaStepTable tables[PROA_STEPS_MAX_TABLES], read[PROA_STEPS_MAX_TABLES];
	guint8 entries[PROA_STEPS_MAX_TABLES * PROA_STEPS_ENTRY_SIZE];
	guint n = proa_vmlinux_tables(data, size, tables);

	if (n == 0)
		return 0;
	proa_steps_serialize(tables, n, entries);
	g_assert(proa_steps_parse(entries, n, size, read, NULL));
	g_autofree guint8 *copy = g_memdup2(data, size);
	ProaSteps make = proa_steps_begin(tables, n, 0, FALSE), undo = proa_steps_begin(tables, n, 0, TRUE);
	proa_steps_run(&make, copy, size);
	for (gsize at = 0; at < size; at += 61)
		proa_steps_run(&undo, copy + at, MIN(61, size - at));
	g_assert(memcmp(copy, data, size) == 0);
	return 0;
}
