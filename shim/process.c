// SPDX-License-Identifier: LGPL-2.1-or-later
#include "shim/process.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "common/error.h"
#include "common/fds.h"
#include "proto/shim-task.pb-c.h"
#include "shim/agent-link.h"
#include "shim/host-watch.h"
#include "shim/stream-binary.h"
#include "shim/times.h"

/* One request's worth of stream data: large enough that the round trip does not count, far below TTRPC_MAX_BODY. */
#define STREAM_CHUNK (256u * 1024u)
/* See process_expect_end(). */
#define DRAIN_AFTER_KILL_SECONDS 2
/* What a process that is killed may take to close its descriptors. */
#define WRITER_CHECK_MS 100

struct Process {
  gatomicrefcount refs;
  char *container_id;
  char *exec_id;
  char *process_json;
  gboolean terminal;
  char *uris[3];
  Stream *streams[3];
  guint32 host_pid;
  Publisher *publisher;
  ProcessEndedFunc ended;
  gpointer user_data;

  GMutex lock; /* guards what follows */
  GCond stopped;
  ProcessStatus status;
  gboolean was_started;
  gboolean start_claimed;        /* see process_claim_start() */
  gboolean starting, end_untold; /* see process_begin_start() */
  guint32 exit_status;
  gint64 exited_at;
  GPtrArray *waiters; /* TtrpcCall; not owned, answered when the process ends */

  TtrpcClient *agent;
  GThread *watcher;  /* copies stdout, then waits for the end */
  int cancel_output; /* eventfd: stop copying what nobody reads */
  int wake_input;    /* eventfd: stop waiting for input */
  gint input_ended;  /* atomic: the process has ended, so what is still there is for others to read */
  guint host_watch;
  guint drain_timer;
};

static Process *process_alloc(const char *container_id, const char *exec_id, ProcessEndedFunc ended,
                              gpointer user_data) {
  Process *process = g_new0(Process, 1);
  g_atomic_ref_count_init(&process->refs);
  g_mutex_init(&process->lock);
  g_cond_init(&process->stopped);
  process->container_id = g_strdup(container_id);
  process->exec_id = g_strdup(exec_id);
  process->waiters = g_ptr_array_new();
  process->ended = ended;
  process->user_data = user_data;
  process->cancel_output = eventfd(0, EFD_CLOEXEC);
  process->wake_input = eventfd(0, EFD_CLOEXEC);
  return process;
}

/* One program takes both kinds of output. */
static gboolean open_streams(Process *process, const char *namespace_, GError **error) {
  gboolean is_binary = stream_is_binary(process->uris[1]);
  for (int i = 0; i < 3; i++)
    if ((i == 0 || !is_binary) && !stream_open(process->uris[i], i == 0, &process->streams[i], error)) return FALSE;
  return !is_binary || stream_binary_open(process->uris[1], process_get_agent_id(process), namespace_,
                                          &process->streams[1], &process->streams[2], error);
}

Process *process_new(const ProcessOptions *options, ProcessEndedFunc ended, gpointer user_data, GError **error) {
  g_autoptr(Process) process = process_alloc(options->container_id, options->exec_id, ended, user_data);
  const char *uris[3] = {options->stdin_uri, options->stdout_uri, options->stderr_uri};
  process->terminal = options->terminal;
  process->host_pid = options->host_pid;
  process->publisher = options->publisher;
  process->process_json = g_strdup(options->process_json);
  for (int i = 0; i < 3; i++) process->uris[i] = g_strdup(uris[i] != NULL ? uris[i] : "");
  return open_streams(process, options->namespace_, error) ? g_steal_pointer(&process) : NULL;
}

/* Opens what the URI names if it is still what it was. */
static Stream *open_same(const char *uri, gboolean input, const char *identity) {
  Stream *stream = NULL;
  if (!stream_open(uri, input, &stream, NULL) || stream == NULL) return NULL;
  if (strcmp(stream_get_identity(stream), identity) == 0) return stream;
  stream_free(stream);
  return NULL;
}

