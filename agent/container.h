/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A container: what is mounted and written for it, its processes, and crun's work on it. */
#pragma once

#include <glib.h>

#include "agent/preparation.h"
#include "agent/process.h"
#include "agent/sandbox.h"
#include "common/oci.h"

/* Processes beside the first that may live in one container at once. */
#define CONTAINER_EXECS_MAX 1024
/* Ended execs that are remembered although everybody has been told, for callers that come late. */
#define CONTAINER_EXECS_KEPT 32

typedef enum {
  CONTAINER_CREATING,
  CONTAINER_CREATED,
  CONTAINER_RUNNING,
  CONTAINER_PAUSED,
  CONTAINER_REMOVING,
} ContainerState;

/* Called once, now or later. error: NULL, or why it failed. */
typedef void (*ContainerFunc)(const GError *error, gpointer user_data);

struct Container {
  Sandbox *sandbox;
  char *id;
  char *init_exec_id; /* the first process's other name; empty: none */
  char *bundle;
  char *cgroup_path; /* NULL before the document was checked */
  ContainerState state;
  gboolean is_started;
  gboolean is_rootfs_bound;
  char *name;               /* that Kubernetes gave it; NULL: none */
  char *termination_log;    /* a file of this guest; NULL: none */
  gboolean has_start_hooks; /* which only crun can run */
  gboolean has_stop_hooks;
  GPtrArray *storages;      /* keys of the sandbox's storages */
  GPtrArray *devices;       /* DeviceFound */
  Preparation *preparation; /* while devices and storages are waited for */
  Process *init;
  GQueue execs;       /* Process, oldest first */
  GQueue pausers;     /* who waits for the runs of crun to end, to pause it */
  guint runs;         /* runs of crun that use this container */
  GQueue removers;    /* who waits for its removal */
  gboolean deleted;   /* by crun, with its hooks */
  GHashTable *covers; /* by source of a mount: what covers it (cover-mount.h) */
  guint cgroup_tries; /* to remove the cgroup */
  guint cgroup_timer;
};

/* request must stay until func is called. A failed creation leaves nothing behind. */
void container_create(Sandbox *sandbox, const Grpc__CreateContainerRequest *request, ContainerFunc func,
                      gpointer user_data);
void container_start(Container *container, ContainerFunc func, gpointer user_data);
/* request must stay until func is called. */
void container_exec(Container *container, const Grpc__ExecProcessRequest *request, ContainerFunc func,
                    gpointer user_data);
void container_pause(Container *container, ContainerFunc func, gpointer user_data);
void container_resume(Container *container, ContainerFunc func, gpointer user_data);
void container_update(Container *container, const OciResources *resources, ContainerFunc func, gpointer user_data);

/* Kills what lives in it and undoes all that was done for it. timeout_ms: after it func is told so, and the
 * removal goes on; 0: none. */
void container_remove(Container *container, guint timeout_ms, ContainerFunc func, gpointer user_data);

/* SIGKILL to every process in it. */
gboolean container_kill_all(Container *container, GError **error);

/* exec_id: empty, the container's id or what CreateContainer named so is the first process. NULL: there is none. */
Process *container_find_process(const Container *container, const char *exec_id);

/* The first process has ended. */
gboolean container_is_stopped(const Container *container);

void container_free(Container *container);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Container, container_free)
