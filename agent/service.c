/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent/service.h"

#include <errno.h>
#include <fcntl.h>
#include <glib-unix.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "agent/debug-console.h"
#include "agent/log-port.h"
#include "agent/modules.h"
#include "agent/reap.h"
#include "agent/rpc.h"
#include "agent/sandbox.h"
#include "agent/uevent.h"
#include "common/error.h"
#include "common/fds.h"
#include "common/log.h"
#include "common/ttrpc.h"
#include "proto/agent.pb-c.h"
#include "proto/health.pb-c.h"
#include "proto/kata-guest.pb-c.h"

/* Every process of a container holds three or four descriptors here. */
#define DESCRIPTORS_WANTED 65536
/* Log lines that wait for a reader. */
#define LOG_QUEUE_MAX 262144

static const TtrpcMethod health_methods[] = {
    {"Check", rpc_check},
    {"Version", rpc_version},
    {NULL, NULL},
};

static const TtrpcMethod agent_methods[] = {
    {"CreateContainer", rpc_create_container},
    {"StartContainer", rpc_start_container},
    {"RemoveContainer", rpc_remove_container},
    {"ExecProcess", rpc_exec_process},
    {"SignalProcess", rpc_signal_process},
    {"WaitProcess", rpc_wait_process},
    {"UpdateContainer", rpc_update_container},
    {"StatsContainer", rpc_stats_container},
    {"PauseContainer", rpc_pause_container},
    {"ResumeContainer", rpc_resume_container},
    {"UpdateEphemeralMounts", rpc_update_ephemeral_mounts},
    {"CopyFile", rpc_copy_file},
    {"GetVolumeStats", rpc_get_volume_stats},
    {"ResizeVolume", rpc_resize_volume},
    {"AddSwap", rpc_add_swap},
    {"AddSwapPath", rpc_add_swap_path},
    {"GetDiagnosticData", rpc_get_diagnostic_data},
    {"RemoveStaleVirtiofsShareMounts", rpc_remove_stale_mounts},
    {"WriteStdin", rpc_write_stdin},
    {"ReadStdout", rpc_read_stdout},
    {"ReadStderr", rpc_read_stderr},
    {"CloseStdin", rpc_close_stdin},
    {"TtyWinResize", rpc_tty_win_resize},
    {"UpdateInterface", rpc_update_interface},
    {"UpdateRoutes", rpc_update_routes},
    {"ListInterfaces", rpc_list_interfaces},
    {"ListRoutes", rpc_list_routes},
    {"AddARPNeighbors", rpc_add_arp_neighbors},
    {"GetIPTables", rpc_get_iptables},
    {"SetIPTables", rpc_set_iptables},
    {"CreateSandbox", rpc_create_sandbox},
    {"DestroySandbox", rpc_destroy_sandbox},
    {"GetGuestDetails", rpc_get_guest_details},
    {"SetGuestDateTime", rpc_set_guest_date_time},
    {"ReseedRandomDev", rpc_reseed_random_dev},
    {"GetOOMEvent", rpc_get_oom_event},
    {"OnlineCPUMem", rpc_online_cpu_mem},
    {"MemHotplugByProbe", rpc_mem_hotplug_by_probe},
    {"GetMetrics", rpc_get_metrics},
    {"SetPolicy", rpc_set_policy},
    {"MemAgentMemcgSet", rpc_mem_agent},
    {"MemAgentCompactSet", rpc_mem_agent},
    {NULL, NULL},
};

static const TtrpcMethod guest_methods[] = {
    {"ListProcesses", rpc_list_processes},
    {"CloseOutput", rpc_close_output},
    {"Signal", rpc_signal},
    {"LookAtMounts", rpc_look_at_mounts},
    {"CoverMount", rpc_cover_mount},
    {NULL, NULL},
};

static gboolean quit_loop(gpointer loop) {
  g_main_loop_quit(loop);
  return G_SOURCE_REMOVE;
}

/* Answers that are on their way go first. */
static void stop(gpointer loop) { g_idle_add_full(G_PRIORITY_LOW, quit_loop, loop, NULL); }

/* The second signal does not wait for containers. */
static gboolean end_asked(int fd, GIOCondition condition, gpointer user_data) {
  Sandbox *sandbox = user_data;
  struct signalfd_siginfo info;
  while (read(fd, &info, sizeof info) > 0) continue;
  if (!sandbox_destroy(sandbox, sandbox->stop_func, sandbox->stop_data, NULL)) sandbox->stop_func(sandbox->stop_data);
  return G_SOURCE_CONTINUE;
}

/* A descriptor that becomes readable when SIGTERM or SIGINT comes. */
static int open_end_signals(GError **error) {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  int fd = sigprocmask(SIG_BLOCK, &signals, NULL) < 0 ? -1 : signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
  if (fd < 0) error_set_errno(error, errno, "cannot make a signalfd for SIGTERM");
  return fd;
}

static void raise_descriptor_limit(void) {
  struct rlimit limit = {0};
  if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur >= DESCRIPTORS_WANTED) return;
  struct rlimit wanted = {DESCRIPTORS_WANTED, MAX(limit.rlim_max, DESCRIPTORS_WANTED)};
  if (setrlimit(RLIMIT_NOFILE, &wanted) == 0) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

