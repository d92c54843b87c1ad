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
 *   - at most BOOTS boots lie between two that come to health.
 *
 * Each WRONG_... is a mistake that must be found (tests/unit/model/test_boot.py): a model that finds nothing proves nothing.
 *
 * What stands for what: entry[s] is the boot entry of slot s on the ESP (docs/architecture.md, "Boot entries"),
 * holds[s] the release in it. The steps are those of updater/install/install.c, boot/settle.c, boot/node.c, boot/daemon.c,
 * boot/giveup.c, boot/operator.c, boot/rollback.c and boot/etc.c, in their order.
 */

#ifndef CUTS
#define CUTS 3 /* power cuts at most */
#endif
#ifndef RELEASES
#define RELEASES 4 /* the first one is installed and good; a larger number is a newer release */
#endif
#define TRIES 3
/* From one healthy boot to the next: all tries of a bad release, the one after it, and one for each power cut. */
#define BOOTS (TRIES + 1 + CUTS)
#define ATTEMPTS 3
#define CRASHES 2
#define NOBODY 9

/* What becomes of a release when it runs. */
#define GOOD 0
#define DEAD 1   /* never comes to proa-bootd: panic or hang */
#define SICK 2   /* its checks never pass */
#define CRASHY 3 /* healthy, but goes down unasked again and again */

/* Entries: 0 to TRIES tries left, or: */
#define NONE 10
#define BLESSED 11

byte nature[RELEASES];
byte holds[2];          /* NOBODY: half written */
byte entry[2] = NONE;
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

#define IS_BOOTABLE(s) (entry[s] != NONE && entry[s] != 0)
#define OTHER(s) (1 - (s))
#define ON_TRIAL(s) (entry[s] != BLESSED)
#define IS_WELL(s) (holds[s] != NOBODY && !rotten[s] && (nature[holds[s]] == GOOD || nature[holds[s]] == CRASHY))

#define MAY_LEAVE (IS_BOOTABLE(OTHER(running)) || entry[running] > 0 || IS_LAST_RESORT(OTHER(running)))

/* The power may go after any durable step. */
#define MAY_CUT \
	if \
	:: cuts > 0 -> cuts--; goto power_on \
	:: true \
	fi

/* systemd-boot: entries with no tries left last, newest first. */
inline choose_entry(ret)
{
	d_step {
		if
		:: IS_BOOTABLE(0) && (!IS_BOOTABLE(1) || holds[0] > holds[1]) -> ret = 0
		:: IS_BOOTABLE(1) && (!IS_BOOTABLE(0) || holds[1] > holds[0]) -> ret = 1
		:: !IS_BOOTABLE(0) && !IS_BOOTABLE(1) && entry[0] != NONE && (entry[1] == NONE || holds[0] > holds[1]) -> ret = 0
		:: !IS_BOOTABLE(0) && !IS_BOOTABLE(1) && entry[1] != NONE && (entry[0] == NONE || holds[1] > holds[0]) -> ret = 1
		fi
	}
}

/* With nothing else to boot the firmware takes the newest of what was set aside. */
#ifdef WRONG_A_SICK_RELEASE_IS_NEVER_LEFT_FOR_ONE_SET_ASIDE
#define IS_LAST_RESORT(s) false
#else
#define IS_LAST_RESORT(s) (entry[s] == 0 && entry[OTHER(s)] != BLESSED && holds[OTHER(s)] != NOBODY && holds[s] > holds[OTHER(s)])
#endif

#define IS_WAY_OUT(s) (IS_WELL(s) && (IS_BOOTABLE(s) || (went_back && entry[s] == 0 && holds[s] > holds[OTHER(s)] && ON_TRIAL(OTHER(s)))))

/* An entry leads to a healthy release, at every moment. */
inline check_way_out()
{
	assert(IS_WAY_OUT(0) || IS_WAY_OUT(1))
}

