/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Shared by the container*.c files only. */
#pragma once

#include "agent/container.h"
#include "agent/crun.h"
#include "agent/spec-resources.h"

/* One run of crun on behalf of a caller. */
typedef struct ContainerRun ContainerRun;
typedef void (*ContainerRunFunc)(ContainerRun *run, const GError *error, pid_t pid);

struct ContainerRun {
  Container *container;
  ContainerRunFunc done; /* must call func, or hand it on */
  ContainerFunc func;
  gpointer user_data;
  Process *process;                            /* the one that is being made; the container's */
  OciProcess *description;                     /* of it */
  const Grpc__CreateContainerRequest *request; /* if it makes the container; stays until func is called */
  char **device_weights;                       /* what crun does not set; NULL: nothing */
  CrunConsole *console;                        /* NULL: it has no terminal */
};

ContainerRun *container_run_new(Container *container, ContainerRunFunc done, ContainerFunc func, gpointer user_data);

/* Starts crun and owns run from now on. If crun cannot be started done is called at once. */
void container_run_start(ContainerRun *run, const CrunRequest *request);

/* Starts crun for a new process: opens its streams, or waits for its terminal. verb and its options in arguments. */
void container_run_start_process(ContainerRun *run, GPtrArray *arguments, const char *document_option,
                                 const char *document);

/* Refuses streams over vsock ports, which only agents with a listener for them have. */
gboolean container_check_ports(guint32 in, guint32 out, guint32 err, GError **error);

/* A process of this container has ended. */
void container_process_ended(Process *process, gpointer user_data);

/* Waits for devices and storages, then mounts and writes everything crun needs. Undone by container_unbuild(), also
 * after a failure. func is called once, now or later. */
void container_build(Container *container, const Grpc__CreateContainerRequest *request, ContainerFunc func,
                     gpointer user_data);
void container_unbuild(Container *container, void (*func)(gpointer user_data), gpointer user_data);

/* What limits this kernel can keep; its texts are the caller's, to be freed. */
typedef struct {
  char *cpus;
  char *mems;
  SpecKernel kernel;
} ContainerKernel;
void container_kernel_look(ContainerKernel *kernel);
void container_kernel_clear(ContainerKernel *kernel);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(ContainerKernel, container_kernel_clear)

/* Pauses it if somebody wants that and nothing stands in its way. */
void container_continue_pause(Container *container);

/* Takes the next step of a removal when nothing stands in its way. container may be gone afterwards. */
void container_continue_removal(Container *container);

/* As container_remove(), but func is told error. */
void container_undo_create(Container *container, const GError *error, ContainerFunc func, gpointer user_data);
