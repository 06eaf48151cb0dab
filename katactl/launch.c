// SPDX-License-Identifier: LGPL-2.1-or-later
#include "launch.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "activation.h"
#include "attend.h"
#include "common/error.h"
#include "common/fds.h"
#include "common/ids.h"
#include "common/oci.h"
#include "guest-settings.h"
#include "monitor.h"
#include "netns.h"
#include "pid-file.h"
#include "pod.h"
#include "streams.h"
#include "subject.h"
#include "view.h"

#define STATUS_FAILED 1
/* Of sandboxes for one container: each of the others still has containers. */
#define NAMES_MAX 9

typedef struct {
  App *app;
  const LaunchOptions *options;
  char *bundle;            /* absolute */
  char *joined;            /* the sandbox it joins; NULL: one of its own */
  kata_settings *settings; /* of its own sandbox; NULL: those of the file */
  View *view;
  Streams streams;
  Monitor monitor;
  int caller_netns;  /* where the working thread belongs, if the main one stands for the container; or -1 */
  Subject subject;   /* its container is set by the working thread, then is_created */
  gint has_sandbox;  /* atomic: the sandbox of this id is ours to delete */
  gint is_created;   /* atomic */
  char *sandbox_id;  /* of the one it has made; set before has_sandbox */
  gint cancelled_by; /* atomic: the signal that ended the start, or 0 */
  int status;
  GError *error;
} Launch;

static void launch_clear(Launch *launch) {
  monitor_abort(&launch->monitor);
  streams_close(&launch->streams);
  subject_clear(&launch->subject);
  fd_clear(&launch->caller_netns);
  g_clear_pointer(&launch->bundle, g_free);
  g_clear_pointer(&launch->joined, g_free);
  g_clear_pointer(&launch->sandbox_id, g_free);
  g_clear_pointer(&launch->settings, kata_settings_unref);
  g_clear_pointer(&launch->view, view_free);
  g_clear_error(&launch->error);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Launch, launch_clear)

/* Only its own. */
static void delete_sandbox(Launch *launch) {
  if (launch->joined != NULL || launch->sandbox_id == NULL) return;
  g_autoptr(kata_sandbox) sandbox = kata_sandbox_open(launch->app->context, launch->sandbox_id, 0, NULL);
  if (sandbox != NULL) kata_sandbox_delete(sandbox, KATA_SANDBOX_DELETE_FORCE, NULL);
}

static void take_create_error(kata_error *err, GError **error) {
  if (kata_error_get_code(err) == KATA_ERR_ALREADY_EXISTS) {
    kata_error_free(err);
    g_set_error(error, KATA_ERROR, KATA_ERR_ALREADY_EXISTS, "container with given ID already exists");
    return;
  }
  app_take_error(err, error);
}

/* Whether the sandbox of this name is one that others live in, but no more who gave it the name: the first container of
 * a pod, which its engine makes again. */
static gboolean is_left_to_others(App *app, const char *id) {
  g_autoptr(kata_container) own = kata_container_open(app->context, id, 0, NULL);
  char **ids = own == NULL ? kata_container_list(app->context, 0, NULL) : NULL;
  gboolean found = FALSE;
  for (char **other = ids; ids != NULL && *other != NULL && !found; other++) {
    g_autoptr(kata_container) container = kata_container_open(app->context, *other, 0, NULL);
    found = container != NULL && strcmp(kata_container_get_sandbox_id(container), id) == 0;
  }
  kata_strv_free(ids);
  return found;
}

static kata_sandbox *make_sandbox(Launch *launch, const char *name, kata_error **err) {
  kata_sandbox *sandbox =
      kata_sandbox_create(launch->app->context, name, launch->settings, KATA_SANDBOX_CREATE_BOUND, err);
  if (sandbox == NULL) return NULL;
  launch->sandbox_id = g_strdup(name);
  g_atomic_int_set(&launch->has_sandbox, TRUE);
  return sandbox;
}