/* The caller may be gone, but its host process has inherited the descriptor, under whatever number. */
static Stream *find_in_host_process(guint32 host_pid, gboolean input, const char *identity) {
  g_autofree char *path = g_strdup_printf("/proc/%u/fd", host_pid);
  g_autoptr(GDir) descriptors = g_dir_open(path, 0, NULL);
  const char *number;
  while (descriptors != NULL && (number = g_dir_read_name(descriptors)) != NULL) {
    g_autofree char *uri = g_strdup_printf("pidfd://%u/%s", host_pid, number);
    Stream *stream = open_same(uri, input, identity);
    if (stream != NULL) return stream;
  }
  return NULL;
}

static Stream *restore_stream(const Kata__V1__StreamState *state, guint32 host_pid, gboolean input) {
  if (state == NULL || *state->uri == '\0') return NULL;
  Stream *stream = open_same(state->uri, input, state->identity);
  if (stream != NULL || host_pid == 0 || !g_str_has_prefix(state->uri, "pidfd://")) return stream;
  return find_in_host_process(host_pid, input, state->identity);
}

Process *process_restore(const char *container_id, const Kata__V1__ProcessState *state, Publisher *publisher,
                         ProcessEndedFunc ended, gpointer user_data) {
  Process *process = process_alloc(container_id, state->exec_id, ended, user_data);
  const Kata__V1__StreamState *streams[3] = {state->stdin, state->stdout, state->stderr};
  process->terminal = state->terminal;
  process->publisher = publisher;
  process->host_pid = state->host_pid;
  process->process_json = g_strdup(state->process_json);
  for (int i = 0; i < 3; i++) {
    process->uris[i] = g_strdup(streams[i] != NULL ? streams[i]->uri : "");
    if (g_strcmp0(state->status, "stopped") != 0)
      process->streams[i] = restore_stream(streams[i], state->host_pid, i == 0);
  }
  process->was_started = g_strcmp0(state->status, "running") == 0;
  if (process->was_started) process->status = PROCESS_RUNNING;
  if (g_strcmp0(state->status, "stopped") == 0) {
    process->status = PROCESS_STOPPED;
    process->exit_status = state->exit_status;
    process->exited_at = time_from_message(state->exited_at);
  }
  return process;
}

Process *process_ref(Process *process) {
  g_atomic_ref_count_inc(&process->refs);
  return process;
}

void process_unref(Process *process) {
  if (process == NULL || !g_atomic_ref_count_dec(&process->refs)) return;
  /* The watcher holds a reference, so it has ended or was never started. */
  if (process->watcher != NULL) g_thread_unref(process->watcher);
  for (int i = 0; i < 3; i++) {
    g_free(process->uris[i]);
    stream_free(process->streams[i]);
  }
  fd_clear(&process->cancel_output);
  fd_clear(&process->wake_input);
  ttrpc_client_unref(process->agent);
  g_ptr_array_unref(process->waiters);
  g_cond_clear(&process->stopped);
  g_mutex_clear(&process->lock);
  g_free(process->process_json);
  g_free(process->exec_id);
  g_free(process->container_id);
  g_free(process);
}

const char *process_get_exec_id(const Process *process) { return process->exec_id; }
const char *process_get_container_id(const Process *process) { return process->container_id; }
const char *process_get_json(const Process *process) { return process->process_json; }
gboolean process_has_terminal(const Process *process) { return process->terminal; }
const char *process_get_stream_uri(const Process *process, int number) { return process->uris[number]; }
guint32 process_get_host_pid(const Process *process) { return process->host_pid; }

const char *process_get_agent_id(const Process *process) {
  return *process->exec_id != '\0' ? process->exec_id : process->container_id;
}

ProcessStatus process_get_status(Process *process) {
  g_mutex_lock(&process->lock);
  ProcessStatus status = process->status;
  g_mutex_unlock(&process->lock);
  return status;
}

gboolean process_was_started(Process *process) {
  g_mutex_lock(&process->lock);
  gboolean was_started = process->was_started;
  g_mutex_unlock(&process->lock);
  return was_started;
}

guint32 process_get_exit_status(Process *process) {
  g_mutex_lock(&process->lock);
  guint32 status = process->exit_status;
  g_mutex_unlock(&process->lock);
  return status;
}

gint64 process_get_exited_at(Process *process) {
  g_mutex_lock(&process->lock);
  gint64 at = process->exited_at;
  g_mutex_unlock(&process->lock);
  return at;
}

