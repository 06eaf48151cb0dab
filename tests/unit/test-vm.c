// SPDX-License-Identifier: LGPL-2.1-or-later
#include <pwd.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#include "shim-fixture.h"
#include "shim/vm-private.h"

/* For what comes at once, on a machine that is busy with other things. */
#define PATIENCE_MS 30000

/* Filled by the first test, used by all others. */
static char *cache;

/* A machine without a kernel: QEMU runs, and nothing in it. extra: more devices. */
static char *make_xml(const char *directory, const char *loader, const char *extra) {
  return g_strdup_printf(
      "<domain type='qemu'><name>kata</name><memory unit='MiB'>64</memory><vcpu>1</vcpu>"
      "<memoryBacking><source type='memfd'/><access mode='shared'/></memoryBacking>"
      "<os><type arch='x86_64' machine='q35'>hvm</type><loader type='rom'>%s</loader></os>"
      "<devices><emulator>" QEMU
      "</emulator><controller type='usb' model='none'/><memballoon model='none'/>"
      "<controller type='pci' model='pcie-root-port' index='1'/>"
      "<serial type='file'><source path='%s/console.log'/></serial>%s</devices></domain>",
      loader, directory, extra);
}

#define FIRMWARE "/usr/share/seabios/bios-256k.bin"

static Vm *open_vm(const char *directory) {
  GError *error = NULL;
  g_autofree char *root = g_build_filename(directory, "v", NULL);
  Vm *vm = vm_open(root, cache, &error);
  CHECK_OK(error);
  CHECK(vm != NULL && vm_get_pid(vm) == 0 && vm_get_pidfd(vm) == -1);
  return vm;
}

static void start(Vm *vm, const char *directory) {
  GError *error = NULL;
  g_autofree char *xml = make_xml(directory, FIRMWARE, "");
  CHECK(vm_start(vm, xml, &error));
  CHECK_OK(error);
  CHECK(vm_get_pid(vm) > 0 && !has_ended(vm_get_pidfd(vm), 0));
}

static Vm *enter_and_start(const char *directory) {
  GError *error = NULL;
  CHECK(share_enter_namespace(TRUE, &error));
  CHECK_OK(error);
  Vm *vm = open_vm(directory);
  start(vm, directory);
  return vm;
}

static gboolean is_gone(pid_t pid) { return kill(pid, 0) < 0 && errno == ESRCH; }

/* ---- the cache ---- */

static guint count_files(const char *path) {
  g_autoptr(GDir) dir = g_dir_open(path, 0, NULL);
  guint count = 0;
  while (dir != NULL && g_dir_read_name(dir) != NULL) count++;
  return count;
}

static void warm_the_cache(const char *directory) {
  GError *error = NULL;
  CHECK(share_enter_namespace(TRUE, &error));
  g_setenv("TMPDIR", directory, TRUE);
  CHECK(vm_warm_cache(cache, &error));
  CHECK_OK(error);
}

/* Who probes QEMU again writes a new one. */
static ino_t find_only_file(const char *path) {
  CHECK(count_files(path) == 1);
  g_autoptr(GDir) dir = g_dir_open(path, 0, NULL);
  g_autofree char *file = g_build_filename(path, g_dir_read_name(dir), NULL);
  struct stat st;
  CHECK(stat(file, &st) == 0);
  return st.st_ino;
}

static void warms_the_cache(const char *directory) {
  CHECK(run_body(warm_the_cache, directory) == 0);
  g_autofree char *filled = g_build_filename(cache, "qemu", "capabilities", NULL);
  ino_t first = find_only_file(filled);
  CHECK(count_files(directory) == 0);
  CHECK(run_body(warm_the_cache, directory) == 0);
  CHECK(find_only_file(filled) == first);
}

/* ---- a machine's life ---- */

