/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cutter: stands between a client and a server on loopback, breaks connections in the middle of an answer,
 * and counts what went over the wire. For unit tests only.
 */
#pragma once

#include "tests/unit/updater/nginx.h"

#include <poll.h>

typedef struct {
	guint16 port, to; /* its own, and the server's */
	gint cuts;        /* how often still */
	guint64 after;    /* a connection is cut after so many bytes of answers */
	gboolean reset;   /* cut so that what the client has not read yet is lost as well */
	int listen_fd;
	GThread *thread;
	GMutex lock;
	guint64 answered; /* bytes of answers, headers among them */
	guint connections;
	char *url;
} Cutter;

typedef struct {
	Cutter *cutter;
	int client;
} CutterConnection;

static inline int cutter_connect(guint16 port)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(port)
	};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	g_assert_cmpint(fd, >=, 0);
	if (connect(fd, (struct sockaddr *)&address, sizeof address) == 0)
		return fd;
	close(fd);
	return -1;
}

static inline gboolean cutter_send(int fd, const char *data, gssize size)
{
	for (gssize at = 0, n; at < size; at += n) {
		n = send(fd, data + at, (gsize)(size - at), MSG_NOSIGNAL);
		if (n <= 0)
			return FALSE;
	}
	return TRUE;
}

/* Takes @n bytes of an answer into account; FALSE if the connection is to be cut now. */
static inline gboolean cutter_count(Cutter *cutter, guint64 *given, gssize n)
{
	gboolean go_on = TRUE;

	g_mutex_lock(&cutter->lock);
	*given += (guint64)n;
	cutter->answered += (guint64)n;
	if (cutter->cuts > 0 && *given >= cutter->after) {
		cutter->cuts--;
		go_on = FALSE;
	}
	g_mutex_unlock(&cutter->lock);
	return go_on;
}

static inline gpointer cutter_serve(gpointer data)
{
	CutterConnection *connection = data;
	Cutter *cutter = connection->cutter;
	int server = cutter_connect(cutter->to), client = connection->client;
	static const struct linger at_once = { .l_onoff = 1 };
	char buffer[16384];
	guint64 given = 0;
	int little = 64 * 1024;

	/* What is counted has gone to the client, or nearly. */
	setsockopt(client, SOL_SOCKET, SO_SNDBUF, &little, sizeof little);

	g_free(connection);
	while (server >= 0) {
		struct pollfd fds[2] = { { .fd = client, .events = POLLIN },
			{ .fd = server, .events = POLLIN } };
		if (poll(fds, 2, -1) < 0)
			break;
		gboolean from_client = fds[0].revents != 0;
		gssize n = recv(from_client ? client : server, buffer, sizeof buffer, 0);
		if (n <= 0 || !cutter_send(from_client ? server : client, buffer, n))
			break;
		if (!from_client && !cutter_count(cutter, &given, n)) {
			if (cutter->reset)
				setsockopt(client, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
			break;
		}
	}
	close(client);
	if (server >= 0)
		close(server);
	return NULL;
}

static inline gpointer cutter_accept(gpointer data)
{
	Cutter *cutter = data;
	int client;

	while ((client = accept4(cutter->listen_fd, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
		CutterConnection *connection = g_new0(CutterConnection, 1);
		connection->cutter = cutter;
		connection->client = client;
		g_mutex_lock(&cutter->lock);
		cutter->connections++;
		g_mutex_unlock(&cutter->lock);
		g_thread_unref(g_thread_new("connection", cutter_serve, connection));
	}
	return NULL;
}

/* The cutter must stay where it is for as long as the test runs: its threads look at it. */
static inline void cutter_start(Cutter *cutter, guint16 to)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t size = sizeof address;

	g_mutex_init(&cutter->lock);
	cutter->to = to;
	cutter->listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	g_assert_cmpint(cutter->listen_fd, >=, 0);
	g_assert_cmpint(bind(cutter->listen_fd, (struct sockaddr *)&address, sizeof address), ==, 0);
	g_assert_cmpint(listen(cutter->listen_fd, 64), ==, 0);
	g_assert_cmpint(getsockname(cutter->listen_fd, (struct sockaddr *)&address, &size), ==, 0);
	cutter->port = ntohs(address.sin_port);
	cutter->url = g_strdup_printf("http://127.0.0.1:%u", cutter->port);
	cutter->thread = g_thread_new("cutter", cutter_accept, cutter);
}

/* Counts from 0 again, and cuts @cuts connections after @after bytes each. */
static inline void cutter_set(Cutter *cutter, gint cuts, guint64 after)
{
	g_mutex_lock(&cutter->lock);
	cutter->cuts = cuts;
	cutter->after = after;
	cutter->answered = 0;
	cutter->connections = 0;
	g_mutex_unlock(&cutter->lock);
}

static inline void cutter_stop(Cutter *cutter)
{
	shutdown(cutter->listen_fd, SHUT_RDWR);
	g_thread_join(cutter->thread);
	close(cutter->listen_fd);
	g_free(cutter->url);
}
