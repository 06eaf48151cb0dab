/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * guest-requests unix:///PATH NUMBER: what a runtime asked of an agent for one sandbox, asked of one in a real guest,
 * behind its virtio-serial port. All of it counts, limits too; but the root file systems are in a shared tree.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Last: it needs the ones before. */
#include <cmocka.h>

#include "common/error.h"
#include "tests/agent/recorded.h"

#define SYNC_MS 120000

static guint sandbox;

/* The recorded runtime had no shared tree, and brought the root file systems in another way. */
static void add_share(Grpc__CreateSandboxRequest *request) {
  Grpc__Storage *share = malloc(sizeof *share);
  grpc__storage__init(share);
  share->driver = strdup("virtio-fs");
  share->source = strdup("kataShared");
  share->fstype = strdup("virtiofs");
  share->mount_point = strdup("/run/kata-containers/shared/containers/");
  request->storages = realloc(request->storages, (request->n_storages + 1) * sizeof *request->storages);
  request->storages[request->n_storages++] = share;
}

static void before(const char *method, ProtobufCMessage *request) {
  if (strcmp(method, "CreateSandbox") == 0) add_share((Grpc__CreateSandboxRequest *)request);
}

static void check_memory_limit(const char *container_id, const Grpc__LinuxResources *resources) {
  if (!resources || !resources->memory) return;
  Grpc__StatsContainerRequest request = GRPC__STATS_CONTAINER_REQUEST__INIT;
  request.container_id = (char *)container_id;
  Grpc__StatsContainerResponse *reply =
      (Grpc__StatsContainerResponse *)harness_call("StatsContainer", &request.base, NULL);
  assert_non_null(reply);
  assert_int_equal(reply->cgroup_stats->memory_stats->usage->limit, resources->memory->limit);
  protobuf_c_message_free_unpacked(&reply->base, NULL);
}

static void after(const char *method, const ProtobufCMessage *request) {
  const Grpc__CreateContainerRequest *create = (const Grpc__CreateContainerRequest *)request;
  const Grpc__UpdateContainerRequest *update = (const Grpc__UpdateContainerRequest *)request;
  if (strcmp(method, "CreateContainer") == 0) check_memory_limit(create->container_id, create->oci->linux->resources);
  if (strcmp(method, "UpdateContainer") == 0) check_memory_limit(update->container_id, update->resources);
}

static void test_recorded_requests(void **state) {
  static const char *const expected[RECORDED_SANDBOXES][2] = {{"hi\n", "hi\n"}, {"hello-from-cri\n", "x\n"}};
  const RecordedPlay play = {.before = before, .after = after};
  g_autoptr(GString) output = g_string_new(NULL);
  recorded_play(sandbox, &play, output);
  for (gsize i = 0; i < G_N_ELEMENTS(expected[0]); i++)
    if (!strstr(output->str, expected[sandbox][i])) fail_msg("no '%s' in '%s'", expected[sandbox][i], output->str);
}

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_recorded_requests)};
  g_autoptr(GError) error = NULL;
  sandbox = argc == 3 ? (guint)g_ascii_strtoull(argv[2], NULL, 10) : RECORDED_SANDBOXES;
  if (sandbox >= RECORDED_SANDBOXES) return EXIT_FAILURE;
  int fd = ttrpc_dial(argv[1], 0, &error);
  TtrpcClient *client = fd < 0 ? NULL : ttrpc_client_new(fd, TTRPC_STREAM_PORT);
  if (!client || !ttrpc_client_sync(client, FALSE, SYNC_MS, &error)) {
    fprintf(stderr, "guest-requests: %s\n", error->message);
    return EXIT_FAILURE;
  }
  harness_attach(client, "");
  int failed = cmocka_run_group_tests_name("guest-requests", tests, NULL, NULL);
  ttrpc_client_unref(client);
  return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