gboolean process_wait_stopped(Process *process, gint64 timeout_ms) {
  gint64 deadline = g_get_monotonic_time() + timeout_ms * G_TIME_SPAN_MILLISECOND;
  g_mutex_lock(&process->lock);
  while (process->status != PROCESS_STOPPED)
    if (!g_cond_wait_until(&process->stopped, &process->lock, deadline)) break;
  gboolean stopped = process->status == PROCESS_STOPPED;
  g_mutex_unlock(&process->lock);
  return stopped;
}

/* ---- the end ---- */

static void answer_waiter(TtrpcCall *call, guint32 status, gint64 exited_at) {
  Google__Protobuf__Timestamp when = time_to_message(exited_at);
  Containerd__Task__V2__WaitResponse reply = CONTAINERD__TASK__V2__WAIT_RESPONSE__INIT;
  reply.exit_status = status;
  reply.exited_at = &when;
  ttrpc_call_reply(call, &reply.base);
}

static void signal_event(int fd) {
  guint64 one = 1;
  while (write(fd, &one, sizeof one) < 0 && errno == EINTR) continue;
}

/* State first, then the answers: who has been told finds it so. */
static void tell_end(Process *process) {
  process->ended(process, process->user_data);
  g_mutex_lock(&process->lock);
  g_autoptr(GPtrArray) waiters = g_steal_pointer(&process->waiters);
  process->waiters = g_ptr_array_new();
  g_mutex_unlock(&process->lock);
  for (guint i = 0; i < waiters->len; i++) {
    answer_waiter(waiters->pdata[i], process->exit_status, process->exited_at);
    /* The waiter's reference goes in the main loop, after an on_waiter_gone() that may be under way there. */
    g_idle_add_once((GSourceOnceFunc)process_unref, process);
  }
}

void process_set_ended(Process *process, guint32 status) {
  g_mutex_lock(&process->lock);
  if (process->status == PROCESS_STOPPED) {
    g_mutex_unlock(&process->lock);
    return;
  }
  process->status = PROCESS_STOPPED;
  process->exit_status = status;
  process->exited_at = g_get_real_time();
  gboolean may_tell = !process->starting;
  process->end_untold = !may_tell;
  guint host_watch = process->host_watch, drain_timer = process->drain_timer;
  process->host_watch = process->drain_timer = 0;
  g_cond_broadcast(&process->stopped);
  g_mutex_unlock(&process->lock);

  host_watch_remove(host_watch);
  if (drain_timer != 0) g_source_remove(drain_timer);
  if (may_tell) tell_end(process);
}

gboolean process_claim_start(Process *process) {
  g_mutex_lock(&process->lock);
  gboolean is_first = process->status == PROCESS_CREATED && !process->start_claimed;
  if (is_first) process->start_claimed = TRUE;
  g_mutex_unlock(&process->lock);
  return is_first;
}

void process_begin_start(Process *process) {
  g_mutex_lock(&process->lock);
  process->starting = TRUE;
  g_mutex_unlock(&process->lock);
}

void process_end_start(Process *process) {
  g_mutex_lock(&process->lock);
  gboolean is_untold = process->end_untold;
  process->starting = process->end_untold = FALSE;
  g_mutex_unlock(&process->lock);
  if (is_untold) tell_end(process);
}

static void on_waiter_gone(TtrpcCall *call, gpointer user_data) {
  Process *process = user_data;
  g_mutex_lock(&process->lock);
  gboolean was_waiting = g_ptr_array_remove(process->waiters, call);
  g_mutex_unlock(&process->lock);
  if (!was_waiting) return;
  ttrpc_call_fail(call, TTRPC_CANCELLED, "the caller has gone");
  process_unref(process);
}

void process_add_waiter(Process *process, TtrpcCall *call) {
  g_mutex_lock(&process->lock);
  gboolean ended = process->status == PROCESS_STOPPED;
  if (!ended) {
    g_ptr_array_add(process->waiters, call);
    ttrpc_call_set_gone_func(call, on_waiter_gone, process_ref(process));
  }
  g_mutex_unlock(&process->lock);
  if (ended) answer_waiter(call, process->exit_status, process->exited_at);
}

/* ---- streams ---- */

/* The reader has gone, or a file cannot take more: its own write would have failed on the host. FALSE: the agent cannot
 * close its end, so the process is told by a signal, and what it writes is thrown away. */
