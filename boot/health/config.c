/* SPDX-License-Identifier: Apache-2.0 */
/* The keys of health.conf; the man page health.conf(5) tells of each, boot/units/health.conf ships the
 * defaults. */
#include "base/watch.h"
#include "boot/health/health.h"

#define HOUR 3600
#define DAY (24 * HOUR)
#define MEBIBYTE (1024 * 1024)
#define TEBIBYTE (G_GINT64_CONSTANT(1024) * 1024 * MEBIBYTE)
#define PEBIBYTE (1024 * TEBIBYTE)

#define END { NULL, NULL, PROA_CONFIG_STRING, NULL, 0, 0, NULL }
#define RETRIES(group, fallback) { group, "retries", PROA_CONFIG_INTEGER, fallback, 0, 10, NULL }
#define TIMEOUT(group, fallback, max) { group, "timeout", PROA_CONFIG_DURATION, fallback, 1, max, NULL }

const ProaConfigKey proa_health_config_keys[] = {
	{ "health", "deadline", PROA_CONFIG_DURATION, "5min", 10, HOUR / 2, NULL },
	{ "health", "interval", PROA_CONFIG_DURATION, "2s", 1, 60, NULL },
	{ "health", "settle", PROA_CONFIG_DURATION, "10s", 0, HOUR, NULL },
	{ "health", "failing", PROA_CONFIG_DURATION, "30s", 1, HOUR, NULL },
	{ "health", "unit-timeout", PROA_CONFIG_DURATION, "5s", 1, 60, NULL },
	{ "health", "elsewhere", PROA_CONFIG_CHOICE, "keep", 0, 0, "keep|leave" },
	{ "health", "elsewhere-limit", PROA_CONFIG_DURATION, "30min", 10, DAY, NULL },

	{ "units", "active", PROA_CONFIG_STRING, NULL, 0, 0, NULL },
	{ "units", "elsewhere", PROA_CONFIG_STRING, NULL, 0, 0, NULL },
	RETRIES("units", "0"),

	{ "disk", "enabled", PROA_CONFIG_BOOLEAN, "yes", 0, 0, NULL },
	{ "disk", "writable", PROA_CONFIG_STRING, "/var", 0, 0, NULL },
	{ "disk", "free", PROA_CONFIG_BYTES, "16M", 0, PEBIBYTE, NULL },
	{ "disk", "inodes", PROA_CONFIG_INTEGER, "256", 0, 1000000000, NULL },
	TIMEOUT("disk", "10s", 60),
	RETRIES("disk", "0"),

	{ "containerd", "enabled", PROA_CONFIG_BOOLEAN, "yes", 0, 0, NULL },
	{ "containerd", "socket", PROA_CONFIG_STRING, "/run/containerd/containerd.sock", 0, 0, NULL },
	TIMEOUT("containerd", "5s", 60),
	RETRIES("containerd", "0"),
	{ "containerd", "cri", PROA_CONFIG_BOOLEAN, "yes", 0, 0, NULL },
	{ "containerd", "network", PROA_CONFIG_BOOLEAN, "no", 0, 0, NULL },

	{ "canary", "enabled", PROA_CONFIG_BOOLEAN, "yes", 0, 0, NULL },
	{ "canary", "archive", PROA_CONFIG_STRING, "/usr/share/proa/images/canary.tar", 0, 0, NULL },
	{ "canary", "image", PROA_CONFIG_STRING, "proa/canary:1", 0, 0, NULL },
	{ "canary", "answer", PROA_CONFIG_STRING, "proa-canary: alive", 0, 0, NULL },
	TIMEOUT("canary", "60s", 600),
	RETRIES("canary", "0"),

	{ "kubelet", "enabled", PROA_CONFIG_BOOLEAN, "yes", 0, 0, NULL },
	{ "kubelet", "config", PROA_CONFIG_STRING, "/var/lib/kubelet/config.yaml", 0, 0, NULL },
	{ "kubelet", "kubeconfig", PROA_CONFIG_STRING, "/etc/kubernetes/kubelet.conf", 0, 0, NULL },
	{ "kubelet", "url", PROA_CONFIG_STRING, "http://127.0.0.1:10248/healthz", 0, 0, NULL },
	TIMEOUT("kubelet", "5s", 60),
	RETRIES("kubelet", "0"),

	{ "network", "route", PROA_CONFIG_BOOLEAN, "no", 0, 0, NULL },
	{ "network", "name", PROA_CONFIG_STRING, NULL, 0, 0, NULL },
	TIMEOUT("network", "5s", 60),
	RETRIES("network", "1"),

	{ "time", "enabled", PROA_CONFIG_BOOLEAN, "no", 0, 0, NULL },
	{ "time", "services", PROA_CONFIG_STRING, "chrony.service systemd-timesyncd.service", 0, 0, NULL },
	RETRIES("time", "0"),

	{ "node-ready", "server", PROA_CONFIG_STRING, NULL, 0, 0, NULL },
	{ "node-ready", "node", PROA_CONFIG_STRING, NULL, 0, 0, NULL },
	{ "node-ready", "ca", PROA_CONFIG_STRING, "/etc/kubernetes/pki/ca.crt", 0, 0, NULL },
	{ "node-ready", "certificate", PROA_CONFIG_STRING, "/var/lib/kubelet/pki/kubelet-client-current.pem",
		0, 0, NULL },
	{ "node-ready", "token", PROA_CONFIG_STRING, NULL, 0, 0, NULL },
	TIMEOUT("node-ready", "10s", 60),
	RETRIES("node-ready", "1"),

	TIMEOUT("programs", "30s", 600),
	RETRIES("programs", "0"),

	{ "crashes", "limit", PROA_CONFIG_INTEGER, "3", 0, 100, NULL },
	{ "crashes", "within", PROA_CONFIG_DURATION, "1d", 60, 30 * DAY, NULL },
	{ "crashes", "hold", PROA_CONFIG_DURATION, "1h", 0, PROA_WATCH_MAX, NULL },
	END,
};
