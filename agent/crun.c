/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent/crun.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/error.h"
#include "common/fds.h"
#include "common/safe-path.h"
#include "common/spawn.h"

/* crun is half a megabyte long; this is far more. */
#define CRUN_PROGRAM_MAX (64 << 20)
/* The console's socket must have been connected to and written by a crun that has ended: no time at all, but for a
 * slow emulated CPU. */
#define CONSOLE_WAIT_MS 1000

typedef struct {
  Reaper *reaper;
  char *verb;
  CrunFunc func;
  gpointer user_data;
  pid_t pid;
  guint timeout;
  gboolean timed_out;
  int log;      /* memfd: what crun says */
  int pid_file; /* memfd, or -1 */
} Run;

static void run_free(Run *run) {
  if (run->timeout) g_source_remove(run->timeout);
  fd_clear(&run->log);
  fd_clear(&run->pid_file);
  g_free(run->verb);
  g_free(run);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Run, run_free)

static int make_memfd(const char *name, const char *text, GError **error) {
  autofd int fd = memfd_create(name, MFD_CLOEXEC);
  if (fd < 0 || (text && (!fd_write_all(fd, text, strlen(text)) || lseek(fd, 0, SEEK_SET) < 0))) {
    error_set_errno(error, errno, "cannot make an anonymous file '%s' for crun", name);
    return -1;
  }
  return fd_steal(&fd);
}

static char *read_memfd(int fd) {
  g_autofree char *text = g_malloc0(CRUN_MESSAGE_MAX + 1);
  if (lseek(fd, 0, SEEK_SET) < 0 || fd_read_all(fd, text, CRUN_MESSAGE_MAX) < 0) return g_strdup("");
  return g_strdup(g_strchomp(text));
}

/* The system's word at the end as runc writes it, in lower case: engines look for "no such file or directory" and
 * "permission denied" there, and make 127 and 126 of them. */
static void write_as_runc(char *reason) {
  char *word = strrchr(reason, ':');
  if (word && word[1] == ' ' && g_ascii_isupper(word[2]) && g_ascii_islower(word[3]))
    word[2] = g_ascii_tolower(word[2]);
}

/* crun's last line is why it gave up, lines before it are what led there. */
static GError *make_error(const Run *run, int wait_status) {
  g_autofree char *raw = read_memfd(run->log);
  g_autofree char *said = g_utf8_make_valid(raw, -1);
  char *reason = strrchr(said, '\n');
  reason = reason ? reason + 1 : said;
  write_as_runc(reason);
  if (run->timed_out)
    return g_error_new(KATA_ERROR, KATA_ERR_TIMEOUT, "crun %s did not end within %d s and was killed%s%s", run->verb,
                       CRUN_TIMEOUT_MS / 1000, *reason ? ": " : "", reason);
  GError *error = NULL;
  if (*reason)
    error = g_error_new(KATA_ERROR, KATA_ERR_INTERNAL, "%s", reason);
  else if (WIFSIGNALED(wait_status))
    error =
        g_error_new(KATA_ERROR, KATA_ERR_INTERNAL, "crun %s was killed by signal %d", run->verb, WTERMSIG(wait_status));
  else
    error = g_error_new(KATA_ERROR, KATA_ERR_INTERNAL, "crun %s failed with status %d and said nothing", run->verb,
                        WEXITSTATUS(wait_status));
  if (reason > said) {
    reason[-1] = '\0';
    error_append_detail(error, said);
  }
  return error;
}

static pid_t read_pid(int pid_file) {
  char text[32] = "";
  if (lseek(pid_file, 0, SEEK_SET) < 0 || fd_read_all(pid_file, text, sizeof text - 1) < 0) return 0;
  guint64 pid = 0;
  return g_ascii_string_to_unsigned(g_strchomp(text), 10, 1, G_MAXINT, &pid, NULL) ? (pid_t)pid : 0;
}

