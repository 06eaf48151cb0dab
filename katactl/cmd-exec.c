// SPDX-License-Identifier: LGPL-2.1-or-later
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "activation.h"
#include "attend.h"
#include "commands.h"
#include "common/error.h"
#include "common/fds.h"
#include "common/safe-path.h"
#include "monitor.h"
#include "netns.h"
#include "pid-file.h"
#include "process-json.h"
#include "state-json.h"
#include "streams.h"
#include "subject.h"

/* What runc ends with when the process did not come to run. */
#define STATUS_FAILED 255
#define PROCESS_FILE_LIMIT (4u << 20)

static const char *console_socket, *pidfd_socket, *pid_file, *process_file;
static gboolean detach, ignore_paused;
static int preserve_fds;
static GPtrArray *env, *gids, *caps, *cgroups;
static ProcessChanges changes;

const Option exec_options[] = {
    {"console-socket", 0, OPTION_TEXT, &console_socket, "PATH", "unix socket that gets the terminal's master"},
    {"pidfd-socket", 0, OPTION_TEXT, &pidfd_socket, "PATH", "unix socket that gets a pidfd of the process"},
    {"cwd", 0, OPTION_TEXT, &changes.cwd, "DIR", "working directory in the container"},
    {"env", 'e', OPTION_TEXTS, &env, "NAME=VALUE", "add to the environment"},
    {"tty", 't', OPTION_FLAG, &changes.terminal, NULL, "give it a terminal"},
    {"user", 'u', OPTION_TEXT, &changes.user, "UID[:GID]", "run as this user"},
    {"additional-gids", 'g', OPTION_TEXTS, &gids, "GID", "add a group"},
    {"process", 'p', OPTION_TEXT, &process_file, "FILE", "an OCI process object, in place of a command"},
    {"detach", 'd', OPTION_FLAG, &detach, NULL, "leave it running and return"},
    {"pid-file", 0, OPTION_TEXT, &pid_file, "FILE", "where to write the process's id on the host"},
    {"process-label", 0, OPTION_TEXT, &changes.process_label, "LABEL", "SELinux label in the guest"},
    {"apparmor", 0, OPTION_TEXT, &changes.apparmor, "PROFILE", "AppArmor profile in the guest"},
    {"no-new-privs", 0, OPTION_FLAG, &changes.no_new_privileges, NULL, "forbid it to gain privileges"},
    {"cap", 'c', OPTION_TEXTS, &caps, "CAP_NAME", "add a capability"},
    {"ignore-paused", 0, OPTION_FLAG, &ignore_paused, NULL, "also in a paused container"},
    {"preserve-fds", 0, OPTION_NUMBER, &preserve_fds, "N", "only 0: descriptors cannot be passed into a guest"},
    {"cgroup", 0, OPTION_TEXTS, &cgroups, "[CONTROLLER:]PATH", "only /, the container's own"},
    {"no-subreaper", 0, OPTION_FLAG, NULL, NULL, "accepted: katactl never is one"},
    OPTIONS_END};

typedef struct {
  App *app;
  kata_container *container;
  char *exec_id;
  char *process_json;
  Streams streams;
  Monitor monitor;
  Subject subject;
  gint is_started; /* atomic */
  int status;
  GError *error;
} Exec;

static void exec_clear(Exec *exec) {
  monitor_abort(&exec->monitor);
  streams_close(&exec->streams);
  subject_clear(&exec->subject);
  g_clear_pointer(&exec->container, kata_container_unref);
  g_clear_pointer(&exec->exec_id, g_free);
  g_clear_pointer(&exec->process_json, g_free);
  g_clear_error(&exec->error);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Exec, exec_clear)

/* What is started in a frozen container waits until that is thawed; so does katactl before it starts it. */
static gboolean wait_resumed(kata_container *container, GError **error) {
  uint64_t position = 0;
  int status;
  while ((status = app_get_status(container, error)) == KATA_CONTAINER_PAUSED) {
    kata_error *err = NULL;
    autokatafree char *event = kata_container_next_event(container, &position, 0, 0, &err);
    if (event != NULL) continue;
    app_take_error(err, error);
    return FALSE;
  }
  if (status != KATA_CONTAINER_STOPPED) return status >= 0;
  g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_STATE, "cannot exec in a stopped container");
  return FALSE;
}

static gboolean check_state(kata_container *container, GError **error) {
  int status = app_get_status(container, error);
  if (status < 0) return FALSE;
  if (status == KATA_CONTAINER_STOPPED) {
    g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_STATE, "cannot exec in a stopped container");
    return FALSE;
  }
  if (status != KATA_CONTAINER_PAUSED) return TRUE;
  if (ignore_paused) return wait_resumed(container, error);
  g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_STATE,
              "cannot exec in a paused container (use --ignore-paused to override)");
  return FALSE;
}

/* runc's: below the container's cgroup. The agent protocol has no word for another one than that. */
static gboolean check_cgroups(GError **error) {
  for (guint i = 0; cgroups != NULL && i < cgroups->len; i++) {
    const char *given = g_ptr_array_index(cgroups, i), *colon = strchr(given, ':');
    const char *path = colon != NULL ? colon + 1 : given;
    if (*path != '\0' && strspn(path, "/.") == strlen(path) && strstr(path, "..") == NULL) continue;
    g_set_error(error, KATA_ERROR, KATA_ERR_UNSUPPORTED,
                "cannot run the process in cgroup '%s': in a guest it runs in the container's own; leave --cgroup out",
                given);
    return FALSE;
  }
  return TRUE;
}

