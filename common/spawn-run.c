// SPDX-License-Identifier: LGPL-2.1-or-later
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "error.h"
#include "fds.h"
#include "spawn-child.h"
#include "spawn.h"

#define READ_CHUNK 16384

typedef struct {
  int fd; /* -1: ended, or not collected */
  GByteArray *bytes;
} Output;

typedef struct {
  Output outputs[2]; /* stdout, stderr */
  gsize limit;
  pid_t pid;
  int pidfd;
  int status_fd; /* -1: the program is our child and waitpid() tells its status */
} Run;

static void run_clear(Run *run) {
  for (gsize i = 0; i < G_N_ELEMENTS(run->outputs); i++) {
    fd_clear(&run->outputs[i].fd);
    g_clear_pointer(&run->outputs[i].bytes, g_byte_array_unref);
  }
  fd_clear(&run->pidfd);
  fd_clear(&run->status_fd);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Run, run_clear)

static gboolean make_pipe(int *reader, int *writer, GError **error) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) < 0) {
    error_set_errno(error, errno, "cannot make a pipe to run a program");
    return FALSE;
  }
  *reader = ends[0];
  *writer = ends[1];
  return TRUE;
}

/* A file in memory: no pump is needed, and a program that does not read raises no SIGPIPE here. */
static int make_input(GBytes *input, GError **error) {
  autofd int fd = memfd_create("input", MFD_CLOEXEC);
  gsize size;
  const void *data = g_bytes_get_data(input, &size);
  if (fd < 0 || !fd_write_all(fd, data, size) || lseek(fd, 0, SEEK_SET) < 0) {
    error_set_errno(error, errno, "cannot prepare %" G_GSIZE_FORMAT " bytes of input for a program", size);
    return -1;
  }
  return fd_steal(&fd);
}

static gboolean has_pidfds(void) {
  autofd int fd = (int)syscall(SYS_pidfd_open, getpid(), 0);
  return fd >= 0;
}

/* If the caller ignores SIGCHLD, the kernel reaps our child and its status is lost; if the caller handles it, the
 * handler may reap it. The status then takes another way, as it does without pidfds (Linux before 5.3, valgrind). */
static gboolean is_status_safe(void) {
  struct sigaction action;
  return sigaction(SIGCHLD, NULL, &action) == 0 && action.sa_handler == SIG_DFL &&
         (action.sa_flags & SA_NOCLDWAIT) == 0 && has_pidfds();
}

