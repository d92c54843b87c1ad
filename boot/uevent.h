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

/*
 * Receives one message of the kernel into @buffer (PROA_UEVENT_MAX_SIZE bytes); drops what other processes
 * sent. Returns its size, 0 if there was none of the kernel's, or -1 with errno set (ENOBUFS: messages were
 * lost).
 */
gssize proa_uevent_receive(int fd, char *buffer);
