// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * What a host may send to the agent, carried out: the first byte of the input chooses the method, the rest is the
 * request as it is on the wire. It goes to the agent's own server and through its own handler, with what that mounts,
 * writes and tells the kernel, in a process that is shut in: mount, network, IPC and UTS namespaces of its own, nothing
 * of the machine but a tree that cannot be written, and none of the capabilities that reach further. In
 * the place of crun, which would run what an input names, is a script that makes processes which sleep for a moment and
 * end.
 */
#include <errno.h>
#include <fcntl.h>
#include <glib-unix.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "agent/container.h"
#include "agent/mount.h"
#include "agent/service.h"
#include "agent/task.h"
#include "common/error.h"
#include "common/fds.h"
#include "common/log.h"
#include "common/ttrpc-message.h"
#include "proto/agent.pb-c.h"
#include "proto/health.pb-c.h"
#include "proto/kata-guest.pb-c.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
const char *fuzz_find_unreached(void);

#define PROGRAMS "/run/programs"
/* Seconds that a process lives. */
#define LIFETIME "1"
/* The container that every input finds. */
#define CONTAINER "c1"
/* A call that has no answer by then waits for something that does not come; its caller goes. */
#define PATIENCE_MS 300
/* After so many inputs the place is made anew. */
#define INPUTS_MAX 256

/* Methods are counted through them all: the corpus has their numbers, so that more come last. */
static const ProtobufCServiceDescriptor *const services[] = {
    &grpc__agent_service__descriptor,
    &grpc__health__descriptor,
    &kata__v1__guest__descriptor,
};

typedef struct {
  const ProtobufCServiceDescriptor *service;
  const ProtobufCMethodDescriptor *method;
} Method;

static guint count_methods(void) {
  guint count = 0;
  for (guint i = 0; i < G_N_ELEMENTS(services); i++) count += services[i]->n_methods;
  return count;
}

static Method find_method(guint number) {
  guint i = 0;
  for (; number >= services[i]->n_methods; i++) number -= services[i]->n_methods;
  return (Method){services[i], &services[i]->methods[number]};
}

static struct {
  gboolean is_shut_in;
  AgentConfig *config;
  Reaper *reaper;
  UeventMonitor *uevents;
  Sandbox *sandbox;
  TtrpcServer *server;
  guint inputs;
  gboolean reached[256];
  gboolean had_container; /* that ran */
} place;

/* ---- the place ---- */

static void must(gboolean done, const char *what) {
  if (done) return;
  fprintf(stderr, "cannot %s: %s\n", what, g_strerror(errno));
  abort();
}

/* What is written there is the fuzzer's finds. */
static void make_tree_read_only(void) {
  g_autofree char *here = g_get_current_dir();
  struct mount_attr read_only = {.attr_set = MOUNT_ATTR_RDONLY};
  struct mount_attr writable = {.attr_clr = MOUNT_ATTR_RDONLY};
  must(mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0, "make mounts private");
  must(mount(here, here, NULL, MS_BIND, NULL) == 0 && chdir(here) == 0, "keep the working directory");
  must(mount_setattr(AT_FDCWD, "/", AT_RECURSIVE, &read_only, sizeof read_only) == 0, "make the tree read-only");
  must(mount_setattr(AT_FDCWD, here, 0, &writable, sizeof writable) == 0, "make the working directory writable");
}

static void make_devices(void) {
  must(mount("tmpfs", "/dev", "tmpfs", 0, "size=1m") == 0, "hide devices");
  must(mknod("/dev/null", S_IFCHR | 0666, makedev(1, 3)) == 0, "make /dev/null");
  must(mknod("/dev/urandom", S_IFCHR | 0666, makedev(1, 9)) == 0, "make /dev/urandom");
}

