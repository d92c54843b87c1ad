/* SPDX-License-Identifier: Apache-2.0 */
/* protobuf: reads protocol buffer messages field by field (protobuf.dev, "Encoding"); every length is
 * checked. */
#pragma once

#include <glib.h>

/* No message that we ask for is larger; a larger answer is refused. Bytes. */
#define PROA_PROTOBUF_MAX_SIZE (256 * 1024)

typedef struct {
	const guint8 *next, *end;
	gboolean malformed;
} ProaProtobuf;

typedef struct {
	guint32 number;
	gboolean is_bytes;   /* wire type 2; otherwise a number */
	guint64 value;       /* of wire types 0, 1 and 5 */
	const guint8 *bytes; /* within the message */
	gsize size;
} ProaProtobufField;

ProaProtobuf proa_protobuf_begin(const guint8 *data, gsize size);

/* The next field; FALSE at the end, or, with malformed set, at the first byte that is wrong. Groups are
 * malformed. */
gboolean proa_protobuf_next(ProaProtobuf *reader, ProaProtobufField *ret_field);

/*
 * The one message in the body of a unary gRPC answer: a flag (0: not compressed), its length in four
 * big-endian bytes, the message, and nothing else. FALSE if it is not that.
 */
gboolean proa_grpc_unframe(const guint8 *body, gsize size, const guint8 **ret_message, gsize *ret_size);

/*
 * Whether a grpc.health.v1 HealthCheckResponse says SERVING; in words what it says otherwise in *@ret_why
 * (g_free()).
 */
gboolean proa_grpc_health_serving(const guint8 *message, gsize size, char **ret_why);

/*
 * Whether a runtime.v1 StatusResponse says that the runtime is ready and, if @network, the network; otherwise
 * which condition does not hold and why, in *@ret_why (g_free()).
 */
gboolean proa_grpc_runtime_ready(const guint8 *message, gsize size, gboolean network, char **ret_why);