static void starts_and_ends(const char *directory) {
  GError *error = NULL;
  g_autoptr(Vm) vm = enter_and_start(directory);
  pid_t pid = vm_get_pid(vm);
  struct stat st;
  g_autofree char *proc = g_strdup_printf("/proc/%d", (int)pid);
  uid_t uid;
  gid_t gid;
  CHECK(vm_get_user(&uid, &gid, NULL));
  CHECK(stat(proc, &st) == 0 && st.st_uid == uid && uid != 0);
  g_autofree char *seccomp = g_build_filename(proc, "status", NULL);
  g_autofree char *status = NULL;
  CHECK(g_file_get_contents(seccomp, &status, NULL, NULL) && strstr(status, "Seccomp:\t2") != NULL);

  g_autofree char *xml = make_xml(directory, FIRMWARE, "");
  CHECK(!vm_start(vm, xml, &error));
  CHECK_ERROR(error, KATA_ERR_INVALID_STATE);
  CHECK(!vm_adopt(vm, "kata", &error));
  CHECK_ERROR(error, KATA_ERR_INVALID_STATE);
  /* One root per process. */
  g_autofree char *second = g_build_filename(directory, "second", NULL);
  CHECK(vm_open(second, cache, &error) == NULL);
  CHECK_ERROR(error, KATA_ERR_INVALID_STATE);

  vm_destroy(vm);
  CHECK(is_gone(pid) && vm_get_pid(vm) == 0 && vm_get_pidfd(vm) == -1);
  vm_destroy(vm);
  /* And once more, in the same process. */
  start(vm, directory);
  vm_destroy(vm);
}

/* The longest root directory there may be, with a sandbox's key and the name of libvirt's directory in it. */
static void fits_the_longest_root(const char *directory) {
  g_autofree char *padding = g_strnfill(48 - strlen(directory) - 1, 'x');
  g_autofree char *root = g_build_filename(directory, padding, NULL);
  CHECK(strlen(root) == 48);
  g_autofree char *sandbox = g_build_filename(root, "s", "0123456789abcdef", NULL);
  CHECK(g_mkdir_with_parents(sandbox, 0711) == 0);
  g_autoptr(Vm) vm = enter_and_start(sandbox);
  vm_destroy(vm);
}

static void notices_a_sudden_end(const char *directory) {
  g_autoptr(Vm) vm = enter_and_start(directory);
  CHECK(kill(vm_get_pid(vm), SIGKILL) == 0);
  CHECK(has_ended(vm_get_pidfd(vm), PATIENCE_MS));
  g_usleep(50000); /* libvirt's own threads have seen it by now */
  vm_destroy(vm);
  start(vm, directory);
  vm_destroy(vm);
}

/* A process that has one end of a socket, and memory whose end takes a moment. */
static pid_t start_peer(int socket) {
  pid_t pid = fork();
  if (pid != 0) return pid;
  gsize size = 64 * 1024 * 1024;
  int memory = memfd_create("guest", MFD_CLOEXEC);
  if (memory < 0 || socket < 0 || ftruncate(memory, (off_t)size) != 0) _exit(1);
  char *at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, memory, 0);
  if (at == MAP_FAILED) _exit(1);
  memset(at, 1, size);
  if (write(socket, "1", 1) != 1) _exit(1);
  for (;;) pause();
}

static gpointer read_to_the_end(gpointer data) {
  const int *peer = data;
  char byte;
  while (read(peer[0], &byte, 1) > 0) continue;
  return GINT_TO_POINTER(is_gone(peer[1]));
}

/* As libvirt does: it takes the end of a socket for QEMU's, and finds no process. */
static void is_reaped_before_it_is_missed(const char *directory) {
  for (int round = 0; round < 20; round++) {
    int pair[2];
    char byte;
    CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
    Vm vm = {.root_dir = (char *)directory, .pid = start_peer(pair[1])};
    close(pair[1]);
    vm.pidfd = pidfd_open(vm.pid, 0);
    CHECK(vm.pidfd >= 0 && read(pair[0], &byte, 1) == 1);
    int peer[] = {pair[0], vm.pid};
    GThread *reader = g_thread_new("reader", read_to_the_end, peer);
    vm_kill_process(&vm);
    CHECK(!vm.is_zombie && g_thread_join(reader) != NULL);
    close(vm.pidfd);
    close(pair[0]);
  }
}

