/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/cli/later.h"

#include <string.h>
#include <sys/wait.h>

#define UNIT "proa-rollback"

/* Runs a tool of systemd's to its end; *@ret_said is all that it wrote. Its exit status, or -1: it cannot be
 * run. */
static int run(const char *const *argv, char **ret_said)
{
	g_autofree char *out = NULL, *err = NULL;
	g_autoptr(GError) error = NULL;
	int status = 0;

	if (!g_spawn_sync(NULL, (char **)(gsize)argv, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, &out, &err,
		    &status, &error)) {
		*ret_said = g_strdup(error->message);
		return -1;
	}
	*ret_said = g_strstrip(g_strconcat(out, err, NULL));
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* What follows @label on its line; NULL: no such line. Free with g_free(). */
static char *after(const char *said, const char *label)
{
	const char *found = strstr(said, label);
	char *text = found ? g_strndup(found + strlen(label), strcspn(found + strlen(label), "\n")) : NULL;

	return text ? g_strstrip(text) : NULL;
}

gboolean proa_later_check(const char *at, char **ret_when, GError **error)
{
	const char *argv[] = { "systemd-analyze", "calendar", "--iterations=1", at, NULL };
	g_autofree char *said = NULL;
	int status = run(argv, &said);

	if (status > 0)
		return proa_fail(error, PROA_REASON_USAGE, "--at %s: %s", at, said);
	/* systemd-run would take it, and the timer would never elapse. */
	if (status == 0 && strstr(said, "Next elapse: never"))
		return proa_fail(error, PROA_REASON_USAGE, "--at %s is in the past", at);
	/* Once: a time without a date would come again each day. */
	g_autofree char *local = after(said, "Next elapse:"), *utc = after(said, "(in UTC):");
	if (!local)
		return proa_fail(error, PROA_REASON_INTERNAL,
			"systemd-analyze does not tell when \"%s\" is: %s", at, said);
	*ret_when = utc ? g_steal_pointer(&utc) : g_steal_pointer(&local);
	return TRUE;
}

/* Whether there was one. */
static gboolean drop_former(void)
{
	const char *ask[] = { "systemctl", "is-active", "--quiet", UNIT ".timer", NULL };
	const char *stop[] = { "systemctl", "stop", UNIT ".timer", NULL };
	g_autofree char *asked = NULL, *stopped = NULL;

	return run(ask, &asked) == 0 && run(stop, &stopped) == 0;
}

gboolean proa_later_plan(const char *at, const char *version, char **ret_note, GError **error)
{
	g_autofree char *when = g_strconcat("--on-calendar=", at, NULL);
	g_autofree char *self = g_file_read_link("/proc/self/exe", NULL);
	const char *argv[] = { "systemd-run", "--quiet", "--unit=" UNIT, "--collect",
		"--description=Rollback at a time that an operator chose", "--timer-property=AccuracySec=1s",
		when, "--", self ? self : "/usr/bin/proa", "rollback", "--now", "--to", version, NULL };
	g_autofree char *said = NULL;
	gboolean replaced = drop_former();
	int status = run(argv, &said);

	*ret_note = NULL;
	if (status != 0)
		return proa_fail(error, status > 0 ? PROA_REASON_USAGE : PROA_REASON_INTERNAL,
			"it cannot be planned%s: %s",
			replaced ? ", and the one planned before is dropped" : "", said);
	if (replaced)
		*ret_note = g_strdup("it takes the place of the one that was planned before");
	return TRUE;
}
