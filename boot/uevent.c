/* SPDX-License-Identifier: Apache-2.0 */
#include "boot/uevent.h"

#include <errno.h>
#include <linux/netlink.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define VERITY_VARIABLE "DM_VERITY_ERR_BLOCK_NR="
#define KERNEL_GROUP 1
/* Room for the uevents of a boot's whole coldplug, so that none of ours is dropped meanwhile. Bytes. */
#define RECEIVE_BUFFER (4 * 1024 * 1024)
#define TYPE_DATA 0
#define TYPE_METADATA 1

/* Reads a decimal number that fills all of @text up to @terminator; moves behind it. */
static gboolean read_number(const char **text, char terminator, guint64 max, guint64 *ret_number)
{
	guint64 number;
	const char *end = strchr(*text, terminator);

	if (!end)
		return FALSE;
	g_autofree char *digits = g_strndup(*text, (gsize)(end - *text));
	if (!g_ascii_string_to_unsigned(digits, 10, 0, max, &number, NULL))
		return FALSE;
	*text = terminator ? end + 1 : end;
	*ret_number = number;
	return TRUE;
}

static gboolean read_verity_value(const char *value, ProaVerityEvent *event)
{
	guint64 type, block;

	if (!read_number(&value, ',', TYPE_METADATA, &type) ||
		!read_number(&value, '\0', G_MAXUINT64, &block))
		return FALSE;
	event->hash_tree = type == TYPE_METADATA;
	event->block = block;
	return TRUE;
}

static gboolean read_device_number(const char *value, guint *ret_number)
{
	guint64 number;

	if (!read_number(&value, '\0', G_MAXUINT, &number))
		return FALSE;
	*ret_number = (guint)number;
	return TRUE;
}

gboolean proa_uevent_parse_verity(const char *message, gsize size, ProaVerityEvent *ret_event)
{
	gboolean verity = FALSE, have_major = FALSE, have_minor = FALSE;
	ProaVerityEvent event = { 0 };

	/* "change@/devices/...", then variables, each with a NUL at its end. */
	if (size == 0 || size > PROA_UEVENT_MAX_SIZE || message[size - 1] != '\0' ||
		strncmp(message, "change@", 7) != 0)
		return FALSE;
	for (const char *p = message + strlen(message) + 1; p < message + size; p += strlen(p) + 1) {
		if (g_str_has_prefix(p, VERITY_VARIABLE))
			verity = read_verity_value(p + strlen(VERITY_VARIABLE), &event);
		else if (g_str_has_prefix(p, "MAJOR="))
			have_major = read_device_number(p + strlen("MAJOR="), &event.major);
		else if (g_str_has_prefix(p, "MINOR="))
			have_minor = read_device_number(p + strlen("MINOR="), &event.minor);
	}
	if (!verity || !have_major || !have_minor)
		return FALSE;
	*ret_event = event;
	return TRUE;
}

int proa_uevent_open(void)
{
	struct sockaddr_nl address = { .nl_family = AF_NETLINK, .nl_groups = KERNEL_GROUP };
	int size = RECEIVE_BUFFER;
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_KOBJECT_UEVENT);

	if (fd < 0)
		return -1;
	/* Without privileges the default size has to do. */
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size) < 0)
		size = 0;
	if (bind(fd, (const struct sockaddr *)(const void *)&address, sizeof address) < 0) {
		int saved_errno = errno;
		close(fd);
		errno = saved_errno;
		return -1;
	}
	return fd;
}

gssize proa_uevent_receive(int fd, char *buffer)
{
	struct sockaddr_nl from = { 0 };
	struct iovec part = { .iov_base = buffer, .iov_len = PROA_UEVENT_MAX_SIZE };
	struct msghdr header = {
		.msg_name = &from, .msg_namelen = sizeof from, .msg_iov = &part, .msg_iovlen = 1
	};
	gssize n = recvmsg(fd, &header, MSG_DONTWAIT);

	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -1;
	/* Only the kernel's port is 0; only its own group is asked for. */
	if (from.nl_family != AF_NETLINK || from.nl_pid != 0 || (header.msg_flags & MSG_TRUNC))
		return 0;
	return n;
}

gssize proa_uevent_wait(int *fd, int milliseconds, char *buffer)
{
	struct pollfd waiting = { .fd = *fd, .events = POLLIN };

	if (*fd < 0) {
		int blind = milliseconds < 0 ? PROA_UEVENT_BLIND : MIN(milliseconds, PROA_UEVENT_BLIND);
		g_usleep((gulong)blind * 1000);
		*fd = proa_uevent_open();
		return -1;
	}
	int ready = poll(&waiting, 1, milliseconds);
	if (ready == 0 || (ready < 0 && errno == EINTR))
		return 0;
	gssize n = ready < 0 ? -1 : proa_uevent_receive(*fd, buffer);
	/* Messages that found no room are no failure of the socket. */
	if (n < 0 && (ready < 0 || errno != ENOBUFS)) {
		close(*fd);
		*fd = -1;
	}
	return n;
}