/* ---- taking over ---- */

static void start_and_leave(const char *directory) {
  g_autoptr(Vm) vm = enter_and_start(directory);
  g_autofree char *path = g_build_filename(directory, "pid", NULL);
  g_autofree char *text = g_strdup_printf("%d", (int)vm_get_pid(vm));
  CHECK(g_file_set_contents(path, text, -1, NULL));
  kill(getpid(), SIGKILL);
}

static pid_t leave_machine(const char *directory) {
  prctl(PR_SET_CHILD_SUBREAPER, 1); /* in init's place, which reaps when it likes */
  int status = run_body(start_and_leave, directory);
  CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
  g_autofree char *path = g_build_filename(directory, "pid", NULL);
  g_autofree char *text = NULL;
  CHECK(g_file_get_contents(path, &text, NULL, NULL));
  return (pid_t)atoi(text);
}

static void takes_a_machine_over(const char *directory) {
  GError *error = NULL;
  pid_t pid = leave_machine(directory);
  CHECK(share_join_namespace(pid, &error));
  CHECK_OK(error);
  g_autoptr(Vm) vm = open_vm(directory);
  CHECK(!vm_adopt(vm, "other", &error));
  CHECK_ERROR(error, KATA_ERR_NOT_FOUND);
  CHECK(vm_adopt(vm, "kata", &error));
  CHECK_OK(error);
  CHECK(vm_get_pid(vm) == pid && !has_ended(vm_get_pidfd(vm), 0));
  vm_destroy(vm);
  CHECK(is_gone(pid));
  CHECK(!vm_adopt(vm, "kata", &error));
  CHECK_ERROR(error, KATA_ERR_NOT_FOUND);
}

static void finds_a_machine_gone(const char *directory) {
  GError *error = NULL;
  pid_t pid = leave_machine(directory);
  CHECK(kill(pid, SIGKILL) == 0 && waitpid(pid, NULL, 0) == pid);
  CHECK(share_enter_namespace(TRUE, &error));
  g_autoptr(Vm) vm = open_vm(directory);
  CHECK(!vm_adopt(vm, "kata", &error));
  CHECK_ERROR(error, KATA_ERR_NOT_FOUND);
  vm_destroy(vm);
}

/* ---- the share ---- */

static void attaches_a_share(const char *directory) {
  GError *error = NULL;
  g_autoptr(Vm) vm = enter_and_start(directory);
  g_autofree char *f = g_build_filename(directory, "f", NULL);
  g_autofree char *socket_path = g_build_filename(directory, "virtiofs.sock", NULL);
  CHECK(!vm_attach_virtiofs(vm, socket_path, "tag", &error));
  CHECK_ERROR(error, KATA_ERR_HOST);
  g_autoptr(Share) share = share_new(f, &error);
  CHECK(share_start_daemon(share, VIRTIOFSD, socket_path, NULL, &error));
  CHECK(vm_attach_virtiofs(vm, socket_path, "<a&'\"tag>", &error));
  CHECK_OK(error);
  CHECK(!has_ended(share_get_daemon_pidfd(share), 0));
  vm_destroy(vm);
  /* Nobody told it. */
  CHECK(has_ended(share_get_daemon_pidfd(share), PATIENCE_MS));
  CHECK(!vm_attach_virtiofs(vm, socket_path, "tag", &error));
  CHECK_ERROR(error, KATA_ERR_INVALID_STATE);
  share_stop_daemon(share);
}

/* ---- a machine in a file ---- */

