/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent/init.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "agent/modules.h"
#include "agent/power.h"
#include "common/error.h"
#include "common/fds.h"
#include "common/log.h"
#include "common/loopback.h"

/* Time the host has to announce the ports of its virtio-serial device. */
#define PORT_WAIT_MS 2000
#define PORT_POLL_US 1000
/* Open files: enough for the pipes of many containers here, and for what containers may raise theirs to. */
#define NOFILE_SOFT 65536
#define NOFILE_HARD 1048576

/* Free memory is told to the host in pieces of at least 2^4 pages, 64 KiB. The kernel's own choice, 2 MiB, has it tell
 * nothing unless 64 MiB are free, as it must have 32 pieces to spare; and it makes that choice when the balloon's
 * driver starts, whatever its command line said. */
#define REPORTING_ORDER "/sys/module/page_reporting/parameters/page_reporting_order"
#define REPORTING_ORDER_VALUE "4"

#define PORTS_CLASS "/sys/class/virtio-ports"
#define VIRTIO_CONSOLE_ID "0x0003"

/*
 * The initramfs is the root of the mount tree and can never be pivoted away
 * from, which is what crun does for each container. A bind mount of it over
 * itself can, costs microseconds and copies nothing.
 */
static gboolean make_root_pivotable(AgentConfig *config, GError **error) {
  struct statfs root = {0};
  if (statfs("/", &root) == 0 && root.f_type != TMPFS_MAGIC && root.f_type != RAMFS_MAGIC) return TRUE;
  if (mount("/", "/root", NULL, MS_BIND, NULL) < 0 || chdir("/root") < 0 || mount(".", "/", NULL, MS_MOVE, NULL) < 0 ||
      chroot(".") < 0 || chdir("/") < 0) {
    error_set_errno(error, errno, "cannot make the initramfs a root that can be pivoted");
    return FALSE;
  }
  return TRUE;
}