static gboolean close_output(Process *process, AgentOutput output) {
  const char *id = process_get_agent_id(process);
  if (agent_close_output(process->agent, output, process->container_id, id, NULL)) return TRUE;
  agent_signal(process->agent, process->container_id, id, SIGPIPE, NULL);
  return FALSE;
}

static void copy_output(Process *process, AgentOutput output, Stream *stream) {
  gboolean readable = stream != NULL;
  for (;;) {
    g_autoptr(GBytes) data = NULL;
    g_autoptr(GError) error = NULL;
    if (!agent_read(process->agent, output, process->container_id, process_get_agent_id(process), STREAM_CHUNK, &data,
                    &error)) {
      g_debug("container '%s': output ends: %s", process->container_id, error->message);
      return;
    }
    gsize size = 0;
    const void *bytes = g_bytes_get_data(data, &size);
    if (size == 0) return;
    /* Once nobody reads, the process is still kept from filling its pipe. */
    if (!readable || (readable = stream_write(stream, process->cancel_output, bytes, size))) continue;
    if (errno == ECANCELED) continue;
    if (errno != EPIPE)
      g_warning("container '%s': cannot write its output: %s", process->container_id, g_strerror(errno));
    if (close_output(process, output)) return;
  }
}

static gpointer copy_stderr_thread(gpointer user_data) {
  Process *process = user_data;
  copy_output(process, AGENT_STDERR, process->streams[2]);
  return NULL;
}

static void send_rest_of_input(Process *process, char *buffer) {
  gssize got;
  while ((got = stream_read_ready(process->streams[0], buffer, STREAM_CHUNK)) > 0)
    if (!agent_write_stdin(process->agent, process->container_id, process_get_agent_id(process), buffer, (gsize)got,
                           NULL))
      return;
}

/* Whoever has written is gone: with him the input ends, unless it was a containerd that dies and will be back. Its
 * descriptors are closed one after the other, so what is heard of it at first may be its last. */
static gboolean writer_will_be_back(Process *process) {
  if (process->publisher == NULL || g_atomic_int_get(&process->input_ended)) return FALSE;
  struct pollfd woken = {.fd = process->wake_input, .events = POLLIN};
  if (poll(&woken, 1, WRITER_CHECK_MS) != 0) return FALSE;
  return !publisher_is_heard(process->publisher) && stream_hold_open(process->streams[0]);
}

static gpointer copy_stdin_thread(gpointer user_data) {
  Process *process = user_data;
  const char *id = process_get_agent_id(process);
  Stream *stream = process->streams[0];
  g_autofree char *buffer = g_malloc(STREAM_CHUNK);
  gssize got;
  while (stream != NULL && ((got = stream_read(stream, process->wake_input, buffer, STREAM_CHUNK)) > 0 ||
                            (got == 0 && writer_will_be_back(process)))) {
    if (got == 0) continue;
    g_autoptr(GError) error = NULL;
    if (agent_write_stdin(process->agent, process->container_id, id, buffer, (gsize)got, &error)) continue;
    g_debug("container '%s': input ends: %s", process->container_id, error->message);
    return NULL;
  }
  if (g_atomic_int_get(&process->input_ended)) return NULL;
  if (stream != NULL) send_rest_of_input(process, buffer);
  /* On a terminal, end of file is a character; closing would take the output away too (agent protocol, CloseStdin). */
  if (!process->terminal) agent_close_stdin(process->agent, process->container_id, id, NULL);
  return NULL;
}

static gpointer watcher_thread(gpointer user_data) {
  Process *process = user_data;
  GThread *input = g_thread_new("stdin", copy_stdin_thread, process);
  GThread *errors = process->terminal ? NULL : g_thread_new("stderr", copy_stderr_thread, process);
  copy_output(process, AGENT_STDOUT, process->streams[1]);
  if (errors != NULL) g_thread_join(errors);

  guint32 status = PROCESS_STATUS_UNKNOWN;
  g_autoptr(GError) error = NULL;
  if (!agent_wait(process->agent, process->container_id, process_get_agent_id(process), &status, &error))
    g_warning("container '%s': no exit status of process '%s': %s", process->container_id,
              process_get_agent_id(process), error->message);
  /* Readers must find the end of the stream as soon as they know of the end of the process. */
  g_atomic_int_set(&process->input_ended, TRUE);
  signal_event(process->wake_input);
  g_thread_join(input);
  for (int i = 0; i < 3; i++) g_clear_pointer(&process->streams[i], stream_free);
  process_set_ended(process, status);
  process_unref(process);
  return NULL;
}

