// SPDX-License-Identifier: LGPL-2.1-or-later
/* "katactl check": looks at everything a guest needs before one is started. */
#include <errno.h>
#include <pwd.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "common/error.h"
#include "lib/host.h"

#define QEMU_SECTION "hypervisor.qemu"
#define QEMU_USER "libvirt-qemu"
#define QEMU_DRIVER KATA_VIRT_LIBDIR "/libvirt/connection-driver/libvirt_driver_qemu.so"

void host_finding_free(HostFinding *finding) {
  if (finding == NULL) return;
  g_free(finding->text);
  g_free(finding->remedy);
  g_free(finding);
}

typedef enum { FINDING_GOOD, FINDING_WARNING, FINDING_BAD } Verdict;

static void add(GPtrArray *findings, const char *name, Verdict verdict, char *text, const char *remedy) {
  HostFinding *finding = g_new0(HostFinding, 1);
  finding->name = name;
  finding->ok = verdict != FINDING_BAD;
  finding->warning = verdict == FINDING_WARNING;
  finding->text = text;
  finding->remedy = verdict == FINDING_GOOD ? NULL : g_strdup(remedy);
  g_ptr_array_add(findings, finding);
}

static void check_user(GPtrArray *findings) {
  gboolean is_root = geteuid() == 0;
  add(findings, "user", is_root ? FINDING_GOOD : FINDING_BAD,
      is_root ? g_strdup("root") : g_strdup_printf("user id %u", (guint)geteuid()),
      "run as root: a sandbox needs mounts, namespaces and a hypervisor under a user of its own");
}

/* FALSE if there is no such user. */
static gboolean find_user(const char *name, uid_t *ret_uid, gid_t *ret_gid) {
  char buffer[4096];
  struct passwd entry, *found = NULL;
  if (getpwnam_r(name, &entry, buffer, sizeof buffer, &found) != 0 || found == NULL) return FALSE;
  *ret_uid = entry.pw_uid;
  *ret_gid = entry.pw_gid;
  return TRUE;
}

/* By owner, group and others; supplementary groups other than "kvm" (libvirt-qemu is in it on Debian) do not count. */
static gboolean qemu_user_may_open_kvm(void) {
  struct stat status;
  uid_t uid;
  gid_t gid;
  if (stat("/dev/kvm", &status) < 0 || !find_user(QEMU_USER, &uid, &gid)) return FALSE;
  const mode_t others = S_IROTH | S_IWOTH, group = S_IRGRP | S_IWGRP;
  if ((status.st_mode & others) == others || status.st_uid == uid) return TRUE;
  /* A device of root's group is of nobody libvirt runs QEMU as. */
  return (status.st_mode & group) == group && status.st_gid != 0;
}

static void check_accelerator(GPtrArray *findings, const kata_settings *settings) {
  g_autoptr(GError) error = NULL;
  Accelerator wanted = settings_get_accelerator(settings), found;
  if (!host_resolve_accelerator(wanted, &found, &error)) {
    add(findings, "accelerator", FINDING_BAD, g_strdup(error->message), "load kvm_intel or kvm_amd, or use \"tcg\"");
    return;
  }
  if (found == ACCELERATOR_TCG) {
    add(findings, "accelerator", wanted == ACCELERATOR_TCG ? FINDING_GOOD : FINDING_WARNING,
        g_strdup("tcg: QEMU translates the guest's code"),
        "guests are some ten times slower than with KVM: enable virtualization in the firmware, or nested "
        "virtualization in the cloud");
    return;
  }
  /* libvirt would probe /dev/kvm again and again, for a minute at each start. */
  gboolean usable = qemu_user_may_open_kvm();
  add(findings, "accelerator", usable ? FINDING_GOOD : FINDING_BAD,
      g_strdup(usable ? "kvm" : "kvm, but the user " QEMU_USER " may not open /dev/kvm"),
      "chgrp kvm /dev/kvm && chmod 660 /dev/kvm (udev does so where it runs)");
}

