// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * An owner without a guest, for the tests of the library's client half: takes the real one's command line,
 * serves the same calls from a table in memory. The sandbox's id says how it misbehaves. A file
 * "guest" in the sandbox's directory stands for a running guest: while it is there, -adopt takes over.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/error.h"
#include "common/fds.h"
#include "common/ttrpc.h"
#include "lib/paths.h"
#include "proto/agent.pb-c.h"
#include "proto/health.pb-c.h"
#include "proto/kata-v1.pb-c.h"
#include "proto/shim-options.pb-c.h"
#include "proto/shim-sandbox.pb-c.h"
#include "proto/shim-task.pb-c.h"

typedef struct {
  char *bundle;
  const char *status;
  guint32 exit_status;
  guint32 host_pid;
  GPtrArray *waiters;
} FakeContainer;

static struct {
  const char *id, *root;
  char *dir;
  gboolean adopt;
  gboolean started;
  gint64 stopped_at;
  GHashTable *containers; /* "ID" or "ID/EXEC" */
  GMainLoop *loop;
  char *config_body;
} fake;

static char *in_dir(const char *name) { return g_build_filename(fake.dir, name, NULL); }

static void fake_container_free(gpointer data) {
  FakeContainer *container = data;
  g_free(container->bundle);
  g_ptr_array_unref(container->waiters);
  g_free(container);
}

static void reply_empty(TtrpcCall *call) {
  Google__Protobuf__Empty empty = GOOGLE__PROTOBUF__EMPTY__INIT;
  ttrpc_call_reply(call, &empty.base);
}

/* ---- Sandbox ---- */

static void create_sandbox(TtrpcCall *call, const ProtobufCMessage *request, gpointer user_data) {
  if (strcmp(fake.id, "refuses-create") == 0) {
    ttrpc_call_fail(call, TTRPC_FAILED_PRECONDITION, "no room for sandbox '%s'\nsaid the host", fake.id);
    return;
  }
  const Containerd__Runtime__Sandbox__V1__CreateSandboxRequest *asked = (const void *)request;
  if (*asked->netns_path != '\0') {
    g_autofree char *netns = in_dir("netns");
    g_file_set_contents(netns, asked->netns_path, -1, NULL);
  }
  Containerd__Runtime__Sandbox__V1__CreateSandboxResponse reply =
      CONTAINERD__RUNTIME__SANDBOX__V1__CREATE_SANDBOX_RESPONSE__INIT;
  ttrpc_call_reply(call, &reply.base);
}

static void start_sandbox(TtrpcCall *call, const ProtobufCMessage *request, gpointer user_data) {
  if (strcmp(fake.id, "drops-start") == 0) _exit(1);
  g_autofree char *guest = in_dir("guest");
  g_file_set_contents(guest, "", 0, NULL);
  fake.started = TRUE;
  Containerd__Runtime__Sandbox__V1__StartSandboxResponse reply =
      CONTAINERD__RUNTIME__SANDBOX__V1__START_SANDBOX_RESPONSE__INIT;
  ttrpc_call_reply(call, &reply.base);
}

static void stop_sandbox(TtrpcCall *call, const ProtobufCMessage *request, gpointer user_data) {
  g_autofree char *guest = in_dir("guest");
  unlink(guest);
  fake.started = FALSE;
  fake.stopped_at = 1700000000;
  Containerd__Runtime__Sandbox__V1__StopSandboxResponse reply =
      CONTAINERD__RUNTIME__SANDBOX__V1__STOP_SANDBOX_RESPONSE__INIT;
  ttrpc_call_reply(call, &reply.base);
}

static void sandbox_status(TtrpcCall *call, const ProtobufCMessage *request, gpointer user_data) {
  Google__Protobuf__Timestamp exited = GOOGLE__PROTOBUF__TIMESTAMP__INIT;
  exited.seconds = fake.stopped_at;
  Containerd__Runtime__Sandbox__V1__SandboxStatusResponse reply =
      CONTAINERD__RUNTIME__SANDBOX__V1__SANDBOX_STATUS_RESPONSE__INIT;
  reply.sandbox_id = (char *)fake.id;
  reply.state = (char *)(fake.started ? "SANDBOX_READY" : "SANDBOX_NOTREADY");
  reply.exited_at = fake.stopped_at != 0 ? &exited : NULL;
  ttrpc_call_reply(call, &reply.base);
}

