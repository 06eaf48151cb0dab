/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What an OCI document says of a process and its container is so inside. Limits need a guest: guest-containers.c. */
#include <elf.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/* Last: it needs the ones before. */
#include <cmocka.h>

#include "common/error.h"
#include "common/fds.h"
#include "common/oci.h"
#include "tests/agent/document.h"
#include "tests/agent/harness.h"

static int start(void **state) {
  harness_start();
  assert_int_equal(symlink("busybox", HARNESS_ROOTFS "/bin/uname"), 0);
  assert_int_equal(symlink("busybox", HARNESS_ROOTFS "/bin/ionice"), 0);
  assert_true(g_file_set_contents(HARNESS_ROOTFS "/etc/passwd",
                                  "root:x:0:0:root:/root:/bin/sh\nworker:x:1000:100:w:/home/worker:/bin/sh\n", -1,
                                  NULL));
  assert_true(g_file_set_contents(HARNESS_ROOTFS "/etc/group",
                                  "root:x:0:\nusers:x:100:\nadm:x:4:root,worker\naudio:x:29:worker\n", -1, NULL));
  return 0;
}

static int stop(void **state) {
  harness_stop();
  return 0;
}

static void check_spec(Grpc__Spec *spec, const char *expected) {
  harness_create_spec("doc", spec);
  harness_start_container("doc");
  g_autoptr(GString) out = harness_read_all("doc", "", FALSE);
  g_autoptr(GString) err = harness_read_all("doc", "", TRUE);
  harness_wait("doc", "");
  harness_remove("doc");
  if (strcmp(out->str, expected) != 0) fail_msg("'%s' is not '%s'; %s", out->str, expected, err->str);
}

static void check(const char *script, const char *members, const char *expected) {
  g_autoptr(Grpc__Spec) spec = harness_document(script, members);
  check_spec(spec, expected);
}

static void check_refused(const char *members, const char *text) {
  g_autoptr(Grpc__Spec) spec = harness_document("true", members);
  Grpc__CreateContainerRequest request = GRPC__CREATE_CONTAINER_REQUEST__INIT;
  request.container_id = (char *)"doc";
  request.oci = spec;
  g_autofree char *before = harness_leftovers();
  g_autoptr(GError) error = NULL;
  assert_null(harness_call("CreateContainer", &request.base, &error));
  if (!strstr(error->message, text)) fail_msg("no '%s' in '%s'", text, error->message);
  g_autofree char *after = harness_leftovers();
  assert_string_equal(before, after);
}

/* ---- process ---- */

static void test_user(void **state) {
  check("id -u; id -g; id -G; umask; echo $HOME",
        "{\"process\": {\"user\": {\"uid\": 1000, \"gid\": 13, "
        "\"additionalGids\": [14, 15], \"umask\": 23}}}",
        "1000\n13\n13 14 15\n0027\n/home/worker\n");
  check("umask", "{\"process\": {\"user\": {\"uid\": 0, \"gid\": 0, \"umask\": 0}}}", "0000\n");
  check("umask", "{}", "0022\n");
}

