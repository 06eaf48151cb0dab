/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Processes: what is started in a running container beside its first process. */
#ifndef KATA_PROCESS_H
#define KATA_PROCESS_H

#include <kata/error.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

struct kata_container;

/**
 * kata_process_io: where a process's streams lead. Fill with KATA_PROCESS_IO_INIT.
 *
 * With a terminal, stdin_fd and stdout_fd are the host's side of it (the same descriptor may serve
 * for both) and stderr_fd is not used; the guest has the line discipline, so a host terminal is best
 * made raw. The struct grows at its end only; size tells how much of it the caller knows. Since: 0.1
 */
typedef struct kata_process_io {
  size_t size;   /* sizeof(kata_process_io) */
  int stdin_fd;  /* read from; -1: end of file at once */
  int stdout_fd; /* written to; -1: thrown away */
  int stderr_fd; /* written to; -1: thrown away */
  int terminal;  /* not 0: config.json or the process object asks for a terminal */
  /* A process of the caller that stands for this one on the host: its pid is what the state shows,
   * and when it dies first, this process is killed. 0: none. */
  pid_t host_pid;
  int reserved; /* 0; keeps the struct free of padding */
} kata_process_io;

/** KATA_PROCESS_IO_INIT: no streams. Since: 0.1 */
#define KATA_PROCESS_IO_INIT \
  { sizeof(kata_process_io), -1, -1, -1, 0, 0, 0 }

/** kata_process: a handle to one process in a container. Thread rule: as kata_container. Since: 0.1 */
typedef struct kata_process kata_process;

/**
 * kata_container_exec: registers a process in a container; kata_process_start() runs it.
 * @exec_id: as a container id, unique in the container; NULL: one is made up.
 * @process_json: an OCI process object: args and cwd are needed.
 * @io: its streams, or NULL for none; descriptors as for kata_container_create().
 * @flags: 0.
 * Returns: a handle to be released with kata_process_unref(), or NULL.
 * Errors: KATA_ERR_INVALID_ARGUMENT naming the part of the object, KATA_ERR_INVALID_STATE when the
 * container is paused or has ended, KATA_ERR_ALREADY_EXISTS. Since: 0.1
 */
kata_process *kata_container_exec(struct kata_container *container, const char *exec_id, const char *process_json,
                                  const kata_process_io *io, uint32_t flags, kata_error **err);

/**
 * kata_process_open: a handle to a process that kata_container_exec() registered, from any program.
 * @exec_id: the process's.
 * @flags: 0.
 * Returns: a handle to be released with kata_process_unref(), or NULL. Whether the process is still known, the first
 * call on the handle tells. Errors: KATA_ERR_INVALID_ARGUMENT. Since: 0.1
 */
kata_process *kata_process_open(struct kata_container *container, const char *exec_id, uint32_t flags,
                                kata_error **err);

/** kata_process_ref: one more holder. Returns @process. Since: 0.1 */
kata_process *kata_process_ref(kata_process *process);

/** kata_process_unref: one holder less. @process: may be NULL. Since: 0.1 */
void kata_process_unref(kata_process *process);

/** kata_process_get_id: the exec id. Returns: text owned by the handle. Since: 0.1 */
const char *kata_process_get_id(const kata_process *process);

/**
 * kata_process_start: runs it.
 * @flags: 0.
 * Returns: 0 or -1.
 * Errors: KATA_ERR_INVALID_STATE when it has been started before; what the guest said, such as a program that is not
 * there. Since: 0.1
 */
int kata_process_start(kata_process *process, uint32_t flags, kata_error **err);

/**
 * kata_process_kill: sends a signal.
 * @flags: 0; all else as kata_container_kill().
 * Returns: 0 or -1.
 * Errors: KATA_ERR_INVALID_STATE before it was started; KATA_ERR_NOT_FOUND when it has ended. Since: 0.1
 */
int kata_process_kill(kata_process *process, int signal, uint32_t flags, kata_error **err);

/** kata_process_wait: as kata_container_wait(). Since: 0.1 */
int kata_process_wait(kata_process *process, uint32_t timeout_ms, int *ret_status, kata_error **err);

/**
 * kata_process_delete: forgets an ended process. The handle is still to be released.
 * @flags: 0.
 * @ret_status: its exit code; may be NULL.
 * Returns: 0 or -1. Errors: KATA_ERR_INVALID_STATE while it runs, KATA_ERR_NOT_FOUND. Since: 0.1
 */
int kata_process_delete(kata_process *process, uint32_t flags, int *ret_status, kata_error **err);

/** kata_process_resize: sets the size of its terminal. As kata_container_resize(). Since: 0.1 */
int kata_process_resize(kata_process *process, uint32_t columns, uint32_t rows, kata_error **err);

/** kata_process_close_stdin: it reads end of file after what it was sent. Returns: 0 or -1. Since: 0.1 */
int kata_process_close_stdin(kata_process *process, kata_error **err);

#ifdef __cplusplus
}
#endif

#endif
