/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The container handle inside the library: a name. */
#pragma once

#include <glib.h>

#include "kata/container.h"
#include "lib/context.h"
#include "lib/owner-client.h"
#include "lib/task.h"
#include "proto/kata-v1.pb-c.h"

struct kata_container {
  gatomicrefcount refs;
  kata_context *ctx;
  char *sandbox_id;
  char *id;
};

G_DEFINE_AUTOPTR_CLEANUP_FUNC(kata_container, kata_container_unref)

kata_container *container_handle_new(kata_context *ctx, const char *sandbox_id, const char *id);

/* Its process, exec_id "" for the first one. */
TaskTarget container_target(const kata_container *container, const char *exec_id);

/* What the owner knows of it; *ret_info lies in *ret_reply. */
gboolean container_ask_info(const kata_context *ctx, const char *sandbox_id, const char *id, OwnerReply **ret_reply,
                            const Kata__V1__ContainerInfo **ret_info, GError **error);

/* A kata_container_status by the OCI runtime specification's word; -1: none of them. */
int container_status_from_word(const char *word);

/* RFC 3339 in UTC. */
char *container_time_to_text(const Google__Protobuf__Timestamp *time);

/* The state document as runc prints it. */
char *container_info_to_state(const Kata__V1__ContainerInfo *info);
