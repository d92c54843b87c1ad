/* SPDX-License-Identifier: Apache-2.0 */
/* http: one GET request with a time limit (libcurl), for checks that ask a program how it is. */
#pragma once

#include "base/reason.h"

/* An answer larger than this is refused. Bytes. */
#define PROA_HTTP_MAX_SIZE (1024 * 1024)

typedef struct {
	const char *url;         /* http or https */
	const char *ca;          /* file of the authorities for https; NULL or "": the system's */
	const char *certificate; /* file of our certificate; NULL or "": none */
	const char *key;         /* file of its key; NULL or "": it is in the same file */
	/* The same as PEM text, which comes before a file; NULL: not given. */
	const char *ca_pem, *certificate_pem, *key_pem;
	const char *token; /* sent as a bearer token; NULL or "": none */
	guint seconds;     /* time limit of the whole request */
} ProaHttpRequest;

typedef struct {
	long status; /* 100 to 599 */
	char *body;  /* ends with a NUL that is not counted; never NULL */
	gsize size;
} ProaHttpAnswer;

void proa_http_answer_clear(ProaHttpAnswer *answer);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(ProaHttpAnswer, proa_http_answer_clear)

/*
 * Asks, through no proxy and following no redirection. FALSE with FEED_UNREACHABLE if nobody answers, IO if
 * what is on this node is the reason (a file that cannot be read, a certificate that is refused), TOO_LARGE.
 * TRUE for every answer, whatever its status.
 */
gboolean proa_http_get(
	const ProaHttpRequest *request, ProaHttpAnswer *ret_answer, GError **error) G_GNUC_WARN_UNUSED_RESULT;