static char *build_process(Exec *exec, char **command, gboolean *ret_terminal, GError **error) {
  if (process_file != NULL) {
    g_autofree char *text = safe_read_file(process_file, PROCESS_FILE_LIMIT, NULL, error);
    if (text == NULL || !process_json_get_terminal(text, process_file, ret_terminal, error)) return NULL;
    return g_steal_pointer(&text);
  }
  kata_error *err = NULL;
  autokatafree char *template = kata_container_get_process_template(exec->container, 0, &err);
  if (template == NULL) {
    app_take_error(err, error);
    return NULL;
  }
  changes.args = (const char *const *)command;
  changes.env = env;
  changes.gids = gids;
  changes.caps = caps;
  *ret_terminal = changes.terminal;
  return process_json_change(template, &changes, error);
}

static gboolean start_process(Exec *exec, GError **error) {
  kata_error *err = NULL;
  g_autoptr(kata_process) process =
      kata_container_exec(exec->container, exec->exec_id, exec->process_json, &exec->streams.io, 0, &err);
  if (process == NULL) {
    app_take_error(err, error);
    return FALSE;
  }
  if (kata_process_start(process, 0, &err) < 0) {
    app_take_error(err, error);
    kata_process_delete(process, 0, NULL, NULL);
    return FALSE;
  }
  exec->subject.process = g_steal_pointer(&process);
  g_atomic_int_set(&exec->is_started, TRUE);
  subject_resize(&exec->subject, exec->streams.terminal_fd);
  return TRUE;
}

static gboolean publish(Exec *exec, GError **error) {
  pid_t pid = exec->streams.io.host_pid;
  if ((pidfd_socket == NULL || pid_file_send_pidfd(pidfd_socket, pid, error)) &&
      (pid_file == NULL || pid_file_write(pid_file, pid, error)) &&
      (exec->monitor.pid == 0 || monitor_release(&exec->monitor, error))) {
    return TRUE;
  }
  subject_kill(&exec->subject, SIGKILL);
  return FALSE;
}

static void work(gpointer data) {
  Exec *exec = data;
  exec->status = STATUS_FAILED;
  if (!start_process(exec, &exec->error) || !publish(exec, &exec->error)) return;
  exec->status = detach ? 0 : subject_wait(&exec->subject, &exec->error);
}

static void on_signal(int number, gpointer data) {
  Exec *exec = data;
  if (!g_atomic_int_get(&exec->is_started)) {
    if (number != SIGINT && number != SIGTERM && number != SIGHUP && number != SIGQUIT) return;
    /* The owner sees the process that stands for it go, and kills what it may have started. */
    exec_clear(exec);
    _exit(128 + number);
  } else if (number == SIGWINCH && exec->streams.terminal_fd >= 0) {
    subject_resize(&exec->subject, exec->streams.terminal_fd);
  } else if (!detach) {
    subject_kill(&exec->subject, number);
  }
}

/* 0: there is none. */
static pid_t get_host_pid(kata_container *container) {
  autokatafree char *document = kata_container_get_state(container, 0, NULL);
  g_autoptr(json_object) state = document != NULL ? json_tokener_parse(document) : NULL;
  json_object *pid = NULL;
  return json_object_object_get_ex(state, "pid", &pid) ? (pid_t)json_object_get_int(pid) : 0;
}

static gboolean open_streams(Exec *exec, gboolean terminal, GError **error) {
  if (!streams_check_console(detach, terminal, console_socket, error)) return FALSE;
  attend_prepare_signals();
  if (!detach) {
    exec->streams.io.host_pid = getpid();
    return streams_open_foreground(&exec->streams, terminal, error);
  }
  if (!streams_open_detached(&exec->streams, terminal, console_socket, error)) return FALSE;
  /* The monitor is where the container's own is. */
  autofd int before = -1;
  netns_enter_of(get_host_pid(exec->container), &before);
  gboolean is_started = monitor_start(&exec->monitor, exec->app->context, kata_container_get_id(exec->container),
                                      exec->exec_id, exec->streams.slave, NULL, error);
  netns_leave(&before);
  if (!is_started) return FALSE;
  exec->streams.io.host_pid = exec->monitor.pid;
  return TRUE;
}

static int run_exec(Exec *exec, char **operands, GError **error) {
  gboolean terminal = FALSE;
  if (!check_cgroups(error)) return STATUS_FAILED;
  exec->container = app_open_container(exec->app, operands[0], error);
  if (exec->container == NULL || !activation_check_descriptors(preserve_fds, error) ||
      !check_state(exec->container, error))
    return STATUS_FAILED;
  exec->exec_id = g_uuid_string_random();
  exec->process_json = build_process(exec, operands + 1, &terminal, error);
  if (exec->process_json == NULL || !open_streams(exec, terminal, error)) return STATUS_FAILED;
  exec->subject.container = kata_container_ref(exec->container);
  Attended attended = {
      .work = work,
      .on_signal = on_signal,
      .data = exec,
      .relay_from = exec->streams.relay_write >= 0 ? STDIN_FILENO : -1,
      .relay_to = exec->streams.relay_write,
  };
  exec->streams.relay_write = -1;
  if (!attend_run(&attended, error)) return STATUS_FAILED;
  if (exec->error != NULL) g_propagate_error(error, g_steal_pointer(&exec->error));
  return exec->status;
}

int cmd_exec(App *app, char **operands, GError **error) {
  g_auto(Exec) exec = {.app = app, .streams = STREAMS_INIT, .monitor = MONITOR_INIT};
  int status = run_exec(&exec, operands, error);
  if (*error != NULL) g_prefix_error(error, "exec failed: ");
  return status;
}
