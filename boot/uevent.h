/* SPDX-License-Identifier: Apache-2.0 */
/* uevent: the kernel's messages about dm-verity (drivers/md/dm-verity-target.c, verity_handle_err). */
#pragma once

#include <glib.h>

/* The kernel's own limit of a message (UEVENT_BUFFER_SIZE) plus its header. Bytes. */
#define PROA_UEVENT_MAX_SIZE 8192

typedef struct {
	guint major, minor; /* of the device-mapper device */
	gboolean hash_tree; /* the corrupt block is one of the hash tree */
	guint64 block;      /* its number, in blocks of the device's block size */
} ProaVerityEvent;

/*
 * Reads one message of @size bytes. TRUE, with *@ret_event filled in, if it tells of a corrupt block of a
 * dm-verity device; FALSE, *@ret_event untouched, for everything else, including anything malformed.
 */
gboolean proa_uevent_parse_verity(const char *message, gsize size, ProaVerityEvent *ret_event);

/* Opens a socket that receives the kernel's uevents; -1 with errno set. */
int proa_uevent_open(void);

/* Without a socket whoever waits looks for itself so often. Milliseconds. */
#define PROA_UEVENT_BLIND 5000

/*
 * Waits for at most @milliseconds (-1: no end) for a message, then is as proa_uevent_receive(). -1 says that
 * messages may have been lost: the caller has to look at what they tell of. A socket that fails for good is
 * closed, and *@fd is -1 from then on; with that, or with -1 from the beginning, it waits for
 * PROA_UEVENT_BLIND, or @milliseconds if they are fewer, opens another one and returns -1. So it never
 * returns -1 again and again in no time, whatever fails.
 */
gssize proa_uevent_wait(int *fd, int milliseconds, char *buffer);

/*
 * Receives one message of the kernel into @buffer (PROA_UEVENT_MAX_SIZE bytes); drops what other processes
 * sent. Returns its size, 0 if there was none of the kernel's, or -1 with errno set (ENOBUFS: messages were
 * lost).
 */
gssize proa_uevent_receive(int fd, char *buffer);
