// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The first program of a test's guest: it becomes the agent, which the kernel then kills at one system call of the
 * test's choice, without a chance to say or undo anything. That is what SIGKILL would do, which nobody in a guest can
 * send to its PID 1. The kernel's parameter die_at=NUMBER or die_at=NUMBER:ARGUMENT:VALUE comes as an environment
 * variable; arguments count from 0.
 */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#define AGENT "/sbin/kata-agent"
#define ARGUMENTS 6

static int fail(const char *what) {
  fprintf(stderr, "die-at: %s: %s\n", what, strerror(errno));
  return 1;
}

static int kill_at(unsigned number, unsigned argument, unsigned value) {
  const unsigned any = argument >= ARGUMENTS;
  struct sock_filter code[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 3),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, any ? offsetof(struct seccomp_data, nr)
                                             : offsetof(struct seccomp_data, args) + argument * sizeof(__u64)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, any ? number : value, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const struct sock_fprog program = {sizeof code / sizeof *code, code};
  return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

int main(int argc, char **argv) {
  unsigned number = 0, argument = ARGUMENTS, value = 0;
  const char *at = getenv("die_at");
  int read = at != NULL ? sscanf(at, "%u:%u:%u", &number, &argument, &value) : 0;
  if (read != 1 && read != 3) return errno = EINVAL, fail("die_at");
  unsetenv("die_at");
  if (kill_at(number, argument, value) < 0) return fail("cannot set the filter");
  execv(AGENT, argv);
  return fail(AGENT);
}
