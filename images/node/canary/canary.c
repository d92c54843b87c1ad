/* SPDX-License-Identifier: Apache-2.0 */
/*
 * canary: the one program of the container image that lies in the tree. A node that can run it can run
 * containers: the image store, a snapshot, the shim, runc, namespaces and cgroups all had their part. It
 * needs no network and no files.
 */
#include <stdio.h>

int main(int argc, char **argv)
{
	if (argc > 1) {
		fprintf(stderr, "canary: unexpected argument %s\n", argv[1]);
		return 2;
	}
	return printf("proa-canary: alive\n") < 0 || fflush(stdout) != 0;
}
