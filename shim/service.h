/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The owner's services on its socket. Methods run in worker threads, since most of them wait for the guest;
 * the main loop only moves frames.
 */
#pragma once

#include <glib.h>

#include "common/ttrpc.h"
#include "shim/sandbox.h"

/* What the services share. */
typedef struct {
  Sandbox *sandbox;
  TtrpcServer *server;
  GMainLoop *loop;
  GThreadPool *workers;
  gint called;       /* atomic: see service_was_called() */
  gint is_orphan;    /* atomic: the process the sandbox is bound to has ended */
  gboolean was_idle; /* all containers had ended at the last check, see orphan.c */
} Owner;

Owner *owner_new(Sandbox *sandbox);

typedef struct {
  Owner *owner;
  TtrpcCall *call;
  const ProtobufCMessage *request; /* valid until the call is answered */
  gint gone;                       /* atomic: the caller has left before the answer (see undone_if_gone) */
} ServiceJob;

/* Answers the call, now or later, in a worker thread. */
typedef void (*ServiceFunc)(ServiceJob *job);

typedef struct {
  const char *name; /* NULL ends a table */
  ServiceFunc func;
  /* A caller who leaves meanwhile gives up the sandbox's start, and the method undoes what it did when job->gone is
   * set. Such a method answers before it returns. */
  gboolean undone_if_gone;
} ServiceMethod;

/* Serves a table of methods under a service; the table must outlive the owner. */
void service_add(Owner *owner, const ProtobufCServiceDescriptor *service, const ServiceMethod *methods);

void task_service_add(Owner *owner);
void sandbox_service_add(Owner *owner);
void owner_service_add(Owner *owner);

/* kata.v1.Owner/AgentCall, in a file of its own. */
void owner_agent_call(ServiceJob *job);

/* Whether anybody has made use of the sandbox yet, and not only asked about it. */
gboolean service_was_called(Owner *owner);
void service_set_called(Owner *owner);

/* kata.v1.Owner: the machine while it runs, in a file of their own. */
void owner_pause_sandbox(ServiceJob *job);
void owner_resize_sandbox(ServiceJob *job);
void owner_sandbox_stats(ServiceJob *job);
void owner_console(ServiceJob *job);

/* Answers Empty. */
void service_reply_empty(TtrpcCall *call);

/* The sandbox has been removed: ends the program once the answers are out. */
void service_quit(Owner *owner);