static void test_user_by_name(void **state) {
  check("id -u; id -g; id -G", "{\"process\": {\"user\": {\"username\": \"worker\"}}}", "1000\n100\n100 4 29\n");
  check("id -u; id -g", "{\"process\": {\"user\": {\"username\": \"worker:adm\"}}}", "1000\n4\n");
  check_refused("{\"process\": {\"user\": {\"username\": \"nobody-here\"}}}",
                "user 'nobody-here' is not in the container's /etc/passwd");

  g_autoptr(Grpc__Spec) spec = harness_spec("id -u; id -g; id -G; exec sleep 1000");
  char *groups[] = {(char *)"audio", (char *)"77"};
  Grpc__StringUser user = GRPC__STRING_USER__INIT;
  user.uid = (char *)"worker";
  user.gid = (char *)"users";
  user.n_additionalgids = G_N_ELEMENTS(groups);
  user.additionalgids = groups;
  Grpc__CreateContainerRequest request = GRPC__CREATE_CONTAINER_REQUEST__INIT;
  request.container_id = (char *)"named";
  request.oci = spec;
  request.string_user = &user;
  harness_must("CreateContainer", &request.base);
  harness_start_container("named");
  g_autoptr(GString) out = g_string_new(NULL);
  while (out->len < strlen("1000\n100\n100 4 29 77\n")) {
    g_autoptr(GBytes) part = harness_read("named", "", 100);
    g_string_append_len(out, g_bytes_get_data(part, NULL), (gssize)g_bytes_get_size(part));
  }
  assert_string_equal(out->str, "1000\n100\n100 4 29 77\n");

  g_autoptr(Grpc__Process) process = harness_process("id -u");
  Grpc__ExecProcessRequest exec = GRPC__EXEC_PROCESS_REQUEST__INIT;
  exec.container_id = (char *)"named";
  exec.exec_id = (char *)"e";
  exec.process = process;
  exec.string_user = &user;
  harness_must("ExecProcess", &exec.base);
  g_autoptr(GString) id = harness_read_all("named", "e", FALSE);
  assert_string_equal(id->str, "1000\n");
  user.gid = (char *)"no-group";
  exec.exec_id = (char *)"f";
  harness_must_fail("ExecProcess", &exec.base, TTRPC_NOT_FOUND,
                    "group 'no-group' is not in the container's /etc/group");
  harness_remove("named");
}

/* Names are looked up beneath the container's root, and only in files. */
static void test_hostile_passwd(void **state) {
  assert_int_equal(unlink(HARNESS_ROOTFS "/etc/group"), 0);
  assert_int_equal(mkfifo(HARNESS_ROOTFS "/etc/group", 0644), 0);
  check_refused("{\"process\": {\"user\": {\"username\": \"worker\"}}}", "is not a file");
  assert_int_equal(unlink(HARNESS_ROOTFS "/etc/group"), 0);
  assert_true(g_file_set_contents("/run/group-outside", "outside:x:4321:worker\n", -1, NULL));
  assert_int_equal(symlink("../../../../run/group-outside", HARNESS_ROOTFS "/etc/group"), 0);
  check("id -G", "{\"process\": {\"user\": {\"username\": \"worker\"}}}", "100\n");
  assert_int_equal(unlink(HARNESS_ROOTFS "/etc/group"), 0);
  assert_true(g_file_set_contents(HARNESS_ROOTFS "/etc/group", "root:x:0:\n", -1, NULL));
}

static void test_environment(void **state) {
  check("echo $FIRST $SECOND; pwd; echo $HOME",
        "{\"process\": {\"env\": [\"PATH=/bin\", \"FIRST=1\", \"SECOND=a b\"], "
        "\"cwd\": \"/tmp\"}}",
        "1 a b\n/tmp\n/root\n");
  check("true", "{\"process\": {\"args\": [\"echo\", \"one two\", \"three\"]}}", "one two three\n");
}

static void test_capabilities(void **state) {
  check("grep -E '^Cap' /proc/self/status",
        "{\"process\": {\"user\": {\"uid\": 1000, \"gid\": 0}, \"capabilities\": {"
        "\"bounding\": [\"CAP_AUDIT_WRITE\", \"CAP_CHOWN\", \"CAP_KILL\"], \"effective\": [\"CAP_KILL\"], "
        "\"permitted\": [\"CAP_KILL\", \"CAP_CHOWN\"], \"inheritable\": [\"CAP_KILL\", \"CAP_CHOWN\"], "
        "\"ambient\": [\"CAP_KILL\"]}}}",
        "CapInh:\t0000000000000021\nCapPrm:\t0000000000000020\nCapEff:\t0000000000000020\n"
        "CapBnd:\t0000000020000021\nCapAmb:\t0000000000000020\n");
}

static void test_process_limits(void **state) {
  check("ulimit -n; ulimit -Hn; grep NoNewPrivs /proc/self/status",
        "{\"process\": {\"noNewPrivileges\": true, \"rlimits\": [{\"type\": \"RLIMIT_NOFILE\", \"soft\": 512, "
        "\"hard\": 1024}]}}",
        "512\n1024\nNoNewPrivs:\t1\n");
  check("grep NoNewPrivs /proc/self/status", "{}", "NoNewPrivs:\t0\n");
}

