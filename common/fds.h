/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* File descriptors: closing by scope, whole reads and writes, passing between processes. */
#pragma once

#include <glib.h>
#include <sys/types.h>

/* A local of this type is closed when it goes out of scope: autofd int fd = -1; */
#define autofd __attribute__((cleanup(fd_clear)))

/* Closes *fd if it is not -1, keeps errno, sets it to -1. */
void fd_clear(int *fd);

/* Hands a descriptor over: returns *fd and sets it to -1. */
int fd_steal(int *fd);

/* Reads or writes all of it, through EINTR and short counts; -1 with errno set; a read that ends early gives fewer. */
ssize_t fd_read_all(int fd, void *buffer, size_t size);
gboolean fd_write_all(int fd, const void *buffer, size_t size);

/* Waits for the lock (flock(2)) of a file, which is made if it is not there; -1 with error. The lock is held until the
 * descriptor is closed, at the latest with the process. */
int fd_lock_file(const char *path, GError **error);

gboolean fd_set_nonblocking(int fd, gboolean nonblocking, GError **error);

/* Sends or receives exactly one descriptor over a unix stream socket beside a short text (at least one byte). */
gboolean fd_send(int socket, int fd, const char *text, GError **error);
int fd_receive(int socket, GError **error);
