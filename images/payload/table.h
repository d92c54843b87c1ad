/* SPDX-License-Identifier: Apache-2.0 */
/* table: one table of a kernel module, told by how it differs from what is predicted of it. */
#pragma once

#include "images/payload/builder.h"
#include "updater/payload/delta-module.h"

/*
 * Appends to @body what makes @table of the new module right. @predict has learnt and has done the symbols,
 * if it is not the symbols. FALSE if the new table holds what its records' numbers can't.
 */
gboolean proa_table_make(ProaDeltaPredict *predict, const ProaDeltaTable *table,
	const ProaDeltaModule *old_module, const guint8 *old_data, const ProaDeltaModule *new_module,
	const guint8 *new_data, ProaBuilder *body);
