/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * agent-call unix:///PATH check | version | destroy
 * One call to the agent behind a virtio-serial port's socket, for scripts.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/error.h"
#include "common/ttrpc.h"
#include "proto/agent.pb-c.h"
#include "proto/health.pb-c.h"

#define CALL_TIMEOUT_MS 60000

static gboolean check(TtrpcClient *client, GError **error) {
  Grpc__CheckRequest request = GRPC__CHECK_REQUEST__INIT;
  ProtobufCMessage *reply = NULL;
  if (!ttrpc_client_invoke(client, &grpc__health__descriptor, "Check", &request.base, CALL_TIMEOUT_MS, &reply, error))
    return FALSE;
  printf("status %d\n", (int)((Grpc__HealthCheckResponse *)reply)->status);
  protobuf_c_message_free_unpacked(reply, NULL);
  return TRUE;
}

static gboolean version(TtrpcClient *client, GError **error) {
  Grpc__CheckRequest request = GRPC__CHECK_REQUEST__INIT;
  ProtobufCMessage *reply = NULL;
  if (!ttrpc_client_invoke(client, &grpc__health__descriptor, "Version", &request.base, CALL_TIMEOUT_MS, &reply, error))
    return FALSE;
  printf("version %s\n", ((Grpc__VersionCheckResponse *)reply)->agent_version);
  protobuf_c_message_free_unpacked(reply, NULL);
  return TRUE;
}

static gboolean destroy(TtrpcClient *client, GError **error) {
  Grpc__DestroySandboxRequest request = GRPC__DESTROY_SANDBOX_REQUEST__INIT;
  return ttrpc_client_invoke(client, &grpc__agent_service__descriptor, "DestroySandbox", &request.base, CALL_TIMEOUT_MS,
                             NULL, error);
}

static gboolean call(const char *address, const char *what, GError **error) {
  int fd = ttrpc_dial(address, 0, error);
  if (fd < 0) return FALSE;
  g_autoptr(TtrpcClient) client = ttrpc_client_new(fd, TTRPC_STREAM_PORT);
  if (!ttrpc_client_sync(client, TRUE, CALL_TIMEOUT_MS, error)) return FALSE;
  if (strcmp(what, "check") == 0) return check(client, error);
  if (strcmp(what, "version") == 0) return version(client, error);
  return destroy(client, error);
}

int main(int argc, char **argv) {
  g_autoptr(GError) error = NULL;
  if (argc != 3) {
    fprintf(stderr, "usage: agent-call unix:///PATH check|version|destroy\n");
    return EXIT_FAILURE;
  }
  if (call(argv[1], argv[2], &error)) return EXIT_SUCCESS;
  fprintf(stderr, "agent-call: %s\n", error->message);
  return EXIT_FAILURE;
}
