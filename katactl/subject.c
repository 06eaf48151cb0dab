// SPDX-License-Identifier: LGPL-2.1-or-later
#include "subject.h"

#include <json-c/json.h>

#include "console.h"

gboolean subject_open(Subject *subject, kata_context *context, const char *container_id, const char *exec_id,
                      GError **error) {
  kata_error *err = NULL;
  g_autoptr(kata_container) container = kata_container_open(context, container_id, 0, &err);
  g_autoptr(kata_process) process = NULL;
  if (container != NULL && exec_id != NULL) process = kata_process_open(container, exec_id, 0, &err);
  if (container == NULL || (exec_id != NULL && process == NULL)) {
    app_take_error(err, error);
    return FALSE;
  }
  *subject = (Subject){
      .container = g_steal_pointer(&container),
      .process = g_steal_pointer(&process),
  };
  return TRUE;
}

void subject_clear(Subject *subject) {
  g_clear_pointer(&subject->container, kata_container_unref);
  g_clear_pointer(&subject->process, kata_process_unref);
}

/* 0: none. */
static pid_t get_host_pid(kata_container *container) {
  autokatafree char *state = kata_container_get_state(container, 0, NULL);
  json_object *json = state != NULL ? json_tokener_parse(state) : NULL, *pid = NULL;
  int number = json_object_object_get_ex(json, "pid", &pid) ? json_object_get_int(pid) : 0;
  json_object_put(json);
  return number;
}

void subject_remove(kata_context *context, const char *container_id, pid_t host_pid) {
  g_autoptr(kata_container) container = kata_container_open(context, container_id, 0, NULL);
  if (container == NULL || get_host_pid(container) != host_pid) return;
  kata_container_delete(container, KATA_CONTAINER_DELETE_FORCE | KATA_CONTAINER_DELETE_SANDBOX, NULL, NULL);
}

void subject_kill(Subject *subject, int signal) {
  if (subject->process != NULL) {
    kata_process_kill(subject->process, signal, 0, NULL);
  } else {
    kata_container_kill(subject->container, signal, 0, NULL);
  }
}

void subject_resize(Subject *subject, int terminal_fd) {
  guint columns = 0, rows = 0;
  if (!console_get_size(terminal_fd, &columns, &rows)) return;
  if (subject->process != NULL) {
    kata_process_resize(subject->process, columns, rows, NULL);
  } else {
    kata_container_resize(subject->container, columns, rows, NULL);
  }
}

static int wait_for(Subject *subject, int *status, kata_error **err) {
  if (subject->process != NULL) return kata_process_wait(subject->process, 0, status, err);
  return kata_container_wait(subject->container, 0, status, err);
}

int subject_wait(Subject *subject, GError **error) {
  int status = SUBJECT_STATUS_UNKNOWN;
  kata_error *err = NULL;
  if (wait_for(subject, &status, &err) < 0) {
    app_take_error(err, error);
    return SUBJECT_STATUS_UNKNOWN;
  }
  if (subject->process != NULL) kata_process_delete(subject->process, 0, NULL, NULL);
  return status;
}