/* Whatever it is asked to make sleeps with the streams it got; all else succeeds. */
static const char crun[] =
    "#!/bin/sh\n"
    "while [ $# -gt 0 ]; do\n"
    "  if [ \"$1\" = --pid-file ]; then /bin/sleep " LIFETIME
    " & echo $! >\"$2\"; fi\n"
    "  shift\n"
    "done\n";

/* The programs that the network's calls run, crun, and no other. */
static void make_programs(void) {
  static const char *const names[] = {"iptables-save", "iptables-restore", "ip6tables-save", "ip6tables-restore"};
  char *found[G_N_ELEMENTS(names)] = {NULL};
  g_setenv("PATH", "/usr/sbin:/usr/bin:/sbin:/bin", TRUE);
  for (gsize i = 0; i < G_N_ELEMENTS(names); i++) found[i] = g_find_program_in_path(names[i]);
  must(mkdir(PROGRAMS, 0755) == 0, "make a directory for programs");
  for (gsize i = 0; i < G_N_ELEMENTS(names); i++) {
    g_autofree char *link = g_build_filename(PROGRAMS, names[i], NULL);
    if (found[i]) must(symlink(found[i], link) == 0, "make a link");
    g_free(found[i]);
  }
  must(g_file_set_contents(PROGRAMS "/crun", crun, -1, NULL) && chmod(PROGRAMS "/crun", 0755) == 0, "write crun");
  g_setenv("PATH", PROGRAMS, TRUE);
}

/* Clock, modules, power and devices are the machine's. */
static void drop_capabilities(void) {
  static const int dropped[] = {CAP_SYS_TIME, CAP_SYS_MODULE, CAP_SYS_BOOT, CAP_SYS_RAWIO, CAP_MKNOD, CAP_KILL};
  struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
  struct __user_cap_data_struct data[2];
  must(syscall(SYS_capget, &header, data) == 0, "read capabilities");
  for (gsize i = 0; i < G_N_ELEMENTS(dropped); i++) {
    guint32 bit = ~(1u << (dropped[i] % 32));
    data[dropped[i] / 32].effective &= bit;
    data[dropped[i] / 32].permitted &= bit;
    data[dropped[i] / 32].inheritable &= bit;
  }
  must(syscall(SYS_capset, &header, data) == 0, "drop capabilities");
}

static void make_run(void) {
  must(mount("tmpfs", "/run", "tmpfs", 0, "size=64m,nr_inodes=20000") == 0, "mount /run");
  must(g_mkdir_with_parents(MOUNT_SHARE, 0755) == 0, "make the shared tree");
  must(g_mkdir_with_parents(MOUNT_SHARE "/c1/rootfs/etc", 0755) == 0, "make a root file system");
  must(g_file_set_contents(MOUNT_SHARE "/c1/rootfs/etc/passwd", "root:x:0:0:::\nuser:x:7:8:::\n", -1, NULL),
       "make a file of users");
  make_programs();
}

static void shut_in(void) {
  must(unshare(CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS) == 0, "make namespaces");
  if (system("ip link set lo up && ip link add eth0 address 02:00:00:00:00:01 type veth peer name eth1") != 0)
    fprintf(stderr, "there is no network card but lo\n");
  make_tree_read_only();
  make_devices();
  must(mount("tmpfs", "/sys", "tmpfs", 0, "size=1m") == 0 && g_mkdir_with_parents("/sys/fs/cgroup", 0755) == 0,
       "hide /sys");
  must(mount("/proc/sys", "/proc/sys", NULL, MS_BIND | MS_REC, NULL) == 0 &&
           mount(NULL, "/proc/sys", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL) == 0,
       "protect /proc/sys");
  make_run();
  drop_capabilities();
}

/* ---- the agent ---- */

static void stop_asked(gpointer user_data) {}

static void destroyed(gpointer user_data) { *(gboolean *)user_data = TRUE; }

