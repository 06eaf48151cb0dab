// SPDX-License-Identifier: LGPL-2.1-or-later
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/error.h"
#include "common/fds.h"
#include "common/spawn.h"

#define OUTPUT_LIMIT (1u << 20)
#define PATIENCE_MS 60000

#define SHELL(script) ((const char *const[]){"/bin/sh", "-c", (script), NULL})

static char *run_shell(const SpawnOptions *base, const char *script, GBytes *input, int *status) {
  SpawnOptions options = *base;
  options.argv = SHELL(script);
  g_autoptr(GError) error = NULL;
  char *output = NULL;
  g_autofree char *complaints = NULL;
  gsize length = 0;
  if (!spawn_run(&options, input, OUTPUT_LIMIT, PATIENCE_MS, &output, &length, &complaints, status, &error)) {
    fail_msg("%s", error->message);
  }
  assert_string_equal(complaints, "");
  assert_int_equal(strlen(output), length);
  return output;
}

static const SpawnOptions plain = SPAWN_OPTIONS_INIT;

static void assert_no_child_left(void) {
  assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
  assert_int_equal(errno, ECHILD);
}

static int count_fds(void) {
  int n_fds = 0;
  for (int fd = 0; fd < 1024; fd++) n_fds += fcntl(fd, F_GETFD) >= 0;
  return n_fds;
}

/* valgrind has none. */
static gboolean has_pidfds(void) {
  autofd int fd = (int)syscall(SYS_pidfd_open, getpid(), 0);
  return fd >= 0;
}

static void test_output_and_status(void **state) {
  int status = -1;
  g_autofree char *output = run_shell(&plain, "echo hello; exit 42", NULL, &status);
  assert_string_equal(output, "hello\n");
  assert_true(WIFEXITED(status));
  assert_int_equal(WEXITSTATUS(status), 42);

  g_autofree char *killed = run_shell(&plain, "kill -TERM $$", NULL, &status);
  assert_true(WIFSIGNALED(status));
  assert_int_equal(WTERMSIG(status), SIGTERM);
  assert_no_child_left();
}

static void test_stderr_is_apart(void **state) {
  SpawnOptions options = SPAWN_OPTIONS_INIT;
  options.argv = SHELL("echo out; echo err >&2");
  g_autofree char *output = NULL;
  g_autofree char *complaints = NULL;
  int status;
  assert_true(spawn_run(&options, NULL, 100, PATIENCE_MS, &output, NULL, &complaints, &status, NULL));
  assert_string_equal(output, "out\n");
  assert_string_equal(complaints, "err\n");
}

static void test_input(void **state) {
  gsize size = 3u << 20;
  g_autofree char *data = g_malloc(size);
  for (gsize i = 0; i < size; i++) data[i] = (char)(i * 7 % 251);
  g_autoptr(GBytes) input = g_bytes_new(data, size);
  g_autofree char *sum = g_compute_checksum_for_bytes(G_CHECKSUM_SHA256, input);
  int status;
  g_autofree char *output = run_shell(&plain, "sha256sum", input, &status);
  assert_memory_equal(output, sum, 64);

  /* Nobody reads it: no harm. */
  g_autofree char *unread = run_shell(&plain, "exec true", input, &status);
  assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  g_autoptr(GBytes) nothing = g_bytes_new(NULL, 0);
  g_autofree char *empty = run_shell(&plain, "wc -c", nothing, &status);
  assert_string_equal(g_strstrip(empty), "0");
}

static void test_output_limit(void **state) {
  SpawnOptions options = SPAWN_OPTIONS_INIT;
  options.argv = SHELL("yes | head -c 1000000; yes n | head -c 300000 >&2; exit 3");
  g_autofree char *output = NULL;
  g_autofree char *complaints = NULL;
  gsize length = 0;
  int status;
  assert_true(spawn_run(&options, NULL, 1001, PATIENCE_MS, &output, &length, &complaints, &status, NULL));
  assert_int_equal(length, 1001);
  assert_int_equal(strlen(output), 1001);
  assert_int_equal(strlen(complaints), 1001);
  assert_int_equal(WEXITSTATUS(status), 3);
}

