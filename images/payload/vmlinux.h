/* SPDX-License-Identifier: Apache-2.0 */
/* vmlinux: the tables of an unpacked x86-64 kernel that hold places in its code, in their order. */
#pragma once

#include "updater/payload/steps.h"

/*
 * Finds those of the @size bytes of @kernel, an ELF file and the list of its relocations behind it, that are
 * known by the names of their sections. Returns how many: 0 if it is no such file. Sorted by offset.
 */
guint proa_vmlinux_tables(const guint8 *kernel, gsize size, ProaStepTable ret_tables[PROA_STEPS_MAX_TABLES]);