/* Never answered: for time-outs. */
static void wait_sandbox(TtrpcCall *call, const ProtobufCMessage *request, gpointer user_data) {}

static void remove_directory(void) {
  g_autofree char *command = g_strdup_printf("rm -rf '%s' '%s/c'", fake.dir, fake.root);
  if (system(command) != 0) _exit(3);
}

static gboolean end(gpointer user_data) {
  remove_directory();
  g_main_loop_quit(fake.loop);
  return G_SOURCE_REMOVE;
}

static void shutdown_sandbox(TtrpcCall *call, const ProtobufCMessage *request, gpointer user_data) {
  Containerd__Runtime__Sandbox__V1__ShutdownSandboxResponse reply =
      CONTAINERD__RUNTIME__SANDBOX__V1__SHUTDOWN_SANDBOX_RESPONSE__INIT;
  ttrpc_call_reply(call, &reply.base);
  g_timeout_add(50, end, NULL);
}

/* ---- Task ---- */

static char *key_of(const char *id, const char *exec_id) {
  return *exec_id != '\0' ? g_strconcat(id, "/", exec_id, NULL) : g_strdup(id);
}

static FakeContainer *find(TtrpcCall *call, const char *id, const char *exec_id) {
  g_autofree char *key = key_of(id, exec_id);
  FakeContainer *container = g_hash_table_lookup(fake.containers, key);
  if (container == NULL) ttrpc_call_fail(call, TTRPC_NOT_FOUND, "nothing named '%s' here", key);
  return container;
}

/* What the caller's descriptor leads to is told that it arrived. */
static void greet(const char *uri, const char *text) {
  int pid = 0, number = -1;
  if (sscanf(uri, "pidfd://%d/%d", &pid, &number) != 2) return;
  autofd int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
  autofd int fd = (int)syscall(SYS_pidfd_getfd, pidfd, number, 0);
  if (fd >= 0) fd_write_all(fd, text, strlen(text));
}

static FakeContainer *add(const char *id, const char *exec_id, const char *bundle) {
  FakeContainer *container = g_new0(FakeContainer, 1);
  container->bundle = g_strdup(bundle);
  container->status = "created";
  container->waiters = g_ptr_array_new();
  g_hash_table_insert(fake.containers, key_of(id, exec_id), container);
  return container;
}

static void create(TtrpcCall *call, const ProtobufCMessage *message, gpointer user_data) {
  const Containerd__Task__V2__CreateTaskRequest *request = (const void *)message;
  if (g_hash_table_contains(fake.containers, request->id)) {
    ttrpc_call_fail(call, TTRPC_ALREADY_EXISTS, "container with given ID already exists");
    return;
  }
  FakeContainer *container = add(request->id, "", request->bundle);
  Kata__V1__CreateOptions *options = NULL;
  if (request->options != NULL && strcmp(request->options->type_url, "kata.v1.CreateOptions") == 0)
    options = kata__v1__create_options__unpack(NULL, request->options->value.len, request->options->value.data);
  if (options != NULL) {
    container->host_pid = options->host_pid;
    kata__v1__create_options__free_unpacked(options, NULL);
  }
  greet(request->stdout, request->terminal ? "terminal" : "stdout");
  greet(request->stderr, "stderr");
  g_autofree char *links = g_build_filename(fake.root, PATHS_CONTAINERS, NULL);
  g_autofree char *link = paths_container_link(fake.root, request->id);
  g_autofree char *name = g_path_get_basename(fake.dir);
  g_autofree char *target = g_build_filename("..", PATHS_SANDBOXES, name, NULL);
  mkdir(links, 0711);
  if (symlink(target, link) < 0) _exit(4);
  Containerd__Task__V2__CreateTaskResponse reply = CONTAINERD__TASK__V2__CREATE_TASK_RESPONSE__INIT;
  ttrpc_call_reply(call, &reply.base);
}