static void test_large_output_is_whole(void **state) {
  SpawnOptions options = SPAWN_OPTIONS_INIT;
  options.argv = SHELL("seq 1 200000");
  g_autofree char *output = NULL;
  gsize length = 0;
  int status;
  assert_true(spawn_run(&options, NULL, 16u << 20, PATIENCE_MS, &output, &length, NULL, &status, NULL));
  assert_int_equal(length, 1288895); /* 9 * 2 + 90 * 3 + 900 * 4 + 9000 * 5 + 90000 * 6 + 100001 * 7 */
  assert_true(g_str_has_suffix(output, "\n200000\n"));
}

static void test_output_thrown_away(void **state) {
  SpawnOptions options = SPAWN_OPTIONS_INIT;
  options.argv = SHELL("readlink /proc/self/fd/0 /proc/self/fd/1 /proc/self/fd/2 >&3");
  autofd int log = memfd_create("log", MFD_CLOEXEC);
  /* The shell's redirection wants a one-digit number. */
  if (log != 3) assert_int_equal(dup2(log, 3), 3);
  int kept = 3;
  options.keep_fds = &kept;
  options.n_keep_fds = 1;
  int status;
  assert_true(spawn_run(&options, NULL, 0, PATIENCE_MS, NULL, NULL, NULL, &status, NULL));
  char text[256] = "";
  assert_true(pread(log, text, sizeof text - 1, 0) > 0);
  if (log != 3) close(3);
  assert_true(g_str_has_prefix(text, "/dev/null\n"));
  assert_true(g_str_has_suffix(text, "/dev/null\n"));
}

static void test_timeout(void **state) {
  SpawnOptions options = SPAWN_OPTIONS_INIT;
  options.argv = SHELL("exec sleep 1000");
  g_autoptr(GError) error = NULL;
  int status = 4711;
  char *output = NULL;
  gint64 start = g_get_monotonic_time();
  assert_false(spawn_run(&options, NULL, 100, 100, &output, NULL, NULL, &status, &error));
  assert_true(g_get_monotonic_time() - start >= 100 * 1000);
  assert_true(g_error_matches(error, KATA_ERROR, KATA_ERR_TIMEOUT));
  assert_string_equal(error->message, "'/bin/sh' did not end within 100 ms and was killed");
  assert_int_equal(status, 4711);
  assert_null(output);
  assert_no_child_left();
}

static void test_timeout_of_a_program_that_never_stops_writing(void **state) {
  SpawnOptions options = SPAWN_OPTIONS_INIT;
  options.argv = SHELL("exec yes");
  g_autoptr(GError) error = NULL;
  g_autofree char *output = NULL;
  int status;
  assert_false(spawn_run(&options, NULL, 100, 200, &output, NULL, NULL, &status, &error));
  assert_true(g_error_matches(error, KATA_ERROR, KATA_ERR_TIMEOUT));
}

static void test_timeout_kills_the_session(void **state) {
  autofd int log = memfd_create("log", MFD_CLOEXEC);
  SpawnOptions options = SPAWN_OPTIONS_INIT;
  options.argv = SHELL("sleep 1000 & echo $!; wait");
  options.stdout_fd = log;
  options.new_session = TRUE;
  int status;
  assert_false(spawn_run(&options, NULL, 0, 1000, NULL, NULL, NULL, &status, NULL));
  char text[32] = "";
  assert_true(pread(log, text, sizeof text - 1, 0) > 0);
  pid_t grandchild = (pid_t)atoi(text);
  assert_true(grandchild > 1);
  for (int i = 0; i < 1000 && kill(grandchild, 0) == 0; i++) {
    /* It may be a zombie that nobody reaps where there is no init. */
    g_autofree char *path = g_strdup_printf("/proc/%d/stat", (int)grandchild);
    g_autofree char *stat_text = NULL;
    if (g_file_get_contents(path, &stat_text, NULL, NULL) && strstr(stat_text, ") Z ") != NULL) return;
    g_usleep(10000);
  }
  assert_int_equal(kill(grandchild, 0), -1);
}

static void test_background_process_does_not_hold_up(void **state) {
  gint64 start = g_get_monotonic_time();
  int status;
  g_autofree char *output = run_shell(&plain, "sleep 1000 & echo $!", NULL, &status);
  assert_true(g_get_monotonic_time() - start < 30 * G_USEC_PER_SEC);
  pid_t grandchild = (pid_t)atoi(output);
  assert_true(grandchild > 1);
  assert_int_equal(kill(grandchild, SIGKILL), 0);
}

