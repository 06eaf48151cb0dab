/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Runs of crun for a container, and the processes they make. */
#include <signal.h>
#include <string.h>

#include "agent/attributes.h"
#include "agent/container-private.h"
#include "agent/device-spec.h"
#include "agent/spec.h"
#include "agent/user.h"
#include "common/error.h"
#include "common/fds.h"
#include "common/ids.h"
#include "common/safe-path.h"

ContainerRun *container_run_new(Container *container, ContainerRunFunc done, ContainerFunc func, gpointer user_data) {
  ContainerRun *run = g_new0(ContainerRun, 1);
  run->container = container;
  run->done = done;
  run->func = func;
  run->user_data = user_data;
  return run;
}

static void run_ended(const GError *error, pid_t pid, gpointer user_data) {
  ContainerRun *run = user_data;
  Container *container = run->container;
  run->done(run, error, pid);
  crun_console_free(run->console);
  g_clear_pointer(&run->description, oci_process_free);
  g_strfreev(run->device_weights);
  g_free(run);
  container->runs--;
  container_continue_pause(container);
  container_continue_removal(container);
}

void container_run_start(ContainerRun *run, const CrunRequest *request) {
  g_autoptr(GError) error = NULL;
  run->container->runs++;
  if (!crun_start(run->container->sandbox->reaper, request, run_ended, run, &error)) run_ended(error, 0, run);
}

void container_run_start_process(ContainerRun *run, GPtrArray *arguments, const char *document_option,
                                 const char *document) {
  g_autoptr(GError) error = NULL;
  int child[3] = {-1, -1, -1};
  gboolean opened = FALSE;
  if (run->process->has_terminal) {
    run->console = crun_console_new(&error);
    opened = run->console != NULL;
    if (opened) g_ptr_array_add(arguments, g_strconcat("--console-socket=", crun_console_get_path(run->console), NULL));
  } else {
    opened = process_open_pipes(run->process, run->container->sandbox->config->container_pipe_size, child, &error);
  }
  if (!opened) {
    run->container->runs++;
    run_ended(error, 0, run);
    return;
  }
  g_ptr_array_add(arguments, NULL);
  CrunRequest request = {
      .arguments = (const char *const *)arguments->pdata,
      .id = run->container->id,
      .stdio = run->process->has_terminal ? NULL : child,
      .document_option = document_option,
      .document = document,
      .wants_pid = TRUE,
  };
  container_run_start(run, &request);
  for (int i = 0; i < 3; i++) fd_clear(&child[i]);
}

/* ---- execs ---- */

static guint count_ended(const Container *container) {
  guint count = 0;
  for (GList *link = container->execs.head; link; link = link->next)
    count += ((const Process *)link->data)->ended ? 1 : 0;
  return count;
}

/* Forgets ended execs, oldest first: those nobody needs any more when there are many, any when there are far too
 * many. */
static void forget_ended_execs(Container *container) {
  guint ended = count_ended(container);
  for (GList *link = container->execs.head, *next = NULL; link && ended > CONTAINER_EXECS_KEPT; link = next) {
    next = link->next;
    Process *process = link->data;
    if (!process->ended || (!process_is_done(process) && ended <= CONTAINER_EXECS_MAX)) continue;
    g_queue_delete_link(&container->execs, link);
    process_free(process);
    ended--;
  }
}

