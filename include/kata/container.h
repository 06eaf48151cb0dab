/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Containers: OCI bundles that run in a sandbox. */
#ifndef KATA_CONTAINER_H
#define KATA_CONTAINER_H

#include <kata/context.h>
#include <kata/error.h>
#include <kata/process.h>
#include <kata/sandbox.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * kata_container: a handle to one container; like kata_sandbox it only names it.
 * Thread rule: any thread, several at once; no call blocks another one. Since: 0.1
 */
typedef struct kata_container kata_container;

/** kata_container_status: the OCI runtime specification's states, "State". Values never change. Since: 0.1 */
typedef enum kata_container_status {
  KATA_CONTAINER_CREATED = 1,
  KATA_CONTAINER_RUNNING = 2,
  KATA_CONTAINER_STOPPED = 3,
  KATA_CONTAINER_PAUSED = 4
} kata_container_status;

/**
 * KATA_CONTAINER_CREATE_BOUND: the container is removed by itself when the process io->host_pid ends, whether it runs
 * then or not, and with it the sandbox if it was its last container. Needs io->host_pid. Since: 0.1
 */
#define KATA_CONTAINER_CREATE_BOUND (1u << 0)

/**
 * kata_container_create: makes a container from an OCI bundle; its process waits for
 * kata_container_start(). Starts the sandbox first if it has not been started.
 * @sandbox: where it shall run.
 * @id: as for kata_sandbox_create(), unique below the context's root.
 * @bundle: directory with config.json (OCI runtime specification 1.x).
 * @io: the container's streams, or NULL for none. The descriptors stay the caller's; the owner
 * duplicates them (pidfd_getfd(2)) and closes its own when the container's streams end.
 * @flags: 0 or KATA_CONTAINER_CREATE_BOUND.
 * Returns: a handle to be released with kata_container_unref(), or NULL and nothing of the container is left.
 * Errors: KATA_ERR_INVALID_ARGUMENT naming the part of config.json, KATA_ERR_ALREADY_EXISTS,
 * those of kata_sandbox_start(). Since: 0.1
 */
kata_container *kata_container_create(kata_sandbox *sandbox, const char *id, const char *bundle,
                                      const kata_process_io *io, uint32_t flags, kata_error **err);

/** KATA_CHECKPOINT_LEAVE_RUNNING: the container goes on after it was saved. Since: 0.1 */
#define KATA_CHECKPOINT_LEAVE_RUNNING (1u << 0)

/**
 * kata_container_checkpoint: saves a running or paused container with its whole guest, memory and disks, as files. Its
 * process has ended then (status 137), and it is still to be deleted.
 * @directory: where the files go; made if it is not there. What an earlier checkpoint left there is replaced.
 * @flags: 0 or KATA_CHECKPOINT_LEAVE_RUNNING.
 * Returns: 0 or -1, and the container goes on.
 * Errors: KATA_ERR_UNSUPPORTED with the reason why its state cannot be saved: the guest has a shared directory (setting
 * hypervisor.qemu.shared_fs) or network interfaces, other containers are in it, or an executed process runs;
 * KATA_ERR_INVALID_STATE when it does not run. Since: 0.1
 */
int kata_container_checkpoint(kata_container *container, const char *directory, uint32_t flags, kata_error **err);

/**
 * kata_container_restore: makes a container from a checkpoint, in a sandbox that has not been started and becomes what
 * was saved. It runs as it did when it was saved, and is still to be started with kata_container_start().
 * @sandbox, @id, @io, @flags: as for kata_container_create(); the id may be another one than the saved container's.
 * @bundle: a directory with the container's config.json; its disks get the content they had when they were saved.
 * @directory: where the checkpoint is; it may be restored more than once.
 * Returns: a handle to be released with kata_container_unref(), or NULL and nothing of the container is left.
 * Errors: those of kata_container_create(); KATA_ERR_INVALID_STATE, the sandbox has been started; KATA_ERR_NOT_FOUND,
 * no checkpoint is there; KATA_ERR_INVALID_ARGUMENT, it is damaged; KATA_ERR_UNSUPPORTED, another version of QEMU or
 * libvirt wrote it, or the settings differ. Since: 0.1
 */