static void save(const char *directory) {
  GError *error = NULL;
  g_autoptr(Vm) vm = enter_and_start(directory);
  pid_t pid = vm_get_pid(vm);
  CHECK(vm_suspend(vm, &error) && vm_resume(vm, &error));
  g_autofree char *nowhere = g_build_filename(directory, "nowhere", "saved", NULL);
  g_autofree char *path = g_build_filename(directory, "saved", NULL);
  CHECK(!vm_save(vm, nowhere, &error));
  CHECK_ERROR(error, KATA_ERR_HOST);
  CHECK(!vm_save(vm, directory, &error));
  CHECK_ERROR(error, KATA_ERR_ALREADY_EXISTS);
  CHECK(!vm_restore(vm, path, "kata", "<domain/>", &error));
  CHECK_ERROR(error, KATA_ERR_INVALID_STATE);
  CHECK(vm_get_pid(vm) == pid && !has_ended(vm_get_pidfd(vm), 0));
  CHECK(vm_save(vm, path, &error));
  CHECK_OK(error);
  CHECK(is_gone(pid) && vm_get_pid(vm) == 0);
  struct stat st;
  CHECK(stat(path, &st) == 0 && (st.st_mode & 07777) == 0600 && st.st_size > 100000 && st.st_size < 8 << 20);
  CHECK(!vm_save(vm, path, &error));
  CHECK_ERROR(error, KATA_ERR_INVALID_STATE);
  /* And one more in the same process. */
  start(vm, directory);
  vm_destroy(vm);
}

static guint64 read_resident_kib(pid_t pid) {
  static const char what[] = "RssShmem:";
  g_autofree char *path = g_strdup_printf("/proc/%d/status", (int)pid);
  g_autofree char *text = NULL;
  CHECK(g_file_get_contents(path, &text, NULL, NULL));
  const char *line = strstr(text, what);
  CHECK(line != NULL);
  return g_ascii_strtoull(line + strlen(what), NULL, 10);
}

static void check_refused(Vm *vm, const char *path, const char *xml, int code) {
  GError *error = NULL;
  CHECK(!vm_restore(vm, path, "kata", xml, &error));
  CHECK_ERROR(error, code);
  CHECK(vm_get_pid(vm) == 0);
}

static void check_bad_files(Vm *vm, const char *directory, const char *xml) {
  g_autofree char *good = g_build_filename(directory, "saved", NULL);
  g_autofree char *bad = g_build_filename(directory, "bad", NULL);
  g_autofree char *bytes = NULL;
  gsize length = 0;
  CHECK(g_file_get_contents(good, &bytes, &length, NULL));
  CHECK(g_file_set_contents(bad, bytes, (gssize)length - 4096, NULL)); /* cut short */
  check_refused(vm, bad, xml, KATA_ERR_INVALID_ARGUMENT);
  bytes[length / 2] ^= 1;
  CHECK(g_file_set_contents(bad, bytes, (gssize)length, NULL));
  check_refused(vm, bad, xml, KATA_ERR_INVALID_ARGUMENT);
  bytes[length / 2] ^= 1;
  bytes[length - 16] ^= 1; /* QEMU's version */
  CHECK(g_file_set_contents(bad, bytes, (gssize)length, NULL));
  check_refused(vm, bad, xml, KATA_ERR_UNSUPPORTED);
  CHECK(g_file_set_contents(bad, "nobody's machine", -1, NULL));
  check_refused(vm, bad, xml, KATA_ERR_INVALID_ARGUMENT);
  CHECK(g_file_set_contents(bad, "", 0, NULL));
  check_refused(vm, bad, xml, KATA_ERR_INVALID_ARGUMENT);
  CHECK(unlink(bad) == 0);
  check_refused(vm, bad, xml, KATA_ERR_NOT_FOUND);
  check_refused(vm, FIRMWARE, xml, KATA_ERR_INVALID_ARGUMENT);
}

static char *replace(const char *text, const char *old, const char *new) {
  g_auto(GStrv) parts = g_strsplit(text, old, -1);
  CHECK(parts[1] != NULL);
  return g_strjoinv(new, parts);
}