/* Returns FALSE if nobody could reach us. */
static gboolean open_listeners(TtrpcServer *server, const AgentConfig *config, GError **error) {
  g_autoptr(GError) listen_error = NULL;
  autofd int port = config->is_init ? open(AGENT_PORT_PATH, O_RDWR | O_CLOEXEC | O_NONBLOCK) : -1;
  autofd int listener = ttrpc_listen(config->address, &listen_error);
  if (listener < 0 && port < 0) {
    g_propagate_error(error, g_steal_pointer(&listen_error));
    return FALSE;
  }
  if (listener >= 0)
    ttrpc_server_listen(server, fd_steal(&listener), TRUE);
  else
    g_info("serving on '%s' alone: %s", AGENT_PORT_PATH, listen_error->message);
  if (port >= 0) ttrpc_server_add_stream(server, fd_steal(&port), TTRPC_STREAM_PORT);
  return TRUE;
}

/* What could not be opened is said, and the agent serves without it. */
static int open_port(guint number, const char *what) {
  g_autoptr(GError) error = NULL;
  g_autofree char *address = g_strdup_printf("vsock://-1:%u", number);
  int listener = ttrpc_listen(address, &error);
  if (listener < 0) g_warning("no %s: %s", what, error->message);
  return listener;
}

static void open_debug_ports(const AgentConfig *config, Reaper *reaper) {
  int log_listener = config->log_vport > 0 ? open_port(config->log_vport, "log port") : -1;
  if (log_listener >= 0) log_port_serve(log_listener, config->log_level);
  if (!config->debug_console) return;
  int listener = config->debug_console_vport > 0 ? open_port(config->debug_console_vport, "debug console") : -1;
  if (listener >= 0)
    debug_console_serve(reaper, listener);
  else if (config->debug_console_vport == 0 && config->is_init)
    debug_console_run(reaper, "/dev/console");
}

/* A container's process gets it too, unless its document says otherwise. */
static void allow_core_files(void) {
  const struct rlimit all = {RLIM_INFINITY, RLIM_INFINITY};
  if (setrlimit(RLIMIT_CORE, &all) < 0) g_warning("no core files: %s", g_strerror(errno));
}

/* From now on new devices get their modules, and so do those of buses that came with the modules loaded at boot. */
static void load_modules_of_late_buses(ModuleList *modules) {
  static const char *const buses[] = {"acpi", "scsi", "nd"};
  for (gsize i = 0; i < G_N_ELEMENTS(buses); i++) modules_load_for_bus(modules, buses[i]);
}

void service_add_methods(TtrpcServer *server, Sandbox *sandbox) {
  ttrpc_server_add_service(server, &grpc__health__descriptor, health_methods, sandbox);
  ttrpc_server_add_service(server, &grpc__agent_service__descriptor, agent_methods, sandbox);
  ttrpc_server_add_service(server, &kata__v1__guest__descriptor, guest_methods, sandbox);
}

gboolean service_run(const AgentConfig *config, GError **error) {
  log_open(STDERR_FILENO, LOG_FORMAT_JSON, config->log_level);
  log_set_queue(LOG_QUEUE_MAX);
  agent_config_log_warnings(config);
  signal(SIGPIPE, SIG_IGN);
  prctl(PR_SET_CHILD_SUBREAPER, 1);
  raise_descriptor_limit();
  if (config->devmode) allow_core_files();
  autofd int end_signals = open_end_signals(error);
  if (end_signals < 0) return FALSE;
  g_autoptr(Reaper) reaper = reaper_new(error);
  if (!reaper) return FALSE;

  g_autoptr(GMainLoop) loop = g_main_loop_new(NULL, FALSE);
  /* One that is missing was named at boot. */
  g_autoptr(ModuleList) modules = config->is_init ? modules_open(MODULES_DIRECTORY, NULL) : NULL;
  g_autoptr(UeventMonitor) uevents = uevent_monitor_new(modules);
  if (modules) load_modules_of_late_buses(modules);
  g_autoptr(Sandbox) sandbox = sandbox_new(config, reaper, uevents);
  sandbox->stop_func = stop;
  sandbox->stop_data = loop;
  g_autoptr(TtrpcServer) server = ttrpc_server_new(NULL);
  service_add_methods(server, sandbox);
  if (!open_listeners(server, config, error)) return FALSE;
  open_debug_ports(config, reaper);
  guint end_source = g_unix_fd_add(end_signals, G_IO_IN, end_asked, sandbox);
  /* What the kernel took, and what we took: "make bench" reads it. */
  printf("kata-agent: ready, process 1 began at %.3f s, now %.3f s\n", (double)config->began_at / G_USEC_PER_SEC,
         (double)g_get_monotonic_time() / G_USEC_PER_SEC);
  fflush(stdout);
  /* Whoever can open the console can hold its writers up. */
  if (config->is_init) fd_set_nonblocking(STDERR_FILENO, TRUE, NULL);
  g_main_loop_run(loop);
  g_source_remove(end_source);
  return TRUE;
}