active proctype node()
{
	byte release, updates = RELEASES - 1, rots = 1, words = 1, i;
	bool by_turn;

	/* Any of the releases to come may be anything. */
	nature[0] = GOOD;
	for (i : 1 .. RELEASES - 1) {
		if
		:: nature[i] = GOOD
		:: nature[i] = DEAD
		:: nature[i] = SICK
		:: nature[i] = CRASHY
		fi
	}
	holds[0] = 0; entry[0] = BLESSED; holds[1] = NOBODY;

power_on:
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
	:: entry[running] != BLESSED && entry[running] > 0 -> entry[running]--; MAY_CUT
#endif
	:: else
	fi;

	/* The initrd: a root that is corrupt is left at once, if the other slot boots (proa-guard). */
	if
	:: rotten[running] && IS_BOOTABLE(OTHER(running)) ->
give_up:
		entry[running] = 0; MAY_CUT;
		evidence = release; MAY_CUT;
		goto power_on
	:: else
	fi;
	/* proa-etc counts boots that never came to health; it leaves a blessed one alone. */
	if
	:: attempts_of == release && attempts >= ATTEMPTS && entry[running] == BLESSED && IS_BOOTABLE(OTHER(running)) ->
		entry[running] = 0; MAY_CUT;
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
		assert(IS_BOOTABLE(OTHER(running)) || IS_LAST_RESORT(OTHER(running)) || entry[running] != 0);
		goto power_on
	:: else
	fi;

	/* proa-bootd settles the last boot: what failed is rejected, and only then the evidence goes. */
	if
	:: evidence != NOBODY && evidence != release -> rejected[evidence] = true; MAY_CUT
	:: else
	fi;
	if
	:: entry[OTHER(running)] == 0 && !rejected[holds[OTHER(running)]] && !left[holds[OTHER(running)]] ->
		rejected[holds[OTHER(running)]] = true; MAY_CUT
	:: else
	fi;
	if
	:: evidence != NOBODY -> evidence = NOBODY; MAY_CUT
	:: else
	fi;

	/* Counting goes on after the blessing. */
	if
	:: healthy_noted && crashes_of == release && crashes < CRASHES -> crashes++
	:: healthy_noted && crashes_of != release -> crashes_of = release; crashes = 1
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
	:: entry[running] != BLESSED -> entry[running] = BLESSED; MAY_CUT
	:: else
	fi;
	healthy_noted = true; in_a_row = 0; MAY_CUT;
	attempts_of = NOBODY; attempts = 0; MAY_CUT;
	d_step { rejected[release] = false; left[release] = false };
	MAY_CUT;

life:
	/* A crashy one goes down for as long as it counts against it. */
	if
	:: nature[release] == CRASHY && IS_BOOTABLE(OTHER(running)) && !(crashes_of == release && crashes >= CRASHES) ->
		goto power_on
	:: else
	fi;
	if
	/* An update to a newer release that is not rejected. */
	:: updates > 0 ->
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
			entry[OTHER(running)] = NONE; MAY_CUT;
#endif
			holds[OTHER(running)] = NOBODY; rotten[OTHER(running)] = false; MAY_CUT;
			if
			:: holds[OTHER(running)] = i; MAY_CUT
			:: goto life /* it failed on the way */
			fi;
			entry[OTHER(running)] = TRIES; MAY_CUT;
			/* A reboot that was asked for. */
			healthy_noted = false; MAY_CUT;
			goto power_on
		:: else -> goto life
		fi
	/* The disk damages the slot that runs, while the other one is a way out. */
	:: rots > 0 && entry[OTHER(running)] == BLESSED && IS_WELL(OTHER(running)) ->
		rots--;
		rotten[running] = true;
		goto give_up
	/* An operator rejects the other slot's release. */
	:: words > 0 && entry[OTHER(running)] != NONE ->
		words--;
#ifdef WRONG_REMEMBERS_BEFORE_IT_SETS_ASIDE
		rejected[holds[OTHER(running)]] = true; MAY_CUT;
#endif
		entry[OTHER(running)] = 0; MAY_CUT;
		rejected[holds[OTHER(running)]] = true; MAY_CUT;
		goto life
	/* An operator goes to the other slot's release, whatever it is, and reboots. Newer: this one stays its way back. */
	:: words > 0 && entry[OTHER(running)] != NONE ->
		words--;
		went_back = went_back || holds[OTHER(running)] < release;
		d_step { rejected[holds[OTHER(running)]] = false; left[holds[OTHER(running)]] = false };
		MAY_CUT;
#ifdef WRONG_THE_OLDER_ONE_STAYS_BLESSED
		if
		:: entry[OTHER(running)] == 0 -> entry[OTHER(running)] = TRIES; MAY_CUT
		:: else
		fi;
#else
		entry[OTHER(running)] = TRIES; MAY_CUT;
#endif
		if
		:: holds[OTHER(running)] < release ->
			entry[running] = 0;
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
	/* Nothing happens any more. */
	:: true
	fi;
	assert(IS_WELL(running));
	check_way_out()
}