/* 0 is not "as it is". */
static void test_oom_score(void **state) {
  g_autofree char *path = g_strdup_printf("/proc/%d/oom_score_adj", (int)harness_agent_pid());
  int fd = open(path, O_WRONLY);
  assert_true(fd >= 0);
  assert_int_equal(write(fd, "50", 2), 2);
  check("cat /proc/self/oom_score_adj", "{}", "50\n");
  check("cat /proc/self/oom_score_adj", "{\"process\": {\"oomScoreAdj\": 77}}", "77\n");
  check("cat /proc/self/oom_score_adj", "{\"process\": {\"oomScoreAdj\": 0}}", "0\n");
  assert_int_equal(write(fd, "0", 1), 1);
  close(fd);
}

static void test_terminal(void **state) {
  check("stty size; tty", "{\"process\": {\"terminal\": true, \"consoleSize\": {\"height\": 33, \"width\": 99}}}",
        "33 99\r\n/dev/pts/0\r\n");
}

/* Modules this kernel does not have. */
static void check_missing(const char *members, const char *text) {
  g_autoptr(Grpc__Spec) spec = harness_document("true", members);
  Grpc__CreateContainerRequest request = GRPC__CREATE_CONTAINER_REQUEST__INIT;
  request.container_id = (char *)"missing";
  request.oci = spec;
  harness_must_fail("CreateContainer", &request.base, TTRPC_UNIMPLEMENTED, text);
}

/* An AppArmor profile comes with every container of a host that has AppArmor; it is named in the log. */
static void test_labels(void **state) {
  if (access("/sys/kernel/security/apparmor", F_OK) < 0)
    check("cat /proc/self/attr/current 2>/dev/null || echo unconfined",
          "{\"process\": {\"apparmorProfile\": \"docker-default\"}, \"linux\": {\"intelRdt\": {}}}", "unconfined\n");
  check_missing("{\"linux\": {\"intelRdt\": {\"l3CacheSchema\": \"L3:0=f\"}}}",
                "linux.intelRdt: a guest has no caches");
  if (access("/sys/fs/selinux/enforce", F_OK) == 0) return;
  check_missing("{\"process\": {\"selinuxLabel\": \"a:b:c\"}}",
                "process.selinuxLabel: this guest's kernel has no SELinux");
  check_missing("{\"linux\": {\"mountLabel\": \"a:b:c\"}}", "linux.mountLabel: this guest's kernel has no SELinux");
}

/* A machine may keep its time for others. */
static gboolean is_allowed(const char *command) {
  g_autofree char *line = g_strconcat(command, " true 2>/dev/null", NULL);
  gboolean is_allowed = system(line) == 0;
  if (!is_allowed) print_message("this machine does not allow '%s'\n", command);
  return is_allowed;
}

static void test_scheduling(void **state) {
  check("ionice -p $$; set -- $(cat /proc/$$/stat); shift 18; echo $1; shift 22; echo $1",
        "{\"process\": {\"ioPriority\": {\"class\": \"IOPRIO_CLASS_BE\", \"priority\": 6}, "
        "\"scheduler\": {\"policy\": \"SCHED_BATCH\", \"nice\": 5}}}",
        "best-effort: prio 6\n5\n3\n");
  /* The real-time priority is the one before the policy. */
  if (is_allowed("chrt -f 7"))
    check("set -- $(cat /proc/$$/stat); shift 39; echo $1 $2",
          "{\"process\": {\"scheduler\": {\"policy\": \"SCHED_FIFO\", \"priority\": 7}}}", "7 1\n");
  /* Without the flag such a process may not fork. */
  if (is_allowed("chrt -d -T 5000000 -D 20000000 -P 40000000 0"))
    check("set -- $(cat /proc/$$/stat); shift 40; echo $1",
          "{\"process\": {\"scheduler\": {\"policy\": \"SCHED_DEADLINE\", \"flags\": "
          "[\"SCHED_FLAG_RESET_ON_FORK\"], \"runtime\": 5000000, \"deadline\": 20000000, \"period\": 40000000}}}",
          "6\n");
  /* Each of the three counts: the kernel takes none that is longer than the next. */
  check_refused(
      "{\"process\": {\"scheduler\": {\"policy\": \"SCHED_DEADLINE\", \"runtime\": 30000000, \"deadline\": "
      "20000000, \"period\": 40000000}}}",
      "cannot set scheduler policy 'SCHED_DEADLINE': Invalid argument");
  check_refused(
      "{\"process\": {\"scheduler\": {\"policy\": \"SCHED_DEADLINE\", \"runtime\": 5000000, \"deadline\": "
      "20000000, \"period\": 10000000}}}",
      "cannot set scheduler policy 'SCHED_DEADLINE': Invalid argument");
  check_refused("{\"process\": {\"ioPriority\": {\"class\": \"IOPRIO_CLASS_FAST\"}}}",
                "'IOPRIO_CLASS_FAST' does not exist");
  check_refused("{\"process\": {\"ioPriority\": {\"class\": \"IOPRIO_CLASS_BE\", \"priority\": 8}}}",
                "not from 0 to 7");
  check_refused("{\"process\": {\"scheduler\": {\"policy\": \"SCHED_LAZY\"}}}", "'SCHED_LAZY' does not exist");
  check_refused("{\"process\": {\"scheduler\": {\"policy\": \"SCHED_OTHER\", \"flags\": [\"NO\"]}}}",
                "scheduler flag 'NO' does not exist");
  check_refused("{\"process\": {\"scheduler\": {\"policy\": \"SCHED_FIFO\", \"priority\": 100}}}", "not from 0 to 99");
}

