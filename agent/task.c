/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent/task.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/error.h"
#include "common/fds.h"

typedef struct {
  Reaper *reaper;
  TaskRequest request;
  TaskFunc func; /* NULL: was called */
  gpointer user_data;
  int answer; /* an anonymous file: nobody needs to read it while the child writes */
  pid_t pid;
  guint timeout;
  GError *error;
} Task;

/* Children that have not ended, whether or not somebody still waits for them. */
static guint n_at_work;
/* Task: those whose turn comes later. */
static GQueue waiting = G_QUEUE_INIT;

static void task_free(Task *task) {
  if (task->timeout) g_source_remove(task->timeout);
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

/* The answer: 'k' and the result, or 'e', the error's code, a space and its text. */
static G_GNUC_NORETURN void run_child(const TaskRequest *request, int answer) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  close_others(request, answer);
  GError *error = NULL;
  GString *result = g_string_new("k");
  if (!request->work(request->data, result, &error))
    g_string_printf(result, "e%d %s", (int)error_get_code(error), error->message);
  else if (result->len > TASK_RESULT_MAX)
    g_string_printf(result, "e%d the agent's helper process has more than %u bytes to say",
                    (int)KATA_ERR_RESOURCE_EXHAUSTED, TASK_RESULT_MAX);
  _exit(fd_write_all(answer, result->str, MIN(result->len, TASK_RESULT_MAX)) ? EXIT_SUCCESS : EXIT_FAILURE);
}

/* ---- the parent ---- */

/* What the caller does then may start other tasks. */
static void tell(Task *task, const char *result) {
  TaskFunc func = task->func;
  task->func = NULL;
  if (func) func(task->error ? NULL : result, task->error, task->user_data);
}

static gboolean tell_failure(gpointer user_data) {
  g_autoptr(Task) task = user_data;
  tell(task, NULL);
  return G_SOURCE_REMOVE;
}

static char *read_answer(const Task *task) {
  off_t size = lseek(task->answer, 0, SEEK_END);
  g_autofree char *text = g_malloc0((gsize)CLAMP(size, 0, TASK_RESULT_MAX) + 1);
  if (size > 0 && lseek(task->answer, 0, SEEK_SET) == 0 &&
      fd_read_all(task->answer, text, (gsize)MIN(size, TASK_RESULT_MAX)) > 0)
    return g_steal_pointer(&text);
  return g_strdup("");
}

static void start(Task *task);

static void child_ended(pid_t pid, int wait_status, gpointer user_data) {
  g_autoptr(Task) task = user_data;
  n_at_work--;
  if (!g_queue_is_empty(&waiting)) start(g_queue_pop_head(&waiting));
  if (!task->func) return;
  g_autofree char *text = wait_status == 0 ? read_answer(task) : g_strdup("");
  char *message = NULL;
  gint64 code = *text == 'e' ? g_ascii_strtoll(text + 1, &message, 10) : 0;
  if (message && *message == ' ')
    task->error = g_error_new_literal(KATA_ERROR, (int)code, message + 1);
  else if (*text != 'k')
    task->error = g_error_new(KATA_ERROR, KATA_ERR_INTERNAL, "the agent's helper process ended with status %d",
                              reaper_exit_code(wait_status));
  tell(task, *text == 'k' ? text + 1 : NULL);
}

/* The child may be where no signal reaches it: it counts as at work until it has ended. */
static gboolean timed_out(gpointer user_data) {
  Task *task = user_data;
  task->timeout = 0;
  kill(task->pid, SIGKILL);
  task->error =
      g_error_new(KATA_ERROR, KATA_ERR_TIMEOUT,
                  "the agent's helper process had no answer within %u s: something it looked at does not move",
                  task->request.timeout_ms / 1000);
  tell(task, NULL);
  return G_SOURCE_REMOVE;
}

static void start(Task *task) {
  task->answer = memfd_create("task", MFD_CLOEXEC);
  task->pid = task->answer >= 0 ? fork() : -1;
  if (task->pid == 0) run_child(&task->request, task->answer);
  if (task->pid > 0) {
    n_at_work++;
    if (task->request.timeout_ms > 0) task->timeout = g_timeout_add(task->request.timeout_ms, timed_out, task);
    reaper_watch(task->reaper, task->pid, child_ended, task);
    return;
  }
  error_set_errno(&task->error, errno, "cannot make a helper process");
  g_idle_add_full(G_PRIORITY_DEFAULT, tell_failure, task, NULL);
}

void task_start(Reaper *reaper, const TaskRequest *request, TaskFunc func, gpointer user_data) {
  Task *task = g_new0(Task, 1);
  task->reaper = reaper;
  task->request = *request;
  task->func = func;
  task->user_data = user_data;
  task->answer = -1;
  if (n_at_work < TASKS_AT_ONCE)
    start(task);
  else
    g_queue_push_tail(&waiting, task);
}

guint task_count(void) { return n_at_work + g_queue_get_length(&waiting); }
