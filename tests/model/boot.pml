/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A model of the boot counter, the trial and the reject memory, with power cuts between any two durable steps. Checked
 * exhaustively by spin (tests/unit/model/test_boot.py); what it shows:
 *
 *   - whatever happens, an entry that boots leads to a release that is healthy: by its own turn or, after an operator went back to an older
 *     one that turns out bad, as the newest of those set aside once that one's tries are used up;
 *   - no release is tried by itself once it is rejected;
 *   - a slot is written only while another one boots, and never the one that runs;
 *   - whoever runs when nothing happens any more is healthy;
 *   - a release is believed to be sound only once it can no longer crash unpunished, so two bad ones in a row leave a good one;
 *   - at most BOOTS boots lie between two that come to health.
 *
 * Each WRONG_... is a mistake that must be found (tests/unit/model/test_boot.py): a model that finds nothing proves nothing.
 *
 * What stands for what: names[s] are the boot entries of slot s on the ESP (docs/architecture.md, "Boot entries"),
 * holds[s] the release in it. The steps are those of updater/install/install.c, boot/settle.c, boot/node.c, boot/daemon.c,
 * boot/giveup.c, boot/operator.c, boot/rollback.c and boot/etc.c, in their order.
 */

#ifndef CUTS
#define CUTS 3 /* power cuts at most */
#endif
#ifndef RELEASES
#define RELEASES 4 /* the first one is installed and good; a larger number is a newer release */
#endif
#ifndef WORDS
#define WORDS 2 /* of an operator at most */
#endif
#define TRIES 3
/* From one healthy boot to the next: all tries of a bad release, the one after it, and as many for each power cut: a torn rename gives tries back. */
#define BOOTS (TRIES + 1 + CUTS)
#define ATTEMPTS 3
#define CRASHES 2
#define NOBODY 9

/* What becomes of a release when it runs. */
#define GOOD 0
#define DEAD 1   /* never comes to proa-bootd: panic or hang */
#define SICK 2   /* its checks never pass */
#define CRASHY 3 /* healthy, but goes down unasked again and again */

/*
 * The names that a slot's boot image bears, a bit each: set aside (0), 1 to TRIES tries left, blessed. A power cut in the middle of a rename
 * leaves two (docs/boot.md, "What keeps the ESP whole").
 */
#define ASIDE 1
#define BLESSED 16
#define BOOTS_BY_TURN 30
#define ARMED (1 << TRIES)
#define NONE 0

byte nature[RELEASES];
byte holds[2];          /* NOBODY: half written */
byte names[2] = NONE;
bool rejected[RELEASES];
bool left[RELEASES];    /* rejected only because an operator went back from it */
byte evidence = NOBODY; /* the release named on the ESP */
byte attempts, attempts_of = NOBODY;
byte crashes, crashes_of = NOBODY;
bool healthy_noted;     /* this boot came to health, and no shutdown was asked for yet */
byte running;           /* a slot */
byte cuts = CUTS;
bool rotten[2];
byte in_a_row;          /* boots since the last that came to health */
bool went_back;         /* an operator went back to an older release */
bool outlived[RELEASES]; /* past its watch, by time that no boot and no clock turns back (boot/crashes.h): its crashes count no more, and it has none */
bool insisted;          /* an operator took away what a release that was still watched could fall back to */

#define IS_BOOTABLE(s) ((names[s] & BOOTS_BY_TURN) != 0)
#define IS_ASIDE(s) (names[s] == ASIDE)
/* The name that systemd-boot and proa-bootd take for the slot's: most tries first, then the blessed one, then what is set aside. */
#define FIRST(s) ((names[s] & 8) -> 8 : ((names[s] & 4) -> 4 : ((names[s] & 2) -> 2 : ((names[s] & BLESSED) -> BLESSED : names[s] & ASIDE))))
#define OTHER(s) (1 - (s))
#define ON_TRIAL(s) (FIRST(s) != BLESSED)
#define IS_HEALTHY(s) (holds[s] != NOBODY && !rotten[s] && (nature[holds[s]] == GOOD || nature[holds[s]] == CRASHY))
/* Healthy, and it stays up. */
#define IS_WELL(s) (IS_HEALTHY(s) && (nature[holds[s]] == GOOD || outlived[holds[s]] || insisted))