static void test_affinity(void **state) {
  harness_create("cpus", "sleep 1000");
  harness_start_container("cpus");
  static const struct {
    const char *process;
    const char *expected;
  } cases[] = {
      {"{\"args\": [\"sh\", \"-c\", \"read x; grep Cpus_allowed_list /proc/self/status\"], \"cwd\": \"/\", "
       "\"env\": [\"PATH=/bin\"], \"execCPUAffinity\": {\"initial\": \"0-1\", \"final\": \"0\"}}",
       "Cpus_allowed_list:\t0\n"},
      {"{\"args\": [\"sh\", \"-c\", \"read x; grep Cpus_allowed_list /proc/self/status\"], \"cwd\": \"/\", "
       "\"env\": [\"PATH=/bin\"], \"execCPUAffinity\": {\"initial\": \"0\"}}",
       "Cpus_allowed_list:\t0\n"},
  };
  for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autoptr(GError) error = NULL;
    g_autoptr(OciProcess) process = oci_process_parse(cases[i].process, strlen(cases[i].process), "process", &error);
    if (!process) fail_msg("%s", error->message);
    Grpc__ExecProcessRequest exec = GRPC__EXEC_PROCESS_REQUEST__INIT;
    exec.container_id = (char *)"cpus";
    exec.exec_id = (char *)"e";
    exec.process = process;
    harness_must("ExecProcess", &exec.base);
    harness_write("cpus", "e", "\n", 1);
    g_autoptr(GString) out = harness_read_all("cpus", "e", FALSE);
    assert_string_equal(out->str, cases[i].expected);
    harness_wait("cpus", "e");
    free(process->execcpuaffinity->initial);
    process->execcpuaffinity->initial = strdup("0,x");
    exec.exec_id = (char *)"f";
    harness_must_fail("ExecProcess", &exec.base, TTRPC_INVALID_ARGUMENT, "execCPUAffinity '0,x' is not a list");
  }
  harness_remove("cpus");
}

/* By these texts callers know 127 from 126. */
static void test_programs(void **state) {
  check_refused("{\"process\": {\"args\": [\"no-such-program\"]}}",
                "executable file `no-such-program` not found in $PATH: no such file or directory");
  check_refused("{\"process\": {\"args\": [\"/bin/no-such-program\"]}}", "o such file or directory");
  check_refused("{\"process\": {\"args\": [\"/etc/passwd\"]}}", "ermission denied");
}

/* ---- linux ---- */

static void test_paths(void **state) {
  check("cat /etc/passwd; echo x > /proc/sys/kernel/domainname || echo refused",
        "{\"linux\": {\"maskedPaths\": [\"/etc/passwd\"], \"readonlyPaths\": [\"/proc/sys\"]}}", "refused\n");
  check("touch /x || echo refused", "{\"root\": {\"readonly\": true}}", "refused\n");
}