static void start(TtrpcCall *call, const ProtobufCMessage *message, gpointer user_data) {
  const Containerd__Task__V2__StartRequest *request = (const void *)message;
  FakeContainer *container = find(call, request->id, request->exec_id);
  if (container == NULL) return;
  container->status = "running";
  Containerd__Task__V2__StartResponse reply = CONTAINERD__TASK__V2__START_RESPONSE__INIT;
  ttrpc_call_reply(call, &reply.base);
}

static void answer_wait(TtrpcCall *call, const FakeContainer *container) {
  Containerd__Task__V2__WaitResponse reply = CONTAINERD__TASK__V2__WAIT_RESPONSE__INIT;
  reply.exit_status = container->exit_status;
  ttrpc_call_reply(call, &reply.base);
}

static void kill_task(TtrpcCall *call, const ProtobufCMessage *message, gpointer user_data) {
  const Containerd__Task__V2__KillRequest *request = (const void *)message;
  FakeContainer *container = find(call, request->id, request->exec_id);
  if (container == NULL) return;
  if (request->signal != 0) {
    container->status = "stopped";
    container->exit_status = 128 + request->signal;
    for (guint i = 0; i < container->waiters->len; i++) answer_wait(container->waiters->pdata[i], container);
    g_ptr_array_set_size(container->waiters, 0);
  }
  reply_empty(call);
}

static void wait_task(TtrpcCall *call, const ProtobufCMessage *message, gpointer user_data) {
  const Containerd__Task__V2__WaitRequest *request = (const void *)message;
  FakeContainer *container = find(call, request->id, request->exec_id);
  if (container == NULL) return;
  if (strcmp(container->status, "stopped") == 0)
    answer_wait(call, container);
  else
    g_ptr_array_add(container->waiters, call);
}

static void delete_task(TtrpcCall *call, const ProtobufCMessage *message, gpointer user_data) {
  const Containerd__Task__V2__DeleteRequest *request = (const void *)message;
  FakeContainer *container = find(call, request->id, request->exec_id);
  if (container == NULL) return;
  Containerd__Task__V2__DeleteResponse reply = CONTAINERD__TASK__V2__DELETE_RESPONSE__INIT;
  reply.exit_status = container->exit_status;
  g_autofree char *key = key_of(request->id, request->exec_id);
  g_hash_table_remove(fake.containers, key);
  g_autofree char *link = paths_container_link(fake.root, request->id);
  if (*request->exec_id == '\0') unlink(link);
  ttrpc_call_reply(call, &reply.base);
}

static void exec(TtrpcCall *call, const ProtobufCMessage *message, gpointer user_data) {
  const Containerd__Task__V2__ExecProcessRequest *request = (const void *)message;
  if (find(call, request->id, "") == NULL) return;
  Kata__V1__ExecSpec *spec = NULL;
  if (request->spec != NULL && strcmp(request->spec->type_url, "kata.v1.ExecSpec") == 0)
    spec = kata__v1__exec_spec__unpack(NULL, request->spec->value.len, request->spec->value.data);
  if (spec == NULL || strstr(spec->process_json, "args") == NULL) {
    ttrpc_call_fail(call, TTRPC_INVALID_ARGUMENT, "exec args cannot be empty");
  } else {
    add(request->id, request->exec_id, "")->host_pid = spec->host_pid;
    reply_empty(call);
  }
  if (spec != NULL) kata__v1__exec_spec__free_unpacked(spec, NULL);
}

static void resize(TtrpcCall *call, const ProtobufCMessage *message, gpointer user_data) {
  const Containerd__Task__V2__ResizePtyRequest *request = (const void *)message;
  if (request->width == 80 && request->height == 24)
    reply_empty(call);
  else
    ttrpc_call_fail(call, TTRPC_INVALID_ARGUMENT, "not 80x24");
}

static void close_io(TtrpcCall *call, const ProtobufCMessage *message, gpointer user_data) {
  const Containerd__Task__V2__CloseIORequest *request = (const void *)message;
  if (request->stdin)
    reply_empty(call);
  else
    ttrpc_call_fail(call, TTRPC_INVALID_ARGUMENT, "not stdin");
}