/* Below another directory, with its paths. */
static void restore(const char *directory) {
  GError *error = NULL;
  g_autofree char *other = g_build_filename(directory, "other", NULL);
  g_autofree char *path = g_build_filename(directory, "saved", NULL);
  CHECK(g_mkdir_with_parents(other, 0711) == 0 && share_enter_namespace(TRUE, &error));
  g_autoptr(Vm) vm = open_vm(other);
  CHECK(vm_read_saved_xml(vm, FIRMWARE, &error) == NULL);
  CHECK_ERROR(error, KATA_ERR_INVALID_ARGUMENT);
  g_autofree char *saved_xml = vm_read_saved_xml(vm, path, &error);
  CHECK_OK(error);
  g_autofree char *xml = replace(saved_xml, directory, other);
  check_bad_files(vm, directory, xml);
  g_autofree char *strange = replace(xml, "<memory unit='KiB'>65536<", "<memory unit='KiB'>131072<");
  check_refused(vm, path, strange, KATA_ERR_HOST);

  CHECK(vm_restore(vm, path, "kata", xml, &error));
  CHECK_OK(error);
  CHECK(!has_ended(vm_get_pidfd(vm), 0));
  g_autofree char *console = g_build_filename(other, "console.log", NULL);
  CHECK(access(console, F_OK) == 0);
  /* Of its 64 MiB only what it had used has come back. */
  CHECK(read_resident_kib(vm_get_pid(vm)) < 32 << 10);
  CHECK(vm_resume(vm, &error));
  CHECK(!vm_restore(vm, path, "kata", xml, &error));
  CHECK_ERROR(error, KATA_ERR_INVALID_STATE);
  vm_destroy(vm);
  CHECK(vm_restore(vm, path, "kata", xml, &error)); /* the file can be used again */
  vm_destroy(vm);
}

static void saves_a_copy(const char *directory) {
  GError *error = NULL;
  g_autoptr(Vm) vm = enter_and_start(directory);
  pid_t pid = vm_get_pid(vm);
  static const char *const none[] = {NULL};
  g_autofree char *image = g_build_filename(directory, "copy", NULL);
  g_autofree char *nowhere = g_build_filename(directory, "no", "such", NULL);
  CHECK(!vm_save_copy(vm, nowhere, none, &error));
  CHECK_ERROR(error, KATA_ERR_HOST);
  CHECK(vm_save_copy(vm, image, none, &error));
  CHECK_OK(error);
  CHECK(vm_suspend(vm, &error) && vm_save_copy(vm, image, none, &error) && vm_resume(vm, &error));
  CHECK_OK(error);
  CHECK(!is_gone(pid) && vm_get_pid(vm) == pid);
  vm_destroy(vm);
  g_autofree char *xml = vm_read_saved_xml(vm, image, &error);
  CHECK(xml != NULL && vm_restore(vm, image, "kata", xml, &error));
  CHECK_OK(error);
  CHECK(vm_resume(vm, &error));
  vm_destroy(vm);
}

static void saves_and_restores(const char *directory) {
  CHECK(run_body(save, directory) == 0);
  CHECK(run_body(restore, directory) == 0);
}

/* ---- what goes wrong ---- */

static void says_what_is_wrong(const char *directory) {
  GError *error = NULL;
  g_autofree char *stderr_path = g_build_filename(directory, "stderr", NULL);
  int saved = dup(STDERR_FILENO);
  CHECK(saved >= 0 && freopen(stderr_path, "w", stderr) != NULL);

  CHECK(share_enter_namespace(TRUE, &error));
  g_autoptr(Vm) vm = open_vm(directory);
  CHECK(!vm_start(vm, "<domain", &error));
  CHECK(g_str_has_prefix(error->message, "cannot start the virtual machine: "));
  CHECK_ERROR(error, KATA_ERR_HOST);

  g_autofree char *bad_loader = make_xml(directory, "/dev/null", "");
  CHECK(!vm_start(vm, bad_loader, &error));
  CHECK(strstr(error->message, "could not load PC BIOS") != NULL);
  /* The environment and the command line, which libvirt logs beside QEMU's words, are not of interest. */
  CHECK(strstr(error->message, "LC_ALL=") == NULL && strstr(error->message, "-machine") == NULL);
  CHECK_ERROR(error, KATA_ERR_HOST);

  g_autofree char *no_console = make_xml("/no/such/directory", FIRMWARE, "");
  CHECK(!vm_start(vm, no_console, &error));
  CHECK(strstr(error->message, "/no/such/directory/console.log") != NULL);
  CHECK_ERROR(error, KATA_ERR_HOST);
  vm_destroy(vm);

  /* A failure leaves a Vm that can start. */
  start(vm, directory);
  vm_destroy(vm);

  fflush(stderr);
  CHECK(dup2(saved, STDERR_FILENO) == STDERR_FILENO);
  close(saved);
  g_autofree char *printed = NULL;
  CHECK(g_file_get_contents(stderr_path, &printed, NULL, NULL));
  CHECK(strcmp(printed, "") == 0);
}

