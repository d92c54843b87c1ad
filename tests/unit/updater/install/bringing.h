/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What the tests of bring.c and of proa-install as a process share: a feed with every payload behind an nginx
 * whose connections can be cut, and nodes with the old image. */
#include "tests/unit/updater/cutter.h"
#include "tests/unit/updater/install/world.h"

#define CHANNEL "stable"
/* Where the same release has a delta too, from what runs; and where it is from something else. */
#define DELTA_CHANNEL "delta"
#define ELSEWHERE_CHANNEL "elsewhere"

extern World world;
extern Nginx nginx;
extern Cutter cutter;

/* Makes the world and starts its servers; ends them. */
void bringing_start(void);
void bringing_stop(void);

/* Writes update.conf's drop-in. */
void configure(const Node *node, const char *text);
/* A node of the channel with the old image that takes payloads of that type alone, or "auto". */
void make_node_of(Node *node, const char *channel, const char *payload);
void make_node(Node *node, const char *payload);
/* The number behind @member ("\"from\"") in the last event of that name. */
gint64 member_of_last(const Run *run, const char *event, const char *member);
void assert_payload(const Run *run, const char *type);
/* Bytes that the server has sent since cutter_set(). */
guint64 answered(void);
/* What a transaction takes from the server when nothing goes wrong; each is run once. */
guint64 clean_cost(const char *payload);
/* Changes one bit; done twice, it is as it was. */
void write_byte(const char *path, goffset at);
