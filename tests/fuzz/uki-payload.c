/* SPDX-License-Identifier: Apache-2.0 */
// link: payload
#include "updater/payload/uki-format.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const guint8 *data, size_t size);

/* Numbers become steps and numbers again, however they are cut; from the first table on. */
static void run_steps(const ProaStepTable *tables, guint n, const guint8 *data, gsize size)
{
	guint64 from = n > 0 ? tables[0].offset - MIN(tables[0].offset, 16) : 0;
	ProaSteps make = proa_steps_begin(tables, n, from, FALSE),
		  undo = proa_steps_begin(tables, n, from, TRUE);
	g_autofree guint8 *copy = g_memdup2(data, size);

	proa_steps_run(&make, copy, size);
	for (gsize done = 0, part = 1; done < size; done += part, part = part * 7 % 1021) {
		part = MIN(part, size - done);
		proa_steps_run(&undo, copy + done, part);
	}
	g_assert(size == 0 || memcmp(copy, data, size) == 0);
}

/* Whatever is accepted lies within the UKIs, in order, and comes back as it was. */
int LLVMFuzzerTestOneInput(const guint8 *data, size_t size)
{
	guint8 head[PROA_UKI_MAX_HEAD_SIZE] = { 0 };
	g_autoptr(GError) error = NULL;
	ProaUkiHeader header;

	if (size > 0)
		memcpy(head, data, MIN(size, sizeof head));
	if (!proa_uki_header_parse(head, &header, &error) ||
		!proa_uki_rest_parse(&header, head + PROA_UKI_HEADER_SIZE, &error)) {
		g_assert(error);
		return 0;
	}
	guint64 at = 0;
	for (guint32 i = 0; i < header.n_frames; i++) {
		g_assert(header.frames[i].offset >= at);
		at = header.frames[i].offset + header.frames[i].packed_size;
		g_assert(at <= header.size);
	}
	g_assert(header.old_kernel.offset + header.old_kernel.packed_size <= header.old_size);
	g_assert(proa_uki_unpacked_size(&header) <=
		 header.size + (guint64)PROA_UKI_MAX_FRAMES * PROA_REPACK_MAX_SIZE);
	/* What the node does with the tables: all bytes of them once, and nothing behind. */
	guint64 whole = proa_uki_unpacked_size(&header);
	at = 0;
	for (guint32 i = 0; i < header.n_new_tables; i++) {
		const ProaStepTable *table = &header.new_tables[i];
		g_assert(table->offset >= at && table->offset <= whole);
		at = table->offset + (guint64)table->n * table->record_size;
		g_assert(at <= whole);
	}
	run_steps(header.new_tables, header.n_new_tables, data, size);
	g_autoptr(GBytes) again = proa_uki_header_serialize(&header);
	g_assert(memcmp(g_bytes_get_data(again, NULL), head, g_bytes_get_size(again)) == 0);
	return 0;
}