static void test_sysctl(void **state) {
  check("cat /proc/sys/kernel/shmmni /proc/sys/net/ipv4/ip_default_ttl",
        "{\"linux\": {\"sysctl\": {\"kernel.shmmni\": \"4001\", \"net.ipv4.ip_default_ttl\": \"77\"}}}", "4001\n77\n");
  check_refused("{\"linux\": {\"sysctl\": {\"vm.swappiness\": \"1\"}}}", "vm.swappiness");
}

static void test_devices(void **state) {
  check(
      "ls -l /dev/one /dev/none /dev/pipe | while read mode n user group major minor rest; do "
      "case $mode in p*) major=; minor=;; esac; echo $mode $user $group $major$minor; done",
      "{\"linux\": {\"devices\": ["
      "{\"path\": \"/dev/one\", \"type\": \"c\", \"major\": 1, \"minor\": 5, \"fileMode\": 416, \"uid\": 7, \"gid\": "
      "8},"
      "{\"path\": \"/dev/none\", \"type\": \"c\", \"major\": 1, \"minor\": 3, \"fileMode\": 0},"
      "{\"path\": \"/dev/pipe\", \"type\": \"p\"}]}}",
      "c--------- root root 1,3\ncrw-r----- 7 8 1,5\nprw-rw-rw- root root\n");
}

/* What a shell needs to say that something else is not there. */
#define SHELL_CALLS                                                                                                   \
  "\"read\", \"write\", \"open\", \"openat\", \"close\", \"stat\", \"fstat\", \"lstat\", \"newfstatat\", \"statx\", " \
  "\"mmap\", \"mprotect\", \"munmap\", \"brk\", \"rt_sigaction\", \"rt_sigprocmask\", \"rt_sigreturn\", "             \
  "\"ioctl\", \"access\", \"execve\", \"exit\", \"exit_group\", \"arch_prctl\", \"set_tid_address\", "                \
  "\"set_robust_list\", \"rseq\", \"prlimit64\", \"getrandom\", \"getuid\", \"geteuid\", \"getgid\", \"getegid\", "   \
  "\"getpid\", \"getppid\", \"fcntl\", \"dup\", \"dup2\", \"wait4\", \"clone\", \"vfork\", \"fork\", \"clone3\", "    \
  "\"futex\", \"poll\", \"getcwd\", \"readlink\", \"uname\", \"prctl\", \"capset\", \"capget\", \"setgroups\", "      \
  "\"setresuid\", \"setresgid\", \"chdir\", \"close_range\", \"umask\", \"pread64\", \"lseek\", \"setuid\", "         \
  "\"setgid\""

static void test_seccomp(void **state) {
  check("mkdir /tmp/x 2>&1; true",
        "{\"linux\": {\"seccomp\": {\"defaultAction\": \"SCMP_ACT_ALLOW\", "
        "\"architectures\": [\"SCMP_ARCH_X86_64\"], \"flags\": [\"SECCOMP_FILTER_FLAG_LOG\"], \"syscalls\": ["
        "{\"names\": [\"mkdir\", \"mkdirat\"], \"action\": \"SCMP_ACT_ERRNO\", \"errnoRet\": 38}]}}}",
        "mkdir: can't create directory '/tmp/x': Function not implemented\n");
  /* An errno of 0 is a success that never was. */
  check("mkdir /tmp/x; ls /tmp",
        "{\"linux\": {\"seccomp\": {\"defaultAction\": \"SCMP_ACT_ALLOW\", \"syscalls\": ["
        "{\"names\": [\"mkdir\", \"mkdirat\"], \"action\": \"SCMP_ACT_ERRNO\", \"errnoRet\": 0}]}}}",
        "");
  check("(umask 77; mkdir -m 700 /tmp/a; chmod 755 /tmp/a) 2>/dev/null || echo refused; ls /tmp",
        "{\"linux\": {\"seccomp\": {\"defaultAction\": \"SCMP_ACT_ALLOW\", \"syscalls\": ["
        "{\"names\": [\"chmod\", \"fchmodat\"], \"action\": \"SCMP_ACT_ERRNO\", \"args\": [{\"index\": 1, "
        "\"value\": 493, \"op\": \"SCMP_CMP_EQ\"}]}]}}}",
        "refused\na\n");
  check("mkdir /tmp/a /tmp/b; chmod 711 /tmp/a 2>/dev/null || echo refused; chmod 700 /tmp/b && echo changed",
        "{\"linux\": {\"seccomp\": {\"defaultAction\": \"SCMP_ACT_ALLOW\", \"syscalls\": ["
        "{\"names\": [\"chmod\", \"fchmodat\"], \"action\": \"SCMP_ACT_ERRNO\", \"args\": [{\"index\": 1, "
        "\"value\": 63, \"valueTwo\": 9, \"op\": \"SCMP_CMP_MASKED_EQ\"}]}]}}}",
        "refused\nchanged\n");
  check("mkdir /tmp/x 2>&1; true",
        "{\"process\": {\"noNewPrivileges\": true}, \"linux\": {\"seccomp\": {\"defaultAction\": \"SCMP_ACT_ERRNO\", "
        "\"defaultErrnoRet\": 38, "
        "\"syscalls\": [{\"names\": [" SHELL_CALLS "], \"action\": \"SCMP_ACT_ALLOW\"}]}}}",
        "mkdir: can't create directory '/tmp/x': Function not implemented\n");
  check_refused("{\"linux\": {\"seccomp\": {\"defaultAction\": \"SCMP_ACT_ALLOW\", \"flags\": [\"NO_SUCH_FLAG\"]}}}",
                "NO_SUCH_FLAG");
  check_refused("{\"linux\": {\"seccomp\": {\"defaultAction\": \"SCMP_ACT_NOTIFY\", \"listenerPath\": \"/run/none\"}}}",
                "/run/none");
}