static void refuses_bad_directories(const char *directory) {
  GError *error = NULL;
  g_autofree char *file = g_build_filename(directory, "file", NULL);
  g_autofree char *below = g_build_filename(file, "v", NULL);
  CHECK(g_file_set_contents(file, "", -1, NULL));
  CHECK(vm_open(below, cache, &error) == NULL);
  CHECK(strstr(error->message, below) != NULL);
  CHECK_ERROR(error, KATA_ERR_INVALID_ARGUMENT);
  CHECK(vm_open("relative", cache, &error) == NULL);
  CHECK_ERROR(error, KATA_ERR_INVALID_ARGUMENT);
  CHECK(vm_open(directory, "relative", &error) == NULL);
  CHECK_ERROR(error, KATA_ERR_INVALID_ARGUMENT);
}

static void opens_strange_names(const char *directory) {
  GError *error = NULL;
  CHECK(share_enter_namespace(TRUE, &error));
  g_autofree char *strange = g_build_filename(directory, "a b&c=d?e%20", NULL);
  CHECK(mkdir(strange, 0711) == 0);
  g_autoptr(Vm) vm = open_vm(strange);
  g_autofree char *driver = g_build_filename(strange, "v", "run", "qemu", NULL);
  CHECK(g_file_test(driver, G_FILE_TEST_IS_DIR));
}

/* ---- strays ---- */

/* Returns when it has become its program. */
static pid_t start_fake(const char *program, const char *argument) {
  int stop[2], begun[2];
  CHECK(pipe(stop) == 0 && pipe2(begun, O_CLOEXEC) == 0);
  pid_t pid = fork();
  if (pid == 0) {
    dup2(stop[0], STDIN_FILENO);
    execl(program, program, "-c", "read line", argument, NULL);
    _exit(127);
  }
  close(stop[0]);
  close(begun[1]);
  char nothing;
  CHECK(read(begun[0], &nothing, 1) == 0);
  close(begun[0]);
  return pid; /* the write end stays open until the test ends */
}

static gboolean runs(pid_t pid) { return waitpid(pid, NULL, WNOHANG) == 0; }

static void kills_only_what_is_the_sandboxs(const char *directory) {
  g_autofree char *fake = g_build_filename(directory, "qemu-fake", NULL);
  g_autofree char *other_program = g_build_filename(directory, "other", NULL);
  g_autofree char *shell = NULL;
  gsize length;
  CHECK(g_file_get_contents("/bin/sh", &shell, &length, NULL));
  CHECK(g_file_set_contents_full(fake, shell, (gssize)length, 0, 0755, NULL));
  CHECK(g_file_set_contents_full(other_program, shell, (gssize)length, 0, 0755, NULL));
  g_autofree char *sandbox = g_build_filename(directory, "s", NULL);
  g_autofree char *mine = g_strdup_printf("file=%s/a", sandbox);
  g_autofree char *longer = g_strdup_printf("file=%s1/a", sandbox);
  g_autofree char *deeper = g_strdup_printf("file=/x%s/a", sandbox);
  g_autofree char *itself = g_strdup_printf("file=%s", sandbox);
  pid_t stray = start_fake(fake, mine);
  pid_t innocents[] = {start_fake(other_program, mine), start_fake(fake, longer), start_fake(fake, deeper),
                       start_fake(fake, itself)};
  CHECK(vm_kill_strays("relative") == 0);
  CHECK(vm_kill_strays("/") == 0);
  CHECK(vm_kill_strays("") == 0);
  CHECK(runs(stray));
  CHECK(vm_kill_strays(sandbox) == 1);
  CHECK(is_gone(stray));
  for (gsize i = 0; i < G_N_ELEMENTS(innocents); i++) {
    CHECK(runs(innocents[i]));
    kill(innocents[i], SIGKILL);
    waitpid(innocents[i], NULL, 0);
  }
  CHECK(vm_kill_strays(sandbox) == 0);
}

