/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A container of the sandbox, as the owner knows it: its processes, and what was made for it on the host. */
#pragma once

#include <glib.h>

#include "lib/vm-size.h"
#include "proto/kata-state.pb-c.h"
#include "shim/copy-tree.h"
#include "shim/hooks.h"
#include "shim/process.h"

typedef struct {
  gatomicrefcount refs;
  Kata__V1__ContainerInfo *info; /* what does not change; status and times are filled in by container_describe() */
  Process *init;
  OciHooks *hooks;   /* those of the host, or NULL */
  GMutex starting;   /* held while it is started; nothing else is begun in it meanwhile */
  GMutex lock;       /* guards what follows */
  GHashTable *execs; /* exec id -> Process */
  gboolean paused;
  gboolean deleting;
  gboolean hooked_last; /* the poststop hooks have run, or are running */
  gboolean bound;       /* goes with its host process, see orphan.h */
  guint bound_watch;    /* host_watch_add() */
  GPtrArray *shares;    /* names below the share */
  GPtrArray *disks;     /* Kata__V1__DiskState: what is plugged in for it */
  GPtrArray *copies;    /* CopyTree */
  VmDemand demand;      /* what its limits ask of the machine */
  char *guest_id;       /* what the guest calls it, if it was restored under any id; else NULL */
  char **cgroups;       /* directories of its cgroup on the host, or NULL */
} Container;

Container *container_new(Kata__V1__ContainerInfo *info, Process *init);
Container *container_ref(Container *container);
void container_unref(Container *container);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Container, container_unref)

/* The OCI runtime specification's word for its state. */
const char *container_get_status(Container *container);

/* exec_id "": init. A new reference, or NULL with KATA_ERR_NOT_FOUND. */
Process *container_find_process(Container *container, const char *exec_id, GError **error);
gboolean container_add_exec(Container *container, Process *process, GError **error);
void container_remove_exec(Container *container, const char *exec_id);
/* New references to all processes, init last. */
GPtrArray *container_get_processes(Container *container);

/* info with status, pid and times as they are now; free with protobuf_c_message_free_unpacked(). */
Kata__V1__ContainerInfo *container_describe(Container *container, guint32 hypervisor_pid);

/* It was restored from a checkpoint of a container of that id. */
void container_set_guest_id(Container *container, const char *guest_id);

/* The poststop hooks of a container that is gone, once; place: as HookSubject's. */
void container_run_last_hooks(Container *container, pid_t place);

Kata__V1__ContainerState *container_to_state(Container *container);
Container *container_restore(const Kata__V1__ContainerState *state, Publisher *publisher, ProcessEndedFunc ended,
                             gpointer user_data);