#ifdef __x86_64__
/* A program of the other architecture that this kernel runs: makes /tmp/x and ends with the errno of that. */
static void write_i386_program(const char *path) {
  static const struct {
    Elf32_Ehdr header;
    Elf32_Phdr segment;
    guint8 code[27];
    char directory[7];
  } program = {
      .header = {.e_ident = {0x7f, 'E', 'L', 'F', ELFCLASS32, ELFDATA2LSB, EV_CURRENT},
                 .e_type = ET_EXEC,
                 .e_machine = EM_386,
                 .e_version = EV_CURRENT,
                 .e_entry = 0x10000 + sizeof(Elf32_Ehdr) + sizeof(Elf32_Phdr),
                 .e_phoff = sizeof(Elf32_Ehdr),
                 .e_ehsize = sizeof(Elf32_Ehdr),
                 .e_phentsize = sizeof(Elf32_Phdr),
                 .e_phnum = 1},
      .segment = {.p_type = PT_LOAD,
                  .p_vaddr = 0x10000,
                  .p_filesz = sizeof program,
                  .p_memsz = sizeof program,
                  .p_flags = PF_R | PF_X,
                  .p_align = 0x1000},
      /* mkdir("/tmp/x", 0755) is call 39, exit(-result) call 1. */
      .code = {0xb8, 39,   0,    0,    0,    0xbb, 0x6f, 0,    1,    0,    0xb9, 0xed, 1,   0,
               0,    0xcd, 0x80, 0xf7, 0xd8, 0x93, 0x31, 0xc0, 0x40, 0xcd, 0x80, 0x0f, 0x0b},
      .directory = "/tmp/x",
  };
  /* Where the code has the directory's name. */
  G_STATIC_ASSERT(offsetof(__typeof__(program), directory) == 0x6f);
  assert_true(g_file_set_contents(path, (const char *)&program, sizeof program, NULL));
  assert_int_equal(chmod(path, 0755), 0);
}

/* Calls of an architecture that the filter does not name end their process; of one that it names, its rules count. */
static void test_seccomp_architectures(void **state) {
  write_i386_program(HARNESS_ROOTFS "/bin/mkdir-of-i386");
  check("mkdir-of-i386; echo $?; ls /tmp; rmdir /tmp/x", "{}", "0\nx\n");
  static const char *const cases[][2] = {{"", "159\n1\n"}, {", \"SCMP_ARCH_X86\"", "38\n1\n"}};
  for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autofree char *members = g_strdup_printf(
        "{\"linux\": {\"seccomp\": {\"defaultAction\": \"SCMP_ACT_ALLOW\", \"architectures\": "
        "[\"SCMP_ARCH_X86_64\"%s], \"syscalls\": [{\"names\": [\"mkdir\"], \"action\": \"SCMP_ACT_ERRNO\", "
        "\"errnoRet\": 38}]}}}",
        cases[i][0]);
    check("mkdir-of-i386 2>/dev/null; echo $?; mkdir /tmp/y 2>/dev/null; echo $?; ls /tmp", members, cases[i][1]);
  }
  check_refused(
      "{\"linux\": {\"seccomp\": {\"defaultAction\": \"SCMP_ACT_ALLOW\", \"architectures\": "
      "[\"SCMP_ARCH_ABACUS\"]}}}",
      "unknown architecture ABACUS");
}
#endif

