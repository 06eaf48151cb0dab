// SPDX-License-Identifier: LGPL-2.1-or-later
/* kata.v1.Owner: the sandbox's machine while it runs: pause, size, what it costs the host, its console. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/error.h"
#include "common/fds.h"
#include "lib/paths.h"
#include "proto/kata-v1.pb-c.h"
#include "shim/resize.h"
#include "shim/service.h"
#include "shim/stream.h"

/* Followers of the console at once; each has a thread. */
#define FOLLOWERS_MAX 16
#define LOOK_EVERY_US 100000
#define CHUNK 16384

static void reply_pause(ServiceJob *job, gboolean done, const GError *error) {
  Kata__V1__PauseSandboxResponse reply = KATA__V1__PAUSE_SANDBOX_RESPONSE__INIT;
  if (done)
    ttrpc_call_reply(job->call, &reply.base);
  else
    ttrpc_call_fail_error(job->call, error);
}

void owner_pause_sandbox(ServiceJob *job) {
  const Kata__V1__PauseSandboxRequest *request = (const void *)job->request;
  g_autoptr(GError) error = NULL;
  gboolean done = sandbox_set_paused(job->owner->sandbox, request->paused, &error);
  reply_pause(job, done, error);
}

void owner_resize_sandbox(ServiceJob *job) {
  const Kata__V1__ResizeSandboxRequest *request = (const void *)job->request;
  g_autoptr(GError) error = NULL;
  VmSize size = {request->vcpus, request->memory_mib};
  if (!resize_to(job->owner->sandbox, &size, &error)) {
    ttrpc_call_fail_error(job->call, error);
    return;
  }
  Kata__V1__ResizeSandboxResponse reply = KATA__V1__RESIZE_SANDBOX_RESPONSE__INIT;
  reply.vcpus = size.vcpus;
  reply.memory_mib = size.memory_mib;
  ttrpc_call_reply(job->call, &reply.base);
}

/* ---- what it costs the host ---- */

/* FALSE: there is no such process. */
static gboolean read_process(pid_t pid, Kata__V1__HostProcess *process) {
  g_autofree char *path = g_strdup_printf("/proc/%d/stat", (int)pid);
  g_autofree char *text = NULL;
  if (pid <= 0 || !g_file_get_contents(path, &text, NULL, NULL)) return FALSE;
  /* The name in parentheses may hold anything: the numbers are counted from its end (proc(5)). */
  const char *rest = strrchr(text, ')');
  unsigned long long user = 0, system = 0;
  long long pages = 0;
  if (rest == NULL || sscanf(rest,
                             ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu %*d %*d %*d %*d %*d %*d %*u %*u"
                             " %lld",
                             &user, &system, &pages) != 3)
    return FALSE;
  guint64 ticks = (guint64)sysconf(_SC_CLK_TCK);
  process->pid = (guint32)pid;
  process->cpu_us = (user + system) * (G_USEC_PER_SEC / ticks);
  process->resident_bytes = (guint64)pages * (guint64)sysconf(_SC_PAGESIZE);
  return TRUE;
}

void owner_sandbox_stats(ServiceJob *job) {
  Sandbox *sandbox = job->owner->sandbox;
  if (sandbox_get_status(sandbox) != SANDBOX_RUNNING) {
    ttrpc_call_fail(job->call, TTRPC_FAILED_PRECONDITION, "sandbox '%s' does not run", sandbox->id);
    return;
  }
  g_mutex_lock(&sandbox->resizing);
  VmSize size = sandbox->size;
  pid_t hypervisor = sandbox->vm != NULL ? vm_get_pid(sandbox->vm) : 0;
  pid_t daemon = sandbox->share != NULL ? share_get_daemon_pid(sandbox->share) : 0;
  g_mutex_unlock(&sandbox->resizing);
  const struct {
    const char *name;
    pid_t pid;
  } ours[] = {{"hypervisor", hypervisor}, {"virtiofsd", daemon}, {"owner", getpid()}};
  Kata__V1__HostProcess entries[G_N_ELEMENTS(ours)], *pointers[G_N_ELEMENTS(ours)];
  Kata__V1__SandboxStatsResponse reply = KATA__V1__SANDBOX_STATS_RESPONSE__INIT;
  for (gsize i = 0; i < G_N_ELEMENTS(ours); i++) {
    Kata__V1__HostProcess *entry = &entries[reply.n_processes];
    kata__v1__host_process__init(entry);
    entry->name = (char *)ours[i].name;
    if (read_process(ours[i].pid, entry)) pointers[reply.n_processes++] = entry;
  }
  reply.processes = pointers;
  reply.vcpus = size.vcpus;
  reply.memory_mib = size.memory_mib;
  reply.containers = sandbox_count_containers(sandbox);
  ttrpc_call_reply(job->call, &reply.base);
}

/* ---- the console ---- */

static gint followers; /* atomic */

/* Copies what has been added. FALSE: nobody reads any more. */
static gboolean copy_news(int log, Stream *to) {
  struct stat st;
  /* The file is emptied when it grows too large. */
  if (fstat(log, &st) == 0 && lseek(log, 0, SEEK_CUR) > st.st_size) lseek(log, 0, SEEK_SET);
  char bytes[CHUNK];
  for (ssize_t got; (got = read(log, bytes, sizeof bytes)) > 0;)
    if (!stream_write(to, -1, bytes, (gsize)got)) return FALSE;
  return !stream_is_broken(to);
}

/* In the worker thread of its own, after the call was answered. */
static void follow(Sandbox *sandbox, int log, Stream *to) {
  for (gboolean ended = FALSE; copy_news(log, to) && !ended; g_usleep(ended ? 0 : LOOK_EVERY_US))
    ended = sandbox_get_status(sandbox) == SANDBOX_STOPPED;
  copy_news(log, to);
}

void owner_console(ServiceJob *job) {
  const Kata__V1__ConsoleRequest *request = (const void *)job->request;
  Sandbox *sandbox = job->owner->sandbox;
  g_autoptr(GError) error = NULL;
  g_autoptr(Stream) to = NULL;
  g_autofree char *path = g_build_filename(sandbox->dir, PATHS_CONSOLE_LOG, NULL);
  autofd int log = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
  if (log < 0) {
    error_set_errno(&error, errno, "sandbox '%s' has no console: it has not been started", sandbox->id);
  } else if (g_atomic_int_add(&followers, 1) >= FOLLOWERS_MAX) {
    g_set_error(&error, KATA_ERROR, KATA_ERR_RESOURCE_EXHAUSTED,
                "sandbox '%s': %d readers follow its console already, and no more may", sandbox->id, FOLLOWERS_MAX);
  } else if (stream_open(request->stream, FALSE, &to, &error) && to != NULL) {
    Kata__V1__ConsoleResponse reply = KATA__V1__CONSOLE_RESPONSE__INIT;
    ttrpc_call_reply(job->call, &reply.base);
    follow(sandbox, log, to);
    g_atomic_int_add(&followers, -1);
    return;
  } else if (error == NULL) {
    g_set_error(&error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT, "no stream was given for the console");
  }
  if (log >= 0) g_atomic_int_add(&followers, -1);
  ttrpc_call_fail_error(job->call, error);
}
