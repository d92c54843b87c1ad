/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ceremony: who may sign for what. Each of these makes a change (change.h) that is signed with the keys at
 * hand; if other holders must sign as well, it waits as drafts until they have.
 */
#pragma once

#include "images/feed/commit.h"
#include "images/feed/keyset.h"

typedef struct {
	const char *keys_dir;  /* where private keys are made: ROLE.pem, or ROLE-1.pem ...; NULL: none are */
	const char *algorithm; /* of new keys: proa_signer_algorithm_valid() */
	const ProaLifetimes *lifetimes;
	const char *const *channels; /* ended by NULL */
	const char *const *holders;  /* "ROLE=T/N": N key files, T of which must sign; NULL: one of one */
	/* "ROLE=FILE": a file of public keys, one a holder, all of whom must sign unless holders says
	 * otherwise. For a role that has any no private key is made. NULL: none. */
	const char *const *publics;
} ProaCeremonyInit;

/*
 * What a new feed begins with, signed with what is at hand: root version 1, and the empty first version of
 * all else. Makes keys for the roles that have neither public keys nor private ones in the directory yet (the
 * four of TUF, the channels, and break-glass), and adds them to @signers. @feed is of proa_feed_create().
 * USAGE for what can't be in @options, BUSY if the first metadata waits for signatures already.
 */
ProaChange *proa_ceremony_begin(ProaFeed *feed, const ProaCeremonyInit *options, GPtrArray *signers,
	GError **error) G_GNUC_WARN_UNUSED_RESULT;

typedef struct {
	const char *role;          /* one of the four, a channel, or "break-glass" */
	const char *const *add;    /* files of public keys; NULL or empty: see below */
	const char *const *remove; /* ids of keys, or 8 digits or more of their beginning */
	gboolean keep;             /* what is not removed stays */
	guint holders;             /* how many must sign; 0: as many as now, or all that are left */
	const char *keys_dir;      /* where new keys are made; NULL: none may be */
	const char *algorithm;
	const ProaLifetimes *lifetimes;
} ProaCeremonyRotation;

/*
 * Gives @role other keys: those that it has without those of remove and with those of add, if anything is to
 * be removed or kept; those of add alone otherwise; and with none of these, as many new ones as there are
 * holders now, in @keys_dir/ROLE-vN.pem, which are added to @signers. The role's own metadata is signed anew
 * with them. Returns the change, signed with what is at hand; BUSY if a role's draft waits for signatures
 * already.
 */
ProaChange *proa_ceremony_rotate(ProaFeed *feed, const ProaCeremonyRotation *rotation, GPtrArray *signers,
	GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* A root with the same keys that lives longer. */
ProaChange *proa_ceremony_renew(ProaFeed *feed, const GPtrArray *signers, const ProaLifetimes *lifetimes,
	GError **error) G_GNUC_WARN_UNUSED_RESULT;

/*
 * Makes @channel a role of its own, with the keys of the files @add, or of a new one in
 * @keys_dir/CHANNEL.pem. The releases that targets vouched for under this channel's name move to it.
 * BAD_STATE if it is one already.
 */
ProaChange *proa_ceremony_channel(ProaFeed *feed, const ProaCeremonyRotation *rotation, GPtrArray *signers,
	GError **error) G_GNUC_WARN_UNUSED_RESULT;