static void set_status(TtrpcCall *call, const char *id, const char *from, const char *to) {
  FakeContainer *container = find(call, id, "");
  if (container == NULL) return;
  if (strcmp(container->status, from) != 0) {
    ttrpc_call_fail(call, TTRPC_FAILED_PRECONDITION, "container not %s", from);
    return;
  }
  container->status = to;
  reply_empty(call);
}

static void pause_task(TtrpcCall *call, const ProtobufCMessage *message, gpointer user_data) {
  set_status(call, ((const Containerd__Task__V2__PauseRequest *)(const void *)message)->id, "running", "paused");
}

static void resume_task(TtrpcCall *call, const ProtobufCMessage *message, gpointer user_data) {
  set_status(call, ((const Containerd__Task__V2__ResumeRequest *)(const void *)message)->id, "paused", "running");
}

static void update(TtrpcCall *call, const ProtobufCMessage *message, gpointer user_data) {
  const Containerd__Task__V2__UpdateTaskRequest *request = (const void *)message;
  g_autofree char *json = g_strndup((const char *)request->resources->value.data, request->resources->value.len);
  if (strcmp(json, "{\"pids\":{\"limit\":7}}") == 0)
    reply_empty(call);
  else
    ttrpc_call_fail(call, TTRPC_INVALID_ARGUMENT, "unexpected resources %s", json);
}

static void shutdown_task(TtrpcCall *call, const ProtobufCMessage *message, gpointer user_data) {
  reply_empty(call);
  if (g_hash_table_size(fake.containers) == 0) g_timeout_add(50, end, NULL);
}

/* ---- kata.v1 ---- */

static void domain_xml(TtrpcCall *call, const ProtobufCMessage *message, gpointer user_data) {
  /* What was configured, so that a test can see it. */
  Kata__V1__DomainXmlResponse reply = KATA__V1__DOMAIN_XML_RESPONSE__INIT;
  reply.xml = fake.config_body;
  ttrpc_call_reply(call, &reply.base);
}

static void boot_timeline(TtrpcCall *call, const ProtobufCMessage *message, gpointer user_data) {
  Kata__V1__BootStep step = KATA__V1__BOOT_STEP__INIT, *steps[] = {&step};
  step.name = (char *)"kernel \"x\"";
  step.begin_us = 10;
  step.end_us = G_MAXUINT64;
  Kata__V1__BootTimelineResponse reply = KATA__V1__BOOT_TIMELINE_RESPONSE__INIT;
  reply.n_steps = 1;
  reply.steps = steps;
  ttrpc_call_reply(call, &reply.base);
}

static void containers(TtrpcCall *call, const ProtobufCMessage *message, gpointer user_data) {
  const Kata__V1__ContainersRequest *request = (const void *)message;
  FakeContainer *container = NULL;
  if (*request->id != '\0' && (container = find(call, request->id, "")) == NULL) return;
  Kata__V1__ContainerInfo__AnnotationsEntry note = KATA__V1__CONTAINER_INFO__ANNOTATIONS_ENTRY__INIT;
  Kata__V1__ContainerInfo__AnnotationsEntry *notes[] = {&note};
  note.key = (char *)"note";
  note.value = (char *)"a/b \"c\"";
  Google__Protobuf__Timestamp created = GOOGLE__PROTOBUF__TIMESTAMP__INIT;
  created.seconds = 1700000000;
  created.nanos = 120000000;
  Kata__V1__ContainerInfo info = KATA__V1__CONTAINER_INFO__INIT, *list[] = {&info};
  info.id = request->id;
  info.sandbox_id = (char *)fake.id;
  info.oci_version = (char *)"1.0.2";
  info.rootfs = (char *)"/bundle/rootfs";
  info.created_at = &created;
  info.n_annotations = 1;
  info.annotations = notes;
  info.process_json = (char *)"{\"cwd\":\"/\"}";
  Kata__V1__ContainersResponse reply = KATA__V1__CONTAINERS_RESPONSE__INIT;
  reply.containers = list;
  reply.n_containers = container != NULL || g_hash_table_size(fake.containers) > 0 ? 1 : 0;
  if (container != NULL) {
    info.status = (char *)container->status;
    info.bundle = container->bundle;
    info.pid = strcmp(container->status, "stopped") == 0 ? 0 : container->host_pid;
  }
  ttrpc_call_reply(call, &reply.base);
}