#define LISTENER HARNESS_RUN "/listener.sock"

/* Who listens for a filter's notifications is told what the document has for it. */
static void test_seccomp_listener(void **state) {
  struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = LISTENER};
  autofd int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof address), 0);
  assert_int_equal(listen(listener, 1), 0);
  check("echo runs",
        "{\"linux\": {\"seccomp\": {\"defaultAction\": \"SCMP_ACT_ALLOW\", \"listenerPath\": \"" LISTENER
        "\", \"listenerMetadata\": \"for the listener\", \"syscalls\": [{\"names\": [\"mkdir\"], \"action\": "
        "\"SCMP_ACT_NOTIFY\"}]}}}",
        "runs\n");
  char text[4096] = "";
  autofd int fd = accept(listener, NULL, NULL);
  assert_true(fd >= 0 && recv(fd, text, sizeof text - 1, 0) > 0);
  if (!strstr(text, "for the listener") || !strstr(text, "seccompFd")) fail_msg("'%s'", text);
  assert_int_equal(unlink(LISTENER), 0);
}

static void test_personality(void **state) {
  check("uname -m", "{\"linux\": {\"personality\": {\"domain\": \"LINUX32\"}}}", "i686\n");
  check_refused("{\"linux\": {\"personality\": {\"domain\": \"WINDOWS\"}}}", "WINDOWS");
  check_refused("{\"linux\": {\"personality\": {\"domain\": \"LINUX32\", \"flags\": [\"NONE\"]}}}",
                "linux.personality.flags: 'NONE' does not exist");
}

static void test_mount_options(void **state) {
  check(
      "grep ' /data ' /proc/mounts | tr ' ,' '\\n\\n' | grep -xE 'tmpfs|ro|noexec|nosuid|size=64k|mode=711' | sort -u; "
      "touch /data/x 2>/dev/null || echo refused; "
      "echo 'echo ran' > /run/program; chmod 755 /run/program; /run/program 2>/dev/null || echo not run",
      "{\"mounts\": [{\"destination\": \"/proc\", \"type\": \"proc\", \"source\": \"proc\"}, "
      "{\"destination\": \"/data\", \"type\": \"tmpfs\", \"source\": \"memory\", \"options\": [\"ro\", \"nosuid\", "
      "\"size=64k\", \"mode=711\"]}, "
      "{\"destination\": \"/run\", \"type\": \"tmpfs\", \"source\": \"memory\", \"options\": [\"noexec\"]}]}",
      "mode=711\nnosuid\nro\nsize=64k\ntmpfs\nrefused\nnot run\n");
}

static void test_propagation(void **state) {
  check("grep -c '^[0-9]* [0-9]* [0-9:]* [^ ]* / .*shared:' /proc/self/mountinfo",
        "{\"linux\": {\"rootfsPropagation\": \"shared\"}}", "1\n");
  check("grep -c '^[0-9]* [0-9]* [0-9:]* [^ ]* / .*shared:' /proc/self/mountinfo",
        "{\"linux\": {\"rootfsPropagation\": \"private\"}}", "0\n");
}

static void test_unified(void **state) {
  g_autoptr(Grpc__Spec) spec = harness_document(
      "sleep 1000", "{\"linux\": {\"resources\": {\"unified\": {\"cgroup.max.descendants\": \"7\"}}}}");
  harness_create_spec("unified", spec);
  g_autofree char *path = g_strconcat("/sys/fs/cgroup", spec->linux->cgroupspath, "/cgroup.max.descendants", NULL);
  g_autofree char *text = NULL;
  assert_true(g_file_get_contents(path, &text, NULL, NULL));
  assert_string_equal(text, "7\n");
  harness_remove("unified");
  check_refused("{\"linux\": {\"resources\": {\"unified\": {\"no.such.file\": \"7\"}}}}", "`no`");
}