static gboolean check_exec(Container *container, const char *exec_id, const OciProcess *description, GError **error) {
  if (!id_check(exec_id, "exec", error)) return FALSE;
  Process *old = container_find_process(container, exec_id);
  if (old && old->ended && old->waited && old != container->init) {
    g_queue_remove(&container->execs, old);
    process_free(old);
    old = NULL;
  }
  if (old) {
    g_set_error(error, KATA_ERROR, KATA_ERR_ALREADY_EXISTS, "process '%s' exists already in container '%s'", exec_id,
                container->id);
    return FALSE;
  }
  if (!description || description->n_args == 0 || !*description->args[0]) {
    g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT, "args of process '%s' must not be empty", exec_id);
    return FALSE;
  }
  if (!safe_path_check(description->cwd, "working directory", error)) return FALSE;
  gboolean is_pausing = container->state == CONTAINER_PAUSED || !g_queue_is_empty(&container->pausers);
  gboolean is_there = container->state == CONTAINER_CREATED || container->state == CONTAINER_RUNNING;
  if (!is_there || is_pausing || container_is_stopped(container)) {
    g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_STATE, "cannot start process '%s': container '%s' is %s", exec_id,
                container->id, is_pausing ? "paused" : "not running");
    return FALSE;
  }
  if (g_queue_get_length(&container->execs) - count_ended(container) >= CONTAINER_EXECS_MAX) {
    g_set_error(error, KATA_ERROR, KATA_ERR_RESOURCE_EXHAUSTED, "more than %d processes were started in container '%s'",
                CONTAINER_EXECS_MAX, container->id);
    return FALSE;
  }
  return TRUE;
}

static void exec_done(ContainerRun *run, const GError *crun_error, pid_t pid) {
  Process *process = run->process;
  g_autoptr(GError) error = crun_error ? g_error_copy(crun_error) : NULL;
  gboolean opened = !error && (!run->console || process_open_terminal(process, run->console, &error)) &&
                    attributes_apply(run->description, pid, TRUE, &error);
  if (!error && opened) {
    process_set_started(process, pid);
  } else {
    g_prefix_error(&error, "cannot start process '%s' in container '%s': ", process->id, run->container->id);
    g_queue_remove(&run->container->execs, process);
    process_free(process);
    /* It would run on unseen, or not as it should. */
    if (pid > 0) kill(pid, SIGKILL);
  }
  run->func(error, run->user_data);
}

/* Of one exec, while its user is looked up. */
typedef struct {
  Container *container;
  const Grpc__ExecProcessRequest *request;
  OciProcess *own; /* as crun gets it */
  ContainerFunc func;
  gpointer user_data;
} Exec;

static void run_exec(Exec *exec) {
  Container *container = exec->container;
  Process *process = process_new(container->sandbox->reaper, exec->request->exec_id, exec->own->terminal,
                                 container_process_ended, container);
  g_queue_push_tail(&container->execs, process);

  device_spec_apply_to_process(container->devices, exec->own);
  g_autofree char *document = oci_process_to_json(exec->own);
  g_autoptr(GPtrArray) arguments = g_ptr_array_new_with_free_func(g_free);
  g_ptr_array_add(arguments, g_strdup("exec"));
  g_ptr_array_add(arguments, g_strdup("--detach"));
  ContainerRun *run = container_run_new(container, exec_done, exec->func, exec->user_data);
  run->process = process;
  run->description = g_steal_pointer(&exec->own);
  container_run_start_process(run, arguments, "--process", document);
}

/* Much may have happened to the container since. */
static void user_found(const GError *user_error, gpointer user_data) {
  g_autofree Exec *exec = user_data;
  Container *container = exec->container;
  g_autoptr(GError) error = user_error ? g_error_copy(user_error) : NULL;
  if (!error && check_exec(container, exec->request->exec_id, exec->request->process, &error))
    run_exec(exec);
  else
    exec->func(error, exec->user_data);
  oci_process_free(exec->own);
  container->runs--;
  container_continue_pause(container);
  container_continue_removal(container);
}

void container_exec(Container *container, const Grpc__ExecProcessRequest *request, ContainerFunc func,
                    gpointer user_data) {
  g_autoptr(GError) error = NULL;
  forget_ended_execs(container);
  gboolean is_fine = container_check_ports(request->stdin_port, request->stdout_port, request->stderr_port, &error) &&
                     check_exec(container, request->exec_id, request->process, &error);
  OciProcess *own = is_fine ? spec_prepare_process(request->process, &error) : NULL;
  if (!own) {
    func(error, user_data);
    return;
  }
  Exec *exec = g_new(Exec, 1);
  *exec = (Exec){container, request, own, func, user_data};
  /* What the container sees as its root, with what is mounted in it. */
  g_autofree char *root = g_strdup_printf("/proc/%d/root", (int)container->init->pid);
  container->runs++;
  user_start(container->sandbox->reaper, root, request->string_user, own, user_found, exec);
}