/* As the agent ends; and what is under way comes to its end, as this process goes on. */
static void end_agent(void) {
  gboolean is_destroyed = FALSE;
  g_clear_pointer(&place.server, ttrpc_server_free);
  if (place.sandbox->is_destroying || !sandbox_destroy(place.sandbox, destroyed, &is_destroyed, NULL))
    is_destroyed = TRUE;
  while (!is_destroyed || task_count() > 0) g_main_context_iteration(NULL, TRUE);
  while (g_main_context_iteration(NULL, FALSE)) continue;
  g_clear_pointer(&place.sandbox, sandbox_free);
}

static void begin_agent(void) {
  place.sandbox = sandbox_new(place.config, place.reaper, place.uevents);
  place.sandbox->stop_func = stop_asked;
  place.server = ttrpc_server_new(NULL);
  service_add_methods(place.server, place.sandbox);
}

static void set_up(void) {
  log_open(open("/dev/null", O_WRONLY | O_CLOEXEC), LOG_FORMAT_JSON, G_LOG_LEVEL_ERROR);
  place.is_shut_in = geteuid() == 0;
  if (!place.is_shut_in) return;
  shut_in();
  /* What crun makes is ours once that ends. */
  must(prctl(PR_SET_CHILD_SUBREAPER, 1) == 0, "adopt orphans");
  place.config = agent_config_new();
  place.config->hotplug_timeout_ms = 1;
  place.reaper = reaper_new(NULL);
  place.uevents = uevent_monitor_new(NULL);
  begin_agent();
}

/* ---- calls ---- */

static gboolean out_of_patience(gpointer user_data) {
  *(gboolean *)user_data = TRUE;
  return G_SOURCE_CONTINUE;
}

static gboolean answered(int fd, GIOCondition condition, gpointer user_data) {
  *(gboolean *)user_data = TRUE;
  return G_SOURCE_CONTINUE;
}

static ProtobufCBinaryData make_frame(guint number, const guint8 *payload, gsize size) {
  Method called = find_method(number);
  Ttrpc__Request request = TTRPC__REQUEST__INIT;
  request.service = (char *)called.service->name;
  request.method = (char *)called.method->name;
  request.payload = (ProtobufCBinaryData){size, (guint8 *)payload};
  gsize length = ttrpc__request__get_packed_size(&request);
  ProtobufCBinaryData frame = {TTRPC_HEADER_SIZE + length, g_malloc(TTRPC_HEADER_SIZE + length)};
  TtrpcFrame header = {.length = (guint32)length, .stream_id = 1, .type = TTRPC_FRAME_REQUEST};
  ttrpc_header_encode(&header, frame.data);
  ttrpc__request__pack(&request, frame.data + TTRPC_HEADER_SIZE);
  return frame;
}

/* TRUE: it was answered, or waits as it should. */
static gboolean make_call(guint number, const guint8 *payload, gsize size) {
  int ends[2];
  must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) == 0, "make a socket");
  ProtobufCBinaryData frame = make_frame(number, payload, size);
  ttrpc_server_add_stream(place.server, ends[1], TTRPC_STREAM_SOCKET);
  gboolean is_over = FALSE, is_late = FALSE;
  guint source = g_unix_fd_add(ends[0], G_IO_IN | G_IO_HUP, answered, &is_over);
  guint timeout = g_timeout_add(PATIENCE_MS, out_of_patience, &is_late);
  gsize written = 0;
  while (!is_over && !is_late) {
    if (written < frame.len) {
      gssize taken = ttrpc_write(ends[0], TRUE, frame.data + written, frame.len - written);
      if (taken < 0) break;
      written += (gsize)taken;
    }
    g_main_context_iteration(NULL, written >= frame.len);
  }
  g_source_remove(source);
  g_source_remove(timeout);
  close(ends[0]);
  g_free(frame.data);
  return written >= frame.len;
}

static guint number_of(const char *method) {
  guint number = 0;
  while (strcmp(find_method(number).method->name, method) != 0) number++;
  return number;
}

