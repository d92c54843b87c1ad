/* SPDX-License-Identifier: Apache-2.0 */
// link: bootd
#include "base/digest.h"
#include "boot/evidence.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const guint8 *data, size_t size);

/* Any gave-up.json: what is taken names a root hash and a reason of the table. */
int LLVMFuzzerTestOneInput(const guint8 *data, size_t size)
{
	g_autofree char *text = g_strndup((const char *)data, size);
	g_autoptr(GError) error = NULL;
	g_autoptr(ProaEvidence) evidence = proa_evidence_parse(text, size, &error);

	g_assert((evidence == NULL) == (error != NULL));
	if (!evidence)
		return 0;
	g_assert(proa_sha256_hex_valid(evidence->root_hash));
	g_assert(proa_reason_from_string(evidence->reason) != PROA_REASON_MAX);
	g_assert(!evidence->detail || g_utf8_validate(evidence->detail, -1, NULL));
	return 0;
}
