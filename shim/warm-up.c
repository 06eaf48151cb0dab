// SPDX-License-Identifier: LGPL-2.1-or-later
#include "shim/warm-up.h"

#include <string.h>

#include "common/error.h"
#include "common/oci.h"
#include "lib/agent-calls.h"
#include "shim/agent-link.h"

#define WARM_UP_ID "warm-up"
#define READ_BYTES 4096

/* What engines ask for, as far as it leads through code of the guest: its root is the guest's own, which it cannot
 * write to, and the agent tells its version and ends. No host name: the sandbox's first container gives it one for
 * good. */
static const char document[] =
    "{\"ociVersion\": \"1.0.2\", \"root\": {\"path\": \"/\", \"readonly\": true},"
    " \"process\": {\"cwd\": \"/\", \"user\": {\"uid\": 0, \"gid\": 0}, \"args\": [\"/sbin/kata-agent\", "
    "\"--version\"],"
    "  \"env\": [\"PATH=/usr/sbin:/usr/bin:/sbin:/bin\"], \"noNewPrivileges\": true,"
    "  \"capabilities\": {\"bounding\": [\"CAP_KILL\"], \"effective\": [\"CAP_KILL\"], \"permitted\": [\"CAP_KILL\"]}},"
    " \"mounts\": ["
    "  {\"destination\": \"/proc\", \"type\": \"proc\", \"source\": \"proc\"},"
    "  {\"destination\": \"/dev\", \"type\": \"tmpfs\", \"source\": \"tmpfs\","
    "   \"options\": [\"nosuid\", \"strictatime\", \"mode=755\", \"size=64k\"]}],"
    " \"linux\": {\"namespaces\": [{\"type\": \"pid\"}, {\"type\": \"mount\"}, {\"type\": \"ipc\"}, {\"type\": "
    "\"uts\"}],"
    "  \"maskedPaths\": [\"/proc/kcore\"], \"readonlyPaths\": [\"/proc/sys\"]}}";

/* Only our agent takes a container before there is a sandbox, and has its program at that place. */
static gboolean is_ours(TtrpcClient *agent) {
  g_autoptr(GError) error = NULL;
  Kata__V1__ListProcessesResponse *none = agent_list_processes(agent, WARM_UP_ID, &error);
  if (none != NULL) protobuf_c_message_free_unpacked(&none->base, NULL);
  return error_get_code(error) != KATA_ERR_UNSUPPORTED;
}

static gboolean create(TtrpcClient *agent, OciSpec *spec, gint64 timeout_ms, GError **error) {
  Grpc__CreateContainerRequest request = GRPC__CREATE_CONTAINER_REQUEST__INIT;
  request.container_id = request.exec_id = (char *)WARM_UP_ID;
  request.oci = spec;
  return agent_call_create_container(agent, &request, timeout_ms, error);
}

static gboolean read_all(TtrpcClient *agent, GError **error) {
  for (;;) {
    g_autoptr(GBytes) data = NULL;
    if (!agent_read(agent, AGENT_STDOUT, WARM_UP_ID, WARM_UP_ID, READ_BYTES, &data, error)) return FALSE;
    if (g_bytes_get_size(data) == 0) return TRUE;
  }
}

static gboolean run(TtrpcClient *agent, gint64 timeout_ms, GError **error) {
  Grpc__StartContainerRequest start = GRPC__START_CONTAINER_REQUEST__INIT;
  Grpc__RemoveContainerRequest remove = GRPC__REMOVE_CONTAINER_REQUEST__INIT;
  start.container_id = remove.container_id = (char *)WARM_UP_ID;
  guint32 status = 0;
  return agent_call_start_container(agent, &start, timeout_ms, error) && read_all(agent, error) &&
         agent_wait(agent, WARM_UP_ID, WARM_UP_ID, &status, error) &&
         agent_call_remove_container(agent, &remove, timeout_ms, error);
}

gboolean warm_up(TtrpcClient *agent, gint64 timeout_ms, GError **error) {
  g_autoptr(GError) why = NULL;
  if (!is_ours(agent)) return TRUE;
  OciSpec *spec = oci_spec_parse(document, strlen(document), "the warm-up's document", error);
  if (spec == NULL) return FALSE;
  gboolean is_created = create(agent, spec, timeout_ms, &why);
  oci_spec_free(spec);
  if (is_created) {
    if (run(agent, timeout_ms, error)) return TRUE;
    g_prefix_error(error, "the guest could not be warmed up: ");
    return FALSE;
  }
  /* The agent has undone what it did. */
  g_warning("a guest stands by without having been warmed up: %s", why->message);
  return TRUE;
}