static void make_known_call(const char *method, const ProtobufCMessage *request) {
  gsize size = protobuf_c_message_get_packed_size(request);
  g_autofree guint8 *bytes = g_malloc(size);
  protobuf_c_message_pack(request, bytes);
  make_call(number_of(method), bytes, size);
}

static void create_container(void) {
  char *args[] = {(char *)"program"};
  Grpc__Spec spec = GRPC__SPEC__INIT;
  Grpc__Root root = GRPC__ROOT__INIT;
  Grpc__Process process = GRPC__PROCESS__INIT;
  Grpc__User user = GRPC__USER__INIT;
  Grpc__Linux lin = GRPC__LINUX__INIT;
  root.path = (char *)MOUNT_SHARE "/c1/rootfs";
  process.args = args;
  process.n_args = G_N_ELEMENTS(args);
  process.cwd = (char *)"/";
  process.user = &user;
  spec.root = &root;
  spec.process = &process;
  spec.linux = &lin;
  Grpc__CreateContainerRequest create = GRPC__CREATE_CONTAINER_REQUEST__INIT;
  create.container_id = (char *)CONTAINER;
  create.oci = &spec;
  make_known_call("CreateContainer", &create.base);
  Grpc__StartContainerRequest start = GRPC__START_CONTAINER_REQUEST__INIT;
  start.container_id = (char *)CONTAINER;
  make_known_call("StartContainer", &start.base);
  const Container *container = sandbox_find_container(place.sandbox, CONTAINER);
  place.had_container |= container && container->state == CONTAINER_RUNNING;
}

/* What the methods about a sandbox's storages and containers need. */
static void create_sandbox(void) {
  Grpc__Storage memory = GRPC__STORAGE__INIT;
  Grpc__Storage *storages[] = {&memory};
  memory.driver = (char *)"ephemeral";
  memory.fstype = (char *)"tmpfs";
  memory.mount_point = (char *)MOUNT_ROOT "/sandbox/shm";
  Grpc__CreateSandboxRequest request = GRPC__CREATE_SANDBOX_REQUEST__INIT;
  request.n_storages = 1;
  request.storages = storages;
  make_known_call("CreateSandbox", &request.base);
}

static gboolean is_of_sandbox(guint number) {
  const char *name = find_method(number).method->name;
  return strcmp(name, "CreateSandbox") == 0 || strcmp(name, "DestroySandbox") == 0;
}

static void make_anew(void) {
  end_agent();
  while (umount2("/run", UMOUNT_NOFOLLOW | MNT_DETACH) == 0) continue;
  make_run();
  begin_agent();
  place.inputs = 0;
}

/* Before libFuzzer makes a thread, which would take the signal from the reaper's descriptor. */
int LLVMFuzzerInitialize(int *argc, char ***argv) {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGCHLD);
  must(sigprocmask(SIG_BLOCK, &signals, NULL) == 0, "block SIGCHLD");
  return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (!place.config && !place.is_shut_in) set_up();
  if (size < 1 || !place.is_shut_in) return 0;
  guint number = data[0] % count_methods();
  if (place.sandbox->is_destroying || (is_of_sandbox(number) && place.sandbox->is_created) ||
      ++place.inputs > INPUTS_MAX)
    make_anew();
  if (!is_of_sandbox(number) && !place.sandbox->is_created) create_sandbox();
  if (place.sandbox->is_created && !sandbox_find_container(place.sandbox, CONTAINER)) create_container();
  ProtobufCMessage *message = ttrpc_unpack(find_method(number).method->input, data + 1, size - 1);
  gboolean is_well_formed = message != NULL;
  if (message) protobuf_c_message_free_unpacked(message, NULL);
  place.reached[number] |= make_call(number, data + 1, size - 1) && is_well_formed;
  return 0;
}

const char *fuzz_find_unreached(void) {
  if (!place.is_shut_in) return NULL;
  if (!place.had_container) return "a container that runs";
  for (guint i = 0; i < count_methods(); i++)
    if (!place.reached[i]) return find_method(i).method->name;
  return NULL;
}