static void run_ended(pid_t crun_pid, int wait_status, gpointer user_data) {
  g_autoptr(Run) run = user_data;
  g_autoptr(GError) error = NULL;
  pid_t pid = 0;
  if (wait_status != 0 || run->timed_out) {
    error = make_error(run, wait_status);
  } else if (run->pid_file >= 0) {
    pid = read_pid(run->pid_file);
    if (pid == 0)
      error = g_error_new(KATA_ERROR, KATA_ERR_INTERNAL, "crun %s did not tell the new process's id", run->verb);
  }
  run->func(error, pid, run->user_data);
  reaper_forget_unknown(run->reaper);
}

static gboolean run_timed_out(gpointer user_data) {
  Run *run = user_data;
  run->timeout = 0;
  run->timed_out = TRUE;
  kill(run->pid, SIGKILL);
  return G_SOURCE_REMOVE;
}

/* A sealed copy of crun in memory, -1 if that cannot be had. So that no container can change the program that enters
 * it, crun otherwise starts itself a second time from such a place, which under an emulated CPU is a quarter of the
 * time a container takes to be created. */
static int open_sealed_copy(void) {
  g_autofree char *path = g_find_program_in_path("crun");
  autofd int from = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
  autofd int to = memfd_create("crun", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  struct stat info = {0};
  if (from < 0 || to < 0 || fstat(from, &info) < 0 || info.st_size > CRUN_PROGRAM_MAX) return -1;
  while (sendfile(to, from, NULL, (gsize)info.st_size) > 0) continue;
  struct stat copied = {0};
  if (fstat(to, &copied) < 0 || copied.st_size != info.st_size || fchmod(to, 0500) < 0) return -1;
  if (fcntl(to, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) < 0) return -1;
  return fd_steal(&to);
}

static int get_sealed_copy(void) {
  static gboolean tried;
  static int fd = -1;
  if (!tried) fd = open_sealed_copy();
  tried = TRUE;
  return fd;
}

static void add_fd_option(GPtrArray *argv, const char *option, int fd) {
  g_ptr_array_add(argv, g_strdup(option));
  g_ptr_array_add(argv, g_strdup_printf("/proc/self/fd/%d", fd));
}

static GPtrArray *make_argv(const CrunRequest *request, const Run *run, int document, int program) {
  GPtrArray *argv = g_ptr_array_new_with_free_func(g_free);
  g_ptr_array_add(argv, program >= 0 ? g_strdup_printf("/proc/self/fd/%d", program) : g_strdup("crun"));
  g_ptr_array_add(argv, g_strdup("--root=" CRUN_STATE_DIR "/crun"));
  g_ptr_array_add(argv, g_strdup("--cgroup-manager=cgroupfs"));
  g_ptr_array_add(argv, g_strdup_printf("--log=/proc/self/fd/%d", run->log));
  for (const char *const *argument = request->arguments; *argument; argument++)
    g_ptr_array_add(argv, g_strdup(*argument));
  if (document >= 0) add_fd_option(argv, request->document_option, document);
  if (run->pid_file >= 0) add_fd_option(argv, "--pid-file", run->pid_file);
  g_ptr_array_add(argv, g_strdup("--"));
  g_ptr_array_add(argv, g_strdup(request->id));
  g_ptr_array_add(argv, NULL);
  return argv;
}

gboolean crun_start(Reaper *reaper, const CrunRequest *request, CrunFunc func, gpointer user_data, GError **error) {
  g_autoptr(Run) run = g_new0(Run, 1);
  autofd int document = -1;
  int program = get_sealed_copy();
  run->pid_file = -1;
  run->log = make_memfd("log", NULL, error);
  if (run->log < 0) return FALSE;
  if (request->document && (document = make_memfd("document", request->document, error)) < 0) return FALSE;
  if (request->wants_pid && (run->pid_file = make_memfd("pid", NULL, error)) < 0) return FALSE;

  g_autoptr(GPtrArray) argv = make_argv(request, run, document, program);
  int kept[4];
  gsize n_kept = 0;
  if (program >= 0) kept[n_kept++] = program;
  kept[n_kept++] = run->log;
  if (document >= 0) kept[n_kept++] = document;
  if (run->pid_file >= 0) kept[n_kept++] = run->pid_file;
  SpawnOptions options = SPAWN_OPTIONS_INIT;
  options.argv = (const char *const *)argv->pdata;
  options.cwd = "/";
  options.stdin_fd = request->stdio ? request->stdio[0] : -1;
  options.stdout_fd = request->stdio ? request->stdio[1] : -1;
  options.stderr_fd = request->stdio ? request->stdio[2] : -1;
  options.keep_fds = kept;
  options.n_keep_fds = n_kept;
  run->pid = spawn_start(&options, NULL, error);
  if (run->pid < 0) return FALSE;

  run->reaper = reaper;
  run->verb = g_strdup(CRUN_VERB(request));
  run->func = func;
  run->user_data = user_data;
  run->timeout = g_timeout_add(CRUN_TIMEOUT_MS, run_timed_out, run);
  reaper_keep_unknown(reaper);
  reaper_watch(reaper, run->pid, run_ended, run);
  g_steal_pointer(&run);
  return TRUE;
}

gboolean crun_release(const char *id) {
  /* The container's first process waits for one byte from here; without this file it counts as started. */
  g_autofree char *fifo = g_build_filename(CRUN_STATE_DIR "/crun", id, "exec.fifo", NULL);
  autofd int fd = open(fifo, O_WRONLY | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW);
  struct stat info = {0};
  if (fd < 0 || fstat(fd, &info) < 0 || !S_ISFIFO(info.st_mode)) return FALSE;
  return unlink(fifo) == 0 && fd_write_all(fd, "", 1);
}

gboolean crun_forget(const char *id, GError **error) {
  g_autofree char *state = g_build_filename(CRUN_STATE_DIR "/crun", id, NULL);
  return safe_remove_tree(state, error);
}

/* ---- terminals ---- */

struct CrunConsole {
  char *path;
  int socket;
};

CrunConsole *crun_console_new(GError **error) {
  static guint64 serial;
  g_autoptr(CrunConsole) console = g_new0(CrunConsole, 1);
  console->socket = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  console->path = g_strdup_printf(CRUN_STATE_DIR "/console-%" G_GUINT64_FORMAT, serial++);
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  g_strlcpy(address.sun_path, console->path, sizeof address.sun_path);
  if (console->socket < 0 || (g_mkdir_with_parents(CRUN_STATE_DIR, 0700) < 0 && errno != EEXIST) ||
      (unlink(console->path) < 0 && errno != ENOENT) ||
      bind(console->socket, (struct sockaddr *)&address, sizeof address) < 0 || listen(console->socket, 1) < 0) {
    error_set_errno(error, errno, "cannot listen on '%s' for the terminal", console->path);
    return NULL;
  }
  return g_steal_pointer(&console);
}

void crun_console_free(CrunConsole *console) {
  if (!console) return;
  fd_clear(&console->socket);
  unlink(console->path);
  g_free(console->path);
  g_free(console);
}

const char *crun_console_get_path(const CrunConsole *console) { return console->path; }

int crun_console_receive(CrunConsole *console, GError **error) {
  struct pollfd wait = {.fd = console->socket, .events = POLLIN};
  if (poll(&wait, 1, CONSOLE_WAIT_MS) != 1) {
    g_set_error(error, KATA_ERROR, KATA_ERR_INTERNAL, "crun did not connect to the terminal's socket '%s'",
                console->path);
    return -1;
  }
  autofd int peer = accept4(console->socket, NULL, NULL, SOCK_CLOEXEC);
  if (peer < 0) {
    error_set_errno(error, errno, "cannot accept crun's connection on '%s'", console->path);
    return -1;
  }
  struct timeval patience = {.tv_sec = 1};
  setsockopt(peer, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  return fd_receive(peer, error);
}