/* ---- the host's side ---- */

static gpointer kill_thread(gpointer user_data) {
  Process *process = user_data;
  g_autoptr(GError) error = NULL;
  /* An exec dies alone, with init goes all that is in the container. */
  if (!agent_signal(process->agent, process->container_id, process->exec_id, SIGKILL, &error))
    g_debug("container '%s': %s", process->container_id, error->message);
  process_unref(process);
  return NULL;
}

static void on_host_process_ended(gpointer user_data) {
  Process *process = user_data;
  g_mutex_lock(&process->lock);
  gboolean first = process->host_watch != 0;
  process->host_watch = 0;
  g_mutex_unlock(&process->lock);
  if (first && process_get_status(process) != PROCESS_STOPPED) {
    g_message("container '%s': its host process %u has ended, so it is killed", process->container_id,
              process->host_pid);
    process_expect_end(process);
    g_thread_unref(g_thread_new("kill", kill_thread, process_ref(process)));
  }
}

static void watch_host_process(Process *process) {
  if (process->host_pid == 0) return;
  g_mutex_lock(&process->lock);
  process->host_watch = host_watch_add((pid_t)process->host_pid, on_host_process_ended, process_ref(process),
                                       (GDestroyNotify)process_unref);
  g_mutex_unlock(&process->lock);
}

void process_attach(Process *process, TtrpcClient *agent) {
  if (process_get_status(process) == PROCESS_STOPPED) return;
  process->agent = ttrpc_client_ref(agent);
  watch_host_process(process);
  process->watcher = g_thread_new("process", watcher_thread, process_ref(process));
}

void process_set_running(Process *process) {
  g_mutex_lock(&process->lock);
  if (process->status == PROCESS_CREATED) process->status = PROCESS_RUNNING;
  process->was_started = TRUE;
  g_mutex_unlock(&process->lock);
}

static gboolean on_drain_timeout(gpointer user_data) {
  Process *process = user_data;
  g_mutex_lock(&process->lock);
  process->drain_timer = 0;
  g_mutex_unlock(&process->lock);
  signal_event(process->cancel_output);
  return G_SOURCE_REMOVE;
}

void process_expect_end(Process *process) {
  g_mutex_lock(&process->lock);
  if (process->drain_timer == 0 && process->status != PROCESS_STOPPED)
    process->drain_timer = g_timeout_add_seconds_full(G_PRIORITY_DEFAULT, DRAIN_AFTER_KILL_SECONDS, on_drain_timeout,
                                                      process_ref(process), (GDestroyNotify)process_unref);
  g_mutex_unlock(&process->lock);
}

void process_close_stdin(Process *process) { signal_event(process->wake_input); }

void process_finish(Process *process) {
  signal_event(process->cancel_output);
  if (process->watcher != NULL) g_thread_join(g_steal_pointer(&process->watcher));
}

/* ---- state ---- */

static Kata__V1__StreamState *stream_to_state(const char *uri, const Stream *stream) {
  Kata__V1__StreamState *state = calloc(1, sizeof *state);
  kata__v1__stream_state__init(state);
  state->uri = strdup(uri);
  if (stream != NULL) state->identity = strdup(stream_get_identity(stream));
  return state;
}

Kata__V1__ProcessState *process_to_state(Process *process) {
  static const char *const words[] = {"created", "running", "stopped"};
  Kata__V1__ProcessState *state = calloc(1, sizeof *state);
  kata__v1__process_state__init(state);
  g_mutex_lock(&process->lock);
  state->exec_id = strdup(process->exec_id);
  state->status = strdup(words[process->status]);
  state->host_pid = process->host_pid;
  state->terminal = process->terminal;
  state->stdin = stream_to_state(process->uris[0], process->streams[0]);
  state->stdout = stream_to_state(process->uris[1], process->streams[1]);
  state->stderr = stream_to_state(process->uris[2], process->streams[2]);
  state->exit_status = process->exit_status;
  if (process->status == PROCESS_STOPPED) state->exited_at = time_new_message(process->exited_at);
  state->process_json = strdup(process->process_json != NULL ? process->process_json : "");
  g_mutex_unlock(&process->lock);
  return state;
}