static void agent_stats(TtrpcCall *call, const ProtobufCMessage *message, gpointer user_data) {
  Grpc__PidsStats pids = GRPC__PIDS_STATS__INIT;
  Grpc__CgroupStats cgroup = GRPC__CGROUP_STATS__INIT;
  Grpc__StatsContainerResponse stats = GRPC__STATS_CONTAINER_RESPONSE__INIT;
  pids.current = 3;
  cgroup.pids_stats = &pids;
  stats.cgroup_stats = &cgroup;
  g_autofree guint8 *packed = g_malloc(grpc__stats_container_response__get_packed_size(&stats));
  Kata__V1__AgentStatsResponse reply = KATA__V1__AGENT_STATS_RESPONSE__INIT;
  reply.stats.len = grpc__stats_container_response__pack(&stats, packed);
  reply.stats.data = packed;
  if (strcmp(fake.id, "breaks-stats") == 0) memset(packed, 0xff, reply.stats.len);
  ttrpc_call_reply(call, &reply.base);
}

static void processes(TtrpcCall *call, const ProtobufCMessage *message, gpointer user_data) {
  Kata__V1__GuestProcess first = KATA__V1__GUEST_PROCESS__INIT;
  first.pid = 70;
  first.container_pid = 1;
  first.command = "sh";
  first.is_init = TRUE;
  first.host_pid = 4242;
  Kata__V1__GuestProcess *list[] = {&first};
  Kata__V1__ListProcessesResponse reply = KATA__V1__LIST_PROCESSES_RESPONSE__INIT;
  reply.processes = list;
  reply.n_processes = 1;
  ttrpc_call_reply(call, &reply.base);
}

/* Two events; after them none comes. */
static void next_event(TtrpcCall *call, const ProtobufCMessage *message, gpointer user_data) {
  const Kata__V1__NextEventRequest *request = (const void *)message;
  Google__Protobuf__Timestamp when = GOOGLE__PROTOBUF__TIMESTAMP__INIT;
  when.seconds = 1700000000;
  Kata__V1__Event event = KATA__V1__EVENT__INIT;
  event.number = request->after == 0 ? 5 : 7;
  event.type = request->after == 0 ? "oom" : "exit";
  event.exit_status = request->after == 0 ? 0 : 3;
  event.container_id = request->id;
  event.time = &when;
  Kata__V1__NextEventResponse reply = KATA__V1__NEXT_EVENT_RESPONSE__INIT;
  reply.event = request->after < 7 ? &event : NULL;
  ttrpc_call_reply(call, &reply.base);
}

/* Version answers with the request's service; the others do not exist. */
static void change_interface(TtrpcCall *call, const ProtobufCMessage *message, const char *verb) {
  const Kata__V1__InterfaceRequest *asked = (const Kata__V1__InterfaceRequest *)message;
  Kata__V1__InterfaceResponse reply = KATA__V1__INTERFACE_RESPONSE__INIT;
  if (strcmp(asked->interface->device, "eth1") == 0)
    ttrpc_call_reply(call, &reply.base);
  else
    ttrpc_call_fail(call, TTRPC_NOT_FOUND, "%s '%s'", verb, asked->interface->device);
}

static void add_interface(TtrpcCall *call, const ProtobufCMessage *message, gpointer user_data) {
  change_interface(call, message, "add");
}

static void remove_interface(TtrpcCall *call, const ProtobufCMessage *message, gpointer user_data) {
  change_interface(call, message, "remove");
}

