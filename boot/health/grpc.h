/* SPDX-License-Identifier: Apache-2.0 */
/* grpc: one unary gRPC call over a unix socket (HTTP/2 with prior knowledge, by libcurl). */
#pragma once

#include "base/reason.h"

/* Statuses of gRPC that callers tell apart. */
#define PROA_GRPC_OK 0
#define PROA_GRPC_UNIMPLEMENTED 12

typedef struct {
	int status;    /* of the grpc-status trailer */
	char *message; /* of the grpc-message trailer; NULL: none */
	guint8 *body;  /* the framed answer; NULL: none */
	gsize size;
} ProaGrpcAnswer;

void proa_grpc_answer_clear(ProaGrpcAnswer *answer);

/*
 * Calls @method ("/package.Service/Method") on the socket @path with the request message of @size bytes.
 * FALSE with CONTAINERD_DOWN: no connection, no answer within @seconds, no HTTP/2, no grpc-status. TRUE for
 * every answer that is one of gRPC, whatever its status; clear it with proa_grpc_answer_clear().
 */
gboolean proa_grpc_call(const char *path, const char *method, const void *request, gsize size, guint seconds,
	ProaGrpcAnswer *ret_answer, GError **error) G_GNUC_WARN_UNUSED_RESULT;
