/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/agent/harness.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* Last: it needs the ones before. */
#include <cmocka.h>

#include "common/error.h"
#include "common/fds.h"
#include "common/spawn.h"

#define SKIPPED 77
#define BUSYBOX "/bin/busybox"
#define ADDRESS "unix://" HARNESS_RUN "/agent.sock"
#define DIAL_MS 30000
#define LOG HARNESS_RUN "/agent.log"
#define SETTINGS HARNESS_RUN "/agent.toml"

static const char *const applets[] = {
    "sh",     "cat", "echo",     "sleep", "stty", "sha256sum", "dd", "ls",    "true",  "head", "kill", "mkdir", "wc",
    "setsid", "seq", "hostname", "tty",   "id",   "grep",      "ps", "chmod", "touch", "env",  "pwd",  "yes",   "tr"};

static char *agent_path;
static pid_t agent_pid;
static TtrpcClient *the_client;
static const char *the_rootfs = HARNESS_ROOTFS;

/* The cgroup tree is the host's: two tests at once must not meet. */
static const char *cgroup_prefix(void) {
  static char *prefix;
  if (!prefix) prefix = g_strdup_printf("kata-test-%08x-", g_random_int());
  return prefix;
}

/* ---- the place ---- */

static gboolean try(gboolean done, const char *what) {
  if (!done) fprintf(stderr, "skipped: cannot %s: %s\n", what, g_strerror(errno));
  return done;
}

static gboolean make_place(void) {
  return try(mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL) == 0, "make mounts private") &&
         try(mount("proc", "/proc", "proc", 0, NULL) == 0, "mount /proc") &&
         try(umount2("/sys/fs/cgroup", MNT_DETACH) == 0 || errno == EINVAL, "unmount the host's cgroups") &&
         try(mount("cgroup2", "/sys/fs/cgroup", "cgroup2", 0, NULL) == 0, "mount cgroup v2") &&
         try(mount("tmpfs", HARNESS_RUN, "tmpfs", 0, "mode=755") == 0, "mount a tmpfs");
}

static gboolean make_rootfs(void) {
  static const char *const directories[] = {"bin", "proc", "dev", "sys", "tmp", "etc"};
  for (gsize i = 0; i < G_N_ELEMENTS(directories); i++) {
    g_autofree char *path = g_build_filename(HARNESS_ROOTFS, directories[i], NULL);
    if (g_mkdir_with_parents(path, 0755) < 0) return FALSE;
  }
  g_autofree char *content = NULL;
  gsize length = 0;
  if (!g_file_get_contents(BUSYBOX, &content, &length, NULL) ||
      !g_file_set_contents(HARNESS_ROOTFS "/bin/busybox", content, (gssize)length, NULL) ||
      chmod(HARNESS_ROOTFS "/bin/busybox", 0755) < 0)
    return FALSE;
  for (gsize i = 0; i < G_N_ELEMENTS(applets); i++) {
    g_autofree char *path = g_build_filename(HARNESS_ROOTFS "/bin", applets[i], NULL);
    if (symlink("busybox", path) < 0) return FALSE;
  }
  return g_file_set_contents(HARNESS_ROOTFS "/etc/passwd", "root:x:0:0:root:/root:/bin/sh\n", -1, NULL);
}

static int run_inside(int (*func)(void)) {
  if (!make_place() || !try(make_rootfs(), "make a root file system")) return SKIPPED;
  int status = func();
  g_autofree char *log = harness_log();
  fputs(log, stderr);
  return status;
}

/* After a test that failed; the processes have ended with their namespace. */
static void remove_cgroups(void) {
  g_autoptr(GDir) root = g_dir_open("/sys/fs/cgroup", 0, NULL);
  const char *name = NULL;
  while (root && (name = g_dir_read_name(root))) {
    if (!g_str_has_prefix(name, cgroup_prefix())) continue;
    g_autofree char *parent = g_build_filename("/sys/fs/cgroup", name, NULL);
    g_autofree char *child = g_build_filename(parent, "c", NULL);
    rmdir(child);
    rmdir(parent);
  }
}