static void check_failure(const SpawnOptions *options, kata_error_code code, const char *message) {
  g_autoptr(GError) error = NULL;
  int pidfd = 4711;
  int n_fds = count_fds();
  assert_int_equal(spawn_start(options, has_pidfds() ? &pidfd : NULL, &error), -1);
  assert_int_equal(error_get_code(error), code);
  assert_string_equal(error->message, message);
  assert_int_equal(pidfd, 4711);
  assert_int_equal(count_fds(), n_fds);
  assert_no_child_left();
}

static void test_failures(void **state) {
  SpawnOptions options = SPAWN_OPTIONS_INIT;
  check_failure(&options, KATA_ERR_INVALID_ARGUMENT, "cannot start a program without a name");
  options.argv = (const char *const[]){NULL};
  check_failure(&options, KATA_ERR_INVALID_ARGUMENT, "cannot start a program without a name");
  options.argv = (const char *const[]){"no-such-program-anywhere", NULL};
  check_failure(&options, KATA_ERR_NOT_FOUND, "cannot start 'no-such-program-anywhere': no such program in PATH");
  options.argv = (const char *const[]){"/no/such/program", NULL};
  check_failure(&options, KATA_ERR_NOT_FOUND, "cannot start '/no/such/program': No such file or directory");
  options.argv = (const char *const[]){"/", NULL};
  check_failure(&options, KATA_ERR_PERMISSION_DENIED, "cannot start '/': Permission denied");
  options.argv = (const char *const[]){"/bin/true", NULL};
  options.cwd = "/no/such/directory";
  check_failure(&options, KATA_ERR_NOT_FOUND,
                "cannot start '/bin/true' in directory '/no/such/directory': No such file or directory");
  options.cwd = NULL;
  options.stdout_fd = 1000;
  check_failure(&options, KATA_ERR_INVALID_ARGUMENT, "cannot start a program with descriptor 1000 as stdout: not open");
  options.stdout_fd = -1;
  options.keep_fds = (const int[]){1001};
  options.n_keep_fds = 1;
  check_failure(&options, KATA_ERR_INVALID_ARGUMENT,
                "cannot start a program with descriptor 1001 as a kept one: not open");
  options.keep_fds = (const int[]){2};
  check_failure(&options, KATA_ERR_INVALID_ARGUMENT,
                "cannot keep descriptor 2 for a program: the first three are stdin, stdout and stderr");
}

static void write_script(const char *path, const char *text) {
  assert_true(g_file_set_contents(path, text, -1, NULL));
  assert_int_equal(chmod(path, 0755), 0);
}

static void test_bad_scripts(void **state) {
  /* valgrind gives up where execve() fails so late. */
  if (!has_pidfds()) skip();
  g_autofree char *folder = g_dir_make_tmp("spawn-XXXXXX", NULL);
  g_autofree char *script = g_build_filename(folder, "script", NULL);
  SpawnOptions options = SPAWN_OPTIONS_INIT;
  options.argv = (const char *const[]){script, NULL};
  write_script(script, "#!/no/such/interpreter\n");
  g_autofree char *no_interpreter =
      g_strdup_printf("cannot start '%s': the interpreter or loader it asks for is not there", script);
  check_failure(&options, KATA_ERR_NOT_FOUND, no_interpreter);
  write_script(script, "echo no shell is asked\n");
  g_autofree char *no_format = g_strdup_printf("cannot start '%s': Exec format error", script);
  check_failure(&options, KATA_ERR_IO, no_format);
  assert_int_equal(unlink(script), 0);
  assert_int_equal(rmdir(folder), 0);
}

static void test_program_in_path_environment_and_directory(void **state) {
  SpawnOptions options = SPAWN_OPTIONS_INIT;
  options.argv = (const char *const[]){"sh", "-c", "pwd; echo $A-$HOME", NULL};
  options.envp = (const char *const[]){"A=1", "PATH=/bin:/usr/bin", NULL};
  options.cwd = "/usr";
  g_autofree char *output = NULL;
  int status;
  assert_true(spawn_run(&options, NULL, 100, PATIENCE_MS, &output, NULL, NULL, &status, NULL));
  assert_string_equal(output, "/usr\n1-\n");

  assert_int_equal(setenv("SPAWN_TEST", "inherited", 1), 0);
  g_autofree char *inherited = run_shell(&plain, "echo $SPAWN_TEST", NULL, &status);
  assert_string_equal(inherited, "inherited\n");
}

