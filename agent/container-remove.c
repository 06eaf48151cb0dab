/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The end of a container: kill, let crun clean up, undo our own part, tell who waits. */
#include <string.h>
#include <unistd.h>

#include "agent/cgroup.h"
#include "agent/container-private.h"
#include "common/error.h"
#include "common/safe-path.h"

/* How long a cgroup whose processes were killed may still hold some. */
#define CGROUP_TRIES 500
#define CGROUP_RETRY_MS 10

typedef struct {
  ContainerFunc func;
  gpointer user_data;
  GError *error; /* what func will be told */
  guint timeout;
  Container *container;
} Remover;

static void remover_free(Remover *remover) {
  if (remover->timeout) g_source_remove(remover->timeout);
  g_clear_error(&remover->error);
  g_free(remover);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Remover, remover_free)

static gboolean remover_timed_out(gpointer user_data) {
  g_autoptr(Remover) remover = user_data;
  remover->timeout = 0;
  g_queue_remove(&remover->container->removers, remover);
  g_autoptr(GError) error =
      g_error_new(KATA_ERROR, KATA_ERR_TIMEOUT, "container '%s' is not removed yet: ETIME", remover->container->id);
  remover->func(error, remover->user_data);
  return G_SOURCE_REMOVE;
}

static Remover *add_remover(Container *container, const GError *error, ContainerFunc func, gpointer user_data) {
  Remover *remover = g_new0(Remover, 1);
  remover->container = container;
  remover->func = func;
  remover->user_data = user_data;
  remover->error = error ? g_error_copy(error) : NULL;
  g_queue_push_tail(&container->removers, remover);
  container->state = CONTAINER_REMOVING;
  return remover;
}

void container_remove(Container *container, guint timeout_ms, ContainerFunc func, gpointer user_data) {
  Remover *remover = add_remover(container, NULL, func, user_data);
  if (timeout_ms > 0) remover->timeout = g_timeout_add(timeout_ms, remover_timed_out, remover);
  if (container->preparation) preparation_cancel(container->preparation);
  container_continue_removal(container);
}

void container_undo_create(Container *container, const GError *error, ContainerFunc func, gpointer user_data) {
  add_remover(container, error, func, user_data);
}

static gboolean has_living_process(const Container *container) {
  if (process_is_alive(container->init)) return TRUE;
  for (GList *link = container->execs.head; link; link = link->next)
    if (process_is_alive(link->data)) return TRUE;
  return FALSE;
}

static void delete_done(ContainerRun *run, const GError *error, pid_t pid) {
  run->container->deleted = TRUE;
  if (error) g_warning("crun could not delete container '%s': %s", run->container->id, error->message);
}

/* Returns TRUE if crun knows the container, has hooks to run for it, and is at work. */
static gboolean start_delete(Container *container) {
  g_autofree char *state = g_build_filename(CRUN_STATE_DIR "/crun", container->id, NULL);
  if (container->deleted || !container->has_stop_hooks || access(state, F_OK) < 0) return FALSE;
  const char *const arguments[] = {"delete", "--force", NULL};
  CrunRequest request = {.arguments = arguments, .id = container->id};
  container_run_start(container_run_new(container, delete_done, NULL, NULL), &request);
  return TRUE;
}

static gboolean try_again(gpointer user_data) {
  Container *container = user_data;
  container->cgroup_timer = 0;
  container_continue_removal(container);
  return G_SOURCE_REMOVE;
}

/* Returns TRUE while killed processes that are not ours to wait for are still going away. */
static gboolean wait_for_cgroup(Container *container) {
  if (!container->cgroup_path || !cgroup_kill(container->cgroup_path, NULL) || cgroup_remove(container->cgroup_path))
    return FALSE;
  if (container->cgroup_tries++ >= CGROUP_TRIES) {
    g_warning("cannot remove the cgroup '%s' of container '%s'", container->cgroup_path, container->id);
    return FALSE;
  }
  container->cgroup_timer = g_timeout_add(CGROUP_RETRY_MS, try_again, container);
  return TRUE;
}

/* Nothing of it is left: tells who waits. */
static void finish(gpointer user_data) {
  Container *container = user_data;
  GQueue removers = container->removers;
  g_queue_init(&container->removers);
  /* Its pid namespace is gone, or never was: the next container is the first. */
  if (g_strcmp0(container->sandbox->pid_namespace_owner, container->id) == 0)
    g_clear_pointer(&container->sandbox->pid_namespace_owner, g_free);
  g_hash_table_remove(container->sandbox->containers, container->id);
  while (!g_queue_is_empty(&removers)) {
    g_autoptr(Remover) remover = g_queue_pop_head(&removers);
    remover->func(remover->error, remover->user_data);
  }
}

void container_continue_removal(Container *container) {
  if (container->state != CONTAINER_REMOVING || container->runs > 0 || container->cgroup_timer) return;
  if (has_living_process(container)) {
    g_autoptr(GError) error = NULL;
    if (!container_kill_all(container, &error)) g_warning("%s", error->message);
    return;
  }
  oom_monitor_remove(container->sandbox->oom, container->id);
  if (start_delete(container) || wait_for_cgroup(container)) return;
  g_autoptr(GError) error = NULL;
  if (!crun_forget(container->id, &error)) g_warning("%s", error->message);
  /* Unmounting may take its time: never again here. */
  container->runs++;
  container_unbuild(container, finish, container);
}

void container_process_ended(Process *process, gpointer user_data) { container_continue_removal(user_data); }
