// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * promises FAKE-OWNER: what calls do not do to the process that makes them, whatever they do for it: no thread, no
 * child, no signal handler, no output, no descriptor that a child of the caller would inherit. A hundred sandboxes'
 * handles in one process, eight threads on them, and a child after fork().
 */
#include <dirent.h>
#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <kata/kata.h>

enum { SANDBOXES = 100, THREADS = 8, HANDLES = 1000, HANDLES_BYTES = 5 << 20 };

static kata_context *ctx;
static kata_sandbox *sandboxes[SANDBOXES];
static char bundle[64];

#define CHECK(condition)                                                  \
  do {                                                                    \
    if (condition) break;                                                 \
    dprintf(report, "promises.c:%d: not so: %s\n", __LINE__, #condition); \
    exit(1);                                                              \
  } while (0)

#define OK(call)                                                                              \
  do {                                                                                        \
    kata_error *err = NULL;                                                                   \
    if (call) break;                                                                          \
    dprintf(report, "promises.c:%d: %s: %s\n", __LINE__, #call, kata_error_get_message(err)); \
    exit(1);                                                                                  \
  } while (0)

static int report = 3; /* the program's own standard error: descriptors 1 and 2 are watched */

static int count(const char *directory) {
  DIR *dir = opendir(directory);
  CHECK(dir != NULL);
  int n = 0;
  for (const struct dirent *entry; (entry = readdir(dir)) != NULL;) n += entry->d_name[0] != '.';
  closedir(dir);
  return n;
}

/* ---- threads, children, signals, output ---- */

static void check_signals(const struct sigaction *before) {
  for (int number = 1; number < NSIG; number++) {
    struct sigaction now;
    if (sigaction(number, NULL, &now) < 0) continue;
    CHECK(now.sa_handler == before[number].sa_handler && now.sa_flags == before[number].sa_flags);
  }
}

static void check_quiet(int output) {
  struct stat st;
  CHECK(fstat(output, &st) == 0 && st.st_size == 0);
}

static void check_process(const struct sigaction *signals, int output, int descriptors) {
  CHECK(count("/proc/self/task") == 1);
  CHECK(waitpid(-1, NULL, WNOHANG) == -1); /* there is no child */
  check_signals(signals);
  check_quiet(output);
  CHECK(count("/proc/self/fd") == descriptors);
}

/* ---- descriptors ---- */

enum { DESCRIPTORS = 200 };
static int was_open[DESCRIPTORS];
static volatile int stop;

/* Looks for a descriptor without close-on-exec again and again, while others call. */
static void *look_for_open_doors(void *unused) {
  while (!stop) {
    for (int fd = 0; fd < DESCRIPTORS; fd++) {
      int flags = was_open[fd] ? -1 : fcntl(fd, F_GETFD);
      if (flags >= 0 && (flags & FD_CLOEXEC) == 0) return (void *)1;
    }
  }
  return NULL;
}

static void use(kata_sandbox *sandbox) {
  OK(kata_sandbox_get_status(sandbox, &err) == KATA_SANDBOX_RUNNING);
  char *timeline = NULL;
  OK((timeline = kata_sandbox_get_boot_timeline(sandbox, 0, &err)) != NULL);
  kata_free(timeline);
  kata_events *events = NULL;
  OK((events = kata_events_open(sandbox, 0, 0, &err)) != NULL);
  CHECK((fcntl(kata_events_get_fd(events), F_GETFD) & FD_CLOEXEC) != 0);
  kata_events_unref(events);
  kata_error *err = NULL;
  CHECK(kata_sandbox_open(ctx, "absent", 0, &err) == NULL && kata_error_get_code(err) == KATA_ERR_NOT_FOUND);
  kata_error_free(err);
}

/* What starts programs, makes a thread or looks around on the host; what comes of it is not asked here. */
static void use_host(void) {
  kata_settings *settings = NULL;
  OK((settings = kata_context_load_settings(ctx, 0, &err)) != NULL);
  kata_free(kata_host_check(ctx, 0, NULL));
  kata_free(kata_context_describe(ctx, settings, 0, NULL));
  kata_free(kata_template_create(ctx, settings, 0, NULL, NULL));
  kata_free(kata_template_list(ctx, settings, 0, NULL));
  kata_strv_free(kata_template_remove(ctx, settings, 0, NULL));
  kata_pool_fill(ctx, settings, 0, NULL, NULL, NULL);
  kata_free(kata_pool_list(ctx, settings, 0, NULL));
  kata_pool_empty(ctx, settings, 0, NULL, NULL);
  kata_free(kata_direct_volume_list(ctx, 0, NULL));
  kata_free(kata_direct_volume_get_stats(ctx, "/nowhere", 0, NULL));
  kata_free(kata_domain_xml(settings, "pod", "/run/kata", 0, NULL));
  kata_free(kata_domain_xml_for_bundle(settings, "pod", "/run/kata", bundle, 0, NULL));
  kata_free(kata_sandbox_find_netns(ctx, "/proc/self/ns/net", 0, NULL));
  CHECK(kata_agent_connect("unix:///nowhere", 0, 0, NULL) == NULL);
  kata_settings_unref(settings);
}

/* With descriptors of the caller's for its streams, which stay his. */
static void use_container(void) {
  kata_process_io io = KATA_PROCESS_IO_INIT;
  int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
  io.stdout_fd = io.stderr_fd = null;
  kata_container *container = NULL;
  kata_process *process = NULL;
  OK((container = kata_container_create(sandboxes[0], "box", bundle, &io, 0, &err)) != NULL);
  OK(kata_container_start(container, 0, &err) == 0);
  const char *command = "{\"args\": [\"true\"], \"cwd\": \"/\"}";
  OK((process = kata_container_exec(container, "one", command, &io, 0, &err)) != NULL);
  OK(kata_process_start(process, 0, &err) == 0);
  kata_free(kata_container_get_state(container, 0, NULL));
  kata_free(kata_container_get_stats(container, 0, NULL));
  kata_free(kata_container_get_processes(container, 0, NULL));
  kata_process_unref(process);
  OK(kata_container_delete(container, KATA_CONTAINER_DELETE_FORCE, NULL, &err) == 0);
  kata_container_unref(container);
  CHECK((fcntl(null, F_GETFD) & FD_CLOEXEC) != 0 && close(null) == 0);
}

static void *use_all(void *unused) {
  for (int i = 0; i < SANDBOXES; i++) use(sandboxes[i]);
  return NULL;
}

static void check_threads(void) {
  pthread_t threads[THREADS], watcher;
  CHECK(pthread_create(&watcher, NULL, look_for_open_doors, NULL) == 0);
  for (int i = 0; i < THREADS; i++) CHECK(pthread_create(&threads[i], NULL, use_all, NULL) == 0);
  use_host();
  use_container();
  for (int i = 0; i < THREADS; i++) CHECK(pthread_join(threads[i], NULL) == 0);
  stop = 1;
  void *found = NULL;
  CHECK(pthread_join(watcher, &found) == 0 && found == NULL);
}

static void check_fork(void) {
  pid_t child = fork();
  if (child == 0) {
    use(sandboxes[0]);
    _exit(0);
  }
  int status = -1;
  CHECK(waitpid(child, &status, 0) == child && status == 0);
  use(sandboxes[0]);
}

/* ---- memory ---- */

static void check_handles(void) {
  static kata_sandbox *handles[HANDLES];
  size_t before = mallinfo2().uordblks;
  for (int i = 0; i < HANDLES; i++) OK((handles[i] = kata_sandbox_open(ctx, "s0", 0, &err)) != NULL);
  size_t used = mallinfo2().uordblks - before;
  for (int i = 0; i < HANDLES; i++) kata_sandbox_unref(handles[i]);
  dprintf(report, "%d handles: %zu bytes\n", HANDLES, used);
  CHECK(used < HANDLES_BYTES);
}

/* One whose network somebody has made. */
static void write_bundle(const char *root) {
  char path[96];
  snprintf(bundle, sizeof bundle, "%s/bundle", root);
  snprintf(path, sizeof path, "%s/config.json", bundle);
  CHECK(mkdir(bundle, 0700) == 0);
  FILE *file = fopen(path, "we");
  CHECK(file != NULL);
  fputs(
      "{\"ociVersion\": \"1.0.2\", \"root\": {\"path\": \"rootfs\"}, \"process\": {\"args\": [\"sh\"], \"cwd\": \"/\"},"
      " \"linux\": {\"namespaces\": [{\"type\": \"network\", \"path\": \"/proc/self/ns/net\"}]}}",
      file);
  CHECK(fclose(file) == 0);
}

int main(int argc, char **argv) {
  CHECK(argc == 2);
  report = dup(2);
  char root[] = "/tmp/promises-XXXXXX";
  CHECK(mkdtemp(root) != NULL);
  int output = open(root, O_TMPFILE | O_RDWR, 0600);
  CHECK(output >= 0 && dup2(output, 1) == 1 && dup2(output, 2) == 2);
  struct sigaction signals[NSIG];
  for (int number = 1; number < NSIG; number++) sigaction(number, NULL, &signals[number]);
  for (int fd = 0; fd < DESCRIPTORS; fd++) was_open[fd] = fcntl(fd, F_GETFD) >= 0;
  int descriptors = count("/proc/self/fd");

  write_bundle(root);
  OK((ctx = kata_context_new(0, &err)) != NULL);
  OK(kata_context_set_root(ctx, root, &err) == 0);
  OK(kata_context_set_owner_program(ctx, argv[1], &err) == 0);
  for (int i = 0; i < SANDBOXES; i++) {
    char id[16];
    snprintf(id, sizeof id, "s%d", i);
    OK((sandboxes[i] = kata_sandbox_create(ctx, id, NULL, 0, &err)) != NULL);
    OK(kata_sandbox_start(sandboxes[i], 0, &err) == 0);
  }
  check_process(signals, output, descriptors);
  use_all(NULL);
  check_process(signals, output, descriptors);
  check_threads();
  check_process(signals, output, descriptors);
  check_fork();
  check_handles();
  for (int i = 0; i < SANDBOXES; i++) {
    OK(kata_sandbox_delete(sandboxes[i], KATA_SANDBOX_DELETE_FORCE, &err) == 0);
    kata_sandbox_unref(sandboxes[i]);
  }
  kata_context_unref(ctx);
  check_process(signals, output, descriptors);
  char command[64];
  snprintf(command, sizeof command, "rm -rf %s", root);
  CHECK(system(command) == 0);
  return 0;
}