static void list_interfaces(TtrpcCall *call) {
  Types__Interface interface = TYPES__INTERFACE__INIT, *list[] = {&interface};
  Grpc__Interfaces interfaces = GRPC__INTERFACES__INIT;
  guint8 packed[64];
  interface.name = "eth1";
  interfaces.interfaces = list;
  interfaces.n_interfaces = 1;
  Kata__V1__AgentCallResponse reply = KATA__V1__AGENT_CALL_RESPONSE__INIT;
  reply.reply.data = packed;
  reply.reply.len = grpc__interfaces__pack(&interfaces, packed);
  ttrpc_call_reply(call, &reply.base);
}

static void agent_call(TtrpcCall *call, const ProtobufCMessage *message, gpointer user_data) {
  const Kata__V1__AgentCallRequest *asked = (const Kata__V1__AgentCallRequest *)message;
  if (strcmp(asked->method, "ListInterfaces") == 0) {
    list_interfaces(call);
    return;
  }
  if (strcmp(asked->service, "grpc.Health") != 0 || strcmp(asked->method, "Version") != 0) {
    ttrpc_call_fail(call, TTRPC_UNIMPLEMENTED, "method %s", asked->method);
    return;
  }
  Grpc__CheckRequest *request = grpc__check_request__unpack(NULL, asked->request.len, asked->request.data);
  Grpc__VersionCheckResponse version = GRPC__VERSION_CHECK_RESPONSE__INIT;
  version.agent_version = request->service;
  g_autofree guint8 *packed = g_malloc(grpc__version_check_response__get_packed_size(&version) + 1);
  Kata__V1__AgentCallResponse reply = KATA__V1__AGENT_CALL_RESPONSE__INIT;
  reply.reply.len = grpc__version_check_response__pack(&version, packed);
  reply.reply.data = packed;
  if (strcmp(fake.id, "breaks-stats") == 0) memset(packed, 0xff, reply.reply.len);
  ttrpc_call_reply(call, &reply.base);
  grpc__check_request__free_unpacked(request, NULL);
}

/* ---- program ---- */

static const TtrpcMethod sandbox_methods[] = {{"CreateSandbox", create_sandbox},
                                              {"StartSandbox", start_sandbox},
                                              {"StopSandbox", stop_sandbox},
                                              {"SandboxStatus", sandbox_status},
                                              {"WaitSandbox", wait_sandbox},
                                              {"ShutdownSandbox", shutdown_sandbox},
                                              {NULL, NULL}};
static const TtrpcMethod task_methods[] = {{"Create", create},
                                           {"Start", start},
                                           {"Kill", kill_task},
                                           {"Wait", wait_task},
                                           {"Delete", delete_task},
                                           {"Exec", exec},
                                           {"ResizePty", resize},
                                           {"CloseIO", close_io},
                                           {"Pause", pause_task},
                                           {"Resume", resume_task},
                                           {"Update", update},
                                           {"Shutdown", shutdown_task},
                                           {NULL, NULL}};
static const TtrpcMethod owner_methods[] = {{"DomainXml", domain_xml},
                                            {"BootTimeline", boot_timeline},
                                            {"Containers", containers},
                                            {"AgentStats", agent_stats},
                                            {"Processes", processes},
                                            {"NextEvent", next_event},
                                            {"AgentCall", agent_call},
                                            {"AddInterface", add_interface},
                                            {"RemoveInterface", remove_interface},
                                            {NULL, NULL}};

static G_GNUC_NORETURN void serve(int listen_fd) {
  fake.containers = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, fake_container_free);
  fake.loop = g_main_loop_new(NULL, FALSE);
  TtrpcServer *server = ttrpc_server_new(NULL);
  ttrpc_server_add_service(server, &containerd__runtime__sandbox__v1__sandbox__descriptor, sandbox_methods, NULL);
  ttrpc_server_add_service(server, &containerd__task__v2__task__descriptor, task_methods, NULL);
  ttrpc_server_add_service(server, &kata__v1__owner__descriptor, owner_methods, NULL);
  ttrpc_server_listen(server, listen_fd, TRUE);
  g_main_loop_run(fake.loop);
  ttrpc_server_free(server);
  g_hash_table_unref(fake.containers);
  g_main_loop_unref(fake.loop);
  /* As the real one ends: calls that were never to be answered are nobody's, and no leak to be told of. */
  _exit(0);
}