#define MAY_LEAVE (IS_BOOTABLE(OTHER(running)) || IS_BOOTABLE(running) || IS_LAST_RESORT(OTHER(running)))

/*
 * A release in the other slot that came to health once goes only for one that has outlived its watch. An operator who asks for one all the
 * same is told what goes, and is not part of this.
 */
#ifdef WRONG_OVERWRITES_WHILE_THE_RELEASE_IS_WATCHED
#define MAY_OVERWRITE true
#else
#define MAY_OVERWRITE (outlived[release] || (names[OTHER(running)] & BLESSED) == 0)
#endif

/* The power may go after any durable step. */
#define MAY_CUT \
	if \
	:: cuts > 0 -> cuts--; goto power_on \
	:: true \
	fi

/* Renames the first name of slot s. No rename replaces a file: the name that is taken by a second one stays, and the first is set aside. */
inline rename(s, new)
{
	d_step {
		was = FIRST(s);
		becomes = ((names[s] & new) && new != was -> ASIDE : new);
	}
	if
#ifndef WRONG_A_TORN_RENAME_LOSES_THE_FILE
	:: cuts > 0 -> cuts--; names[s] = names[s] | becomes; goto power_on
#else
	:: cuts > 0 -> cuts--; names[s] = names[s] & (31 - was); goto power_on
#endif
	:: true
	fi;
	names[s] = (names[s] & (31 - was)) | becomes;
	MAY_CUT
}

/* Each of its names. */
inline set_aside(s)
{
	do
	:: IS_BOOTABLE(s) -> rename(s, ASIDE)
	:: else -> break
	od
}

/* systemd-boot: entries with no tries left last, newest first. */
inline choose_entry(ret)
{
	d_step {
		if
		:: IS_BOOTABLE(0) && (!IS_BOOTABLE(1) || holds[0] > holds[1]) -> ret = 0
		:: IS_BOOTABLE(1) && (!IS_BOOTABLE(0) || holds[1] > holds[0]) -> ret = 1
		:: !IS_BOOTABLE(0) && !IS_BOOTABLE(1) && names[0] != NONE && (names[1] == NONE || holds[0] > holds[1]) -> ret = 0
		:: !IS_BOOTABLE(0) && !IS_BOOTABLE(1) && names[1] != NONE && (names[0] == NONE || holds[1] > holds[0]) -> ret = 1
		fi
	}
}

/* With nothing else to boot the firmware takes the newest of what was set aside. */
#ifdef WRONG_A_SICK_RELEASE_IS_NEVER_LEFT_FOR_ONE_SET_ASIDE
#define IS_LAST_RESORT(s) false
#else
#define IS_LAST_RESORT(s) (IS_ASIDE(s) && ON_TRIAL(OTHER(s)) && holds[OTHER(s)] != NOBODY && holds[s] > holds[OTHER(s)])
#endif

#define IS_WAY_OUT(s) (IS_WELL(s) && (IS_BOOTABLE(s) || (went_back && IS_ASIDE(s) && holds[s] > holds[OTHER(s)] && ON_TRIAL(OTHER(s)))))

/* An entry leads to a healthy release, at every moment. */
inline check_way_out()
{
	assert(IS_WAY_OUT(0) || IS_WAY_OUT(1))
}

