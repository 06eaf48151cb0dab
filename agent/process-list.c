/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent/process-list.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "agent/cgroup.h"
#include "common/error.h"
#include "common/safe-path.h"

/* What all arguments may take of an answer, and those of one process. */
#define ARGUMENTS_MAX (2u << 20)
#define ARGUMENTS_OF_ONE_MAX 4096
/* Files of /proc but for cmdline: status has lists of groups. */
#define PROC_FILE_MAX (1u << 20)

#define MS_PER_S 1000
/* Fields of /proc/PID/stat after the name, counted from the state: proc(5) numbers them from the pid. */
enum {
  STAT_PPID = 1,
  STAT_TTY = 4,
  STAT_UTIME = 11,
  STAT_STIME = 12,
  STAT_THREADS = 17,
  STAT_START = 19,
  STAT_RSS = 21
};

/* The number after a line's name in /proc/PID/status: the first one, or the last. */
static guint32 status_number(const char *status, const char *name, gboolean last) {
  g_autofree char *prefix = g_strconcat("\n", name, ":\t", NULL);
  const char *line = strstr(status, prefix);
  if (!line) return 0;
  line += strlen(prefix);
  if (last) {
    const char *end = line + strcspn(line, "\n");
    while (end > line && g_ascii_isdigit(end[-1])) end--;
    line = end;
  }
  return (guint32)g_ascii_strtoull(line, NULL, 10);
}

/* Numbers are as in Linux' Documentation/admin-guide/devices.txt. */
static char *terminal_name(guint64 device) {
  guint major = (guint)(device >> 8) & 0xfff;
  guint minor = (guint)(device & 0xff) | ((guint)(device >> 12) & 0xfff00);
  if (major >= 136 && major <= 143) return g_strdup_printf("pts/%u", minor + (major - 136) * 256);
  if (major == 4 && minor >= 64) return g_strdup_printf("ttyS%u", minor - 64);
  if (major == 4) return g_strdup_printf("tty%u", minor);
  if (major == 229) return g_strdup_printf("hvc%u", minor);
  return major == 5 && minor == 1 ? g_strdup("console") : NULL;
}

static void set_arguments(Kata__V1__GuestProcess *process, const char *text, gsize length) {
  g_autoptr(GPtrArray) arguments = g_ptr_array_new();
  for (const char *at = text, *end = text + length; at < end;) {
    gsize size = strnlen(at, (gsize)(end - at));
    g_ptr_array_add(arguments, g_utf8_make_valid(at, (gssize)size));
    at += size + 1;
  }
  process->n_arguments = arguments->len;
  process->arguments = (char **)g_ptr_array_free(g_steal_pointer(&arguments), FALSE);
}

static gboolean set_from_stat(Kata__V1__GuestProcess *process, const char *stat, gint64 boot_s, guint ticks) {
  /* The name may have blanks and parentheses of its own. */
  const char *name = strchr(stat, '(');
  const char *name_end = strrchr(stat, ')');
  if (!name || !name_end || name_end < name || name_end[1] != ' ') return FALSE;
  g_auto(GStrv) fields = g_strsplit(name_end + 2, " ", -1);
  if (g_strv_length(fields) <= STAT_RSS) return FALSE;
  process->pid = (guint32)g_ascii_strtoull(stat, NULL, 10);
  process->command = g_utf8_make_valid(name + 1, name_end - name - 1);
  process->state = g_utf8_make_valid(fields[0], -1);
  process->parent_pid = (guint32)g_ascii_strtoull(fields[STAT_PPID], NULL, 10);
  char *terminal = terminal_name(g_ascii_strtoull(fields[STAT_TTY], NULL, 10));
  if (terminal) process->terminal = terminal;
  process->user_ms = g_ascii_strtoull(fields[STAT_UTIME], NULL, 10) * MS_PER_S / ticks;
  process->system_ms = g_ascii_strtoull(fields[STAT_STIME], NULL, 10) * MS_PER_S / ticks;
  process->threads = (guint32)g_ascii_strtoull(fields[STAT_THREADS], NULL, 10);
  process->started_at = boot_s + (gint64)(g_ascii_strtoull(fields[STAT_START], NULL, 10) / ticks);
  process->resident_bytes = g_ascii_strtoull(fields[STAT_RSS], NULL, 10) * (guint64)sysconf(_SC_PAGESIZE);
  return process->pid > 0;
}

Kata__V1__GuestProcess *process_list_parse(const ProcessFiles *files, gint64 boot_s, guint ticks) {
  Kata__V1__GuestProcess *process = g_new(Kata__V1__GuestProcess, 1);
  kata__v1__guest_process__init(process);
  if (!set_from_stat(process, files->stat, boot_s, ticks)) {
    protobuf_c_message_free_unpacked(&process->base, NULL);
    return NULL;
  }
  process->uid = status_number(files->status, "Uid", FALSE);
  process->gid = status_number(files->status, "Gid", FALSE);
  process->container_pid = status_number(files->status, "NSpid", TRUE);
  set_arguments(process, files->arguments, files->arguments_length);
  return process;
}

static char *read_proc(pid_t pid, const char *file, gsize *ret_length) {
  g_autofree char *path = g_strdup_printf("/proc/%d/%s", (int)pid, file);
  return safe_read_file(path, PROC_FILE_MAX, ret_length, NULL);
}

static Kata__V1__GuestProcess *read_process(pid_t pid, gsize arguments_max, gint64 boot_s) {
  gsize length = 0;
  g_autofree char *stat = read_proc(pid, "stat", NULL);
  g_autofree char *status = read_proc(pid, "status", NULL);
  g_autofree char *arguments = read_proc(pid, "cmdline", &length);
  if (!stat || !status) return NULL;
  ProcessFiles files = {stat, status, arguments ? arguments : "", MIN(length, arguments_max)};
  return process_list_parse(&files, boot_s, (guint)sysconf(_SC_CLK_TCK));
}

static gint64 get_boot_time(void) {
  struct timespec now = {0}, since_boot = {0};
  clock_gettime(CLOCK_REALTIME, &now);
  clock_gettime(CLOCK_BOOTTIME, &since_boot);
  return now.tv_sec - since_boot.tv_sec;
}

static gint compare_pids(gconstpointer a, gconstpointer b) { return *(const pid_t *)a - *(const pid_t *)b; }

Kata__V1__ListProcessesResponse *process_list_of_cgroup(const char *path, GError **error) {
  g_autoptr(GArray) pids = cgroup_list(path, PROCESS_LIST_MAX + 1);
  if (pids->len > PROCESS_LIST_MAX) {
    g_set_error(error, KATA_ERROR, KATA_ERR_RESOURCE_EXHAUSTED, "more than %d processes: too many to list",
                PROCESS_LIST_MAX);
    return NULL;
  }
  g_array_sort(pids, compare_pids);
  const gsize arguments_max = MIN(ARGUMENTS_OF_ONE_MAX, ARGUMENTS_MAX / MAX(pids->len, 1));
  const gint64 boot_s = get_boot_time();
  Kata__V1__ListProcessesResponse *list = g_new(Kata__V1__ListProcessesResponse, 1);
  kata__v1__list_processes_response__init(list);
  list->processes = g_new(Kata__V1__GuestProcess *, MAX(pids->len, 1));
  for (guint i = 0; i < pids->len; i++) {
    Kata__V1__GuestProcess *process = read_process(g_array_index(pids, pid_t, i), arguments_max, boot_s);
    if (process) list->processes[list->n_processes++] = process;
  }
  return list;
}
