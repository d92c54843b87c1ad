/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/install/memory.h"

#include "tests/unit/scratch.h"

#include <string.h>

#define HASH "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
#define HASH_B "ff112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

static char version[] = "1.0.1", hash[] = HASH, slot[] = "root-b";
static const ProaStateRelease release = { version, hash, slot };

static ProaStateKind kind_of(const Scratch *scratch)
{
	g_autoptr(ProaState) state = proa_memory_load(scratch->path);

	return state->kind;
}

static void make_good(ProaState *state, gpointer data)
{
	proa_state_set_release(&state->booted, "1.0.0", HASH_B, "root-a");
	proa_state_set_release(&state->good, "1.0.0", HASH_B, "root-a");
	state->kind = PROA_STATE_GOOD;
}

static void staging_then_staged(void)
{
	g_auto(Scratch) scratch = scratch_new();

	proa_memory_begin(scratch.path, &release);
	g_assert_cmpint(kind_of(&scratch), ==, PROA_STATE_STAGING);
	proa_memory_staged(scratch.path, &release);
	g_autoptr(ProaState) state = proa_memory_load(scratch.path);
	g_assert_cmpint(state->kind, ==, PROA_STATE_STAGED);
	g_assert_cmpstr(state->staged.root_hash, ==, HASH);
	g_assert_cmpstr(state->staged.slot, ==, "root-b");
}

static void failure_goes_back_to_good(void)
{
	g_autoptr(GError) why = NULL;
	g_auto(Scratch) scratch = scratch_new();

	g_assert_true(proa_state_update(scratch.path, make_good, NULL, NULL));
	proa_memory_begin(scratch.path, &release);
	proa_fail(&why, PROA_REASON_PAYLOAD_DIGEST, "other bytes");
	proa_memory_failed(scratch.path, &release, why);
	g_autoptr(ProaState) state = proa_memory_load(scratch.path);
	g_assert_cmpint(state->kind, ==, PROA_STATE_GOOD);
	g_assert_null(state->staged.root_hash);
	g_assert_cmpstr(state->good.root_hash, ==, HASH_B);
}

static void failure_goes_back_to_idle(void)
{
	g_autoptr(GError) why = NULL;
	g_auto(Scratch) scratch = scratch_new();

	proa_memory_begin(scratch.path, &release);
	proa_fail(&why, PROA_REASON_PAYLOAD_DIGEST, "other bytes");
	proa_memory_failed(scratch.path, &release, why);
	g_assert_cmpint(kind_of(&scratch), ==, PROA_STATE_IDLE);
}

static void recovers_from_staging_alone(void)
{
	g_auto(Scratch) scratch = scratch_new();

	proa_memory_staged(scratch.path, &release);
	proa_memory_recover(scratch.path);
	g_assert_cmpint(kind_of(&scratch), ==, PROA_STATE_STAGED);
	proa_memory_begin(scratch.path, &release);
	proa_memory_recover(scratch.path);
	g_assert_cmpint(kind_of(&scratch), ==, PROA_STATE_IDLE);
}

static void floor_only_rises(void)
{
	g_auto(Scratch) scratch = scratch_new();

	g_assert_null(proa_memory_floor(scratch.path));
	proa_memory_raise_floor(scratch.path, "1.0.9");
	proa_memory_raise_floor(scratch.path, "1.0.10");
	proa_memory_raise_floor(scratch.path, "1.0.2");
	g_autofree char *floor = proa_memory_floor(scratch.path);
	g_assert_cmpstr(floor, ==, "1.0.10");
}

static void broken_floor_is_none(void)
{
	static const char *const broken[] = { "", "{", "[]", "{}", "{\"version\":7}",
		"{\"version\":\"../1\"}" };
	g_auto(Scratch) scratch = scratch_new();

	for (guint i = 0; i < G_N_ELEMENTS(broken); i++) {
		g_free(scratch_write(&scratch, "floor.json", broken[i], -1));
		g_assert_null(proa_memory_floor(scratch.path));
	}
}

static void check_is_remembered(void)
{
	g_autoptr(GError) why = NULL;
	g_auto(Scratch) scratch = scratch_new();

	proa_memory_checked(scratch.path, "1.0.1", NULL);
	g_autoptr(ProaState) ok = proa_memory_load(scratch.path);
	g_assert_cmpstr(ok->last_check_result, ==, "ok");
	g_assert_cmpstr(ok->last_check_offered, ==, "1.0.1");
	g_assert_cmpint(ok->last_check, >, 0);
	proa_fail(&why, PROA_REASON_STALE_FEED, "too old");
	proa_memory_checked(scratch.path, NULL, why);
	g_autoptr(ProaState) bad = proa_memory_load(scratch.path);
	g_assert_cmpstr(bad->last_check_result, ==, "stale-feed");
	g_assert_null(bad->last_check_offered);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/install/memory/staging-then-staged", staging_then_staged);
	g_test_add_func("/install/memory/failure-goes-back-to-good", failure_goes_back_to_good);
	g_test_add_func("/install/memory/failure-goes-back-to-idle", failure_goes_back_to_idle);
	g_test_add_func("/install/memory/recovers-from-staging-alone", recovers_from_staging_alone);
	g_test_add_func("/install/memory/floor-only-rises", floor_only_rises);
	g_test_add_func("/install/memory/broken-floor-is-none", broken_floor_is_none);
	g_test_add_func("/install/memory/check-is-remembered", check_is_remembered);
	return g_test_run();
}
