/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent/task.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/error.h"
#include "common/fds.h"

typedef struct {
  TaskFunc func;
  gpointer user_data;
  int answer; /* the pipe's end to read from */
  GError *error;
} Task;

static void task_free(Task *task) {
  fd_clear(&task->answer);
  g_clear_error(&task->error);
  g_free(task);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Task, task_free)

/* ---- the child ---- */

static int compare_fds(const void *a, const void *b) { return *(const int *)a - *(const int *)b; }

/* Ends of containers' pipes, held here, would keep them from closing. */
static void close_others(const TaskRequest *request, int answer) {
  int kept[TASK_FDS_MAX + 1];
  guint n_kept = 0;
  for (guint i = 0; i < request->n_fds; i++)
    if (request->fds[i] > STDERR_FILENO) kept[n_kept++] = request->fds[i];
  kept[n_kept++] = answer;
  qsort(kept, n_kept, sizeof *kept, compare_fds);
  guint next = STDERR_FILENO + 1;
  for (guint i = 0; i < n_kept; next = (guint)kept[i++] + 1)
    if ((guint)kept[i] > next) syscall(SYS_close_range, next, (guint)kept[i] - 1, 0u);
  syscall(SYS_close_range, next, ~0u, 0u);
}

/* The answer: 'k' and the result, or 'e', the error's code, a space and its text. It fits into the pipe, so nobody
 * needs to read it before the child has ended. */
static G_GNUC_NORETURN void run_child(const TaskRequest *request, int answer) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  close_others(request, answer);
  GError *error = NULL;
  GString *result = g_string_new("k");
  if (!request->work(request->data, result, &error))
    g_string_printf(result, "e%d %s", (int)error_get_code(error), error->message);
  gsize length = MIN(result->len, TASK_RESULT_MAX);
  _exit(fd_write_all(answer, result->str, length) ? EXIT_SUCCESS : EXIT_FAILURE);
}

/* ---- the parent ---- */

static gboolean tell_failure(gpointer user_data) {
  g_autoptr(Task) task = user_data;
  task->func(NULL, task->error, task->user_data);
  return G_SOURCE_REMOVE;
}

static void child_ended(pid_t pid, int wait_status, gpointer user_data) {
  g_autoptr(Task) task = user_data;
  g_autofree char *text = g_malloc0(TASK_RESULT_MAX + 1);
  ssize_t length = fd_read_all(task->answer, text, TASK_RESULT_MAX);
  if (length >= 1 && *text == 'k') {
    task->func(text + 1, NULL, task->user_data);
    return;
  }
  char *message = NULL;
  gint64 code = length >= 1 && *text == 'e' ? g_ascii_strtoll(text + 1, &message, 10) : 0;
  if (message && *message == ' ')
    task->error = g_error_new_literal(KATA_ERROR, (int)code, message + 1);
  else
    task->error = g_error_new(KATA_ERROR, KATA_ERR_INTERNAL, "the agent's helper process ended with status %d",
                              reaper_exit_code(wait_status));
  task->func(NULL, task->error, task->user_data);
}

void task_start(Reaper *reaper, const TaskRequest *request, TaskFunc func, gpointer user_data) {
  g_autoptr(Task) task = g_new0(Task, 1);
  task->func = func;
  task->user_data = user_data;
  task->answer = -1;
  int ends[2] = {-1, -1};
  pid_t pid = -1;
  if (pipe2(ends, O_CLOEXEC) == 0) pid = fork();
  if (pid == 0) run_child(request, ends[1]);
  int reason = errno;
  task->answer = ends[0];
  fd_clear(&ends[1]);
  if (pid > 0) {
    reaper_watch(reaper, pid, child_ended, g_steal_pointer(&task));
    return;
  }
  error_set_errno(&task->error, reason, "cannot make a helper process");
  g_idle_add_full(G_PRIORITY_DEFAULT, tell_failure, g_steal_pointer(&task), NULL);
}