/* The child's ends are closed when this returns, started or not. */
static gboolean start(Run *run, const SpawnOptions *options, GBytes *input, gboolean wants_stdout,
                      gboolean wants_stderr, GError **error) {
  SpawnOptions actual = *options;
  autofd int input_fd = -1;
  autofd int stdout_fd = -1;
  autofd int stderr_fd = -1;
  autofd int status_low_fd = -1;
  autofd int status_fd = -1;
  if (input != NULL) {
    input_fd = make_input(input, error);
    if (input_fd < 0) return FALSE;
    actual.stdin_fd = input_fd;
  }
  if (wants_stdout) {
    if (!make_pipe(&run->outputs[0].fd, &stdout_fd, error)) return FALSE;
    actual.stdout_fd = stdout_fd;
  }
  if (wants_stderr) {
    if (!make_pipe(&run->outputs[1].fd, &stderr_fd, error)) return FALSE;
    actual.stderr_fd = stderr_fd;
  }
  if (!is_status_safe()) {
    if (!make_pipe(&run->status_fd, &status_low_fd, error)) return FALSE;
    status_fd = fcntl(status_low_fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    if (status_fd < 0) {
      error_set_errno(error, errno, "cannot make a descriptor to run a program");
      return FALSE;
    }
  }
  for (gsize i = 0; i < G_N_ELEMENTS(run->outputs); i++) {
    if (run->outputs[i].fd >= 0 && !fd_set_nonblocking(run->outputs[i].fd, TRUE, error)) return FALSE;
  }
  run->pid = spawn_start_relayed(&actual, status_fd, &run->pidfd, error);
  return run->pid >= 0;
}

/* Takes one piece of what is there; what is above the limit is thrown away. FALSE if there was nothing. */
static gboolean collect(Output *output, gsize limit) {
  guint8 chunk[READ_CHUNK];
  ssize_t n_read;
  do n_read = read(output->fd, chunk, sizeof chunk);
  while (n_read < 0 && errno == EINTR);
  if (n_read < 0 && errno == EAGAIN) return FALSE;
  if (n_read <= 0) {
    fd_clear(&output->fd);
    return FALSE;
  }
  g_byte_array_append(output->bytes, chunk, MIN((gsize)n_read, limit - output->bytes->len));
  return TRUE;
}

/* After the program's end: what it wrote is in the pipe; others who still write into it are not listened to. */
static void collect_rest(Output *output, gsize limit) {
  int capacity = output->fd >= 0 ? fcntl(output->fd, F_GETPIPE_SZ) : 0;
  for (int n_chunks = capacity / READ_CHUNK + 1; output->fd >= 0 && n_chunks > 0; n_chunks--) {
    if (!collect(output, limit)) return;
  }
}

/* FALSE when the time is over. A program's end counts, not that of others who still hold its pipes. */
static gboolean wait_for_end(Run *run, int timeout_ms) {
  gint64 deadline = timeout_ms > 0 ? g_get_monotonic_time() + timeout_ms * G_GINT64_CONSTANT(1000) : G_MAXINT64;
  for (;;) {
    struct pollfd fds[] = {
        {.fd = run->status_fd >= 0 ? run->status_fd : run->pidfd, .events = POLLIN},
        {.fd = run->outputs[0].fd, .events = POLLIN},
        {.fd = run->outputs[1].fd, .events = POLLIN},
    };
    gint64 left_ms = timeout_ms > 0 ? (deadline - g_get_monotonic_time() + 999) / 1000 : -1;
    if (timeout_ms > 0 && left_ms <= 0) return FALSE;
    int n_ready = poll(fds, G_N_ELEMENTS(fds), (int)left_ms);
    if (n_ready <= 0) continue;
    for (gsize i = 0; i < G_N_ELEMENTS(run->outputs); i++) {
      if (fds[i + 1].revents != 0) collect(&run->outputs[i], run->limit);
    }
    if (fds[0].revents != 0) return TRUE;
  }
}

static void kill_program(const Run *run, gboolean is_session) {
  if (run->pidfd >= 0) {
    syscall(SYS_pidfd_send_signal, run->pidfd, SIGKILL, NULL, 0);
  } else {
    kill(run->pid, SIGKILL);
  }
  if (is_session) kill(-run->pid, SIGKILL);
}

static gboolean reap(const Run *run, int *ret_status) {
  int status = 0;
  pid_t reaped;
  do reaped = waitpid(run->pid, &status, 0);
  while (reaped < 0 && errno == EINTR);
  gboolean is_known =
      run->status_fd >= 0 ? fd_read_all(run->status_fd, &status, sizeof status) == sizeof status : reaped == run->pid;
  if (is_known) *ret_status = status;
  return is_known;
}

static char *take_text(Output *output, gsize *ret_length) {
  if (ret_length != NULL) *ret_length = output->bytes->len;
  g_byte_array_append(output->bytes, (const guint8 *)"", 1);
  return (char *)g_byte_array_free(g_steal_pointer(&output->bytes), FALSE);
}

gboolean spawn_run(const SpawnOptions *options, GBytes *input, gsize limit, int timeout_ms, char **ret_stdout,
                   gsize *ret_length, char **ret_stderr, int *ret_status, GError **error) {
  g_auto(Run) run = {
      .outputs = {{.fd = -1, .bytes = g_byte_array_new()}, {.fd = -1, .bytes = g_byte_array_new()}},
      .limit = limit,
      .pidfd = -1,
      .status_fd = -1,
  };
  if (!start(&run, options, input, ret_stdout != NULL, ret_stderr != NULL, error)) return FALSE;
  gboolean is_in_time = wait_for_end(&run, timeout_ms);
  if (!is_in_time) kill_program(&run, options->new_session);
  int status = 0;
  gboolean is_status_known = reap(&run, &status);
  if (!is_in_time || !is_status_known) {
    g_autofree char *program = error_clean_text(options->argv[0]);
    if (is_in_time) {
      g_set_error(error, KATA_ERROR, KATA_ERR_IO, "cannot tell how '%s' ended: somebody else reaped it", program);
    } else {
      g_set_error(error, KATA_ERROR, KATA_ERR_TIMEOUT, "'%s' did not end within %d ms and was killed", program,
                  timeout_ms);
    }
    return FALSE;
  }
  for (gsize i = 0; i < G_N_ELEMENTS(run.outputs); i++) collect_rest(&run.outputs[i], limit);
  if (ret_stdout != NULL) *ret_stdout = take_text(&run.outputs[0], ret_length);
  if (ret_stderr != NULL) *ret_stderr = take_text(&run.outputs[1], NULL);
  if (ret_status != NULL) *ret_status = status;
  return TRUE;
}