static kata_sandbox *get_sandbox(Launch *launch, kata_error **err) {
  App *app = launch->app;
  const char *id = launch->options->id;
  if (launch->joined != NULL) return kata_sandbox_open(app->context, launch->joined, 0, err);
  kata_sandbox *sandbox = make_sandbox(launch, id, err);
  for (int number = 2; sandbox == NULL && number <= NAMES_MAX; number++) {
    if (kata_error_get_code(*err) != KATA_ERR_ALREADY_EXISTS || !is_left_to_others(app, id)) break;
    g_autofree char *name = g_strdup_printf("%s.%d", id, number);
    kata_error_free(*err);
    *err = NULL;
    sandbox = make_sandbox(launch, name, err);
  }
  return sandbox;
}

/* container: may be NULL. */
static void take_back(Launch *launch, kata_container *container) {
  if (launch->joined == NULL)
    delete_sandbox(launch);
  else if (container != NULL)
    kata_container_delete(container, KATA_CONTAINER_DELETE_FORCE | KATA_CONTAINER_DELETE_SANDBOX, NULL, NULL);
}

static gboolean create_container(Launch *launch, GError **error) {
  const char *id = launch->options->id;
  kata_error *err = NULL;
  g_autoptr(kata_sandbox) sandbox = get_sandbox(launch, &err);
  if (sandbox == NULL) {
    take_create_error(err, error);
    return FALSE;
  }
  g_autoptr(kata_container) container = NULL;
  if (g_atomic_int_get(&launch->cancelled_by) == 0) {
    /* Nobody else would remove what a foreground run is killed over. */
    guint32 flags = launch->options->detach || launch->options->keep ? 0 : KATA_CONTAINER_CREATE_BOUND;
    const char *checkpoint = launch->options->checkpoint;
    container = checkpoint != NULL
                    ? kata_container_restore(sandbox, id, launch->bundle, checkpoint, &launch->streams.io, flags, &err)
                    : kata_container_create(sandbox, id, launch->bundle, &launch->streams.io, flags, &err);
  }
  if (container == NULL || g_atomic_int_get(&launch->cancelled_by) != 0) {
    take_back(launch, container);
    take_create_error(err, error);
    return FALSE;
  }
  launch->subject.container = g_steal_pointer(&container);
  g_atomic_int_set(&launch->is_created, TRUE);
  return TRUE;
}

static gboolean start_container(Launch *launch, GError **error) {
  kata_error *err = NULL;
  if (!launch->options->start || kata_container_start(launch->subject.container, 0, &err) == 0) return TRUE;
  app_take_error(err, error);
  return FALSE;
}

/* Tells the caller who stands for the container. */
static gboolean publish(Launch *launch, GError **error) {
  const LaunchOptions *options = launch->options;
  pid_t pid = launch->streams.io.host_pid;
  if (options->pidfd_socket != NULL && !pid_file_send_pidfd(options->pidfd_socket, pid, error)) return FALSE;
  if (options->pid_file != NULL && !pid_file_write(options->pid_file, pid, error)) return FALSE;
  if (launch->monitor.pid != 0 && !monitor_release(&launch->monitor, error)) return FALSE;
  if (options->start) activation_notify_ready(pid);
  return TRUE;
}

static gboolean delete_container(Launch *launch, GError **error) {
  kata_error *err = NULL;
  guint32 flags = KATA_CONTAINER_DELETE_FORCE | KATA_CONTAINER_DELETE_SANDBOX;
  if (kata_container_delete(launch->subject.container, flags, NULL, &err) == 0) return TRUE;
  app_take_error(err, error);
  return FALSE;
}

static gboolean create_and_start(Launch *launch, GError **error) {
  if (!create_container(launch, error)) return FALSE;
  subject_resize(&launch->subject, launch->streams.terminal_fd);
  if (start_container(launch, error) && publish(launch, error)) return TRUE;
  if (!delete_container(launch, NULL)) delete_sandbox(launch);
  return FALSE;
}

static void work(gpointer data) {
  Launch *launch = data;
  netns_leave(&launch->caller_netns);
  if (!create_and_start(launch, &launch->error)) {
    launch->status = STATUS_FAILED;
    return;
  }
  if (launch->options->detach) return;
  launch->status = subject_wait(&launch->subject, &launch->error);
  g_autoptr(GError) delete_error = NULL;
  if (!launch->options->keep && !delete_container(launch, &delete_error)) {
    delete_sandbox(launch);
    g_warning("cannot delete container '%s': %s", launch->options->id, delete_error->message);
  }
}

static gboolean is_terminating(int number) {
  return number == SIGINT || number == SIGTERM || number == SIGHUP || number == SIGQUIT;
}