active proctype node()
{
	byte release, updates = RELEASES - 1, rots = 1, words = WORDS, i, was, becomes;
	bool by_turn;

	/* Any of the releases to come may be anything. */
	nature[0] = GOOD;
	for (i : 1 .. RELEASES - 1) {
		if
		:: nature[i] = GOOD
		:: nature[i] = DEAD
		:: nature[i] = SICK
		:: nature[i] = CRASHY
		fi;
		/* Only of one that crashes does it matter: of the others it is taken to be over, which allows more. */
		outlived[i] = nature[i] != CRASHY
	}
	i = 0;
	holds[0] = 0; names[0] = BLESSED; holds[1] = NOBODY; outlived[0] = true;

power_on:
	skip;
	d_step { was = 0; becomes = 0; i = 0 };
	check_way_out();
	in_a_row++;
	assert(in_a_row <= BOOTS);
	by_turn = IS_BOOTABLE(0) || IS_BOOTABLE(1);
	choose_entry(running);
	release = holds[running];
	assert(release != NOBODY);
	/* One that came to health as the last resort may have met a power cut before that was remembered. */
	assert(!(by_turn && rejected[release] && (ON_TRIAL(running) || !went_back)));
	/* The firmware counts before it starts it. */
	if
#ifndef WRONG_FIRMWARE_DOES_NOT_COUNT
	:: ON_TRIAL(running) && IS_BOOTABLE(running) ->
		d_step {
			was = FIRST(running);
			names[running] = (names[running] & (31 - was)) | (was >> 1)
		};
		MAY_CUT
#endif
	:: else
	fi;

	/* The initrd: a root that is corrupt is left at once, if the other slot boots (proa-guard). */
	if
	:: rotten[running] && IS_BOOTABLE(OTHER(running)) ->
give_up:
		set_aside(running);
		evidence = release; MAY_CUT;
		goto power_on
	:: else
	fi;
	/*
	 * Boots that never came to health are counted: by proa-guard in the firmware's memory, before a disk is looked for, and by proa-etc in /var.
	 * One on trial is left to the firmware's own counter. Two counts of the same are one here.
	 */
	if
	:: attempts_of == release && attempts >= ATTEMPTS && !ON_TRIAL(running) && IS_BOOTABLE(OTHER(running)) ->
		set_aside(running);
		evidence = release; MAY_CUT;
		attempts_of = NOBODY; attempts = 0;
		goto power_on
	:: else
	fi;
	d_step {
		if
		:: attempts_of == release && attempts < ATTEMPTS -> attempts++
		:: attempts_of != release -> attempts_of = release; attempts = 1
		:: else
		fi
	};
	MAY_CUT;
	if
	:: nature[release] == DEAD || rotten[running] ->
		/* With nowhere to go to and no tries left it is started over and over; that must not come about. */
		assert(IS_BOOTABLE(OTHER(running)) || IS_LAST_RESORT(OTHER(running)) || !IS_ASIDE(running));
		goto power_on
	:: else
	fi;

	/* proa-bootd settles the last boot: what failed is rejected, and only then the evidence goes. */
	if
	:: evidence != NOBODY && evidence != release -> rejected[evidence] = true; MAY_CUT
	:: else
	fi;
	if
	:: IS_ASIDE(OTHER(running)) && !rejected[holds[OTHER(running)]] && !left[holds[OTHER(running)]] ->
		rejected[holds[OTHER(running)]] = true; MAY_CUT
	:: else
	fi;
	if
	:: evidence != NOBODY -> evidence = NOBODY; MAY_CUT
	:: else
	fi;

	/* Another name of one on trial would bless it when its tries are used up. */
#ifndef WRONG_A_SECOND_NAME_STAYS
	if
	:: ON_TRIAL(running) && (names[running] & BOOTS_BY_TURN & (31 - FIRST(running))) != 0 ->
		names[running] = (FIRST(running)) | ASIDE; MAY_CUT
	:: else
	fi;
#endif

	/* Counting goes on after the blessing. */
	if
	:: healthy_noted && !outlived[release] && crashes_of == release && crashes < CRASHES -> crashes++
	:: healthy_noted && !outlived[release] && crashes_of != release -> crashes_of = release; crashes = 1
	:: else
	fi;
	healthy_noted = false;
	MAY_CUT;
	if
#ifdef WRONG_LEAVES_FOR_NOTHING
	:: crashes_of == release && crashes >= CRASHES ->
#else
	:: crashes_of == release && crashes >= CRASHES && IS_BOOTABLE(OTHER(running)) ->
#endif
		crashes_of = NOBODY; crashes = 0;
		goto give_up
	:: else
	fi;

	/* Health. */
	if
	:: nature[release] == SICK && ON_TRIAL(running) && MAY_LEAVE -> goto power_on
	:: nature[release] == SICK && !(ON_TRIAL(running) && MAY_LEAVE) -> assert(false) /* it would run on for ever */
	:: else
	fi;
	if
	:: ON_TRIAL(running) -> rename(running, BLESSED)
	:: else
	fi;
	healthy_noted = true; in_a_row = 0; MAY_CUT;
	attempts_of = NOBODY; attempts = 0; MAY_CUT;
	d_step { rejected[release] = false; left[release] = false };
	MAY_CUT;

life:
	skip;
	d_step { was = 0; becomes = 0; i = 0 };
	if
	/* A crashy one goes down, but not for longer than it counts against it. */
	:: nature[release] == CRASHY && !outlived[release] && IS_BOOTABLE(OTHER(running)) && !(crashes_of == release && crashes >= CRASHES) ->
		goto power_on
	/* The time in which it is watched is over; from then on crashes count no more, and there are none. */
	:: !outlived[release] -> outlived[release] = true; goto life
	/* An update to a newer release that is not rejected. The last one known to be sound is kept for as long as the running one is watched. */
	:: updates > 0 && MAY_OVERWRITE ->
		updates--;
		i = release + 1;
		do
		:: i < RELEASES && rejected[i] -> i++
		:: else -> break
		od;
		if
		:: i < RELEASES ->
			assert(!ON_TRIAL(running) && IS_BOOTABLE(running));
#ifndef WRONG_WRITES_BEFORE_THE_ENTRY_GOES
			names[OTHER(running)] = NONE; MAY_CUT;
#endif
			holds[OTHER(running)] = NOBODY; rotten[OTHER(running)] = false; MAY_CUT;
			if
			:: holds[OTHER(running)] = i; MAY_CUT
			:: goto life /* it failed on the way */
			fi;
			names[OTHER(running)] = ARMED; MAY_CUT;
			/* A reboot that was asked for. */
			healthy_noted = false; MAY_CUT;
			goto power_on
		:: else -> goto life
		fi
	/* An operator asks for an older one by name: the newer one that runs would go on being taken before it. */
	:: words > 0 && updates > 0 && release > 0 && MAY_OVERWRITE ->
		words--; updates--;
		if
		:: i = 0
		:: release > 1 -> i = release - 1
		fi;
		if
		:: !rejected[i] ->
			names[OTHER(running)] = NONE; MAY_CUT;
			holds[OTHER(running)] = NOBODY; rotten[OTHER(running)] = false; MAY_CUT;
			holds[OTHER(running)] = i; MAY_CUT;
			went_back = true;
#ifdef WRONG_THE_OLDER_ONE_HAS_NO_TRIES
			names[OTHER(running)] = BLESSED; MAY_CUT;
#else
			names[OTHER(running)] = ARMED; MAY_CUT;
#endif
			set_aside(running);
			/* It may not understand what the newer one left in /var. */
			if
			:: nature[i] = SICK
			:: true
			fi;
			left[release] = true; MAY_CUT;
			healthy_noted = false; MAY_CUT;
			goto power_on
		:: else -> goto life
		fi
	/* The disk damages the slot that runs, while the other one is a way out. */
	:: rots > 0 && names[OTHER(running)] == BLESSED && IS_WELL(OTHER(running)) ->
		rots--;
		rotten[running] = true;
		goto give_up
	/* An operator rejects the other slot's release. */
	:: words > 0 && names[OTHER(running)] != NONE ->
		words--;
		insisted = insisted || !outlived[release];
#ifdef WRONG_REMEMBERS_BEFORE_IT_SETS_ASIDE
		rejected[holds[OTHER(running)]] = true; MAY_CUT;
#endif
		set_aside(OTHER(running));
		rejected[holds[OTHER(running)]] = true; MAY_CUT;
		goto life
	/* An operator goes to the other slot's release, whatever it is, and reboots. Newer: this one stays its way back. */
	:: words > 0 && names[OTHER(running)] != NONE ->
		words--;
		went_back = went_back || holds[OTHER(running)] < release;
		insisted = insisted || !outlived[release];
		d_step { rejected[holds[OTHER(running)]] = false; left[holds[OTHER(running)]] = false };
		MAY_CUT;
#ifdef WRONG_THE_OLDER_ONE_STAYS_BLESSED
		if
		:: IS_ASIDE(OTHER(running)) -> rename(OTHER(running), ARMED)
		:: else
		fi;
#else
		rename(OTHER(running), ARMED);
#endif
		if
		:: holds[OTHER(running)] < release ->
			set_aside(running);
			/* It may not understand what the newer one left in /var. */
			if
			:: nature[holds[OTHER(running)]] = SICK
			:: true
			fi;
			MAY_CUT;
			left[release] = true; MAY_CUT
		:: else
		fi;
		healthy_noted = false; MAY_CUT;
		goto power_on
	/* Nothing happens any more, and has not for as long as a release is watched. */
	:: outlived[release]
	fi;
	assert(IS_WELL(running));
	check_way_out()
}
