/* SPDX-License-Identifier: Apache-2.0 */
/*
 * skew: whether this node's kubelet and its API server go together (Kubernetes, "Version Skew Policy"): a
 * kubelet is never newer than the API server, and at most three minor versions older (two, if it is older
 * than 1.25).
 */
#pragma once

#include "base/config.h"

typedef struct {
	guint major, minor;
} ProaKubeVersion;

/* Reads "v1.33.2", "1.33", "v1.33.2-gke.1+abc", as in gitVersion or after "Kubernetes " of `kubelet
 * --version`. */
gboolean proa_kube_version_parse(const char *text, ProaKubeVersion *ret_version);

typedef enum {
	PROA_SKEW_FINE,
	PROA_SKEW_AT_LIMIT, /* the next minor version of the API server is one too many */
	PROA_SKEW_TOO_OLD,  /* the kubelet is */
	PROA_SKEW_TOO_NEW,  /* the kubelet is */
} ProaSkew;

ProaSkew proa_skew_judge(ProaKubeVersion kubelet, ProaKubeVersion server);

/* What was found; members are NULL where it was not. */
typedef struct {
	gboolean has_kubelet; /* its configuration is there; nothing else is looked at without it */
	char *kubelet;        /* version of the program */
	char *server;         /* version of the API server */
	ProaSkew skew;        /* counts if both are there */
} ProaSkewFacts;

void proa_skew_facts_clear(ProaSkewFacts *facts);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(ProaSkewFacts, proa_skew_facts_clear)

/*
 * Looks below @root, as [kubelet] of health.conf says, and asks the API server with the kubelet's own
 * kubeconfig. FALSE if there is a kubelet and one of the two versions cannot be found out: KUBELET (the
 * program, or its kubeconfig) or FEED_UNREACHABLE (the API server does not answer). Takes no longer than
 * twice [kubelet] timeout=.
 */
gboolean proa_skew_look(const char *root, const ProaConfig *config, ProaSkewFacts *ret_facts,
	GError **error) G_GNUC_WARN_UNUSED_RESULT;
