/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent/attributes.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/ioprio.h>
#include <linux/sched.h>
#include <sched.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "agent/cpuset.h"
#include "common/error.h"
#include "common/fds.h"

#define IO_PRIORITY_MAX 7
#define NICE_MIN (-20)
#define NICE_MAX 19
#define REALTIME_MAX 99

/* As the kernel's linux/sched/types.h has it, which glibc's sched.h does not bear beside it. */
typedef struct {
  guint32 size;
  guint32 policy;
  guint64 flags;
  gint32 nice;
  guint32 priority;
  guint64 runtime;
  guint64 deadline;
  guint64 period;
} SchedulerAttributes;

typedef struct {
  const char *name;
  int value;
} Name;

static const Name io_classes[] = {{"IOPRIO_CLASS_RT", IOPRIO_CLASS_RT},
                                  {"IOPRIO_CLASS_BE", IOPRIO_CLASS_BE},
                                  {"IOPRIO_CLASS_IDLE", IOPRIO_CLASS_IDLE}};

static const Name policies[] = {{"SCHED_OTHER", SCHED_NORMAL}, {"SCHED_FIFO", SCHED_FIFO},
                                {"SCHED_RR", SCHED_RR},        {"SCHED_BATCH", SCHED_BATCH},
                                {"SCHED_IDLE", SCHED_IDLE},    {"SCHED_DEADLINE", SCHED_DEADLINE}};

static const Name flags[] = {
    {"SCHED_FLAG_RESET_ON_FORK", SCHED_FLAG_RESET_ON_FORK},  {"SCHED_FLAG_RECLAIM", SCHED_FLAG_RECLAIM},
    {"SCHED_FLAG_DL_OVERRUN", SCHED_FLAG_DL_OVERRUN},        {"SCHED_FLAG_KEEP_POLICY", SCHED_FLAG_KEEP_POLICY},
    {"SCHED_FLAG_KEEP_PARAMS", SCHED_FLAG_KEEP_PARAMS},      {"SCHED_FLAG_UTIL_CLAMP_MIN", SCHED_FLAG_UTIL_CLAMP_MIN},
    {"SCHED_FLAG_UTIL_CLAMP_MAX", SCHED_FLAG_UTIL_CLAMP_MAX}};

static gboolean find(const Name *names, gsize n_names, const char *name, int *ret_value) {
  for (gsize i = 0; i < n_names; i++) {
    if (strcmp(names[i].name, name) != 0) continue;
    *ret_value = names[i].value;
    return TRUE;
  }
  return FALSE;
}

static gboolean refuse(GError **error, const char *what, const char *value) {
  g_autofree char *shown = error_clean_text(value);
  g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT, "%s '%s' does not exist", what, shown);
  return FALSE;
}

static gboolean refuse_number(GError **error, const char *what, int value, int min, int max) {
  g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT, "%s is %d, which is not from %d to %d", what, value, min,
              max);
  return FALSE;
}

static gboolean check_cpus(const char *text, GError **error) {
  if (!*text) return TRUE;
  g_autoptr(GArray) numbers = cpuset_parse(text, "execCPUAffinity", error);
  return numbers != NULL;
}

static gboolean check_scheduler(const Grpc__Scheduler *scheduler, GError **error) {
  int value = 0;
  if (!find(policies, G_N_ELEMENTS(policies), scheduler->policy, &value))
    return refuse(error, "scheduler policy", scheduler->policy);
  for (gsize i = 0; i < scheduler->n_flags; i++)
    if (!find(flags, G_N_ELEMENTS(flags), scheduler->flags[i], &value))
      return refuse(error, "scheduler flag", scheduler->flags[i]);
  if (scheduler->nice < NICE_MIN || scheduler->nice > NICE_MAX)
    return refuse_number(error, "scheduler nice", scheduler->nice, NICE_MIN, NICE_MAX);
  if (scheduler->priority < 0 || scheduler->priority > REALTIME_MAX)
    return refuse_number(error, "scheduler priority", scheduler->priority, 0, REALTIME_MAX);
  return TRUE;
}