static G_GNUC_NORETURN void fail(const char *text) {
  fputs(text, stderr);
  exit(1);
}

/* A real owner would know its configuration; the tests look at it through DomainXml. */
static void read_options(void) {
  guint8 buffer[65536];
  ssize_t length = fd_read_all(STDIN_FILENO, buffer, sizeof buffer);
  Google__Protobuf__Any *any = google__protobuf__any__unpack(NULL, (size_t)MAX(length, 0), buffer);
  if (any == NULL || strcmp(any->type_url, "runtimeoptions.v1.Options") != 0)
    fail("no options\ncode=invalid-argument\n");
  Runtimeoptions__V1__Options *options = runtimeoptions__v1__options__unpack(NULL, any->value.len, any->value.data);
  if (options == NULL) fail("broken options\ncode=invalid-argument\n");
  fake.config_body = g_strndup((const char *)options->config_body.data, options->config_body.len);
  runtimeoptions__v1__options__free_unpacked(options, NULL);
  google__protobuf__any__free_unpacked(any, NULL);
}

static void parse(int argc, char **argv) {
  for (int i = 1; i < argc; i++) {
    if (strcmp(argv[i], "-adopt") == 0) {
      fake.adopt = TRUE;
    } else if (argv[i][0] == '-' && i + 1 < argc) {
      if (strcmp(argv[i], "-id") == 0) fake.id = argv[i + 1];
      if (strcmp(argv[i], "-root") == 0) fake.root = argv[i + 1];
      i++;
    } else if (strcmp(argv[i], "start") != 0) {
      fail("unexpected argument\n");
    }
  }
  if (fake.id == NULL || fake.root == NULL) fail("no -id or no -root\n");
  fake.dir = paths_sandbox_dir(fake.root, fake.id);
}

static void misbehave(void) {
  if (strcmp(fake.id, "fails-with-code") == 0) fail("the kernel '/x' is not there\nline one\nline two\ncode=host\n");
  if (strcmp(fake.id, "fails-without-code") == 0) fail("something broke\n");
  if (strcmp(fake.id, "fails-silently") == 0) exit(7);
  if (strcmp(fake.id, "dies") == 0) abort();
  if (strcmp(fake.id, "says-nothing") == 0) exit(0);
}

static void make_directory(void) {
  g_autofree char *parent = g_build_filename(fake.root, PATHS_SANDBOXES, NULL);
  mkdir(parent, 0711);
  if (fake.adopt) {
    g_autofree char *guest = in_dir("guest");
    if (access(guest, F_OK) == 0) return;
    remove_directory();
    fail("sandbox was dead\ncode=not-found\n");
  }
  if (mkdir(fake.dir, 0700) < 0) fail("sandbox exists already\ncode=already-exists\n");
  g_autofree char *state = in_dir(PATHS_STATE);
  g_autofree char *text = g_strdup_printf("{ \"version\": 1, \"id\": \"%s\" }", fake.id);
  g_file_set_contents(state, text, -1, NULL);
}

int main(int argc, char **argv) {
  parse(argc, argv);
  read_options();
  misbehave();
  make_directory();
  fake.started = fake.adopt;
  g_autofree char *address = g_strconcat("unix://", fake.dir, "/", PATHS_OWNER_SOCKET, NULL);
  g_autoptr(GError) error = NULL;
  int listen_fd = ttrpc_listen(address, &error);
  if (listen_fd < 0) fail(error->message);
  pid_t pid = fork();
  if (pid != 0) {
    g_autofree char *pid_file = in_dir(PATHS_OWNER_PID);
    g_autofree char *text = g_strdup_printf("%d", (int)pid);
    g_file_set_contents(pid_file, text, -1, NULL);
    puts(address);
    return 0;
  }
  setsid();
  int null = open("/dev/null", O_RDWR);
  for (int fd = 0; fd <= 2; fd++) dup2(null, fd);
  alarm(120); /* whatever becomes of the test, nothing of it stays */
  serve(listen_fd);
}
