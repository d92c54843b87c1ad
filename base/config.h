/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config: the node's configuration, in the syntax of systemd's own files.
 *
 * For a name such as "update", read in this order, later values winning:
 * /usr/lib/proa/update.conf, /etc/proa/update.conf, /etc/proa/update.conf.d/NAME.conf in the order of their
 * names. An unknown key or a bad value is told with file and line, and the default holds: configuration never
 * stops a node.
 */
#pragma once

#include "base/reason.h"

/* A file of configuration larger than this is refused whole. Bytes. */
#define PROA_CONFIG_MAX_SIZE (64 * 1024)

typedef enum {
	PROA_CONFIG_STRING,
	PROA_CONFIG_BOOLEAN,  /* yes/no/true/false/on/off/1/0 */
	PROA_CONFIG_INTEGER,  /* min to max */
	PROA_CONFIG_DURATION, /* seconds min to max; written as 90, 90s, 5min, 6h, 2d, 1w */
	PROA_CONFIG_BYTES,    /* bytes min to max; written as 512, 64K, 10M, 2G (powers of 1024) */
	PROA_CONFIG_CHOICE,   /* one of the words in choices, separated by '|' */
} ProaConfigType;

typedef struct {
	const char *group;
	const char *key;
	ProaConfigType type;
	const char *fallback; /* the default, written as in a file; NULL: an empty string */
	gint64 min, max;
	const char *choices;
} ProaConfigKey;

typedef struct ProaConfig ProaConfig;

/*
 * Reads the configuration @name below the root directory @root ("" on a node). @keys ends with a key whose
 * group is NULL and must outlive the configuration. Never fails: what is wrong is in proa_config_problems().
 */
ProaConfig *proa_config_load(const char *root, const char *name, const ProaConfigKey *keys);
void proa_config_free(ProaConfig *config);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ProaConfig, proa_config_free)

/* The problems met, each one sentence with file and line; a NULL-terminated array owned by @config. */
const char *const *proa_config_problems(const ProaConfig *config);

/* Values; asking for a key that is not in the table is a mistake of the program (g_error). Owned by @config.
 */
const char *proa_config_string(const ProaConfig *config, const char *group, const char *key);
gboolean proa_config_boolean(const ProaConfig *config, const char *group, const char *key);
gint64 proa_config_integer(const ProaConfig *config, const char *group, const char *key);