static void check_channel(GPtrArray *findings, const kata_settings *settings) {
  g_autoptr(GError) error = NULL;
  AgentChannel found;
  if (!host_resolve_channel(settings_get_channel(settings), &found, &error))
    add(findings, "agent channel", FINDING_BAD, g_strdup(error->message), "modprobe vhost_vsock, or use \"serial\"");
  else
    add(findings, "agent channel", FINDING_GOOD, g_strdup(found == CHANNEL_VSOCK ? "vsock" : "virtio-serial port"),
        NULL);
}

static void check_libvirt(GPtrArray *findings) {
  gboolean has_driver = access(QEMU_DRIVER, R_OK) == 0;
  add(findings, "libvirt", has_driver ? FINDING_GOOD : FINDING_BAD,
      has_driver ? g_strdup(QEMU_DRIVER) : g_strdup_printf("no %s", QEMU_DRIVER),
      "install libvirt-daemon-driver-qemu (no daemon of it needs to run)");
  uid_t uid;
  gid_t gid;
  gboolean has_user = find_user(QEMU_USER, &uid, &gid);
  add(findings, "hypervisor user", has_user ? FINDING_GOOD : FINDING_BAD,
      g_strdup(has_user ? QEMU_USER : "no user " QEMU_USER),
      "install libvirt-daemon-system, or: useradd --system --gid kvm " QEMU_USER);
}

/* A file that must be there: a program if it must be executable. */
static void check_file(GPtrArray *findings, const char *name, const char *path, int access_mode, const char *remedy) {
  struct stat status;
  if (stat(path, &status) < 0)
    add(findings, name, FINDING_BAD, g_strdup_printf("%s: %s", path, g_strerror(errno)), remedy);
  else if (!S_ISREG(status.st_mode) || access(path, access_mode) < 0)
    add(findings, name, FINDING_BAD, g_strdup_printf("%s cannot be %s", path, access_mode == X_OK ? "run" : "read"),
        remedy);
  else
    add(findings, name, FINDING_GOOD, g_strdup(path), NULL);
}

static void check_files(GPtrArray *findings, const kata_settings *settings) {
  check_file(findings, "hypervisor", settings_get_string(settings, QEMU_SECTION, "path"), X_OK,
             "install qemu-system-x86, or set path in kata.conf");
  const char *firmware = settings_get_string(settings, QEMU_SECTION, "firmware");
  if (*firmware != '\0')
    check_file(findings, "firmware", firmware, R_OK, "install qemu-system-data, or set firmware in kata.conf");
  check_file(findings, "guest kernel", settings_get_string(settings, QEMU_SECTION, "kernel"), R_OK,
             "run mkguest, or set kernel in kata.conf");
  check_file(findings, "guest image", settings_get_string(settings, QEMU_SECTION, "initrd"), R_OK,
             "run mkguest, or set initrd in kata.conf");
  if (strcmp(settings_get_string(settings, QEMU_SECTION, "shared_fs"), "none") != 0)
    check_file(findings, "virtiofsd", settings_get_string(settings, QEMU_SECTION, "virtio_fs_daemon"), X_OK,
               "install qemu-system-common (or virtiofsd), or set virtio_fs_daemon in kata.conf");
}

static void check_memory(GPtrArray *findings, const kata_settings *settings) {
  g_autofree char *meminfo = host_read_head("/proc/meminfo");
  if (meminfo == NULL) return;
  const char *line = strstr(meminfo, "\nMemAvailable:");
  if (line == NULL) return;
  guint64 available_mib = g_ascii_strtoull(line + strlen("\nMemAvailable:"), NULL, 10) / 1024;
  guint64 wanted_mib = (guint64)settings_get_int(settings, QEMU_SECTION, "default_memory");
  add(findings, "memory", available_mib >= wanted_mib ? FINDING_GOOD : FINDING_WARNING,
      g_strdup_printf("%" G_GUINT64_FORMAT " MiB available, a guest has %" G_GUINT64_FORMAT " MiB", available_mib,
                      wanted_mib),
      "a guest takes memory only as it uses it, but may find none left: set default_memory in kata.conf");
}

GPtrArray *host_check(const kata_settings *settings) {
  GPtrArray *findings = g_ptr_array_new_with_free_func((GDestroyNotify)host_finding_free);
  check_user(findings);
  check_accelerator(findings, settings);
  check_channel(findings, settings);
  check_libvirt(findings);
  check_files(findings, settings);
  check_memory(findings, settings);
  return findings;
}
