/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent/power.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/reboot.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "agent/init.h"
#include "common/error.h"

/* A file system whose host side is gone never finishes a sync. */
#define SYNC_LIMIT_MS 2000
#define SYNC_POLL_MS 10

static gboolean is_ending;

/* All here is async-signal-safe: it also runs after a crash. */

static void write_console(const char *text) {
  while (*text) {
    ssize_t n = write(STDERR_FILENO, text, strlen(text));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return;
    text += n;
  }
}

static void sync_with_limit(void) {
  pid_t child = _Fork();
  if (child == 0) {
    sync();
    _exit(0);
  }
  if (child < 0) return;
  const struct timespec pause_time = {.tv_nsec = SYNC_POLL_MS * 1000000L};
  for (int waited = 0; waited < SYNC_LIMIT_MS; waited += SYNC_POLL_MS) {
    pid_t ended = waitpid(child, NULL, WNOHANG);
    if (ended == child || (ended < 0 && errno != EINTR)) return;
    nanosleep(&pause_time, NULL);
  }
  write_console("kata-agent: file systems did not sync in time\n");
}

void init_power_off(const char *reason) {
  is_ending = TRUE;
  if (reason) {
    write_console("kata-agent: fatal: ");
    write_console(reason);
    write_console("\n");
  }
  /* Anybody else would power off the machine it happens to run on. */
  if (getpid() != 1) _exit(EXIT_FAILURE);
  sync_with_limit();
  reboot(RB_POWER_OFF);
  write_console("kata-agent: cannot power off\n");
  /* The kernel panics without its PID 1, which ends the machine too (panic=-1). */
  _exit(EXIT_FAILURE);
}

static void on_crash(int signal_number) {
  /* A second crash while ending: nothing is left to say. */
  if (is_ending) reboot(RB_POWER_OFF);
  static const struct {
    int number;
    const char *reason;
  } reasons[] = {
      {SIGSEGV, "segmentation fault (SIGSEGV)"},
      {SIGBUS, "bus error (SIGBUS)"},
      {SIGILL, "illegal instruction (SIGILL)"},
      {SIGFPE, "arithmetic error (SIGFPE)"},
      {SIGABRT, "aborted (SIGABRT)"},
      {SIGTRAP, "fatal message (SIGTRAP)"},
      {SIGSYS, "bad system call (SIGSYS)"},
  };
  for (gsize i = 0; i < G_N_ELEMENTS(reasons); i++)
    if (reasons[i].number == signal_number) init_power_off(reasons[i].reason);
  init_power_off("unexpected signal");
}

static void on_exit_by_surprise(void) {
  if (!is_ending && getpid() == 1) init_power_off("the agent called exit()");
}

gboolean power_guard(GError **error) {
  /* A stack of its own, so that the overflow of the other one can be told. */
  static char stack[16 * 1024];
  const stack_t alternate = {.ss_sp = stack, .ss_size = sizeof stack};
  struct sigaction action = {.sa_handler = on_crash, .sa_flags = SA_ONSTACK | SA_NODEFER};
  static const int signals[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGTRAP, SIGSYS};
  if (sigaltstack(&alternate, NULL) < 0) {
    error_set_errno(error, errno, "cannot set up a stack for crash handlers");
    return FALSE;
  }
  for (gsize i = 0; i < G_N_ELEMENTS(signals); i++)
    if (sigaction(signals[i], &action, NULL) < 0) {
      error_set_errno(error, errno, "cannot handle signal %d", signals[i]);
      return FALSE;
    }
  atexit(on_exit_by_surprise);
  return TRUE;
}
