/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/bus-error.h"

#include <string.h>

static void test_names(void)
{
	for (int i = 0; i < PROA_REASON_MAX; i++) {
		g_autofree char *name = proa_bus_error_name((ProaReason)i);
		sd_bus_error error = SD_BUS_ERROR_NULL;

		g_assert_cmpint(proa_bus_error_reason(name), ==, i);
		/* The bus would refuse a name with anything else in it. */
		for (const char *p = name; *p; p++)
			g_assert_true(g_ascii_isalnum(*p) || *p == '.');
		g_assert_cmpint(sd_bus_error_set(&error, name, "text"), <, 0);
		g_assert_cmpstr(error.name, ==, name);
		sd_bus_error_free(&error);
	}
	g_autofree char *name = proa_bus_error_name(PROA_REASON_ESP_FULL);
	g_assert_cmpstr(name, ==, "org.proa.Node1.Error.EspFull");
	g_assert_cmpint(proa_bus_error_reason("org.proa.Node1.Error.Nonsense"), ==, PROA_REASON_MAX);
	g_assert_cmpint(proa_bus_error_reason(NULL), ==, PROA_REASON_MAX);
}

static void test_propagate(void)
{
	static const struct {
		const char *name;
		ProaReason reason;
	} errors[] = {
		{ "org.proa.Node1.Error.Busy", PROA_REASON_BUSY },
		{ SD_BUS_ERROR_ACCESS_DENIED, PROA_REASON_PERMISSION },
		{ SD_BUS_ERROR_SERVICE_UNKNOWN, PROA_REASON_NO_AGENT },
		{ SD_BUS_ERROR_NO_REPLY, PROA_REASON_NO_AGENT },
		{ "org.freedesktop.systemd1.NoSuchUnit", PROA_REASON_NO_AGENT },
		{ "org.freedesktop.DBus.Error.Spawn.ExecFailed", PROA_REASON_NO_AGENT },
		{ SD_BUS_ERROR_UNKNOWN_METHOD, PROA_REASON_INTERNAL },
		{ "net.example.Odd", PROA_REASON_INTERNAL },
	};

	for (gsize i = 0; i < G_N_ELEMENTS(errors); i++) {
		sd_bus_error bus_error = SD_BUS_ERROR_MAKE_CONST(errors[i].name, "text");
		g_autoptr(GError) error = NULL;
		g_assert_false(proa_bus_error_propagate(&error, &bus_error, -5));
		g_assert_error(error, PROA_ERROR, (int)errors[i].reason);
	}
	sd_bus_error none = SD_BUS_ERROR_NULL;
	g_autoptr(GError) error = NULL;
	proa_bus_error_propagate(&error, &none, -ECONNRESET);
	g_assert_error(error, PROA_ERROR, PROA_REASON_NO_AGENT);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/bus-error/every-reason-has-a-name-and-back", test_names);
	g_test_add_func("/bus-error/absence-is-told-from-answers", test_propagate);
	return g_test_run();
}
