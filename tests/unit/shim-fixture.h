/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the tests of machines and shares have in common: each body runs as a process of its own, as owners do. */
#pragma once

#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <glib/gstdio.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/error.h"
#include "common/safe-path.h"
#include "shim/share.h"
#include "shim/vm.h"

#define SKIP_STATUS 77
#define QEMU "/usr/bin/qemu-system-x86_64"
#define VIRTIOFSD "/usr/lib/qemu/virtiofsd"

/* In a body: an assertion of cmocka's would jump into the parent's test. */
#define CHECK(condition)                                                      \
  do {                                                                        \
    if (!(condition)) {                                                       \
      fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition); \
      exit(1);                                                                \
    }                                                                         \
  } while (0)
#define CHECK_OK(error)                                                                 \
  do {                                                                                  \
    if ((error) != NULL) {                                                              \
      fprintf(stderr, "%s:%d: unexpected: %s\n", __FILE__, __LINE__, (error)->message); \
      exit(1);                                                                          \
    }                                                                                   \
  } while (0)
#define CHECK_ERROR(error, expected_code)                                                           \
  do {                                                                                              \
    CHECK((error) != NULL);                                                                         \
    if ((error)->domain != KATA_ERROR || (error)->code != (expected_code)) {                        \
      fprintf(stderr, "%s:%d: code %d: %s\n", __FILE__, __LINE__, (error)->code, (error)->message); \
      exit(1);                                                                                      \
    }                                                                                               \
    g_clear_error(&(error));                                                                        \
  } while (0)

typedef void (*Body)(const char *directory);

/* Runs body in a child; returns its wait status. */
static inline int run_body(Body body, const char *directory) {
  fflush(NULL);
  pid_t pid = fork();
  if (pid == 0) {
    body(directory);
    exit(0);
  }
  int status = -1;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) continue;
  return status;
}

/* A directory that QEMU's user may pass through. */
static inline char *make_directory(void) {
  GError *error = NULL;
  char *path = g_dir_make_tmp("kt-XXXXXX", &error);
  assert_null(error);
  assert_int_equal(chmod(path, 0711), 0);
  return path;
}

static inline void remove_directory(char *path) {
  GError *error = NULL;
  safe_remove_tree(path, &error);
  if (error != NULL) print_error("%s\n", error->message);
  assert_null(error);
  g_free(path);
}

/* The whole test: a child in its own directory, of which nothing may stay. */
static inline void run_alone(Body body) {
  /* Static, so that the child's leak check finds it. */
  static char *directory;
  directory = make_directory();
  int status = run_body(body, directory);
  guint n_strays = vm_kill_strays(directory);
  remove_directory(directory);
  assert_int_equal(status, 0);
  assert_int_equal(n_strays, 0);
}

/* Mount points below directory that process pid has in sight. */
static inline guint count_mounts(const char *pid, const char *directory) {
  g_autofree char *path = g_strdup_printf("/proc/%s/mountinfo", pid);
  g_autofree char *text = NULL;
  if (!g_file_get_contents(path, &text, NULL, NULL)) return G_MAXUINT;
  guint count = 0;
  for (const char *at = text; (at = strstr(at, directory)) != NULL; at++) count++;
  return count;
}

/* A kernel before 5.12, or valgrind 3.19, lacks the calls. */
static inline gboolean can_make_namespaces(void) {
  fflush(NULL);
  pid_t pid = fork();
  if (pid == 0) {
    int pidfd = pidfd_open(getpid(), 0);
    int tree = open_tree(AT_FDCWD, "/", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
    _exit(pidfd >= 0 && tree >= 0 && share_enter_namespace(FALSE, NULL) ? 0 : 1);
  }
  int status = -1;
  waitpid(pid, &status, 0);
  return status == 0;
}

/* Exits 77 where the host cannot do it. */
static inline void skip_unless_possible(gboolean needs_qemu) {
  uid_t uid;
  gid_t gid;
  const char *missing = NULL;
  if (geteuid() != 0)
    missing = "root";
  else if (!can_make_namespaces())
    missing = "mount namespaces, open_tree(2) and pidfd_open(2)";
  else if (access(VIRTIOFSD, X_OK) < 0)
    missing = VIRTIOFSD;
  else if (!vm_get_user(&uid, &gid, NULL))
    missing = "QEMU's user";
  else if (needs_qemu && access(QEMU, X_OK) < 0)
    missing = QEMU;
  if (missing == NULL) return;
  printf("skipped: needs %s\n", missing);
  exit(SKIP_STATUS);
}

static inline gboolean has_ended(int pidfd, int timeout_ms) {
  struct pollfd poll_fd = {.fd = pidfd, .events = POLLIN};
  return poll(&poll_fd, 1, timeout_ms) == 1;
}
