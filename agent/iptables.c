/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent/iptables.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/task.h"
#include "common/error.h"
#include "common/fds.h"
#include "common/spawn.h"
#include "common/ttrpc.h"

#define RUN_TIMEOUT_MS 30000
/* The status with which iptables says that it was called wrongly: by its rules, since we do not call it so. */
#define STATUS_BAD_RULES 2

typedef struct {
  const char *const *argv;
  GBytes *rules; /* NULL: none */
  int output;    /* memfd */
  IptablesFunc func;
  gpointer user_data;
} Run;

static void run_free(Run *run) {
  if (run->rules) g_bytes_unref(run->rules);
  fd_clear(&run->output);
  g_free(run);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Run, run_free)

/* What iptables says when it is the kernel that lacks something. */
static gboolean is_kernel_to_blame(const char *said) {
  static const char *const texts[] = {"Failed to initialize nft", "Protocol not supported", "can't initialize ip",
                                      "RULE_APPEND failed (No such file"};
  for (gsize i = 0; i < G_N_ELEMENTS(texts); i++)
    if (strstr(said, texts[i])) return TRUE;
  return FALSE;
}

static void set_error(GError **error, const Run *run, int wait_status, const char *raw) {
  g_autofree char *valid = g_utf8_make_valid(raw, -1);
  g_strdelimit(g_strchomp(valid), "\n", ' ');
  g_autofree char *said = error_clean_text(valid);
  gboolean is_unsupported = is_kernel_to_blame(said);
  gboolean is_bad = !is_unsupported && run->rules && WIFEXITED(wait_status) &&
                    (WEXITSTATUS(wait_status) == STATUS_BAD_RULES || strstr(said, "line"));
  kata_error_code code = is_unsupported ? KATA_ERR_UNSUPPORTED : is_bad ? KATA_ERR_INVALID_ARGUMENT : KATA_ERR_INTERNAL;
  g_set_error(error, KATA_ERROR, code, "%s%s: %s%s", is_bad ? "data: " : "", run->argv[0],
              is_unsupported ? "the guest's kernel lacks what this needs: " : "",
              *said ? said : "it failed and said nothing");
}

/* In the child. */
static gboolean work(gpointer data, GString *result, GError **error) {
  const Run *run = data;
  g_autofree char *out = NULL;
  g_autofree char *err = NULL;
  gsize length = 0;
  int wait_status = 0;
  SpawnOptions options = SPAWN_OPTIONS_INIT;
  options.argv = run->argv;
  options.die_with_parent = TRUE;
  if (!spawn_run(&options, run->rules, TTRPC_MAX_BODY, RUN_TIMEOUT_MS, &out, &length, &err, &wait_status, error))
    return FALSE;
  if (wait_status != 0) {
    set_error(error, run, wait_status, err);
    return FALSE;
  }
  if (fd_write_all(run->output, out, length)) return TRUE;
  error_set_errno(error, errno, "cannot hand on what '%s' said", run->argv[0]);
  return FALSE;
}

static void worked(const char *result, const GError *failure, gpointer user_data) {
  g_autoptr(Run) run = user_data;
  g_autoptr(GError) error = failure ? g_error_copy(failure) : NULL;
  off_t size = error ? 0 : lseek(run->output, 0, SEEK_END);
  g_autofree char *text = g_malloc((gsize)MAX(size, 0) + 1);
  if (!error && (size < 0 || lseek(run->output, 0, SEEK_SET) < 0 || fd_read_all(run->output, text, (gsize)size) < size))
    error_set_errno(&error, errno, "cannot read what '%s' said", run->argv[0]);
  g_autoptr(GBytes) output = error ? NULL : g_bytes_new(text, (gsize)size);
  run->func(output, error, run->user_data);
}

static void start(Reaper *reaper, const char *const *argv, GBytes *rules, IptablesFunc func, gpointer user_data) {
  g_autoptr(GError) error = NULL;
  g_autoptr(Run) run = g_new0(Run, 1);
  g_autofree char *program = g_find_program_in_path(argv[0]);
  *run = (Run){argv, rules, memfd_create(argv[0], MFD_CLOEXEC), func, user_data};
  if (run->output < 0)
    error_set_errno(&error, errno, "cannot make an anonymous file for '%s'", argv[0]);
  else if (!program)
    g_set_error(&error, KATA_ERROR, KATA_ERR_UNSUPPORTED, "the guest image has no program '%s'", argv[0]);
  if (error) return func(NULL, error, user_data);
  TaskRequest request = {.work = work, .data = run, .fds = {run->output}, .n_fds = 1};
  task_start(reaper, &request, worked, run);
  g_steal_pointer(&run);
}

void iptables_get(Reaper *reaper, gboolean is_ipv6, IptablesFunc func, gpointer user_data) {
  static const char *const save[] = {"iptables-save", NULL};
  static const char *const save6[] = {"ip6tables-save", NULL};
  start(reaper, is_ipv6 ? save6 : save, NULL, func, user_data);
}

void iptables_set(Reaper *reaper, gboolean is_ipv6, GBytes *rules, IptablesFunc func, gpointer user_data) {
  /* Seconds for others who are changing the tables. */
  static const char *const restore[] = {"iptables-restore", "--wait", "5", NULL};
  static const char *const restore6[] = {"ip6tables-restore", "--wait", "5", NULL};
  start(reaper, is_ipv6 ? restore6 : restore, rules, func, user_data);
}
