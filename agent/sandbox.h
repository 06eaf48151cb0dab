/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the guest is for: one sandbox, its containers and what they share. */
#pragma once

#include <glib.h>

#include "agent/config.h"
#include "agent/guest-hooks.h"
#include "agent/namespaces.h"
#include "agent/oom.h"
#include "agent/reap.h"
#include "agent/storage.h"
#include "agent/uevent.h"
#include "proto/agent.pb-c.h"

/* Containers one guest may hold. */
#define SANDBOX_CONTAINERS_MAX 1024
/* How long DestroySandbox waits for containers to end; the guest is powered off then in any case. */
#define SANDBOX_DESTROY_MS 10000

typedef struct Sandbox Sandbox;
typedef struct Container Container;
typedef struct Preparation Preparation;

struct Sandbox {
  const AgentConfig *config;
  Reaper *reaper;
  UeventMonitor *uevents;
  StorageTable *storages;
  GHashTable *containers; /* id -> Container, owned */
  OomMonitor *oom;
  Preparation *preparation; /* while storages are waited for */
  gboolean is_creating;
  gboolean is_created;
  gboolean is_destroying;
  gboolean shares_pid; /* all its containers have one pid namespace */
  char *hostname;      /* as it was set; NULL: not yet */
  char *domainname;
  Namespaces *namespaces;                /* those its containers are in */
  char *pid_namespace_owner;             /* the first container, whose pid namespace others share; NULL: none yet */
  GuestHooks *guest_hooks;               /* NULL: none */
  void (*stop_func)(gpointer user_data); /* ends the service once the sandbox is destroyed */
  gpointer stop_data;
};

/* reaper and uevents must outlive it. */
Sandbox *sandbox_new(const AgentConfig *config, Reaper *reaper, UeventMonitor *uevents);
void sandbox_free(Sandbox *sandbox);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Sandbox, sandbox_free)

/* error: NULL, or why it failed. */
typedef void (*SandboxFunc)(const GError *error, gpointer user_data);

/* Host name, name servers, modules, storages. request must stay until func is called: once, now or later. */
void sandbox_create(Sandbox *sandbox, const Grpc__CreateSandboxRequest *request, SandboxFunc func, gpointer user_data);

/* Names all containers, if nobody has yet; that another name is not taken is said in the log. */
gboolean sandbox_set_names(Sandbox *sandbox, const char *hostname, const char *domainname, GError **error);

/* Ends all containers; func is called once when that is done, or SANDBOX_DESTROY_MS have passed. */
gboolean sandbox_destroy(Sandbox *sandbox, void (*func)(gpointer user_data), gpointer user_data, GError **error);

/* NULL: there is none. */
Container *sandbox_find_container(const Sandbox *sandbox, const char *id);