kata_container *kata_container_restore(kata_sandbox *sandbox, const char *id, const char *bundle, const char *directory,
                                       const kata_process_io *io, uint32_t flags, kata_error **err);

/**
 * kata_container_open: a handle to a container that exists below the context's root.
 * @id: the container's.
 * @flags: 0.
 * Returns: a handle to be released with kata_container_unref(), or NULL.
 * Errors: KATA_ERR_NOT_FOUND; what a dead sandbox left of it is removed then. Since: 0.1
 */
kata_container *kata_container_open(kata_context *ctx, const char *id, uint32_t flags, kata_error **err);

/** kata_container_ref: one more holder. Returns @container. Since: 0.1 */
kata_container *kata_container_ref(kata_container *container);

/** kata_container_unref: one holder less. @container: may be NULL. Since: 0.1 */
void kata_container_unref(kata_container *container);

/** kata_container_get_id: Returns: text owned by the handle. Since: 0.1 */
const char *kata_container_get_id(const kata_container *container);

/** kata_container_get_sandbox_id: Returns: text owned by the handle. Since: 0.1 */
const char *kata_container_get_sandbox_id(const kata_container *container);

/**
 * kata_container_list: the ids of all containers below the context's root, sorted by their bytes.
 * @flags: 0.
 * Returns: a NULL-terminated array to be released with kata_strv_free(), or NULL. Since: 0.1
 */
char **kata_container_list(kata_context *ctx, uint32_t flags, kata_error **err);

/**
 * kata_container_start: lets the container's process run.
 * @flags: 0.
 * Returns: 0 or -1.
 * Errors: KATA_ERR_INVALID_STATE when it has been started before; what the guest said, such as a program that is not
 * there. Since: 0.1
 */
int kata_container_start(kata_container *container, uint32_t flags, kata_error **err);

/** KATA_KILL_ALL: to every process of the container, not only its first. Since: 0.1 */
#define KATA_KILL_ALL (1u << 0)

/**
 * kata_container_kill: sends a signal. A container's first process does not feel what it does not handle but for
 * SIGKILL, as the first of a pid namespace does not; in a sandbox that containerd made SIGTERM kills it.
 * @signal: its Linux number, signal(7); 0 only asks whether the process is there.
 * @flags: 0 or KATA_KILL_ALL.
 * Returns: 0 or -1.
 * Errors: KATA_ERR_NOT_FOUND when the process has ended. Since: 0.1
 */
int kata_container_kill(kata_container *container, int signal, uint32_t flags, kata_error **err);

/**
 * kata_container_wait: waits until the container's process has ended.
 * @timeout_ms: in milliseconds; 0: no limit.
 * @ret_status: its exit code, 128 plus the signal's number if one killed it, so 137 when its guest died; may be NULL.
 * Returns: 0 or -1. Errors: KATA_ERR_TIMEOUT; KATA_ERR_NOT_FOUND when it was deleted. Since: 0.1
 */
int kata_container_wait(kata_container *container, uint32_t timeout_ms, int *ret_status, kata_error **err);

/** KATA_CONTAINER_DELETE_FORCE: kill it first if it runs. Since: 0.1 */
#define KATA_CONTAINER_DELETE_FORCE (1u << 0)
/** KATA_CONTAINER_DELETE_SANDBOX: also delete the sandbox if this was its last container. Since: 0.1 */
#define KATA_CONTAINER_DELETE_SANDBOX (1u << 1)

/**
 * kata_container_delete: removes a stopped (or only created) container. The handle is still to be released.
 * @flags: of KATA_CONTAINER_DELETE_FORCE and KATA_CONTAINER_DELETE_SANDBOX; with the former a container that
 * is not there is a success.
 * @ret_status: its exit code; may be NULL.
 * Returns: 0 or -1.
 * Errors: KATA_ERR_INVALID_STATE while it runs, unless KATA_CONTAINER_DELETE_FORCE is set; KATA_ERR_NOT_FOUND;
 * KATA_ERR_TIMEOUT when it has not ended 10 s after it was killed (as long as runc waits). Since: 0.1
 */
int kata_container_delete(kata_container *container, uint32_t flags, int *ret_status, kata_error **err);

/** kata_container_get_status: Returns: a kata_container_status, or -1. Errors: KATA_ERR_NOT_FOUND. Since: 0.1 */
int kata_container_get_status(kata_container *container, kata_error **err);

