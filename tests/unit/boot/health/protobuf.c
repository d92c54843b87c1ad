/* SPDX-License-Identifier: Apache-2.0 */
#include "boot/health/protobuf.h"

#include <string.h>

#define BYTES(text) (const guint8 *)(text), sizeof(text) - 1

static void expect_malformed(const guint8 *data, gsize size)
{
	/* A copy of just that size, so that a read beyond it is seen. */
	g_autofree guint8 *copy = g_memdup2(data, size);
	ProaProtobuf reader = proa_protobuf_begin(copy, size);
	ProaProtobufField field;

	while (proa_protobuf_next(&reader, &field))
		;
	g_assert_true(reader.malformed);
}

static void reads_every_wire_type(void)
{
	ProaProtobuf reader =
		proa_protobuf_begin(BYTES("\x08\x96\x01\x12\x03"
					  "abc\x1d\x01\x02\x03\x04\x21\x01\x00\x00\x00\x00\x00\x00\x80"));
	ProaProtobufField field;

	g_assert_true(proa_protobuf_next(&reader, &field));
	g_assert_cmpuint(field.number, ==, 1);
	g_assert_cmpuint(field.value, ==, 150);
	g_assert_true(proa_protobuf_next(&reader, &field));
	g_assert_cmpuint(field.number, ==, 2);
	g_assert_true(field.is_bytes);
	g_assert_cmpmem(field.bytes, field.size, "abc", 3);
	g_assert_true(proa_protobuf_next(&reader, &field));
	g_assert_cmpuint(field.value, ==, 0x04030201);
	g_assert_true(proa_protobuf_next(&reader, &field));
	g_assert_cmpuint(field.value, ==, G_GUINT64_CONSTANT(0x8000000000000001));
	g_assert_false(proa_protobuf_next(&reader, &field));
	g_assert_false(reader.malformed);
}

static void refuses_malformed_messages(void)
{
	expect_malformed(BYTES("\x08")); /* no value */
	expect_malformed(
		BYTES("\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x01")); /* over 64 bits, trailing tag */
	expect_malformed(BYTES("\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02"));
	expect_malformed(BYTES("\x12\x05"
			       "abc"));                                          /* longer than the message */
	expect_malformed(BYTES("\x12\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01")); /* 2^64 - 1 bytes */
	expect_malformed(BYTES("\x1d\x01\x02"));                                 /* half a number */
	expect_malformed(BYTES("\x0b"));                                         /* a group */
	expect_malformed(BYTES("\x00\x01"));                                     /* field 0 */
}

static void unframes_one_message(void)
{
	const guint8 *message = NULL;
	gsize size = 99;

	g_assert_true(proa_grpc_unframe(BYTES("\0\0\0\0\2\x08\1"), &message, &size));
	g_assert_cmpmem(message, size, "\x08\1", 2);
	g_assert_true(proa_grpc_unframe(BYTES("\0\0\0\0\0"), &message, &size));
	g_assert_cmpuint(size, ==, 0);
	g_assert_false(proa_grpc_unframe(BYTES("\1\0\0\0\2\x08\1"), &message, &size)); /* compressed */
	g_assert_false(proa_grpc_unframe(BYTES("\0\0\0\0\3\x08\1"), &message, &size));
	g_assert_false(proa_grpc_unframe(BYTES("\0\0\0\0\1\x08\1"), &message, &size));
	g_assert_false(proa_grpc_unframe(BYTES("\0\xff\xff\xff\xff\x08\1"), &message, &size));
	g_assert_false(proa_grpc_unframe(BYTES("\0\0\0\0"), &message, &size));
}

static void tells_serving(void)
{
	g_autofree char *unknown = NULL, *not_serving = NULL, *strange = NULL, *broken = NULL;

	g_assert_true(proa_grpc_health_serving(BYTES("\x08\1"), NULL));
	g_assert_false(proa_grpc_health_serving(BYTES(""), &unknown));
	g_assert_cmpstr(unknown, ==, "it says UNKNOWN");
	g_assert_false(proa_grpc_health_serving(BYTES("\x08\2"), &not_serving));
	g_assert_cmpstr(not_serving, ==, "it says NOT_SERVING");
	g_assert_false(proa_grpc_health_serving(BYTES("\x08\x7f"), &strange));
	g_assert_false(proa_grpc_health_serving(BYTES("\x08\1\x08"), &broken));
	g_assert_cmpstr(broken, ==, "its answer is malformed");
}

#define RUNTIME_READY "\x0a\x10\x0a\x0cRuntimeReady\x10\1"
#define NETWORK_DOWN "\x0a\x14\x0a\x0cNetworkReady\x10\0\x1a\2no"

static void tells_runtime_and_network(void)
{
	static const char both[] = "\x0a\x28" RUNTIME_READY NETWORK_DOWN;
	static const char neither[] = "\x0a\x16" NETWORK_DOWN;
	g_autofree char *network = NULL, *lacks = NULL, *empty = NULL, *broken = NULL;

	g_assert_true(proa_grpc_runtime_ready(BYTES(both), FALSE, NULL));
	g_assert_false(proa_grpc_runtime_ready(BYTES(both), TRUE, &network));
	g_assert_cmpstr(network, ==, "NetworkReady does not hold: no: no message");
	g_assert_false(proa_grpc_runtime_ready(BYTES(neither), FALSE, &lacks));
	g_assert_cmpstr(lacks, ==, "its answer lacks a condition");
	g_assert_false(proa_grpc_runtime_ready(BYTES(""), FALSE, &empty));
	for (gsize size = 1; size < sizeof both - 1; size++) {
		g_autofree guint8 *part = g_memdup2(both, size);
		g_autofree char *why = NULL;
		g_assert_false(proa_grpc_runtime_ready(part, size, FALSE, &why));
		g_assert_nonnull(why);
	}
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/protobuf/reads-every-wire-type", reads_every_wire_type);
	g_test_add_func("/protobuf/refuses-malformed-messages", refuses_malformed_messages);
	g_test_add_func("/protobuf/unframes-one-message", unframes_one_message);
	g_test_add_func("/protobuf/tells-serving", tells_serving);
	g_test_add_func("/protobuf/tells-runtime-and-network", tells_runtime_and_network);
	return g_test_run();
}