static gboolean mount_file_systems(AgentConfig *config, GError **error) {
  static const struct {
    const char *type;
    const char *target;
    unsigned long flags;
    const char *data;
  } mounts[] = {
      {"proc", "/proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL},
      {"sysfs", "/sys", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL},
      {"devtmpfs", "/dev", MS_NOSUID, "mode=0755"},
      {"tmpfs", "/dev/shm", MS_NOSUID | MS_NODEV, "mode=1777"},
      {"devpts", "/dev/pts", MS_NOSUID | MS_NOEXEC, "gid=5,mode=0620,ptmxmode=0666"},
      {"tmpfs", "/run", MS_NOSUID | MS_NODEV, "mode=0755"},
      {"cgroup2", "/sys/fs/cgroup", MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_RELATIME, "nsdelegate"},
  };
  for (gsize i = 0; i < G_N_ELEMENTS(mounts); i++) {
    mkdir(mounts[i].target, 0755);
    /* EBUSY: the kernel mounted it itself (devtmpfs, with CONFIG_DEVTMPFS_MOUNT). */
    if (mount(mounts[i].type, mounts[i].target, mounts[i].type, mounts[i].flags, mounts[i].data) < 0 &&
        errno != EBUSY) {
      error_set_errno(error, errno, "cannot mount '%s' on '%s'", mounts[i].type, mounts[i].target);
      return FALSE;
    }
  }
  return TRUE;
}

static gboolean make_device_links(AgentConfig *config, GError **error) {
  static const char *const links[][2] = {
      {"pts/ptmx", "/dev/ptmx"},          {"/proc/self/fd", "/dev/fd"},       {"/proc/self/fd/0", "/dev/stdin"},
      {"/proc/self/fd/1", "/dev/stdout"}, {"/proc/self/fd/2", "/dev/stderr"},
  };
  for (gsize i = 0; i < G_N_ELEMENTS(links); i++) {
    unlink(links[i][1]);
    if (symlink(links[i][0], links[i][1]) < 0) {
      error_set_errno(error, errno, "cannot make the link '%s'", links[i][1]);
      return FALSE;
    }
  }
  return TRUE;
}

/* A guest without a console serves as well as one with it. */
static gboolean open_console(AgentConfig *config, GError **error) {
  setsid();
  int fd = open("/dev/console", O_RDWR | O_CLOEXEC);
  if (fd < 0) fd = open("/dev/null", O_RDWR | O_CLOEXEC);
  if (fd < 0) {
    error_set_errno(error, errno, "cannot open '/dev/null'");
    return FALSE;
  }
  for (int target = STDIN_FILENO; target <= STDERR_FILENO; target++)
    if (fd != target) dup2(fd, target);
  if (fd > STDERR_FILENO) close(fd);
  ioctl(STDIN_FILENO, TIOCSCTTY, 0);
  return TRUE;
}

static gboolean read_cmdline(AgentConfig *config, GError **error) {
  g_autofree char *cmdline = NULL;
  g_autoptr(GError) failure = NULL;
  if (!g_file_get_contents("/proc/cmdline", &cmdline, NULL, &failure)) {
    g_set_error(error, KATA_ERROR, error_get_code(failure), "cannot read the kernel's command line: %s",
                failure->message);
    return FALSE;
  }
  agent_config_parse_cmdline(config, cmdline);
  return agent_config_finish(config, error);
}

/* Containers get their cgroups below the root one; a controller must be on there to be on below. */
static gboolean enable_controllers(AgentConfig *config, GError **error) {
  g_autofree char *controllers = NULL;
  g_autoptr(GError) failure = NULL;
  if (!g_file_get_contents("/sys/fs/cgroup/cgroup.controllers", &controllers, NULL, &failure)) {
    g_set_error(error, KATA_ERROR, error_get_code(failure), "cannot read the cgroup controllers: %s", failure->message);
    return FALSE;
  }
  autofd int fd = open("/sys/fs/cgroup/cgroup.subtree_control", O_WRONLY | O_CLOEXEC);
  g_auto(GStrv) names = g_strsplit(g_strchomp(controllers), " ", -1);
  for (char **name = names; *name; name++) {
    g_autofree char *text = g_strconcat("+", *name, NULL);
    if (write(fd, text, strlen(text)) < 0)
      g_warning("cannot enable cgroup controller '%s': %s", *name, g_strerror(errno));
  }
  return TRUE;
}

static gboolean set_up_process(AgentConfig *config, GError **error) {
  const struct rlimit files = {NOFILE_SOFT, NOFILE_HARD};
  setrlimit(RLIMIT_NOFILE, &files);
  umask(022);
  g_setenv("PATH", "/usr/sbin:/usr/bin:/sbin:/bin", TRUE);
  g_setenv("HOME", "/root", TRUE);
  g_unsetenv("TERM");
  return TRUE;
}

static gboolean set_host_name(AgentConfig *config, GError **error) {
  g_autofree char *name = NULL;
  if (!g_file_get_contents("/etc/hostname", &name, NULL, NULL)) name = g_strdup("localhost");
  g_strchomp(name);
  if (sethostname(name, strlen(name)) == 0) return TRUE;
  error_set_errno(error, errno, "cannot set the host name '%s'", name);
  return FALSE;
}

static gboolean set_up_loopback(AgentConfig *config, GError **error) { return loopback_set_up(error); }

static gboolean load_modules(AgentConfig *config, GError **error) {
  g_autoptr(GError) failure = NULL;
  g_autoptr(ModuleList) list = modules_open(MODULES_DIRECTORY, &failure);
  if (!list) {
    g_warning("%s", failure->message);
    return TRUE;
  }
  modules_load_for_bus(list, "pci");
  modules_load_for_bus(list, "virtio");
  return TRUE;
}

/* After the modules: the balloon's driver is among them. */
static gboolean report_small_pieces(AgentConfig *config, GError **error) {
  autofd int fd = open(REPORTING_ORDER, O_WRONLY | O_CLOEXEC);
  if (fd >= 0 && write(fd, REPORTING_ORDER_VALUE, strlen(REPORTING_ORDER_VALUE)) < 0)
    g_warning("cannot write '%s': %s", REPORTING_ORDER, g_strerror(errno));
  return TRUE;
}

/* Gives each port a name under /dev/virtio-ports, as udev does elsewhere; TRUE if the agent's is there. */
static gboolean link_ports(void) {
  g_autoptr(GDir) ports = g_dir_open(PORTS_CLASS, 0, NULL);
  for (const char *port; ports && (port = g_dir_read_name(ports));) {
    g_autofree char *name_path = g_build_filename(PORTS_CLASS, port, "name", NULL);
    g_autofree char *name = NULL;
    /* The name comes from the host a moment after the port. */
    if (!g_file_get_contents(name_path, &name, NULL, NULL)) continue;
    g_strchomp(name);
    if (!*name || strchr(name, '/') || *name == '.') continue;
    g_autofree char *link = g_build_filename("/dev/virtio-ports", name, NULL);
    g_autofree char *target = g_build_filename("..", port, NULL);
    mkdir("/dev/virtio-ports", 0755);
    if (symlink(target, link) < 0 && errno != EEXIST) g_warning("cannot make '%s': %s", link, g_strerror(errno));
  }
  return access(AGENT_PORT_PATH, F_OK) == 0;
}

static gboolean has_virtio_console(void) {
  g_autoptr(GDir) devices = g_dir_open("/sys/bus/virtio/devices", 0, NULL);
  for (const char *device; devices && (device = g_dir_read_name(devices));) {
    g_autofree char *path = g_build_filename("/sys/bus/virtio/devices", device, "device", NULL);
    g_autofree char *id = NULL;
    if (g_file_get_contents(path, &id, NULL, NULL) && strcmp(g_strchomp(id), VIRTIO_CONSOLE_ID) == 0) return TRUE;
  }
  return FALSE;
}

static gboolean wait_for_port(AgentConfig *config, GError **error) {
  if (!has_virtio_console()) return TRUE;
  const gint64 deadline = g_get_monotonic_time() + PORT_WAIT_MS * 1000;
  while (!link_ports() && g_get_monotonic_time() < deadline) g_usleep(PORT_POLL_US);
  return TRUE;
}

static gboolean start_log(AgentConfig *config, GError **error) {
  log_open(STDERR_FILENO, LOG_FORMAT_JSON, config->log_level);
  return TRUE;
}

gboolean init_run_as_pid1(AgentConfig *config, GError **error) {
  static const struct {
    const char *name;
    gboolean (*run)(AgentConfig *config, GError **error);
  } steps[] = {
      {"root", make_root_pivotable},
      {"mounts", mount_file_systems},
      {"links", make_device_links},
      {"console", open_console},
      {"process", set_up_process},
      {"command line", read_cmdline},
      {"log", start_log},
      {"modules", load_modules},
      {"free page reporting", report_small_pieces},
      {"cgroups", enable_controllers},
      {"host name", set_host_name},
      {"loopback", set_up_loopback},
      {"port", wait_for_port},
  };
  gint64 ended[G_N_ELEMENTS(steps) + 1] = {g_get_monotonic_time()};
  if (!power_guard(error)) return FALSE;
  for (gsize i = 0; i < G_N_ELEMENTS(steps); i++) {
    if (!steps[i].run(config, error)) return FALSE;
    ended[i + 1] = g_get_monotonic_time();
  }
  g_debug("init began %" G_GINT64_FORMAT " us after the kernel", ended[0]);
  for (gsize i = 0; i < G_N_ELEMENTS(steps); i++)
    g_debug("init step '%s' took %" G_GINT64_FORMAT " us", steps[i].name, ended[i + 1] - ended[i]);
  return TRUE;
}
