// SPDX-License-Identifier: LGPL-2.1-or-later
/* The container is played by files: what the monitor does to it is a line in "log", its status comes through "status".
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/fds.h"
#include "common/safe-path.h"
#include "katactl/console.h"
#include "katactl/monitor.h"
#include "katactl/subject.h"

#define PATIENCE_MS 10000

static char *folder, *log_path, *status_path;

static void log_line(const char *format, ...) G_GNUC_PRINTF(1, 2);
static void log_line(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  g_autofree char *line = g_strdup_vprintf(format, arguments);
  va_end(arguments);
  autofd int fd = open(log_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  fd_write_all(fd, line, strlen(line));
}

gboolean subject_open(Subject *subject, kata_context *context, const char *container_id, const char *exec_id,
                      GError **error) {
  log_line("open %s %s\n", container_id, exec_id != NULL ? exec_id : "-");
  return TRUE;
}

void subject_clear(Subject *subject) {}

void subject_remove(kata_context *context, const char *container_id, pid_t host_pid) {
  log_line(host_pid == getpid() ? "remove %s\n" : "remove the wrong %s\n", container_id);
}

void subject_kill(Subject *subject, int signal) { log_line("kill %d\n", signal); }

void subject_resize(Subject *subject, int terminal_fd) {
  guint columns = 0, rows = 0;
  if (console_get_size(terminal_fd, &columns, &rows)) log_line("resize %u %u\n", columns, rows);
}

int subject_wait(Subject *subject, GError **error) {
  char text[8] = "";
  autofd int fd = open(status_path, O_RDONLY | O_CLOEXEC);
  return fd_read_all(fd, text, sizeof text - 1) > 0 ? atoi(text) : SUBJECT_STATUS_UNKNOWN;
}

static void end_container(int status) {
  g_autofree char *text = g_strdup_printf("%d", status);
  autofd int fd = open(status_path, O_WRONLY | O_CLOEXEC);
  assert_true(fd_write_all(fd, text, strlen(text)));
}

static int set_up(void **state) {
  folder = g_dir_make_tmp("katactl-monitor-XXXXXX", NULL);
  log_path = g_build_filename(folder, "log", NULL);
  status_path = g_build_filename(folder, "status", NULL);
  return mkfifo(status_path, 0600);
}

static int tear_down(void **state) {
  safe_remove_tree(folder, NULL);
  g_clear_pointer(&folder, g_free);
  g_clear_pointer(&log_path, g_free);
  g_clear_pointer(&status_path, g_free);
  return 0;
}

static gboolean is_logged(const char *line) {
  g_autofree char *text = NULL;
  return g_file_get_contents(log_path, &text, NULL, NULL) && strstr(text, line) != NULL;
}

static void assert_logged(const char *line) {
  for (int waited = 0; !is_logged(line); waited += 10) {
    if (waited >= PATIENCE_MS) fail_msg("the monitor did not do: %s", line);
    g_usleep(10000);
  }
}

static void assert_exits(pid_t pid, int expected) {
  int status = 0;
  assert_int_equal(waitpid(pid, &status, 0), pid);
  assert_true(WIFEXITED(status));
  assert_int_equal(WEXITSTATUS(status), expected);
}

static pid_t start_released(const char *exec_id, int terminal_fd) {
  Monitor monitor = MONITOR_INIT;
  assert_true(monitor_start(&monitor, NULL, "c1", exec_id, terminal_fd, NULL, NULL));
  pid_t pid = monitor.pid;
  assert_true(pid > 0);
  assert_true(monitor_release(&monitor, NULL));
  monitor_abort(&monitor);
  return pid;
}

static void test_ends_with_the_status(void **state) {
  static const int statuses[] = {0, 1, 42, 137, 255};
  for (gsize i = 0; i < G_N_ELEMENTS(statuses); i++) {
    pid_t pid = start_released(NULL, -1);
    end_container(statuses[i]);
    assert_exits(pid, statuses[i]);
  }
  assert_logged("open c1 -\n");
}

static void test_stands_for_an_exec(void **state) {
  pid_t pid = start_released("e7", -1);
  assert_logged("open c1 e7\n");
  end_container(3);
  assert_exits(pid, 3);
}

/* Also those that come before the container is there. */
static void test_passes_signals_on(void **state) {
  static const int sent[] = {SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2, SIGQUIT, SIGALRM, SIGCONT, SIGTSTP};
  Monitor monitor = MONITOR_INIT;
  assert_true(monitor_start(&monitor, NULL, "c1", NULL, -1, NULL, NULL));
  pid_t pid = monitor.pid;
  for (int waited = 0; getsid(pid) != pid && waited < PATIENCE_MS; waited++) g_usleep(1000);
  kill(pid, SIGRTMIN + 1);
  assert_true(monitor_release(&monitor, NULL));
  g_autofree char *early = g_strdup_printf("kill %d\n", SIGRTMIN + 1);
  assert_logged(early);
  for (gsize i = 0; i < G_N_ELEMENTS(sent); i++) {
    g_autofree char *line = g_strdup_printf("kill %d\n", sent[i]);
    kill(pid, sent[i]);
    assert_logged(line);
  }
  end_container(9);
  assert_exits(pid, 9);
}

static void test_ends_without_go_ahead(void **state) {
  Monitor monitor = MONITOR_INIT;
  assert_true(monitor_start(&monitor, NULL, "c1", NULL, -1, NULL, NULL));
  pid_t pid = monitor.pid;
  monitor_abort(&monitor);
  assert_int_equal(monitor.pid, 0);
  assert_int_equal(kill(pid, 0), -1);
  assert_int_equal(errno, ESRCH);
  assert_false(is_logged("open"));
  assert_false(is_logged("remove"));
}

