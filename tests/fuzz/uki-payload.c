/* SPDX-License-Identifier: Apache-2.0 */
// link: payload
#include "updater/payload/uki-format.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const guint8 *data, size_t size);

/* Whatever is accepted lies within the UKIs, in order, and comes back as it was. */
int LLVMFuzzerTestOneInput(const guint8 *data, size_t size)
{
	guint8 head[PROA_UKI_HEADER_SIZE + PROA_UKI_MAX_FRAMES * PROA_UKI_FRAME_ENTRY_SIZE] = { 0 };
	g_autoptr(GError) error = NULL;
	ProaUkiHeader header;

	if (size > 0)
		memcpy(head, data, MIN(size, sizeof head));
	if (!proa_uki_header_parse(head, &header, &error) ||
		!proa_uki_frames_parse(&header, head + PROA_UKI_HEADER_SIZE, &error)) {
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
	g_autoptr(GBytes) again = proa_uki_header_serialize(&header);
	g_assert(memcmp(g_bytes_get_data(again, NULL), head, g_bytes_get_size(again)) == 0);
	return 0;
}
