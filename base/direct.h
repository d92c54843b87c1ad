/* SPDX-License-Identifier: Apache-2.0 */
/*
 * direct: memory for reading and writing past the page cache. A device is told of it page by page, and takes
 * only so many pages at once: a request of 512 KiB in pages of 4 KiB is 128 pieces, of which some devices'
 * queues hold one request. In a huge page it is one piece.
 */
#pragma once

#include <glib.h>

/* Bytes of a huge page; and what memory from here, and its size, are multiples of. */
#define PROA_DIRECT_HUGE ((gsize)2 * 1024 * 1024)
#define PROA_DIRECT_ALIGNMENT 4096u

/*
 * @size bytes, of 1 to PROA_DIRECT_HUGE, a multiple of PROA_DIRECT_ALIGNMENT; what they hold is not said.
 * What is asked for shares a huge page as long as it has room; where the kernel has none, it is pages as any.
 * To be given back with proa_direct_give(); NULL if there is no memory. In any thread.
 */
void *proa_direct_take(gsize size) G_GNUC_WARN_UNUSED_RESULT;

/* NULL is allowed. */
void proa_direct_give(void *room);
