/* SPDX-License-Identifier: Apache-2.0 */
/* verbs: what each verb of proa does: ask proad if it answers, do it directly if not, print the result. */
#pragma once

#include "agent/cli/options.h"

/* Runs the verb of @options: results go to standard output, progress and refusals to standard error. */
ProaExit proa_verb_run(const ProaOptions *options);

/* Prints an error as the verbs do and returns its exit status. @json: also as the object on standard output.
 */
ProaExit proa_verb_fail(const char *operation, gboolean json, const GError *error);