/* While the guest starts, a terminating signal gives up; afterwards all are the container's, if katactl stays. */
static void on_signal(int number, gpointer data) {
  Launch *launch = data;
  if (!g_atomic_int_get(&launch->is_created)) {
    if (!is_terminating(number)) return;
    g_atomic_int_set(&launch->cancelled_by, number);
    if (g_atomic_int_get(&launch->has_sandbox)) delete_sandbox(launch);
  } else if (number == SIGWINCH && launch->streams.terminal_fd >= 0) {
    subject_resize(&launch->subject, launch->streams.terminal_fd);
  } else if (!launch->options->detach) {
    subject_kill(&launch->subject, number);
  }
}

/* Also takes down the bundle's absolute path. */
static OciSpec *read_bundle(Launch *launch, GError **error) {
  const char *given = launch->options->bundle != NULL ? launch->options->bundle : ".";
  g_autofree char *bundle = g_canonicalize_filename(given, NULL);
  g_autoptr(OciSpec) spec = oci_spec_load(bundle, error);
  if (spec == NULL) return NULL;
  if (launch->options->detach && (launch->view = view_new(spec, bundle, error)) == NULL) return NULL;
  launch->bundle = g_steal_pointer(&bundle);
  return g_steal_pointer(&spec);
}

/* The monitor stands for the container, in its network namespace. */
static gboolean start_monitor(Launch *launch, const OciSpec *spec, GError **error) {
  autofd int before = -1;
  if (!netns_enter(spec, &before, error)) return FALSE;
  gboolean is_started = monitor_start(&launch->monitor, launch->app->context, launch->options->id, NULL,
                                      launch->streams.slave, launch->view, error);
  netns_leave(&before);
  return is_started;
}

/* What must be ready before there are threads. */
static gboolean prepare(Launch *launch, GError **error) {
  const LaunchOptions *options = launch->options;
  if (!id_check(options->id, "container", error) || !activation_check_descriptors(options->preserve_fds, error))
    return FALSE;
  g_autoptr(OciSpec) spec = read_bundle(launch, error);
  if (spec == NULL) return FALSE;
  g_autoptr(GError) problem = NULL;
  launch->joined = pod_find_sandbox(launch->app, spec, &problem);
  if (problem == NULL && launch->joined == NULL)
    launch->settings = guest_settings_load(launch->app, spec, launch->bundle, &problem);
  if (problem != NULL) {
    g_propagate_error(error, g_steal_pointer(&problem));
    return FALSE;
  }
  gboolean terminal = spec->process != NULL && spec->process->terminal;
  if (!streams_check_console(options->detach, terminal, options->console_socket, error)) return FALSE;
  attend_prepare_signals();
  if (!options->detach) {
    launch->streams.io.host_pid = getpid();
    return streams_open_foreground(&launch->streams, terminal, error) &&
           netns_enter(spec, &launch->caller_netns, error);
  }
  if (!streams_open_detached(&launch->streams, terminal, options->console_socket, error) ||
      !start_monitor(launch, spec, error)) {
    return FALSE;
  }
  g_clear_pointer(&launch->view, view_free);
  launch->streams.io.host_pid = launch->monitor.pid;
  return TRUE;
}

int launch_container(App *app, const LaunchOptions *options, GError **error) {
  g_auto(Launch)
      launch = {.app = app, .options = options, .streams = STREAMS_INIT, .monitor = MONITOR_INIT, .caller_netns = -1};
  if (!prepare(&launch, error)) return STATUS_FAILED;
  Attended attended = {
      .work = work,
      .on_signal = on_signal,
      .data = &launch,
      .relay_from = launch.streams.relay_write >= 0 ? STDIN_FILENO : -1,
      .relay_to = launch.streams.relay_write,
  };
  launch.streams.relay_write = -1;
  if (!attend_run(&attended, error)) return STATUS_FAILED;
  int cancelled_by = g_atomic_int_get(&launch.cancelled_by);
  if (cancelled_by != 0) {
    g_set_error(error, KATA_ERROR, KATA_ERR_CANCELLED, "given up on signal %d while the guest started", cancelled_by);
    return 128 + cancelled_by;
  }
  if (launch.error != NULL) g_propagate_error(error, g_steal_pointer(&launch.error));
  return launch.status;
}
