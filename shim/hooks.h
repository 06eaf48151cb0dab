/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The hooks of config.json that run on the host (OCI runtime specification, "POSIX-platform Hooks").
 * The owner runs them, in the namespaces of whoever asks, so that they work alike for every caller. startContainer
 * hooks belong into the container and stay in the document that goes to the guest.
 */
#pragma once

#include <glib.h>
#include <sys/types.h>

#include "common/oci.h"
#include "proto/kata-v1.pb-c.h"

typedef Grpc__Hooks OciHooks;

void hooks_free(OciHooks *hooks);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(OciHooks, hooks_free)

typedef enum {
  HOOK_PRESTART,
  HOOK_CREATE_RUNTIME,
  HOOK_CREATE_CONTAINER,
  HOOK_POSTSTART,
  HOOK_POSTSTOP,
} HookPoint;

/* Moves the host's hooks out of a document; the startContainer hooks stay in it. NULL if there are none. */
OciHooks *hooks_take(OciSpec *spec);

OciHooks *hooks_copy(const OciHooks *hooks); /* NULL of NULL */

/* Whom hooks are told of, and where they run. */
typedef struct {
  const Kata__V1__ContainerInfo *info;
  const char *status; /* "creating", "running", "stopped" */
  guint32 pid;        /* the container's process on the host; 0: none, left out */
  pid_t place;        /* the process whose namespaces they run in; 0, or one that is gone: the owner's own */
  /* The place is the container's process itself, whose network is not its caller's: the owner's then is. */
  gboolean outside_network;
  /* Whose network, IPC and host name they see in place of those; 0: place's. One that is gone: the hook fails. */
  pid_t network_place;
} HookSubject;

/* Runs those of one point, one after the other, in the bundle's directory. The first that fails ends the row with
 * runc's words: "error running prestart hook #0: exit status 1, stdout: , stderr: ". hooks: may be NULL. */
gboolean hooks_run(const OciHooks *hooks, HookPoint point, const HookSubject *subject, GError **error);

/* The same, but one that fails is only warned of and the others still run. */
void hooks_run_all(const OciHooks *hooks, HookPoint point, const HookSubject *subject);
