// SPDX-License-Identifier: LGPL-2.1-or-later
#include "shim/orphan.h"

#include <string.h>

#include "common/error.h"
#include "shim/container-delete.h"
#include "shim/host-watch.h"

/* Who has deleted the last container shuts the sandbox down himself, unless he is killed just then. */
#define EMPTY_MS 5000
/* A maker that is gone does no more; a start it had asked for is being given up. */
#define MAKERLESS_MS 100
/* Two checks in a row that find nothing running: an engine has deleted its container long before. */
#define IDLE_CHECK_SECONDS 5

static void remove_sandbox(Owner *owner) {
  sandbox_stop(owner->sandbox, 0);
  sandbox_remove(owner->sandbox);
  service_quit(owner);
}

/* ---- the sandbox ---- */

static gpointer remove_thread(gpointer owner) {
  remove_sandbox(owner);
  return NULL;
}

static gboolean on_empty(gpointer user_data) {
  Owner *owner = user_data;
  Sandbox *sandbox = owner->sandbox;
  if (sandbox_count_containers(sandbox) > 0) return G_SOURCE_REMOVE;
  /* Somebody else starts it, or makes a container: if that fails, it is looked at again. */
  if (sandbox_get_status(sandbox) == SANDBOX_STARTING || !sandbox_close_if_empty(sandbox)) return G_SOURCE_CONTINUE;
  g_message("sandbox '%s' has no container and nobody who would make one: it is removed", sandbox->id);
  g_thread_unref(g_thread_new("orphan", remove_thread, owner));
  return G_SOURCE_REMOVE;
}

static void check_after(Owner *owner, guint delay_ms) {
  if (g_atomic_int_get(&owner->is_orphan) != 0 && sandbox_count_containers(owner->sandbox) == 0)
    g_timeout_add(delay_ms, on_empty, owner);
}

void orphan_check_sandbox(Owner *owner) { check_after(owner, EMPTY_MS); }

static gboolean is_idle(Owner *owner) {
  Sandbox *sandbox = owner->sandbox;
  /* One of the calls may be making a container. */
  if (sandbox_get_status(sandbox) != SANDBOX_RUNNING || ttrpc_server_count_calls(owner->server) > 0) return FALSE;
  g_autoptr(GPtrArray) containers = sandbox_get_containers(sandbox);
  gboolean idle = containers->len > 0;
  for (guint i = 0; idle && i < containers->len; i++)
    idle = strcmp(container_get_status(containers->pdata[i]), "stopped") == 0;
  return idle;
}

static gpointer stop_thread(gpointer user_data) {
  sandbox_stop(((Owner *)user_data)->sandbox, 0);
  return NULL;
}

static gboolean on_idle_check(gpointer user_data) {
  Owner *owner = user_data;
  gboolean was_idle = owner->was_idle;
  owner->was_idle = is_idle(owner);
  if (sandbox_get_status(owner->sandbox) == SANDBOX_STOPPED) return G_SOURCE_REMOVE;
  if (!was_idle || !owner->was_idle) return G_SOURCE_CONTINUE;
  g_message("sandbox '%s': all of its containers have ended, and nobody deletes them: the guest is stopped",
            owner->sandbox->id);
  g_thread_unref(g_thread_new("idle", stop_thread, owner));
  return G_SOURCE_REMOVE;
}

static void on_maker_ended(gpointer user_data) {
  Owner *owner = user_data;
  g_atomic_int_set(&owner->is_orphan, 1);
  g_timeout_add_seconds(IDLE_CHECK_SECONDS, on_idle_check, owner);
  check_after(owner, MAKERLESS_MS);
}

void orphan_bind_sandbox(Owner *owner, pid_t maker) {
  owner->sandbox->bound = TRUE;
  if (maker == 0 || host_watch_add(maker, on_maker_ended, owner, NULL) == 0) on_maker_ended(owner);
}

/* ---- containers ---- */

typedef struct {
  Owner *owner;
  Container *container;
} Bound;

static void bound_free(gpointer user_data) {
  Bound *bound = user_data;
  container_unref(bound->container);
  g_free(bound);
}

static void remove_container(const Bound *bound) {
  Sandbox *sandbox = bound->owner->sandbox;
  const char *id = bound->container->info->id;
  g_autoptr(GError) error = NULL;
  if (!container_delete(sandbox, bound->container, 0, &error)) {
    if (error_get_code(error) == KATA_ERR_NOT_FOUND) return; /* somebody is at it */
    g_warning("cannot delete container '%s', whose host process has ended: %s", id, error->message);
    if (sandbox_count_containers(sandbox) > 1) return;
  } else if (!sandbox_close_if_empty(sandbox)) {
    /* Another one that is being made may fail. */
    g_timeout_add(EMPTY_MS, on_empty, bound->owner);
    return;
  }
  remove_sandbox(bound->owner);
}

static gpointer remove_container_thread(gpointer user_data) {
  remove_container(user_data);
  bound_free(user_data);
  return NULL;
}

static void on_host_process_ended(gpointer user_data) {
  Bound *bound = user_data, *copy = g_new(Bound, 1);
  *copy = (Bound){bound->owner, container_ref(bound->container)};
  g_message("container '%s': its host process has ended, so it is removed", bound->container->info->id);
  g_thread_unref(g_thread_new("remove", remove_container_thread, copy));
}

void orphan_watch_container(Owner *owner, Container *container) {
  guint32 host_pid = process_get_host_pid(container->init);
  if (!container->bound || host_pid == 0) return;
  Bound *bound = g_new(Bound, 1);
  *bound = (Bound){owner, container_ref(container)};
  g_mutex_lock(&container->lock);
  container->bound_watch = host_watch_add((pid_t)host_pid, on_host_process_ended, bound, bound_free);
  g_mutex_unlock(&container->lock);
}
