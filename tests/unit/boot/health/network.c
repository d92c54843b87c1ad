/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/boot/health/context.h"

#define HEAD "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n"
#define LAN "eth0\t0002000A\t00000000\t0001\t0\t0\t100\t00FFFFFF\t0\t0\t0\n"
#define OUT "eth0\t00000000\t0202000A\t0003\t0\t0\t100\t00000000\t0\t0\t0\n"
#define ZERO "00000000000000000000000000000000"
/* A host route to 0.0.0.0 and an unreachable IPv6 default are no way out. */
#define TRAP "eth0\t00000000\t00000000\t0005\t0\t0\t0\tFFFFFFFF\t0\t0\t0\n"
#define DEAD6 ZERO " 00 " ZERO " 00 " ZERO " ffffffff 00000001 00000000 00200200       lo\n"
#define OUT6                                                                                                 \
	ZERO " 00 " ZERO " 00 fe800000000000000000000000000001 00000400 00000001 00000000 00000003     eth0\n"

/* @carrier: of the interface with a device; NULL: there is none. */
static void expect(
	const char *route4, const char *route6, const char *carrier, const char *word, ProaHealthFault fault)
{
	g_auto(Scratch) scratch = scratch_new();
	g_autofree char *a = scratch_write(&scratch, "proc/net/route", route4, -1);
	g_autofree char *b = scratch_write(&scratch, "proc/net/ipv6_route", route6, -1);
	g_autofree char *c =
		carrier ? scratch_write(&scratch, "sys/class/net/eth0/carrier", carrier, -1) : NULL;
	g_autofree char *device =
		carrier ? scratch_write(&scratch, "sys/class/net/eth0/device/vendor", "0x8086\n", -1) : NULL;
	g_autofree char *lo = scratch_write(&scratch, "sys/class/net/lo/carrier", "1\n", -1);
	g_autofree char *bridge = scratch_write(&scratch, "sys/class/net/cni0/carrier", "1\n", -1);
	ProaHealthResult result =
		context_check(&scratch, &proa_health_network, "[network]\nroute=yes\n", NULL);

	if (word)
		context_expect(result, PROA_HEALTH_WAIT, fault, PROA_REASON_NO_ROUTE, word);
	else
		context_expect_ok(result);
}

static void a_default_route_of_either_family_is_enough(void)
{
	expect(HEAD LAN OUT, DEAD6, "1\n", NULL, PROA_FAULT_OF_NODE);
	expect(HEAD LAN, DEAD6 OUT6, "1\n", NULL, PROA_FAULT_OF_NODE);
}

/* A driver that is missing is the release's fault; a switch or a DHCP server that is down is nobody's here.
 */
static void no_device_is_ours_and_no_link_or_route_is_not(void)
{
	expect(HEAD LAN TRAP, DEAD6, "1\n", "no default route", PROA_FAULT_OF_ELSEWHERE);
	expect(HEAD, DEAD6, "0\n", "no network interface has a link", PROA_FAULT_OF_ELSEWHERE);
	expect("", "", "", "no network interface has a link", PROA_FAULT_OF_ELSEWHERE);
	expect(HEAD LAN, DEAD6, NULL, "a driver may be missing", PROA_FAULT_OF_NODE);
	expect("nonsense\n\t\t\t\n", ZERO, NULL, "a driver may be missing", PROA_FAULT_OF_NODE);
}

static void names_resolve_or_the_resolver_is_to_blame(void)
{
	g_auto(Scratch) scratch = scratch_new();

	context_expect_ok(context_check(&scratch, &proa_health_network, "[network]\nname=localhost\n", NULL));
	context_expect_elsewhere(context_check(&scratch, &proa_health_network,
					 "[network]\nname=no-such-name.invalid\ntimeout=30s\n", NULL),
		PROA_REASON_DNS, "no-such-name.invalid");
}

static void nothing_asked_for_is_skipped(void)
{
	g_auto(Scratch) scratch = scratch_new();

	context_expect_skipped(context_check(&scratch, &proa_health_network, "", NULL), "neither");
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/network/a-default-route-of-either-family-is-enough",
		a_default_route_of_either_family_is_enough);
	g_test_add_func("/network/no-device-is-ours-and-no-link-or-route-is-not",
		no_device_is_ours_and_no_link_or_route_is_not);
	g_test_add_func("/network/names-resolve-or-the-resolver-is-to-blame",
		names_resolve_or_the_resolver_is_to_blame);
	g_test_add_func("/network/nothing-asked-for-is-skipped", nothing_asked_for_is_skipped);
	return g_test_run();
}
