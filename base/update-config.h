/* SPDX-License-Identifier: Apache-2.0 */
/*
 * update-config: the one table of keys of update.conf (man page update.conf(5)).
 *
 * proa-install reads [feed], proad reads [update], and proa shows both; one table, so that a key that one of
 * them knows is not an unknown key to the other.
 */
#pragma once

#include "base/config.h"

#define PROA_UPDATE_CONFIG_NAME "update"

/* Ends with a key whose group is NULL. */
extern const ProaConfigKey proa_update_config_keys[];

/* Loads update.conf below the root directory @root ("" on a node); as proa_config_load(), it never fails. */
ProaConfig *proa_update_config_load(const char *root);