/* Signals that the caller ignores or blocks are as ever for the program. */
static void test_signals_are_reset(void **state) {
  struct sigaction ignore = {.sa_handler = SIG_IGN};
  struct sigaction old;
  assert_int_equal(sigaction(SIGPIPE, &ignore, &old), 0);
  sigset_t blocked, old_mask, mask_after;
  sigemptyset(&blocked);
  sigaddset(&blocked, SIGUSR1);
  sigaddset(&blocked, SIGCHLD);
  assert_int_equal(sigprocmask(SIG_BLOCK, &blocked, &old_mask), 0);
  SpawnOptions options = SPAWN_OPTIONS_INIT;
  options.argv = (const char *const[]){"/bin/cat", "/proc/self/status", NULL};
  g_autofree char *output = NULL;
  int status;
  assert_true(spawn_run(&options, NULL, 1u << 16, PATIENCE_MS, &output, NULL, NULL, &status, NULL));
  assert_non_null(strstr(output, "\nSigBlk:\t0000000000000000\n"));
  /* But for 32 and 33, the C library's own, which its posix_spawn() leaves ignored. */
  const char *ignored = strstr(output, "\nSigIgn:\t");
  assert_non_null(ignored);
  assert_true((strtoull(ignored + strlen("\nSigIgn:\t"), NULL, 16) & ~(3ull << 31)) == 0);
  sigprocmask(SIG_SETMASK, NULL, &mask_after);
  assert_true(sigismember(&mask_after, SIGUSR1));
  assert_false(sigismember(&mask_after, SIGUSR2));
  sigprocmask(SIG_SETMASK, &old_mask, NULL);
  sigaction(SIGPIPE, &old, NULL);
}

static void test_other_descriptors_are_closed(void **state) {
  struct rlimit limit;
  assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
  /* As high as they go, and not close-on-exec. */
  int high = (int)MIN(limit.rlim_cur, 20000) - 1;
  assert_int_equal(dup2(STDERR_FILENO, high), high);
  assert_int_equal(dup2(STDERR_FILENO, 50), 50);
  autofd int low = memfd_create("kept", 0);
  autofd int middle = fcntl(low, F_DUPFD_CLOEXEC, 60);
  int kept[] = {middle, low, middle};
  SpawnOptions options = SPAWN_OPTIONS_INIT;
  options.keep_fds = kept;
  options.n_keep_fds = G_N_ELEMENTS(kept);
  /* A shell's glob opens the directory itself, hence a test of each by name. */
  g_autofree char *script =
      g_strdup_printf("for n in %d 50 %d %d; do [ -e /proc/self/fd/$n ] && echo $n; done; true", high, low, middle);
  int status;
  g_autofree char *output = run_shell(&options, script, NULL, &status);
  g_autofree char *expected = g_strdup_printf("%d\n%d\n", low, middle);
  assert_string_equal(output, expected);
  close(high);
  close(50);
  /* The caller's are as they were. */
  assert_int_equal(fcntl(middle, F_GETFD), FD_CLOEXEC);
}

static int make_labelled(const char *label) {
  int fd = memfd_create("labelled", MFD_CLOEXEC);
  assert_true(fd_write_all(fd, label, strlen(label)));
  assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
  return fd;
}

/* Runs in a process of its own whose stdio is at our disposal; its exit status is the verdict. */
static int swap_stdio(void) {
  autofd int in = make_labelled("from stdin\n");
  autofd int out = make_labelled("");
  autofd int err = make_labelled("");
  /* stdin is at 2, stdout at 0, stderr at 1. */
  if (dup2(in, 2) < 0 || dup2(out, 0) < 0 || dup2(err, 1) < 0) return 1;
  SpawnOptions options = {.argv = SHELL("read line; echo \"out $line\"; echo \"err $line\" >&2"),
                          .stdin_fd = 2,
                          .stdout_fd = 0,
                          .stderr_fd = 1};
  int status;
  if (!spawn_run(&options, NULL, 0, PATIENCE_MS, NULL, NULL, NULL, &status, NULL) || status != 0) return 2;
  char text[64] = "";
  if (pread(out, text, sizeof text - 1, 0) < 0 || strcmp(text, "out from stdin\n") != 0) return 3;
  memset(text, 0, sizeof text);
  if (pread(err, text, sizeof text - 1, 0) < 0 || strcmp(text, "err from stdin\n") != 0) return 4;
  return 0;
}

