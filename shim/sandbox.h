/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The sandbox this process owns: a virtual machine, its share, its agent, its containers. */
#pragma once

#include <glib.h>

#include "common/ttrpc.h"
#include "lib/settings.h"
#include "lib/vm-size.h"
#include "shim/block.h"
#include "shim/container.h"
#include "shim/events.h"
#include "shim/net.h"
#include "shim/publisher.h"
#include "shim/share.h"
#include "shim/timeline.h"
#include "shim/vm.h"

typedef struct NetFollow NetFollow; /* net-follow.h */

typedef enum { SANDBOX_CREATED, SANDBOX_STARTING, SANDBOX_RUNNING, SANDBOX_STOPPED } SandboxStatus;

typedef struct {
  /* Fixed once made. */
  char *namespace_;
  char *id;
  char *root;
  char *dir; /* where $ROOT/s/KEY is or leads to, see sandbox-dir.h */
  kata_settings *settings;
  gboolean settings_given; /* by whoever started the owner: what Create says of them is known */
  Accelerator accelerator;
  AgentChannel channel;
  Timeline *timeline;
  Events *events;
  Publisher *publisher; /* to containerd, or NULL; set before the sandbox is served */
  NetFollow *follow;
  gint64 created_at;
  char **home_cgroups;      /* directories: where the owner was before it joined the sandbox's */
  char **cgroups;           /* the sandbox's on the host, or NULL */
  char *hostname;           /* the pod's, or NULL: the first container brings it */
  Grpc__Linux *pod;         /* what is known of the pod without a container that begins it (sandbox-pod.h), or NULL */
  char **dns;               /* lines of the resolv.conf the guest itself has, or NULL */
  int resolv_conf;          /* that file, which Docker writes again after its hooks; -1: none */
  char *scope;              /* the cgroupsPath that systemd has made a scope of, or NULL */
  gboolean bound;           /* set before there is a container, see orphan.h */
  gboolean has_annotations; /* those of CreateSandbox are in the settings */

  /* Set by the start, then fixed until sandbox_remove(). */
  guint32 vsock_cid;
  char *domain_xml;
  char *template_key;          /* of the saved guest it could start from; NULL: of none */
  struct PoolMember *standby;  /* the guest it is to take over (pool.h), or NULL */
  gboolean from_pool;          /* it has */
  char *netns_mount;           /* of such a guest: where the namespace is that its machine is not in, or NULL */
  gboolean from_template;      /* it has */
  char *template_trouble;      /* why it could not, though there was one; NULL: nothing is known against that */
  Vm *vm;                      /* used and freed under resizing, but by the start, teardown and their watches */
  Share *share;                /* likewise */
  Net *net;                    /* net-follow.h says who may use it */
  guint32 machine_pid;         /* the hypervisor's, also after its end */
  Disks *disks;                /* guarded by resizing, as is every call to libvirt */
  gint watches_copies;         /* atomic */
  gboolean follows_mounts;     /* guarded by resizing: somebody does */
  struct Restoring *restoring; /* while it starts from a checkpoint (checkpoint.h) */
  guint64 shm_bytes;           /* of /dev/shm; 0: as many as Docker gives */
  gboolean shm_is_free;        /* half of the guest's memory instead, which is a tmpfs' own limit */

  GMutex lock; /* guards what follows; never held over a call to the guest or to libvirt */
  GCond changed;
  SandboxStatus status;
  gboolean cancelled;
  gboolean is_paused;
  gint64 exited_at;
  TtrpcClient *agent;
  GHashTable *containers; /* id -> Container */
  GPtrArray *waiters;     /* WaitSandbox calls */
  guint vm_watch, daemon_watch, console_watch;
  int boot_slot;   /* while it boots; -1: none */
  guint creations; /* containers that are being made */
  gboolean closed; /* nobody makes one any more */
  gboolean netns_chosen;
  int netns;        /* what the guest's network is; -1: not chosen, or one of its own */
  char *netns_path; /* where it was found, or NULL */

  GMutex resizing; /* guards size and its machine's growing, and machine and share from being freed meanwhile */
  VmDemand demand; /* of the first container, before the start */
  VmSize base_size, size;
  VmSize untaken;      /* of size: what was plugged in and the guest does not use (yet) */
  guint64 counted_mib; /* the guest's own count of its memory without the untaken part, 0: not known */

  GMutex removal;  /* only one thread removes it; outside all others, since hooks run meanwhile */
  GMutex teardown; /* only one thread takes the machine down */
  GMutex store;    /* only one thread writes the state file; the last of all locks */
} Sandbox;

