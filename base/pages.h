/* SPDX-License-Identifier: Apache-2.0 */
/* pages: memory that a program has only because it has run through much code, given back. */
#pragma once

/*
 * A node's memory is its workload's. Called as a program starts: large buffers go back to the kernel as soon
 * as they are freed (glibc would learn to keep them), and threads get no heaps of their own.
 */
void proa_pages_keep_few(void);

/*
 * Takes the code and constants of this program and its libraries out of its resident memory. They stay in the
 * page cache, from which what runs next is mapped again as it is needed: of what starting, parsing and
 * checking signatures took, a long transfer needs little. Safe at any time, in any thread.
 */
void proa_pages_drop_code(void);
