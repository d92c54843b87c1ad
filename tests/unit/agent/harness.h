/* SPDX-License-Identifier: Apache-2.0 */
/*
 * harness: a private bus with the policy that we ship, a real proad on it, and a real proa to talk to it. Its
 * children are the fixtures of tests/unit/agent/fixture. For unit tests only; all failures end the test.
 */
#pragma once

#include "tests/unit/scratch.h"

#include <json-glib/json-glib.h>

typedef struct {
	Scratch scratch; /* the root directory of proad and proa */
	GPid bus, proad; /* 0: not running */
	char *address;   /* of the bus; NULL: none */
	char *libexec;   /* where the children are: the fixtures, unless a test says otherwise */
} Harness;

/* What a run of proa gave. */
typedef struct {
	int status; /* exit status; -1: killed */
	char *out, *err;
	JsonObject *json; /* standard output, if it is a JSON object; NULL: it is not */
} Answer;

void answer_clear(Answer *answer);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Answer, answer_clear)

/* A root directory in which release 1.0.0 is booted and blessed and automatic updates are off. No bus, no
 * proad yet. */
Harness harness_new(void);
void harness_clear(Harness *harness);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Harness, harness_clear)

/* Starts a bus, and proad on it, and waits until it owns its name. */
void harness_start_bus(Harness *harness);
void harness_start_proad(Harness *harness);

/* Ends proad with @signal and waits for it; returns its wait status. */
int harness_stop_proad(Harness *harness, int signal);

/* What the fixture of proa-install does from now on: shell, see the fixture. */
void harness_install(const Harness *harness, const char *script);

/* Writes a file below the root. */
void harness_write(const Harness *harness, const char *name, const char *text);

/* Reads one; "" if it is missing. Free with g_free(). */
char *harness_read(const Harness *harness, const char *name);

/* Runs proa to its end with the arguments in @line, split at spaces. */
Answer harness_proa(const Harness *harness, const char *line);

/* The same as user nobody. */
Answer harness_proa_as_nobody(const Harness *harness, const char *line);

/* Starts proa and does not wait; harness_wait() gives its answer. */
typedef struct {
	GPid pid;
	int out, err;
} Started;
Started harness_start_proa(const Harness *harness, const char *line);
Answer harness_wait(Started *started);

/* Waits up to 20 seconds until @text stands in the file @name below the root. */
void harness_wait_for(const Harness *harness, const char *name, const char *text);

/* Waits up to 20 seconds until `proa status --json` has the string @value as its member @member. */
void harness_wait_for_status(const Harness *harness, const char *member, const char *value);
