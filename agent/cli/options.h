/* SPDX-License-Identifier: Apache-2.0 */
/* options: the command line of proa, parsed into one struct; and the help texts, which say what is parsed. */
#pragma once

#include "base/reason.h"

typedef enum {
	PROA_VERB_STATUS,
	PROA_VERB_CHECK,
	PROA_VERB_UPDATE,
	PROA_VERB_ROLLBACK,
	PROA_VERB_REBOOT,
	PROA_VERB_HISTORY,
	PROA_VERB_BLESS,
	PROA_VERB_REJECT,
	PROA_VERB_UNREJECT,
	PROA_VERB_PIN,
	PROA_VERB_UNPIN,
	PROA_VERB_HEALTH,
	PROA_VERB_LOG,
	PROA_VERB_DOCTOR,
	PROA_VERB_CONFIG,
	_PROA_VERB_MAX,
	_PROA_VERB_NONE = -1,
} ProaVerb;

const char *proa_verb_to_string(ProaVerb verb);

typedef struct {
	ProaVerb verb; /* _PROA_VERB_NONE only with help or version */
	gboolean help, version;
	gboolean json;
	gboolean reboot, no_wait;
	gboolean rejected;
	gboolean check, last_failure;
	guint count;                /* of history entries; 0: all */
	char *to;                   /* a version or, of verbs that take one, a root hash; NULL: not given */
	char *at;                   /* when to roll back, as in OnCalendar= of systemd.time(7); NULL: now */
	char **words;               /* arguments of config, ends with NULL; never NULL */
	char *token, *accept_stale; /* what root decides for once; NULL: not given */
	char *root, *libexec;
} ProaOptions;

void proa_options_free(ProaOptions *options);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ProaOptions, proa_options_free)

/*
 * Parses the arguments after the program's name; @argv ends with NULL. Options may stand before or after the
 * verb; a value follows as the next argument or after "=". USAGE with a message that names the argument for
 * anything else.
 */
ProaOptions *proa_options_parse(const char *const *argv, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* The help of a verb, or with _PROA_VERB_NONE of the whole program; free with g_free(). */
char *proa_options_help(ProaVerb verb);