/* settings: it takes a reference. */
Sandbox *sandbox_new(const char *namespace_, const char *id, const char *root, kata_settings *settings, GError **error);
/* Only one that nobody uses any more: no threads, no sources; what is on the host stays. */
void sandbox_free(Sandbox *sandbox);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Sandbox, sandbox_free)

/* Before it is started, and while nobody else uses it: takes a reference to others. */
gboolean sandbox_change_settings(Sandbox *sandbox, kata_settings *settings, GError **error);

SandboxStatus sandbox_get_status(Sandbox *sandbox);

/* Boots the guest. Once; after a failure nothing of the sandbox is left on the host. */
gboolean sandbox_start(Sandbox *sandbox, GError **error);
/* The same unless it has been done, or is being done by another thread (then it waits). */
gboolean sandbox_ensure_started(Sandbox *sandbox, GError **error);
/* The owner joins the sandbox's cgroup, and so do QEMU and virtiofsd when it starts them. home: where it goes back to
 * in the end, NULL: where it is now. Both are taken over. */
gboolean sandbox_join_cgroup(Sandbox *sandbox, char **directories, char **home, GError **error);
/* Gives a start up that is under way. */
void sandbox_cancel_start(Sandbox *sandbox);

/* Ends the guest: by itself within timeout_ms (0: not asked), then by force. Idempotent. */
void sandbox_stop(Sandbox *sandbox, guint timeout_ms);
/* The guest has ended, or is of no use any more. */
void sandbox_guest_lost(Sandbox *sandbox, const char *reason);
/* Watches QEMU, virtiofsd and the agent from now on. */
void sandbox_watch(Sandbox *sandbox);
void sandbox_unwatch(Sandbox *sandbox);

/* Takes everything of a stopped sandbox off the host. Idempotent. */
void sandbox_remove(Sandbox *sandbox);

/* A new reference to the agent's connection; NULL with an error if there is none. */
TtrpcClient *sandbox_get_agent(Sandbox *sandbox, GError **error);
guint32 sandbox_get_hypervisor_pid(Sandbox *sandbox);

/* KATA_ERR_INVALID_STATE unless the guest runs, and is not paused. */
gboolean sandbox_check_running(Sandbox *sandbox, GError **error);
gboolean sandbox_is_paused(Sandbox *sandbox);
/* Stops the machine's processors, or lets them go on; KATA_ERR_INVALID_STATE if they do so already. While they are
 * stopped nobody gets the agent. */
gboolean sandbox_set_paused(Sandbox *sandbox, gboolean paused, GError **error);

Container *sandbox_find_container(Sandbox *sandbox, const char *id, GError **error);
void sandbox_add_container(Sandbox *sandbox, Container *container);
void sandbox_drop_container(Sandbox *sandbox, const char *id);
/* New references, in the order of their ids. */
GPtrArray *sandbox_get_containers(Sandbox *sandbox);
guint sandbox_count_containers(Sandbox *sandbox);
/* Around all of a container's making; KATA_ERR_INVALID_STATE: it is closed. */
gboolean sandbox_begin_creation(Sandbox *sandbox, GError **error);
void sandbox_end_creation(Sandbox *sandbox);
/* From now on no container is made; FALSE: there is one, or one is being made. */
gboolean sandbox_close_if_empty(Sandbox *sandbox);

/* For Process: the state file follows. */
void sandbox_on_process_ended(Process *process, gpointer sandbox);

void sandbox_add_waiter(Sandbox *sandbox, TtrpcCall *call);
