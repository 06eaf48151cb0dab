/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Calls about what is mounted, copied and measured. */
#include "agent/rpc.h"
#include "common/error.h"

void rpc_remove_stale_mounts(TtrpcCall *call, const ProtobufCMessage *request, gpointer user_data) {
  const Sandbox *sandbox = user_data;
  storage_table_touch(sandbox->storages);
  rpc_reply_empty(call);
}

void rpc_update_ephemeral_mounts(TtrpcCall *call, const ProtobufCMessage *request, gpointer user_data) {
  const Grpc__UpdateEphemeralMountsRequest *asked = (const Grpc__UpdateEphemeralMountsRequest *)request;
  Sandbox *sandbox = user_data;
  g_autoptr(GError) error = NULL;
  for (gsize i = 0; i < asked->n_storages && !error; i++)
    storage_table_update(sandbox->storages, asked->storages[i], &error);
  rpc_answer(error, call);
}