gboolean attributes_check(const OciProcess *process, GError **error) {
  const Grpc__LinuxIOPriority *io = process->iopriority;
  int class = 0;
  if (io && !find(io_classes, G_N_ELEMENTS(io_classes), io->class_, &class))
    return refuse(error, "ioPriority class", io->class_);
  if (io && (io->priority < 0 || io->priority > IO_PRIORITY_MAX))
    return refuse_number(error, "ioPriority", io->priority, 0, IO_PRIORITY_MAX);
  if (process->scheduler && !check_scheduler(process->scheduler, error)) return FALSE;
  const Grpc__CPUAffinity *affinity = process->execcpuaffinity;
  return !affinity || (check_cpus(affinity->initial, error) && check_cpus(affinity->final, error));
}

static gboolean set_io_priority(const Grpc__LinuxIOPriority *io, pid_t pid, GError **error) {
  int class = 0;
  find(io_classes, G_N_ELEMENTS(io_classes), io->class_, &class);
  if (syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, pid, IOPRIO_PRIO_VALUE(class, io->priority)) == 0 || errno == ESRCH)
    return TRUE;
  error_set_errno(error, errno, "cannot set ioPriority '%s' %d", io->class_, io->priority);
  return FALSE;
}

static gboolean set_scheduler(const Grpc__Scheduler *scheduler, pid_t pid, GError **error) {
  int policy = 0, flag = 0;
  find(policies, G_N_ELEMENTS(policies), scheduler->policy, &policy);
  SchedulerAttributes attributes = {.size = sizeof attributes,
                                    .policy = (guint32)policy,
                                    .nice = scheduler->nice,
                                    .priority = (guint32)scheduler->priority,
                                    .runtime = scheduler->runtime,
                                    .deadline = scheduler->deadline,
                                    .period = scheduler->period};
  for (gsize i = 0; i < scheduler->n_flags; i++)
    if (find(flags, G_N_ELEMENTS(flags), scheduler->flags[i], &flag)) attributes.flags |= (guint64)flag;
  if (syscall(SYS_sched_setattr, pid, &attributes, 0) == 0 || errno == ESRCH) return TRUE;
  error_set_errno(error, errno, "cannot set scheduler policy '%s'", scheduler->policy);
  return FALSE;
}

/* They are the host's numbers; those that this process may use now stand for them. */
static gboolean set_affinity(const Grpc__CPUAffinity *affinity, pid_t pid, GError **error) {
  const char *cpus = *affinity->final ? affinity->final : affinity->initial;
  if (!*cpus) return TRUE;
  g_autoptr(GArray) host = cpuset_parse(cpus, "execCPUAffinity", error);
  if (!host) return FALSE;
  cpu_set_t set;
  if (sched_getaffinity(pid, sizeof set, &set) < 0) CPU_ZERO(&set);
  g_autoptr(GArray) guest = g_array_new(FALSE, FALSE, sizeof(guint));
  for (guint i = 0; i < CPU_SETSIZE; i++)
    if (CPU_ISSET(i, &set)) g_array_append_val(guest, i);
  g_autoptr(GArray) numbers = cpuset_translate(host, guest);
  CPU_ZERO(&set);
  for (guint i = 0; i < numbers->len; i++) CPU_SET(g_array_index(numbers, guint, i), &set);
  if (numbers->len == 0 || sched_setaffinity(pid, sizeof set, &set) == 0 || errno == ESRCH) return TRUE;
  error_set_errno(error, errno, "cannot set execCPUAffinity '%s'", cpus);
  return FALSE;
}

/* crun takes 0 for "as it is". */
static gboolean set_oom_score(pid_t pid, GError **error) {
  g_autofree char *path = g_strdup_printf("/proc/%d/oom_score_adj", (int)pid);
  autofd int fd = open(path, O_WRONLY | O_CLOEXEC);
  if ((fd >= 0 && fd_write_all(fd, "0", 1)) || errno == ENOENT || errno == ESRCH) return TRUE;
  error_set_errno(error, errno, "cannot set oomScoreAdj 0");
  return FALSE;
}

gboolean attributes_apply(const OciProcess *process, pid_t pid, gboolean is_exec, GError **error) {
  gboolean zero_score = process->oomscore_adj_given_case != 0 && process->oomscoreadj == 0;
  return (!zero_score || set_oom_score(pid, error)) &&
         (!process->iopriority || set_io_priority(process->iopriority, pid, error)) &&
         (!process->scheduler || set_scheduler(process->scheduler, pid, error)) &&
         (!is_exec || !process->execcpuaffinity || set_affinity(process->execcpuaffinity, pid, error));
}