/* Without any stdio all new descriptors land at 0 to 2. */
static int run_without_stdio(void) {
  for (int fd = 0; fd < 3; fd++) close(fd);
  SpawnOptions options = SPAWN_OPTIONS_INIT;
  options.argv = SHELL("cat; echo err >&2");
  g_autoptr(GBytes) input = g_bytes_new("input\n", 6);
  g_autofree char *output = NULL;
  g_autofree char *complaints = NULL;
  int status;
  if (!spawn_run(&options, input, 100, PATIENCE_MS, &output, NULL, &complaints, &status, NULL)) return 2;
  if (status != 0 || strcmp(output, "input\n") != 0 || strcmp(complaints, "err\n") != 0) return 3;
  options.argv = (const char *const[]){"/no/such/program", NULL};
  g_autoptr(GError) error = NULL;
  if (spawn_start(&options, NULL, &error) != -1 || error_get_code(error) != KATA_ERR_NOT_FOUND) return 4;
  return 0;
}

static void on_child(int number) {
  int saved_errno = errno;
  while (waitpid(-1, NULL, WNOHANG) > 0) continue;
  errno = saved_errno;
}

static int run_and_fail_with_sigchld(void) {
  SpawnOptions options = SPAWN_OPTIONS_INIT;
  options.argv = SHELL("echo still; exit 7");
  g_autofree char *output = NULL;
  int status = -1;
  for (int i = 0; i < 20; i++) {
    g_clear_pointer(&output, g_free);
    if (!spawn_run(&options, NULL, 100, PATIENCE_MS, &output, NULL, NULL, &status, NULL)) return 2;
    if (strcmp(output, "still\n") != 0 || !WIFEXITED(status) || WEXITSTATUS(status) != 7) return 3;
  }
  options.argv = SHELL("kill -KILL $$");
  if (!spawn_run(&options, NULL, 100, PATIENCE_MS, NULL, NULL, NULL, &status, NULL)) return 4;
  if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL) return 5;
  options.argv = (const char *const[]){"/no/such/program", NULL};
  g_autoptr(GError) error = NULL;
  if (spawn_run(&options, NULL, 100, PATIENCE_MS, NULL, NULL, NULL, &status, &error)) return 6;
  if (strcmp(error->message, "cannot start '/no/such/program': No such file or directory") != 0) return 7;
  g_clear_error(&error);
  options.argv = SHELL("exec sleep 1000");
  if (spawn_run(&options, NULL, 100, 100, NULL, NULL, NULL, &status, &error)) return 8;
  if (error_get_code(error) != KATA_ERR_TIMEOUT) return 9;
  if (!has_pidfds()) return 0;
  autofd int pidfd = -1;
  if (spawn_start(&options, &pidfd, NULL) < 0 || pidfd < 0) return 10;
  struct pollfd wait = {.fd = pidfd, .events = POLLIN};
  if (poll(&wait, 1, 0) != 0 || syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0) != 0) return 11;
  return poll(&wait, 1, PATIENCE_MS) == 1 ? 0 : 12;
}

static int run_with_sigchld_ignored(void) {
  struct sigaction ignore = {.sa_handler = SIG_IGN};
  if (sigaction(SIGCHLD, &ignore, NULL) < 0) return 1;
  return run_and_fail_with_sigchld();
}

static int run_with_reaping_handler(void) {
  struct sigaction handle = {.sa_handler = on_child, .sa_flags = SA_RESTART};
  if (sigaction(SIGCHLD, &handle, NULL) < 0) return 1;
  return run_and_fail_with_sigchld();
}

static void check_in_own_process(int (*func)(void)) {
  pid_t pid = fork();
  assert_true(pid >= 0);
  if (pid == 0) _exit(func());
  int status;
  assert_int_equal(waitpid(pid, &status, 0), pid);
  assert_true(WIFEXITED(status));
  assert_int_equal(WEXITSTATUS(status), 0);
}

static void test_stdio_swapped(void **state) { check_in_own_process(swap_stdio); }
static void test_without_stdio(void **state) { check_in_own_process(run_without_stdio); }
static void test_sigchld_ignored(void **state) { check_in_own_process(run_with_sigchld_ignored); }
static void test_sigchld_handled(void **state) { check_in_own_process(run_with_reaping_handler); }