/**
 * kata_container_get_state: the OCI runtime specification's state document, with the members
 * that runc adds: rootfs, created, owner; indented by two blanks, without a newline at its end.
 * @flags: 0.
 * Returns: JSON to be released with kata_free(), or NULL. Since: 0.1
 */
char *kata_container_get_state(kata_container *container, uint32_t flags, kata_error **err);

/**
 * kata_container_get_process_template: config.json's process object, for an exec that differs from it only in part.
 * @flags: 0.
 * Returns: JSON to be released with kata_free(), or NULL. Since: 0.1
 */
char *kata_container_get_process_template(kata_container *container, uint32_t flags, kata_error **err);

/** kata_container_pause: freezes its processes. @flags: 0. Errors: KATA_ERR_INVALID_STATE unless it runs. Since: 0.1 */
int kata_container_pause(kata_container *container, uint32_t flags, kata_error **err);

/** kata_container_resume: lets them go on. @flags: 0. Errors: KATA_ERR_INVALID_STATE unless paused. Since: 0.1 */
int kata_container_resume(kata_container *container, uint32_t flags, kata_error **err);

/**
 * kata_container_update: changes limits.
 * @resources_json: an OCI linux.resources object; limits it does not name stay.
 * @flags: 0.
 * Returns: 0 or -1.
 * Errors: KATA_ERR_INVALID_ARGUMENT naming the member; KATA_ERR_INVALID_STATE when it has ended. Since: 0.1
 */
int kata_container_update(kata_container *container, const char *resources_json, uint32_t flags, kata_error **err);

/**
 * kata_container_get_stats: counters of the container's cgroup in the guest.
 * @flags: 0.
 * Returns: JSON, the agent protocol's StatsContainerResponse, to be released with kata_free(), or NULL.
 * Errors: KATA_ERR_INVALID_STATE when the guest has ended. Since: 0.1
 */
char *kata_container_get_stats(kata_container *container, uint32_t flags, kata_error **err);

/**
 * kata_container_get_processes: the processes of the container as its guest has them.
 * @flags: 0.
 * Returns: JSON, an array of objects with what ps(1) shows: pid and parent_pid (the guest's numbers), container_pid
 * (the container's own), uid, gid, state (one letter, as in ps), command, arguments, terminal, started_at (seconds
 * since 1970), user_ms and system_ms (CPU time), resident_bytes, threads; of the container's first process is_init, of
 * one that kata_container_exec() made exec_id, and of both host_pid (kata_process_io). What is 0, empty or false is
 * left out. To be released with kata_free(). NULL on error. Errors: KATA_ERR_UNSUPPORTED when the guest's agent is not
 * ours; KATA_ERR_INVALID_STATE when the guest has ended. Since: 0.1
 */
char *kata_container_get_processes(kata_container *container, uint32_t flags, kata_error **err);

/**
 * kata_container_next_event: waits for something to happen to the container.
 * @position: where the caller is in the row of events: 0 for the oldest one that is remembered (at least the last 256
 * of the sandbox); moved behind the event that is returned.
 * @timeout_ms: in milliseconds; 0: no limit.
 * @flags: 0.
 * Returns: JSON, an object with type ("start", "exit", "oom": a process was killed for want of memory, "pause",
 * "resume"), time (RFC 3339) and, of "exit", exit_status; to be released with kata_free(). NULL on error.
 * Errors: KATA_ERR_TIMEOUT; KATA_ERR_NOT_FOUND when the container was deleted. Since: 0.1
 */
char *kata_container_next_event(kata_container *container, uint64_t *position, uint32_t timeout_ms, uint32_t flags,
                                kata_error **err);

/**
 * kata_container_resize: sets the size of the container's terminal.
 * @columns, @rows: in characters, up to 65535 (struct winsize).
 * Returns: 0, also when it has no terminal, or -1. Errors: KATA_ERR_INVALID_ARGUMENT. Since: 0.1
 */
int kata_container_resize(kata_container *container, uint32_t columns, uint32_t rows, kata_error **err);

/** kata_container_close_stdin: the container reads end of file after what it was sent. Returns: 0 or -1. Since: 0.1 */
int kata_container_close_stdin(kata_container *container, kata_error **err);

#ifdef __cplusplus
}
#endif

#endif