/* A starter that is killed leaves no monitor: it was reparented to us and ends by itself. */
static void end_with_starter(const char *exec_id) {
  int ends[2];
  pid_t pid = 0;
  assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
  assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
  pid_t starter = fork();
  if (starter == 0) {
    Monitor monitor = MONITOR_INIT;
    if (monitor_start(&monitor, NULL, "c1", exec_id, -1, NULL, NULL))
      fd_write_all(ends[1], &monitor.pid, sizeof monitor.pid);
    for (;;) pause();
  }
  assert_int_equal(fd_read_all(ends[0], &pid, sizeof pid), sizeof pid);
  kill(starter, SIGKILL);
  assert_int_equal(waitpid(starter, NULL, 0), starter);
  assert_exits(pid, SUBJECT_STATUS_UNKNOWN);
  assert_false(is_logged("open"));
  assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 0), 0);
  close(ends[0]);
  close(ends[1]);
}

/* Nor a container that nobody has been told of. */
static void test_ends_with_its_starter(void **state) {
  end_with_starter("e7");
  assert_false(is_logged("remove"));
  end_with_starter(NULL);
  assert_logged("remove c1\n");
}

static void assert_end_of_file(int fd) {
  char byte = 0;
  assert_int_equal(read(fd, &byte, 1), 0);
}

/* Of pipes that it inherited it keeps those that are the container's streams, as long as that lives. */
static void test_keeps_only_the_streams(void **state) {
  int streams[2], others[2];
  assert_int_equal(pipe2(streams, O_CLOEXEC | O_NONBLOCK), 0);
  assert_int_equal(pipe2(others, O_CLOEXEC), 0);
  int saved = dup(STDOUT_FILENO);
  fflush(stdout);
  assert_true(dup2(streams[1], STDOUT_FILENO) >= 0);
  pid_t pid = start_released(NULL, -1);
  assert_true(dup2(saved, STDOUT_FILENO) >= 0);
  close(saved);
  close(streams[1]);
  close(others[1]);
  assert_end_of_file(others[0]);
  assert_logged("open c1 -\n");
  char byte = 0;
  assert_int_equal(read(streams[0], &byte, 1), -1);
  assert_int_equal(errno, EAGAIN);
  assert_int_equal(getsid(pid), pid);
  g_autofree char *cwd_path = g_strdup_printf("/proc/%d/cwd", (int)pid);
  g_autofree char *cwd = g_file_read_link(cwd_path, NULL);
  assert_string_equal(cwd, "/");
  end_container(0);
  assert_exits(pid, 0);
  assert_end_of_file(streams[0]);
  close(streams[0]);
  close(others[0]);
}

/* With a terminal it is the terminal alone, under the number it had. */
static void test_keeps_only_the_terminal(void **state) {
  int others[2];
  autofd int master = -1;
  autofd int slave = -1;
  g_autofree char *name = NULL;
  assert_true(console_open_pair(&master, &slave, &name, NULL));
  assert_int_equal(pipe2(others, O_CLOEXEC), 0);
  int saved = dup(STDERR_FILENO);
  fflush(stderr);
  assert_true(dup2(others[1], STDERR_FILENO) >= 0);
  pid_t pid = start_released(NULL, slave);
  assert_true(dup2(saved, STDERR_FILENO) >= 0);
  close(saved);
  close(others[1]);
  assert_end_of_file(others[0]);
  close(others[0]);
  assert_logged("open c1 -\n");
  g_autofree char *link = g_strdup_printf("/proc/%d/fd/%d", (int)pid, slave);
  g_autofree char *target = g_file_read_link(link, NULL);
  assert_string_equal(target, name);
  end_container(0);
  assert_exits(pid, 0);
}

static void set_size(int master, guint columns, guint rows) {
  struct winsize size = {.ws_col = (unsigned short)columns, .ws_row = (unsigned short)rows};
  assert_int_equal(ioctl(master, TIOCSWINSZ, &size), 0);
}

static void test_follows_the_terminal(void **state) {
  autofd int master = -1;
  autofd int slave = -1;
  g_autofree char *name = NULL;
  char buffer[8];
  assert_true(console_open_pair(&master, &slave, &name, NULL));
  set_size(master, 80, 25);
  pid_t pid = start_released(NULL, slave);
  fd_clear(&slave);
  assert_logged("resize 80 25\n");
  set_size(master, 132, 43);
  assert_logged("resize 132 43\n");
  assert_false(is_logged("kill 28\n"));
  end_container(5);
  assert_exits(pid, 5);
  assert_int_equal(read(master, buffer, sizeof buffer), -1);
  assert_int_equal(errno, EIO);
}

/* As the kernel tells the leader of a session whose terminal goes away. */
static void test_passes_a_hang_up_on(void **state) {
  autofd int master = -1;
  autofd int slave = -1;
  g_autofree char *name = NULL;
  assert_true(console_open_pair(&master, &slave, &name, NULL));
  pid_t pid = start_released(NULL, slave);
  assert_logged("open c1 -\n");
  fd_clear(&slave);
  fd_clear(&master);
  assert_logged("kill 1\n");
  end_container(129);
  assert_exits(pid, 129);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(test_ends_with_the_status, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_stands_for_an_exec, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_passes_signals_on, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_ends_without_go_ahead, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_ends_with_its_starter, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_keeps_only_the_streams, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_keeps_only_the_terminal, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_follows_the_terminal, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_passes_a_hang_up_on, set_up, tear_down),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