static void test_session(void **state) {
  if (!has_pidfds()) skip();
  SpawnOptions options = SPAWN_OPTIONS_INIT;
  options.argv = SHELL("exec sleep 1000");
  options.new_session = TRUE;
  autofd int pidfd = -1;
  g_autoptr(GError) error = NULL;
  pid_t pid = spawn_start(&options, &pidfd, &error);
  assert_true(pid > 0);
  assert_int_equal(getsid(pid), pid);
  assert_int_equal(fcntl(pidfd, F_GETFD), FD_CLOEXEC);
  assert_int_equal(kill(pid, SIGKILL), 0);
  struct pollfd wait = {.fd = pidfd, .events = POLLIN};
  assert_int_equal(poll(&wait, 1, PATIENCE_MS), 1);
  int status;
  assert_int_equal(waitpid(pid, &status, 0), pid);
  assert_int_equal(WTERMSIG(status), SIGKILL);

  options.new_session = FALSE;
  pid = spawn_start(&options, NULL, &error);
  assert_true(pid > 0);
  assert_int_equal(getsid(pid), getsid(0));
  assert_int_equal(kill(pid, SIGKILL), 0);
  assert_int_equal(waitpid(pid, &status, 0), pid);
}

/* A parent that dies takes its program along; we inherit the program and see its end. */
static void test_die_with_parent(void **state) {
  assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
  autofd int log = memfd_create("log", MFD_CLOEXEC);
  pid_t parent = fork();
  assert_true(parent >= 0);
  if (parent == 0) {
    SpawnOptions options = SPAWN_OPTIONS_INIT;
    options.argv = SHELL("exec sleep 1000");
    options.die_with_parent = TRUE;
    pid_t pid = spawn_start(&options, NULL, NULL);
    _exit(write(log, &pid, sizeof pid) == sizeof pid ? 0 : 1);
  }
  int status;
  assert_int_equal(waitpid(parent, &status, 0), parent);
  pid_t pid;
  assert_int_equal(pread(log, &pid, sizeof pid, 0), sizeof pid);
  assert_true(pid > 0);
  assert_int_equal(waitpid(pid, &status, 0), pid);
  assert_true(WIFSIGNALED(status));
  assert_int_equal(WTERMSIG(status), SIGKILL);
  assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 0), 0);
}

static gpointer run_many(gpointer data) {
  for (int i = 0; i < 10; i++) {
    g_autofree char *script = g_strdup_printf("echo %d", GPOINTER_TO_INT(data) * 100 + i);
    SpawnOptions options = SPAWN_OPTIONS_INIT;
    options.argv = SHELL(script);
    g_autofree char *output = NULL;
    int status;
    if (!spawn_run(&options, NULL, 100, PATIENCE_MS, &output, NULL, NULL, &status, NULL) || status != 0 ||
        atoi(output) != GPOINTER_TO_INT(data) * 100 + i) {
      return NULL;
    }
  }
  return GINT_TO_POINTER(TRUE);
}

static void test_threads(void **state) {
  GThread *threads[4];
  for (int i = 0; i < 4; i++) threads[i] = g_thread_new("run", run_many, GINT_TO_POINTER(i));
  for (int i = 0; i < 4; i++) assert_non_null(g_thread_join(threads[i]));
  assert_no_child_left();
}

static void test_nothing_leaks(void **state) {
  int n_fds = count_fds();
  int status;
  for (int i = 0; i < 5; i++) {
    g_autofree char *output = run_shell(&plain, "true", NULL, &status);
  }
  assert_int_equal(count_fds(), n_fds);
  assert_no_child_left();
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_output_and_status),
      cmocka_unit_test(test_stderr_is_apart),
      cmocka_unit_test(test_input),
      cmocka_unit_test(test_output_limit),
      cmocka_unit_test(test_large_output_is_whole),
      cmocka_unit_test(test_output_thrown_away),
      cmocka_unit_test(test_timeout),
      cmocka_unit_test(test_timeout_of_a_program_that_never_stops_writing),
      cmocka_unit_test(test_timeout_kills_the_session),
      cmocka_unit_test(test_background_process_does_not_hold_up),
      cmocka_unit_test(test_failures),
      cmocka_unit_test(test_bad_scripts),
      cmocka_unit_test(test_program_in_path_environment_and_directory),
      cmocka_unit_test(test_signals_are_reset),
      cmocka_unit_test(test_other_descriptors_are_closed),
      cmocka_unit_test(test_stdio_swapped),
      cmocka_unit_test(test_without_stdio),
      cmocka_unit_test(test_sigchld_ignored),
      cmocka_unit_test(test_sigchld_handled),
      cmocka_unit_test(test_session),
      cmocka_unit_test(test_die_with_parent),
      cmocka_unit_test(test_threads),
      cmocka_unit_test(test_nothing_leaks),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
