/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench-bring WORK PROA-FETCH URL MANIFEST OLD-HASH OLD-ROOT OLD-TREE NEW-ROOT NEW-TREE PAYLOAD: steps 3 and
 * 4 of a transaction as they are: a payload over the network into a slot, read back and hashed. Prints how
 * long each took, the CPU time of this process and its children, and this process's peak of memory.
 */
#include "updater/install/bring.h"
#include "base/digest.h"
#include "base/file.h"
#include "base/pages.h"
#include "tests/bench/bench.h"
#include "verity/build.h"
#include "verity/leaves.h"

#include <string.h>

static double cpu_seconds(void)
{
	struct rusage own, children;

	bench_must(getrusage(RUSAGE_SELF, &own) == 0 && getrusage(RUSAGE_CHILDREN, &children) == 0, NULL);
	return (double)(own.ru_utime.tv_sec + own.ru_stime.tv_sec + children.ru_utime.tv_sec +
			children.ru_stime.tv_sec) +
	       (double)(own.ru_utime.tv_usec + own.ru_stime.tv_usec + children.ru_utime.tv_usec +
			children.ru_stime.tv_usec) /
		       1e6;
}

static double since(gint64 start)
{
	return (double)(g_get_monotonic_time() - start) / G_USEC_PER_SEC;
}

int main(int argc, char **argv)
{
	g_autoptr(GError) error = NULL;
	gsize size = 0;
	const char *suspect = NULL;

	if (argc != 11)
		return 2;
	proa_pages_keep_few();
	/* Checking signatures has started libcrypto by now. */
	g_autoptr(ProaVerityHash) hash = proa_verity_hash_new((const guint8[PROA_VERITY_SALT_SIZE]){ 0 });
	g_autofree char *text = proa_file_read(argv[4], PROA_MANIFEST_MAX_SIZE, &size, &error);
	bench_must(text != NULL, error);
	g_autoptr(ProaManifest) release = proa_manifest_parse(text, size, &error);
	bench_must(release != NULL, error);
	const ProaDiskPartition old_root = { .path = argv[6] }, old_tree = { .path = argv[7] },
				new_root = { .path = argv[8] }, new_tree = { .path = argv[9] };
	const ProaSite site = { .run_dir = argv[1],
		.root_hash = argv[5],
		.slots = { .booted = { "root-a", &old_root, &old_tree },
			.other = { "root-b", &new_root, &new_tree } } };
	const ProaFetch fetch = { .helper = argv[2] };
	ProaBringAsk ask = { .release = release,
		.site = &site,
		.fetch = &fetch,
		.feed_url = argv[3],
		.state_dir = argv[1],
		.wanted = argv[10] };
	ProaVerityParams params = { .data_size = release->root_size };
	g_autofree char *root_hash = NULL;

	bench_must(proa_hex_decode(release->root_salt, params.salt, sizeof params.salt), NULL);
	g_strlcpy(params.uuid, release->root_uuid, sizeof params.uuid);
	gint64 start = g_get_monotonic_time();
	g_autoptr(ProaVerityBuild) tree = proa_verity_build_new(argv[8], argv[9], &params, &error);
	bench_must(tree != NULL, error);
	ask.tree = tree;
	bench_must(proa_bring(&ask, &suspect, &error), error);
	double bring = since(start);
	start = g_get_monotonic_time();
	bench_must(proa_verity_build_finish(tree, &root_hash, &error), error);
	bench_must(strcmp(root_hash, release->root_hash) == 0, NULL);
	printf("{\"bring_seconds\":%.3f,\"verify_seconds\":%.3f,\"cpu_seconds\":%.3f,\"peak_bytes\":%" G_GINT64_FORMAT
	       "}\n",
		bring, since(start), cpu_seconds(), bench_peak_kib() * 1024);
	return 0;
}
