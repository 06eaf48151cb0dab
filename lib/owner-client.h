/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A sandbox's owner, from outside: found by the sandbox's directory, started, asked. Nothing
 * is kept between two calls: each connects, asks and closes.
 */
#pragma once

#include <glib.h>
#include <protobuf-c/protobuf-c.h>
#include <sys/types.h>

#include "lib/context.h"

typedef ProtobufCMessage OwnerReply;
void owner_reply_free(OwnerReply *reply);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(OwnerReply, owner_reply_free)

/* For calls that answer at once; an owner that does not is stuck. */
#define OWNER_QUICK_MS 60000

/* The sandbox's directory is there. */
gboolean owner_exists(const kata_context *ctx, const char *sandbox_id);

/* Starts the owner of a new sandbox. overrides: set over the settings file's, or NULL. */
gboolean owner_start(const kata_context *ctx, const char *sandbox_id, const kata_settings *overrides, GError **error);

/* Connects to the owner, or to a new one that takes over from one that is gone. Returns a descriptor or -1. */
int owner_connect(const kata_context *ctx, const char *sandbox_id, GError **error);

/* One call. An owner that was killed is replaced first, if its guest still runs.
 * timeout_ms: 0: none. ret_reply: may be NULL. No such sandbox: KATA_ERR_NOT_FOUND. */
gboolean owner_call(const kata_context *ctx, const char *sandbox_id, const ProtobufCServiceDescriptor *service,
                    const char *method, const ProtobufCMessage *request, gint64 timeout_ms, OwnerReply **ret_reply,
                    GError **error);

/* The same for a call that changes nothing, and so may be made again when the owner is replaced meanwhile. */
gboolean owner_ask(const kata_context *ctx, const char *sandbox_id, const ProtobufCServiceDescriptor *service,
                   const char *method, const ProtobufCMessage *request, gint64 timeout_ms, OwnerReply **ret_reply,
                   GError **error);

/* Waits until an owner that was told to end has removed the sandbox. */
gboolean owner_wait_gone(const kata_context *ctx, const char *sandbox_id, GError **error);

/* The id of the sandbox that lives in a directory, from its state file. */
char *owner_read_id(const char *directory, GError **error);
/* The same, and where its network namespace is found, NULL if it has no machine. */
char *owner_read_network(const char *directory, char **ret_path, GError **error);