static gboolean have_program(const char *name) {
  g_autofree char *path = g_find_program_in_path(name);
  if (!path) fprintf(stderr, "skipped: there is no '%s'\n", name);
  return path != NULL;
}

static char *find_agent(const char *build) {
  g_autofree char *root = g_canonicalize_filename(build, NULL);
  return g_build_filename(root, "agent/kata-agent", NULL);
}

int harness_run(int (*func)(void)) {
  if (geteuid() != 0) {
    fprintf(stderr, "skipped: needs root\n");
    return SKIPPED;
  }
  if (!have_program("crun") || !have_program(BUSYBOX)) return SKIPPED;
  const char *build = g_getenv("top_builddir");
  agent_path = find_agent(build ? build : ".");
  if (!g_file_test(agent_path, G_FILE_TEST_IS_EXECUTABLE)) {
    fprintf(stderr, "there is no agent '%s'\n", agent_path);
    return 1;
  }
  if (!try(unshare(CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS) == 0, "unshare"))
    return SKIPPED;
  fflush(NULL);
  cgroup_prefix();
  pid_t inside = fork();
  if (inside == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    int status = run_inside(func);
    g_free(agent_path);
    exit(status);
  }
  int wait_status = 0;
  while (waitpid(inside, &wait_status, 0) < 0 && errno == EINTR) continue;
  remove_cgroups();
  /* Without the leak checker: it needs a helper process, and no process can be made in a namespace that has ended. */
  _exit(WIFEXITED(wait_status) ? WEXITSTATUS(wait_status) : 1);
}

/* ---- the agent ---- */

TtrpcClient *harness_connect(void) {
  g_autoptr(GError) error = NULL;
  int fd = ttrpc_dial(ADDRESS, DIAL_MS, &error);
  if (fd < 0) fail_msg("cannot reach the agent: %s", error->message);
  return ttrpc_client_new(fd, TTRPC_STREAM_SOCKET);
}

void harness_start(void) { harness_start_with(NULL); }

