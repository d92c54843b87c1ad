/* SPDX-License-Identifier: Apache-2.0 */
/* How fast a slot's hash tree is built: it is read back and hashed in every update. Argument: a root image.
 */
#include "tests/bench/bench.h"
#include "verity/build.h"

#include <glib/gstdio.h>
#include <string.h>

int main(int argc, char **argv)
{
	g_autoptr(GError) error = NULL;
	g_autofree char *root_hash = NULL;
	g_autofree char *hash = g_build_filename(g_get_tmp_dir(), "proa-bench.tree", NULL);
	GStatBuf st;

	if (argc != 2 || g_stat(argv[1], &st) < 0)
		return 2;
	bench_must(g_file_set_contents(hash, "", 0, &error), error);
	ProaVerityParams params = { .data_size = (guint64)st.st_size / 4096 * 4096 };
	strcpy(params.uuid, "7c4f5d0a-6b0e-4c53-9d0c-3a1f0b6a52e1");
	gint64 start = g_get_monotonic_time();
	bench_must(proa_verity_build(argv[1], hash, &params, &root_hash, &error), error);
	bench_report("hash-tree", params.data_size, start);
	g_unlink(hash);
	return 0;
}