static void start_all_and_leave(const char *directory) {
  GError *error = NULL;
  CHECK(share_enter_namespace(TRUE, &error));
  g_autofree char *f = g_build_filename(directory, "f", NULL);
  g_autofree char *socket_path = g_build_filename(directory, "virtiofs.sock", NULL);
  g_autofree char *device = g_markup_printf_escaped(
      "<filesystem type='mount'><driver type='virtiofs'/><source socket='%s'/><target dir='t'/></filesystem>",
      socket_path);
  g_autofree char *xml = make_xml(directory, FIRMWARE, device);
  g_autoptr(Share) share = share_new(f, &error);
  CHECK(share_start_daemon(share, VIRTIOFSD, socket_path, NULL, &error));
  g_autoptr(Vm) vm = open_vm(directory);
  CHECK(vm_start(vm, xml, &error));
  CHECK_OK(error);
  kill(getpid(), SIGKILL);
}

static void kills_a_dead_owners_helpers(const char *directory) {
  prctl(PR_SET_CHILD_SUBREAPER, 1);
  CHECK(WIFSIGNALED(run_body(start_all_and_leave, directory)));
  /* QEMU, virtiofsd and its server; the latter two may end by themselves as soon as QEMU has. */
  guint count = vm_kill_strays(directory);
  CHECK(count >= 1 && count <= 3);
  CHECK(vm_kill_strays(directory) == 0);
}

#define TEST(body) \
  static void test_##body(void **state) { run_alone(body); }
TEST(warms_the_cache)
TEST(starts_and_ends)
TEST(fits_the_longest_root)
TEST(notices_a_sudden_end)
TEST(is_reaped_before_it_is_missed)
TEST(takes_a_machine_over)
TEST(finds_a_machine_gone)
TEST(attaches_a_share)
TEST(saves_a_copy)
TEST(saves_and_restores)
TEST(says_what_is_wrong)
TEST(refuses_bad_directories)
TEST(opens_strange_names)
TEST(kills_only_what_is_the_sandboxs)
TEST(kills_a_dead_owners_helpers)

static int make_cache(void **state) {
  cache = make_directory();
  return 0;
}

static int remove_cache(void **state) {
  remove_directory(g_steal_pointer(&cache));
  return 0;
}

int main(void) {
  skip_unless_possible(TRUE);
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_warms_the_cache),
      cmocka_unit_test(test_starts_and_ends),
      cmocka_unit_test(test_fits_the_longest_root),
      cmocka_unit_test(test_notices_a_sudden_end),
      cmocka_unit_test(test_is_reaped_before_it_is_missed),
      cmocka_unit_test(test_takes_a_machine_over),
      cmocka_unit_test(test_finds_a_machine_gone),
      cmocka_unit_test(test_attaches_a_share),
      cmocka_unit_test(test_saves_a_copy),
      cmocka_unit_test(test_saves_and_restores),
      cmocka_unit_test(test_says_what_is_wrong),
      cmocka_unit_test(test_refuses_bad_directories),
      cmocka_unit_test(test_opens_strange_names),
      cmocka_unit_test(test_kills_only_what_is_the_sandboxs),
      cmocka_unit_test(test_kills_a_dead_owners_helpers),
  };
  return cmocka_run_group_tests(tests, make_cache, remove_cache);
}