void harness_start_with(const char *settings) {
  static const char *const bare[] = {"--listen", ADDRESS};
  const char *wrapper = g_getenv("KATA_TEST_AGENT_WRAPPER");
  g_auto(GStrv) words = g_strsplit(wrapper ? wrapper : "", " ", -1);
  g_autoptr(GPtrArray) argv = g_ptr_array_new();
  for (char **word = words; *word; word++)
    if (**word) g_ptr_array_add(argv, *word);
  g_ptr_array_add(argv, agent_path);
  for (gsize i = 0; i < G_N_ELEMENTS(bare); i++) g_ptr_array_add(argv, (gpointer)bare[i]);
  if (settings) {
    assert_true(g_file_set_contents(SETTINGS, settings, -1, NULL));
    g_ptr_array_add(argv, (gpointer) "--config");
    g_ptr_array_add(argv, (gpointer)SETTINGS);
  }
  g_ptr_array_add(argv, NULL);
  g_autoptr(GError) error = NULL;
  SpawnOptions options = SPAWN_OPTIONS_INIT;
  options.argv = (const char *const *)argv->pdata;
  options.stdout_fd = STDERR_FILENO;
  autofd int log = open(LOG, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  assert_true(log >= 0);
  options.stderr_fd = log;
  agent_pid = spawn_start(&options, NULL, &error);
  if (agent_pid < 0) fail_msg("cannot start the agent: %s", error->message);
  the_client = harness_connect();
}

void harness_stop(void) {
  g_autoptr(GError) error = NULL;
  int wait_status = 0;
  Grpc__DestroySandboxRequest request = GRPC__DESTROY_SANDBOX_REQUEST__INIT;
  if (the_client) harness_must("DestroySandbox", &request.base);
  g_clear_pointer(&the_client, ttrpc_client_unref);
  if (agent_pid <= 0) return;
  while (waitpid(agent_pid, &wait_status, 0) < 0 && errno == EINTR) continue;
  agent_pid = 0;
  assert_int_equal(wait_status, 0);
}

void harness_attach(TtrpcClient *client, const char *rootfs) {
  the_client = client;
  the_rootfs = rootfs;
}

TtrpcClient *harness_client(void) { return the_client; }

pid_t harness_agent_pid(void) { return agent_pid; }

char *harness_log(void) {
  char *text = NULL;
  return g_file_get_contents(LOG, &text, NULL, NULL) ? text : g_strdup("");
}

/* ---- calls ---- */

ProtobufCMessage *harness_call(const char *method, const ProtobufCMessage *request, GError **error) {
  ProtobufCMessage *reply = NULL;
  ttrpc_client_invoke(the_client, &grpc__agent_service__descriptor, method, request, HARNESS_CALL_MS, &reply, error);
  return reply;
}

void harness_must(const char *method, const ProtobufCMessage *request) {
  g_autoptr(GError) error = NULL;
  ProtobufCMessage *reply = harness_call(method, request, &error);
  if (!reply) fail_msg("%s: %s", method, error->message);
  protobuf_c_message_free_unpacked(reply, NULL);
}

void harness_must_fail(const char *method, const ProtobufCMessage *request, int rpc_code, const char *text) {
  g_autoptr(GError) error = NULL;
  ProtobufCMessage *reply = harness_call(method, request, &error);
  if (reply) fail_msg("%s did not fail", method);
  if (error_get_code(error) != error_code_from_rpc(rpc_code))
    fail_msg("%s: not code %d: %s", method, rpc_code, error->message);
  if (!strstr(error->message, text)) fail_msg("%s: no '%s' in '%s'", method, text, error->message);
}

/* ---- documents ---- */

static void set_text(char **field, const char *value) {
  if (*field != (char *)protobuf_c_empty_string) free(*field);
  *field = strdup(value);
}

static void add_text(size_t *n, char ***list, const char *value) {
  *list = realloc(*list, (*n + 1) * sizeof **list);
  (*list)[(*n)++] = strdup(value);
}

void harness_set_args(Grpc__Process *process, const char *const *args) {
  for (gsize i = 0; i < process->n_args; i++) free(process->args[i]);
  process->n_args = 0;
  for (; *args; args++) add_text(&process->n_args, &process->args, *args);
}

Grpc__Process *harness_process(const char *script) {
  Grpc__Process *process = malloc(sizeof *process);
  grpc__process__init(process);
  process->user = malloc(sizeof *process->user);
  grpc__user__init(process->user);
  set_text(&process->cwd, "/");
  add_text(&process->n_env, &process->env, "PATH=/bin");
  const char *const args[] = {"sh", "-c", script, NULL};
  harness_set_args(process, args);
  return process;
}

void harness_add_mount(Grpc__Spec *spec, const char *destination, const char *type, const char *source) {
  spec->mounts = realloc(spec->mounts, (spec->n_mounts + 1) * sizeof *spec->mounts);
  Grpc__Mount *entry = malloc(sizeof *entry);
  grpc__mount__init(entry);
  set_text(&entry->destination, destination);
  set_text(&entry->type, type);
  set_text(&entry->source, source);
  spec->mounts[spec->n_mounts++] = entry;
}

static void add_namespace(Grpc__Linux *linux, const char *type) {
  linux->namespaces = realloc(linux->namespaces, (linux->n_namespaces + 1) * sizeof *linux->namespaces);
  Grpc__LinuxNamespace *entry = malloc(sizeof *entry);
  grpc__linux_namespace__init(entry);
  set_text(&entry->type, type);
  linux->namespaces[linux->n_namespaces++] = entry;
}

Grpc__Spec *harness_spec(const char *script) {
  static int serial;
  Grpc__Spec *spec = malloc(sizeof *spec);
  grpc__spec__init(spec);
  set_text(&spec->version, "1.0.2");
  spec->process = harness_process(script);
  spec->root = malloc(sizeof *spec->root);
  grpc__root__init(spec->root);
  set_text(&spec->root->path, the_rootfs);
  spec->linux = malloc(sizeof *spec->linux);
  grpc__linux__init(spec->linux);
  g_autofree char *cgroup = g_strdup_printf("/%s%d/c", cgroup_prefix(), serial++);
  set_text(&spec->linux->cgroupspath, cgroup);
  add_namespace(spec->linux, "mount");
  add_namespace(spec->linux, "ipc");
  add_namespace(spec->linux, "uts");
  harness_add_mount(spec, "/proc", "proc", "proc");
  harness_add_mount(spec, "/dev", "tmpfs", "tmpfs");
  harness_add_mount(spec, "/dev/pts", "devpts", "devpts");
  harness_add_mount(spec, "/tmp", "tmpfs", "tmpfs");
  return spec;
}

void harness_spec_free(Grpc__Spec *spec) {
  if (spec) protobuf_c_message_free_unpacked(&spec->base, NULL);
}

void harness_process_free(Grpc__Process *process) {
  if (process) protobuf_c_message_free_unpacked(&process->base, NULL);
}

/* ---- common calls ---- */

void harness_create_spec(const char *id, Grpc__Spec *spec) {
  Grpc__CreateContainerRequest request = GRPC__CREATE_CONTAINER_REQUEST__INIT;
  request.container_id = (char *)id;
  request.exec_id = (char *)id;
  request.oci = spec;
  harness_must("CreateContainer", &request.base);
}

void harness_create(const char *id, const char *script) {
  g_autoptr(Grpc__Spec) spec = harness_spec(script);
  harness_create_spec(id, spec);
}

void harness_start_container(const char *id) {
  Grpc__StartContainerRequest request = GRPC__START_CONTAINER_REQUEST__INIT;
  request.container_id = (char *)id;
  harness_must("StartContainer", &request.base);
}

void harness_exec(const char *id, const char *exec_id, const char *script) {
  g_autoptr(Grpc__Process) process = harness_process(script);
  Grpc__ExecProcessRequest request = GRPC__EXEC_PROCESS_REQUEST__INIT;
  request.container_id = (char *)id;
  request.exec_id = (char *)exec_id;
  request.process = process;
  harness_must("ExecProcess", &request.base);
}

void harness_signal(const char *id, const char *exec_id, int signal_number) {
  Grpc__SignalProcessRequest request = GRPC__SIGNAL_PROCESS_REQUEST__INIT;
  request.container_id = (char *)id;
  request.exec_id = (char *)exec_id;
  request.signal = (guint32)signal_number;
  harness_must("SignalProcess", &request.base);
}

int harness_wait(const char *id, const char *exec_id) {
  g_autoptr(GError) error = NULL;
  Grpc__WaitProcessRequest request = GRPC__WAIT_PROCESS_REQUEST__INIT;
  request.container_id = (char *)id;
  request.exec_id = (char *)exec_id;
  Grpc__WaitProcessResponse *reply = (Grpc__WaitProcessResponse *)harness_call("WaitProcess", &request.base, &error);
  if (!reply) fail_msg("WaitProcess: %s", error->message);
  int status = reply->status;
  protobuf_c_message_free_unpacked(&reply->base, NULL);
  return status;
}

void harness_remove(const char *id) {
  Grpc__RemoveContainerRequest request = GRPC__REMOVE_CONTAINER_REQUEST__INIT;
  request.container_id = (char *)id;
  harness_must("RemoveContainer", &request.base);
}

void harness_close_stdin(const char *id, const char *exec_id) {
  Grpc__CloseStdinRequest request = GRPC__CLOSE_STDIN_REQUEST__INIT;
  request.container_id = (char *)id;
  request.exec_id = (char *)exec_id;
  harness_must("CloseStdin", &request.base);
}

static GBytes *read_once(const char *method, const char *id, const char *exec_id, guint32 size) {
  g_autoptr(GError) error = NULL;
  Grpc__ReadStreamRequest request = GRPC__READ_STREAM_REQUEST__INIT;
  request.container_id = (char *)id;
  request.exec_id = (char *)exec_id;
  request.len = size;
  Grpc__ReadStreamResponse *reply = (Grpc__ReadStreamResponse *)harness_call(method, &request.base, &error);
  if (!reply) fail_msg("%s: %s", method, error->message);
  assert_true(reply->data.len <= size);
  GBytes *data = g_bytes_new(reply->data.data, reply->data.len);
  protobuf_c_message_free_unpacked(&reply->base, NULL);
  return data;
}

GBytes *harness_read(const char *id, const char *exec_id, guint32 size) {
  return read_once("ReadStdout", id, exec_id, size);
}

GString *harness_read_all(const char *id, const char *exec_id, gboolean is_err) {
  GString *all = g_string_new(NULL);
  for (;;) {
    g_autoptr(GBytes) data = read_once(is_err ? "ReadStderr" : "ReadStdout", id, exec_id, 1u << 20);
    gsize size = 0;
    const char *bytes = g_bytes_get_data(data, &size);
    if (size == 0) return all;
    g_string_append_len(all, bytes, (gssize)size);
  }
}

void harness_write(const char *id, const char *exec_id, const void *data, gsize size) {
  g_autoptr(GError) error = NULL;
  Grpc__WriteStreamRequest request = GRPC__WRITE_STREAM_REQUEST__INIT;
  request.container_id = (char *)id;
  request.exec_id = (char *)exec_id;
  request.data.data = (guint8 *)data;
  request.data.len = size;
  Grpc__WriteStreamResponse *reply = (Grpc__WriteStreamResponse *)harness_call("WriteStdin", &request.base, &error);
  if (!reply) fail_msg("WriteStdin: %s", error->message);
  assert_int_equal(reply->len, size);
  protobuf_c_message_free_unpacked(&reply->base, NULL);
}

/* ---- what is left ---- */

static gint compare_names(gconstpointer a, gconstpointer b) {
  return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void list_directory(GString *text, const char *path, const char *prefix) {
  g_autoptr(GDir) directory = g_dir_open(path, 0, NULL);
  const char *name = NULL;
  g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
  while (directory && (name = g_dir_read_name(directory)))
    if (g_str_has_prefix(name, prefix)) g_ptr_array_add(names, g_strdup(name));
  g_ptr_array_sort(names, compare_names);
  for (guint i = 0; i < names->len; i++)
    g_string_append_printf(text, "%s/%s\n", path, (const char *)g_ptr_array_index(names, i));
}

static gboolean is_number(const char *name) { return strspn(name, "0123456789") == strlen(name); }

static void list_processes(GString *text) {
  g_autoptr(GDir) directory = g_dir_open("/proc", 0, NULL);
  const char *name = NULL;
  while (directory && (name = g_dir_read_name(directory))) {
    if (!is_number(name)) continue;
    g_autofree char *path = g_build_filename("/proc", name, "comm", NULL);
    g_autofree char *comm = NULL;
    if (g_file_get_contents(path, &comm, NULL, NULL)) g_string_append_printf(text, "process %s %s", name, comm);
  }
}

/* Others on this machine remove what they have mounted, and it goes here too: network namespaces, images. */
static void list_mounts(GString *text) {
  g_autofree char *mounts = NULL;
  g_file_get_contents("/proc/self/mounts", &mounts, NULL, NULL);
  g_auto(GStrv) lines = g_strsplit(mounts, "\n", -1);
  for (char **line = lines; *line; line++)
    if (!g_str_has_prefix(*line, "nsfs ") && !strstr(*line, " /tmp/") && !strstr(*line, " /var/") &&
        !strstr(*line, " " HARNESS_RUN "/netns"))
      g_string_append_printf(text, "%s\n", *line);
}

char *harness_leftovers(void) {
  GString *text = g_string_new(NULL);
  list_mounts(text);
  list_directory(text, HARNESS_RUN "/kata-containers", "");
  list_directory(text, HARNESS_RUN "/kata-agent", "");
  list_directory(text, HARNESS_RUN "/kata-agent/crun", "");
  list_directory(text, "/sys/fs/cgroup", cgroup_prefix());
  list_processes(text);
  return g_string_free(text, FALSE);
}
