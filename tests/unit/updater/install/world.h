/* SPDX-License-Identifier: Apache-2.0 */
/*
 * world: all that a transaction meets, the real thing each: a signed feed made by proa-feed and served by
 * nginx, UKIs made by ukify, a GPT made by sfdisk, hash trees judged by veritysetup. Only the partitions are
 * plain files. For unit tests only.
 */
#pragma once

#include "tests/unit/updater/nginx.h"

#include <json-glib/json-glib.h>

#define SALT "5b9f3c0e7d2a41886c1e94d7f3a0b25c8e6d1740a9f2c3b5d7e8091a2b3c4d5e"
#define ROOT_UUID "7c4f5d0a-6b0e-4c53-9d0c-3a1f0b6a52e1"
/* Root hash of the running release; nobody looks what is in its slot. */
#define BOOTED_HASH "aaaaaaaabbbbccccddddeeeeeeeeeeee111111112222333344445555555555aa"
#define ROOT_IMAGE_SIZE (64u << 20)
#define SLOT_SIZE (80u << 20)
#define SLOW_RATE (4u << 20)

/* A feed and what is in it; made once for all tests. */
typedef struct {
	Scratch scratch;
	char *feed;
	char *keys;
	char *root_img;             /* root image of 1.0.1 */
	char *root_verity;          /* its tree by veritysetup */
	char *old_img;              /* root image that it differs from in a quarter of its blocks */
	char *root_hash;            /* of 1.0.1 */
	char *booted_uki, *old_uki; /* of the releases that a node has before */
} World;

/* What is not as it should be in a release. */
typedef struct {
	const char *channel, *version;
	const char *root_hash;     /* in the manifest; NULL: the right one */
	const char *uki_root_hash; /* in the UKI; NULL: that of the manifest */
	const char *floor;         /* may be NULL */
	gboolean blocks;           /* it has a blocks payload too */
	gboolean uki_payloads;     /* its UKI has payloads: from nothing, and from the booted one */
	const char *delta_from; /* and a delta from the old image, which it says to have this root hash; NULL:
				   none */
} WorldRelease;

void world_make(World *world);
void world_clear(World *world);

/* Adds a release to the feed and publishes it. */
void world_add(const World *world, const WorldRelease *release);

/* Path of the only file of the feed's folder whose name ends so; free with g_free(). */
char *world_file(const World *world, const char *folder, const char *suffix);

/* A node: root directory, disk, partitions, ESP. */
typedef struct {
	Scratch scratch;
	const World *world;
	char *esp, *parts, *disk, *state;
	char *booted_before; /* digests of what belongs to the running release */
} Node;

void node_make(Node *node, const World *world, const char *url, const char *channel);
void node_clear(Node *node);

/* Gives the running slot the old root image, and its hash tree. */
void node_give_old_image(Node *node);

/* A file below the node's scratch folder; free with g_free(). */
char *node_path(const Node *node, const char *name);

/* How a run of proa-install ended. */
typedef struct {
	int status;
	char *output; /* all lines */
	JsonObject *last;
	gint64 install_kib, fetch_kib; /* most resident memory seen, of proa-install and of a proa-fetch */
} Run;

void run_clear(Run *run);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Run, run_clear)

/* Runs proa-install on the node with up to two more arguments (NULL: none). */
Run node_run(const Node *node, const char *first, const char *second);

/* The same in the background, until a line with @text was said; then @act is done and the end waited for. */
Run node_run_until(
	const Node *node, const char *text, void (*act)(GSubprocess *process, gpointer data), gpointer data);

/* The same, and killed (SIGKILL) at the @nth line with @text, before it says the second line after it; its
 * status is 0 then. */
Run node_run_killed(const Node *node, const char *text, guint nth);

/* The lines with @text; free with g_free(). */
char *run_lines(const Run *run, const char *text);

/* Exit status and last line. */
void assert_done(const Run *run, const World *world);
void assert_failed(const Run *run, int status, const char *reason);

/* What belongs to the running release is byte for byte as before, and nothing is armed. */
void assert_nothing_armed(const Node *node);
void assert_booted_untouched(const Node *node);

/* The other slot is the release, by veritysetup's judgement, and the firmware tries it next. */
void assert_staged(const Node *node);

/* Whether the entries are exactly these, in the order of their names; @names ends with NULL. */
void assert_entries(const Node *node, const char *const *names);

/* state.json's member; free with g_free(). NULL if there is none. */
char *node_state(const Node *node, const char *member);

/* How many lines of the history are of that event and reason (NULL: any). */
guint node_history(const Node *node, const char *event, const char *reason);