static void test_user_namespace(void **state) {
  check("cat /proc/self/uid_map /proc/self/gid_map | tr -s ' '; id -u",
        "{\"linux\": {\"namespaces\": [{\"type\": \"mount\"}, {\"type\": \"ipc\"}, {\"type\": \"uts\"}, {\"type\": "
        "\"user\"}], \"uidMappings\": [{\"containerID\": 0, \"hostID\": 100000, \"size\": 65536}], "
        "\"gidMappings\": [{\"containerID\": 0, \"hostID\": 200000, \"size\": 65536}]}}",
        " 0 100000 65536\n 0 200000 65536\n0\n");
}

/* What a file of user 7 and group 8 is to a container that gets its directory with these mappings. */
static void check_mapped(const char *mappings, const char *expected) {
  g_autofree char *document = g_strdup_printf(
      "{\"mounts\": [{\"destination\": \"/proc\", \"type\": \"proc\", \"source\": \"proc\"}, "
      "{\"destination\": \"/data\", \"type\": \"bind\", \"source\": \"" HARNESS_RUN
      "/mapped\", "
      "\"options\": [\"rbind\"]%s}]}",
      mappings);
  check("ls -n /data/file | (read mode n user group rest; echo $user $group)", document, expected);
}

static void test_mount_mappings(void **state) {
  static const char file[] = HARNESS_RUN "/mapped/file";
  assert_int_equal(mkdir(HARNESS_RUN "/mapped", 0755), 0);
  assert_true(g_file_set_contents(file, "x", -1, NULL));
  assert_int_equal(chown(file, 7, 8), 0);
  check_mapped("", "7 8\n");
  check_mapped(
      ", \"uidMappings\": [{\"containerID\": 0, \"hostID\": 1000, \"size\": 100}], \"gidMappings\": "
      "[{\"containerID\": 0, \"hostID\": 2000, \"size\": 100}]",
      "1007 2008\n");
  /* Who is in none of them is nobody. */
  check_mapped(
      ", \"uidMappings\": [{\"containerID\": 0, \"hostID\": 1000, \"size\": 5}], \"gidMappings\": "
      "[{\"containerID\": 8, \"hostID\": 3000, \"size\": 1}]",
      "65534 3000\n");
}

/* Without offsets a time namespace of its own changes nothing. */
static void test_time_namespace(void **state) {
  check("echo runs", "{\"linux\": {\"namespaces\": [{\"type\": \"mount\"}, {\"type\": \"time\"}]}}", "runs\n");
  check_refused("{\"linux\": {\"timeOffsets\": {\"boottime\": {\"secs\": 864000}}}}", "timeOffsets");
}

static int run_all(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_user),
      cmocka_unit_test(test_user_by_name),
      cmocka_unit_test(test_hostile_passwd),
      cmocka_unit_test(test_environment),
      cmocka_unit_test(test_capabilities),
      cmocka_unit_test(test_process_limits),
      cmocka_unit_test(test_oom_score),
      cmocka_unit_test(test_terminal),
      cmocka_unit_test(test_labels),
      cmocka_unit_test(test_scheduling),
      cmocka_unit_test(test_affinity),
      cmocka_unit_test(test_programs),
      cmocka_unit_test(test_paths),
      cmocka_unit_test(test_sysctl),
      cmocka_unit_test(test_devices),
      cmocka_unit_test(test_seccomp),
#ifdef __x86_64__
      cmocka_unit_test(test_seccomp_architectures),
#endif
      cmocka_unit_test(test_seccomp_listener),
      cmocka_unit_test(test_personality),
      cmocka_unit_test(test_mount_options),
      cmocka_unit_test(test_propagation),
      cmocka_unit_test(test_unified),
      cmocka_unit_test(test_mount_mappings),
      cmocka_unit_test(test_user_namespace),
      cmocka_unit_test(test_time_namespace),
  };
  return cmocka_run_group_tests_name("agent-document", tests, start, stop);
}

int main(void) { return harness_run(run_all); }
