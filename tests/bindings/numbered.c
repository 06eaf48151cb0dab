// SPDX-License-Identifier: LGPL-2.1-or-later
/* The numbered tests of README.md in C, with the public headers alone; see there for what each shows. */
#include <kata/kata.h>
#include <poll.h>
#include <pthread.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PATIENCE_MS = 150000, TEXT_MAX = 512, THREADS = 8 };

static kata_context *ctx;
static kata_sandbox *sandbox;
static kata_container *shared;

#define CHECK(condition)                                                                  \
  do {                                                                                    \
    if (condition) break;                                                                 \
    fprintf(stderr, "%s:%d: %s: not so: %s\n", __FILE__, __LINE__, __func__, #condition); \
    exit(1);                                                                              \
  } while (0)

/* A call that gives 0 or a pointer. */
#define OK(call)                                                                                          \
  do {                                                                                                    \
    kata_error *err = NULL;                                                                               \
    if (call) break;                                                                                      \
    fprintf(stderr, "%s:%d: %s failed: %s\n%s\n", __FILE__, __LINE__, #call, kata_error_get_message(err), \
            kata_error_get_detail(err));                                                                  \
    exit(1);                                                                                              \
  } while (0)

/* A call that fails with a code, and names something. */
#define FAILS(wanted, word, call)                                                                    \
  do {                                                                                               \
    kata_error *err = NULL;                                                                          \
    CHECK(!(call));                                                                                  \
    if (kata_error_get_code(err) != (wanted) || strstr(kata_error_get_message(err), word) == NULL) { \
      fprintf(stderr, "%s:%d: %s: wrong error %s: %s\n", __FILE__, __LINE__, #call,                  \
              kata_error_code_name(kata_error_get_code(err)), kata_error_get_message(err));          \
      exit(1);                                                                                       \
    }                                                                                                \
    kata_error_free(err);                                                                            \
  } while (0)

/* ---- what the tests share ---- */

static const char *bundle(const char *name) {
  static char path[TEXT_MAX];
  snprintf(path, sizeof path, "%s/%s", getenv("KATA_TEST_BUNDLES"), name);
  return path;
}

static const char *new_id(const char *name) {
  static char id[TEXT_MAX / 4];
  snprintf(id, sizeof id, "%s-%s", getenv("KATA_TEST_LANGUAGE"), name);
  return id;
}

static int has(char *text, const char *word) {
  int found = text != NULL && strstr(text, word) != NULL;
  if (!found) fprintf(stderr, "'%s' is not in: %s\n", word, text != NULL ? text : "NULL");
  kata_free(text);
  return found;
}

static int is_listed(char **ids, const char *id) {
  int found = 0;
  for (char **at = ids; at != NULL && *at != NULL; at++) found |= strcmp(*at, id) == 0;
  kata_strv_free(ids);
  return found;
}

/* Pipes to a process; theirs are closed once the owner has its own. */
typedef struct {
  kata_process_io io;
  int in, out, err;
} Pipes;

static void pipes_init(Pipes *pipes) {
  int in[2], out[2], err[2];
  CHECK(pipe(in) == 0 && pipe(out) == 0 && pipe(err) == 0);
  kata_process_io io = KATA_PROCESS_IO_INIT;
  io.stdin_fd = in[0];
  io.stdout_fd = out[1];
  io.stderr_fd = err[1];
  *pipes = (Pipes){io, in[1], out[0], err[0]};
}

static void pipes_given(const Pipes *pipes) {
  close(pipes->io.stdin_fd);
  close(pipes->io.stdout_fd);
  close(pipes->io.stderr_fd);
}

/* Reads to the end and closes. */
static size_t drain(int fd, char *text, size_t size) {
  size_t got = 0;
  for (ssize_t n; got + 1 < size && (n = read(fd, text + got, size - got - 1)) > 0;) got += (size_t)n;
  text[got] = '\0';
  close(fd);
  return got;
}

static kata_container *create(const char *name, const char *bundle_name) {
  kata_container *made = NULL;
  OK((made = kata_container_create(sandbox, new_id(name), bundle(bundle_name), NULL, 0, &err)) != NULL);
  return made;
}

static kata_container *start(const char *name) {
  kata_container *made = create(name, "sleep");
  OK(kata_container_start(made, 0, &err) == 0);
  return made;
}

static void finish(kata_container *container) {
  OK(kata_container_delete(container, KATA_CONTAINER_DELETE_FORCE, NULL, &err) == 0);
  kata_container_unref(container);
}

/* Runs a process of the shared container; args as they stand in JSON. */
static int run(const char *process_json, const char *input, size_t size, char *out, size_t out_size, char *err_text) {
  Pipes pipes;
  pipes_init(&pipes);
  kata_process *process = NULL;
  OK((process = kata_container_exec(shared, NULL, process_json, &pipes.io, 0, &err)) != NULL);
  pipes_given(&pipes);
  OK(kata_process_start(process, 0, &err) == 0);
  /* The whole input fits into what the two ends read while they write. */
  if (fork() == 0) _exit(write(pipes.in, input, size) == (ssize_t)size ? 0 : 1);
  close(pipes.in);
  drain(pipes.out, out, out_size);
  char errors[TEXT_MAX];
  drain(pipes.err, errors, sizeof errors);
  if (err_text != NULL) strcpy(err_text, errors);
  int code = -1, child = -1;
  CHECK(wait(&child) > 0 && child == 0);
  OK(kata_process_wait(process, PATIENCE_MS, &code, &err) == 0);
  OK(kata_process_delete(process, 0, NULL, &err) == 0);
  kata_process_unref(process);
  return code;
}

/* ---- without a guest ---- */

static void test_010_version(void) {
  CHECK(strcmp(kata_version(), KATA_VERSION) == 0);
  int major = -1, minor = -1, patch = -1;
  CHECK(sscanf(kata_version(), "%d.%d.%d", &major, &minor, &patch) == 3);
  CHECK(KATA_CHECK_VERSION(0, 1, 0) && !KATA_CHECK_VERSION(KATA_VERSION_MAJOR, KATA_VERSION_MINOR + 1, 0));
  CHECK(kata_has_feature("events") == 1 && kata_has_feature("flying") == 0 && kata_has_feature(NULL) == 0);
  CHECK(major == KATA_VERSION_MAJOR && minor == KATA_VERSION_MINOR && patch == KATA_VERSION_PATCH);
}

static void test_020_errors(void) {
  kata_error *err = NULL;
  CHECK(kata_sandbox_open(ctx, "absent", 0, &err) == NULL);
  CHECK(kata_error_get_code(err) == KATA_ERR_NOT_FOUND);
  CHECK(strcmp(kata_error_code_name(kata_error_get_code(err)), "not-found") == 0);
  CHECK(strstr(kata_error_get_message(err), "'absent'") != NULL);
  CHECK(*kata_error_get_detail(err) == '\0');
  kata_error_free(err);
}

static void test_030_settings(void) {
  kata_settings *settings = kata_settings_new(0, NULL);
  OK(kata_settings_set(settings, "hypervisor.qemu", "default_vcpus", "3", &err) == 0);
  CHECK(has(kata_settings_get(settings, "hypervisor.qemu", "default_vcpus", NULL), "3"));
  CHECK(has(kata_settings_to_text(settings), "default_vcpus = 3"));
  CHECK(has(kata_settings_describe(settings, 0, NULL), "\"source\": \"caller\""));
  char path[] = "/tmp/kata-numbered-XXXXXX";
  int fd = mkstemp(path);
  CHECK(dprintf(fd, "[hypervisor.qemu]\nmsize_9p = 8192\n") > 0);
  close(fd);
  OK(kata_settings_load_file(settings, path, 0, &err) == 0);
  unlink(path);
  CHECK(has(kata_settings_describe(settings, 0, NULL), "\"msize_9p\""));
  FAILS(KATA_ERR_CONFIG, "no_such_key", kata_settings_set(settings, "hypervisor.qemu", "no_such_key", "1", &err) == 0);
  FAILS(KATA_ERR_CONFIG, "default_memory",
        kata_settings_set(settings, "hypervisor.qemu", "default_memory", "-5", &err) == 0);
  kata_settings_unref(settings);
}

static void test_040_domain_xml(void) {
  kata_settings *settings = kata_settings_new(0, NULL);
  OK(kata_settings_set(settings, "hypervisor.qemu", "default_memory", "333", &err) == 0);
  CHECK(has(kata_domain_xml(settings, "pod", "/run/kata", 0, NULL), "333"));
  kata_settings_unref(settings);
}

static void test_050_agent_protocol(void) {
  int count = 0, found = 0;
  for (const kata_agent_method *method = NULL; (method = kata_agent_method_next(method)) != NULL; count++) {
    if (strcmp(kata_agent_method_get_name(method), "AgentService.CreateContainer") != 0) continue;
    found = strcmp(kata_agent_method_get_request_type(method), "grpc.CreateContainerRequest") == 0;
  }
  CHECK(count > 40 && found);
  CHECK(has(kata_agent_describe_message("grpc.Storage", 0, NULL), "mountPoint"));
  CHECK(has(kata_agent_make_template("grpc.Storage", 0, NULL), "mountPoint"));
  FAILS(KATA_ERR_NOT_FOUND, "grpc.Nothing", kata_agent_describe_message("grpc.Nothing", 0, &err) != NULL);
}

static void test_060_host_check(void) {
  CHECK(has(kata_host_check(ctx, 0, NULL), "\"text\""));
  kata_settings *settings = kata_settings_new(0, NULL);
  OK(kata_settings_set(settings, "hypervisor.qemu", "default_vcpus", "3", &err) == 0);
  char *text = NULL;
  OK((text = kata_context_describe(ctx, settings, 0, &err)) != NULL);
  CHECK(strstr(text, "\"libkata\": \"" KATA_VERSION "\"") != NULL && strstr(text, "\"hypervisor\": \"QEMU") != NULL);
  CHECK(strstr(text, "\"checks\": [") != NULL);
  CHECK(strstr(text, "\"key\": \"default_vcpus\", \"value\": 3, \"default\": 1, \"source\": \"caller\"") != NULL);
  kata_free(text);
  kata_settings_unref(settings);
}

static void test_070_agent_addresses(void) {
  char address[TEXT_MAX];
  snprintf(address, sizeof address, "unix://%s/nobody", getenv("KATA_ROOT"));
  FAILS(KATA_ERR_UNAVAILABLE, "nobody", kata_agent_connect(address, 0, 0, &err) != NULL);
  FAILS(KATA_ERR_INVALID_ARGUMENT, "ftp", kata_agent_connect("ftp://here", 0, 0, &err) != NULL);
}

static void test_080_unknown_ids(void) {
  FAILS(KATA_ERR_NOT_FOUND, "absent", kata_sandbox_open(ctx, "absent", 0, &err) != NULL);
  FAILS(KATA_ERR_NOT_FOUND, "absent", kata_container_open(ctx, "absent", 0, &err) != NULL);
  FAILS(KATA_ERR_INVALID_ARGUMENT, "a/b", kata_sandbox_open(ctx, "a/b", 0, &err) != NULL);
  FAILS(KATA_ERR_INVALID_ARGUMENT, "..", kata_sandbox_create(ctx, "..", NULL, 0, &err) != NULL);
}

/* ---- the sandbox ---- */

static void test_100_sandbox(void) {
  CHECK(is_listed(kata_sandbox_list(ctx, 0, NULL), kata_sandbox_get_id(sandbox)));
  CHECK(strcmp(kata_sandbox_get_id(sandbox), getenv("KATA_TEST_ID")) == 0);
  CHECK(kata_sandbox_get_status(sandbox, NULL) == KATA_SANDBOX_RUNNING);
  FAILS(KATA_ERR_TIMEOUT, "", kata_sandbox_wait(sandbox, 100, 0, &err) == 0);
}

static void test_110_owner(void) {
  CHECK(has(kata_sandbox_get_domain_xml(sandbox, 0, NULL), "<domain"));
  CHECK(has(kata_sandbox_get_boot_timeline(sandbox, 0, NULL), "\"kernel\""));
}

static void test_120_agent(void) {
  char *reply = NULL;
  OK(kata_sandbox_call_agent(sandbox, "Health.Check", NULL, PATIENCE_MS, 0, &reply, &err) == 0);
  CHECK(has(reply, "SERVING"));
  FAILS(KATA_ERR_NOT_FOUND, "Nothing",
        kata_sandbox_call_agent(sandbox, "AgentService.Nothing", NULL, PATIENCE_MS, 0, NULL, &err) == 0);
}

static void test_130_pause(void) {
  OK(kata_sandbox_pause(sandbox, 0, &err) == 0);
  CHECK(kata_sandbox_get_status(sandbox, NULL) == KATA_SANDBOX_PAUSED);
  FAILS(KATA_ERR_INVALID_STATE, "paused", kata_sandbox_pause(sandbox, 0, &err) == 0);
  FAILS(KATA_ERR_INVALID_STATE, "paused",
        kata_sandbox_call_agent(sandbox, "Health.Check", NULL, PATIENCE_MS, 0, NULL, &err) == 0);
  FAILS(KATA_ERR_INVALID_STATE, "", kata_sandbox_delete(sandbox, 0, &err) == 0);
  OK(kata_sandbox_resume(sandbox, 0, &err) == 0);
  CHECK(kata_sandbox_get_status(sandbox, NULL) == KATA_SANDBOX_RUNNING);
  FAILS(KATA_ERR_INVALID_STATE, "not paused", kata_sandbox_resume(sandbox, 0, &err) == 0);
  OK(kata_sandbox_call_agent(sandbox, "Health.Check", NULL, PATIENCE_MS, 0, NULL, &err) == 0);
}

static unsigned long get_memory(void) {
  char *stats = NULL;
  OK((stats = kata_sandbox_get_stats(sandbox, 0, &err)) != NULL);
  const char *member = strstr(stats, "\"memory_mib\": ");
  CHECK(member != NULL && strstr(stats, "\"hypervisor\"") != NULL && strstr(stats, "\"virtiofsd\"") != NULL);
  unsigned long mib = strtoul(member + strlen("\"memory_mib\": "), NULL, 10);
  kata_free(stats);
  return mib;
}

static void test_140_size(void) {
  unsigned long before = get_memory();
  OK(kata_sandbox_resize(sandbox, 0, before + 1, 0, &err) == 0);
  CHECK(get_memory() == before + 128);
  FAILS(KATA_ERR_INVALID_ARGUMENT, "shrink", kata_sandbox_resize(sandbox, 0, 64, 0, &err) == 0);
  FAILS(KATA_ERR_INVALID_ARGUMENT, "at most", kata_sandbox_resize(sandbox, 10000, 0, 0, &err) == 0);
}

static void test_150_console(void) {
  int ends[2];
  CHECK(pipe(ends) == 0);
  OK(kata_sandbox_attach_console(sandbox, ends[1], 0, &err) == 0);
  close(ends[1]);
  char text[TEXT_MAX] = "";
  CHECK(read(ends[0], text, sizeof text - 1) > 0);
  CHECK(strstr(text, "kata-agent") != NULL);
  close(ends[0]);
  FAILS(KATA_ERR_INVALID_ARGUMENT, "-1", kata_sandbox_attach_console(sandbox, -1, 0, &err) == 0);
}

static void test_160_network(void) {
  char *list = NULL;
  OK((list = kata_sandbox_list_interfaces(sandbox, 0, &err)) != NULL);
  CHECK(has(list, "\"lo\""));
  OK((list = kata_sandbox_list_routes(sandbox, 0, &err)) != NULL);
  char *same = kata_sandbox_update_routes(sandbox, list, 0, NULL);
  OK(same != NULL);
  CHECK(strcmp(same, list) == 0);
  kata_free(same);
  kata_free(list);
  FAILS(KATA_ERR_NOT_FOUND, "eth9", kata_sandbox_add_interface(sandbox, "{\"device\": \"eth9\"}", 0, &err) == 0);
  FAILS(KATA_ERR_NOT_FOUND, "eth9", kata_sandbox_remove_interface(sandbox, "{\"device\": \"eth9\"}", 0, &err) == 0);
}

static void test_170_cold(void) {
  kata_sandbox *cold = NULL;
  char *text = NULL;
  OK((cold = kata_sandbox_create(ctx, new_id("cold"), NULL, 0, &err)) != NULL);
  CHECK(kata_sandbox_get_status(cold, NULL) == KATA_SANDBOX_CREATED);
  FAILS(KATA_ERR_INVALID_STATE, "", kata_sandbox_get_domain_xml(cold, 0, &err) != NULL);
  FAILS(KATA_ERR_INVALID_STATE, "", kata_sandbox_pause(cold, 0, &err) == 0);
  FAILS(KATA_ERR_INVALID_STATE, "", kata_sandbox_resume(cold, 0, &err) == 0);
  FAILS(KATA_ERR_INVALID_STATE, "", kata_sandbox_resize(cold, 2, 0, 0, &err) == 0);
  FAILS(KATA_ERR_INVALID_STATE, "", kata_sandbox_get_stats(cold, 0, &err) != NULL);
  FAILS(KATA_ERR_INVALID_STATE, "", kata_sandbox_call_agent(cold, "Health.Check", NULL, 0, 0, &text, &err) == 0);
  FAILS(KATA_ERR_INVALID_STATE, "", kata_sandbox_add_interface(cold, "{\"device\": \"eth9\"}", 0, &err) == 0);
  FAILS(KATA_ERR_INVALID_STATE, "", kata_sandbox_list_interfaces(cold, 0, &err) != NULL);
  FAILS(KATA_ERR_INVALID_STATE, "", kata_sandbox_list_routes(cold, 0, &err) != NULL);
  FAILS(KATA_ERR_NOT_FOUND, "", kata_sandbox_attach_console(cold, 1, 0, &err) == 0);
  FAILS(KATA_ERR_NOT_FOUND, "/nowhere", kata_sandbox_set_netns(cold, "/nowhere", 0, &err) == 0);
  CHECK(text == NULL);
  OK(kata_sandbox_delete(cold, 0, &err) == 0);
  FAILS(KATA_ERR_NOT_FOUND, new_id("cold"), kata_sandbox_start(cold, 0, &err) == 0);
  FAILS(KATA_ERR_NOT_FOUND, new_id("cold"), kata_sandbox_stop(cold, 0, 0, &err) == 0);
  FAILS(KATA_ERR_NOT_FOUND, new_id("cold"), kata_sandbox_wait(cold, 0, 0, &err) == 0);
  FAILS(KATA_ERR_NOT_FOUND, new_id("cold"), kata_sandbox_delete(cold, 0, &err) == 0);
  kata_sandbox_unref(cold);
}

/* ---- containers ---- */

static void test_200_streams(void) {
  Pipes pipes;
  pipes_init(&pipes);
  kata_container *talk = NULL;
  OK((talk = kata_container_create(sandbox, new_id("talk"), bundle("talk"), &pipes.io, 0, &err)) != NULL);
  pipes_given(&pipes);
  OK(kata_container_start(talk, 0, &err) == 0);
  CHECK(write(pipes.in, "from C\n", 7) == 7);
  close(pipes.in);
  char text[TEXT_MAX];
  drain(pipes.out, text, sizeof text);
  CHECK(strcmp(text, "got from C\n") == 0);
  drain(pipes.err, text, sizeof text);
  CHECK(strcmp(text, "oops\n") == 0);
  int code = -1;
  OK(kata_container_wait(talk, PATIENCE_MS, &code, &err) == 0);
  CHECK(code == 9);
  finish(talk);
}

static void test_210_life(void) {
  kata_container *life = create("life", "sleep");
  CHECK(strcmp(kata_container_get_id(life), new_id("life")) == 0);
  CHECK(strcmp(kata_container_get_sandbox_id(life), getenv("KATA_TEST_ID")) == 0);
  CHECK(kata_container_get_status(life, NULL) == KATA_CONTAINER_CREATED);
  OK(kata_container_start(life, 0, &err) == 0);
  CHECK(has(kata_container_get_state(life, 0, NULL), "\"running\""));
  CHECK(is_listed(kata_container_list(ctx, 0, NULL), new_id("life")));
  FAILS(KATA_ERR_INVALID_STATE, "", kata_container_start(life, 0, &err) == 0);
  FAILS(KATA_ERR_ALREADY_EXISTS, new_id("life"),
        kata_container_create(sandbox, new_id("life"), bundle("sleep"), NULL, 0, &err) != NULL);
  OK(kata_container_kill(life, SIGKILL, 0, &err) == 0);
  OK(kata_container_wait(life, PATIENCE_MS, NULL, &err) == 0);
  CHECK(kata_container_get_status(life, NULL) == KATA_CONTAINER_STOPPED);
  finish(life);
  FAILS(KATA_ERR_NOT_FOUND, "", kata_container_open(ctx, new_id("life"), 0, &err) != NULL);
}

static void test_220_kill(void) {
  kata_container *kill = start("kill");
  int code = -1;
  OK(kata_container_kill(kill, SIGKILL, KATA_KILL_ALL, &err) == 0);
  OK(kata_container_wait(kill, PATIENCE_MS, &code, &err) == 0);
  CHECK(code == 137);
  FAILS(KATA_ERR_NOT_FOUND, "", kata_container_kill(kill, SIGTERM, 0, &err) == 0);
  code = -1;
  OK(kata_container_delete(kill, 0, &code, &err) == 0);
  CHECK(code == 137);
  FAILS(KATA_ERR_NOT_FOUND, "", kata_container_delete(kill, 0, NULL, &err) == 0);
  finish(kill);
}

static void test_230_delete(void) {
  kata_container *container = start("delete");
  FAILS(KATA_ERR_INVALID_STATE, new_id("delete"), kata_container_delete(container, 0, NULL, &err) == 0);
  finish(container);
  FAILS(KATA_ERR_NOT_FOUND, "", kata_container_open(ctx, new_id("delete"), 0, &err) != NULL);
}

static void test_240_timeout(void) { FAILS(KATA_ERR_TIMEOUT, "", kata_container_wait(shared, 100, NULL, &err) == 0); }

static void test_250_pause(void) {
  kata_container *container = start("pause");
  OK(kata_container_pause(container, 0, &err) == 0);
  CHECK(kata_container_get_status(container, NULL) == KATA_CONTAINER_PAUSED);
  FAILS(KATA_ERR_INVALID_STATE, "", kata_container_pause(container, 0, &err) == 0);
  OK(kata_container_resume(container, 0, &err) == 0);
  CHECK(kata_container_get_status(container, NULL) == KATA_CONTAINER_RUNNING);
  FAILS(KATA_ERR_INVALID_STATE, "", kata_container_resume(container, 0, &err) == 0);
  finish(container);
}

static void test_260_update(void) {
  kata_container *container = start("update");
  OK(kata_container_update(container, "{\"pids\": {\"limit\": 77}}", 0, &err) == 0);
  CHECK(has(kata_container_get_stats(container, 0, NULL), "77"));
  FAILS(KATA_ERR_INVALID_ARGUMENT, "limit",
        kata_container_update(container, "{\"memory\": {\"limit\": \"much\"}}", 0, &err) == 0);
  finish(container);
}

static void test_270_stats(void) {
  CHECK(has(kata_container_get_stats(shared, 0, NULL), "memory_stats"));
  CHECK(has(kata_container_get_processes(shared, 0, NULL), "\"sleep\""));
}

static void test_280_events(void) {
  kata_container *container = start("events");
  OK(kata_container_pause(container, 0, &err) == 0);
  OK(kata_container_resume(container, 0, &err) == 0);
  OK(kata_container_kill(container, SIGKILL, 0, &err) == 0);
  static const char *const wanted[] = {"\"start\"", "\"pause\"", "\"resume\"", "\"exit\""};
  uint64_t position = 0;
  for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
    char *event = NULL;
    OK((event = kata_container_next_event(container, &position, PATIENCE_MS, 0, &err)) != NULL);
    CHECK(i < 3 || strstr(event, "137") != NULL);
    CHECK(has(event, wanted[i]));
  }
  finish(container);
}

static void test_290_watch(void) {
  kata_events *events = NULL;
  OK((events = kata_events_open(sandbox, 0, 0, &err)) != NULL);
  for (char *past = NULL; (past = kata_events_next(events, 0, KATA_EVENTS_NEXT_DONT_WAIT, NULL)) != NULL;)
    kata_free(past);
  struct pollfd fd = {kata_events_get_fd(events), POLLIN, 0};
  kata_container *container = create("watch", "sleep");
  FAILS(KATA_ERR_TIMEOUT, "", kata_events_next(events, 0, KATA_EVENTS_NEXT_DONT_WAIT, &err) != NULL);
  FAILS(KATA_ERR_TIMEOUT, "20 ms", kata_events_next(events, 20, 0, &err) != NULL);
  OK(kata_container_start(container, 0, &err) == 0);
  CHECK(poll(&fd, 1, PATIENCE_MS) == 1);
  char *event = NULL;
  OK((event = kata_events_next(events, PATIENCE_MS, 0, &err)) != NULL);
  CHECK(strstr(event, new_id("watch")) != NULL);
  CHECK(has(event, "\"start\""));
  OK(kata_container_kill(container, SIGKILL, 0, &err) == 0);
  OK((event = kata_events_next(events, PATIENCE_MS, 0, &err)) != NULL);
  CHECK(has(event, "137"));
  finish(container);
  kata_events_unref(events);
}

/* ---- processes ---- */

static void test_300_exec(void) {
  char out[TEXT_MAX], errors[TEXT_MAX];
  const char *json =
      "{\"args\": [\"sh\", \"-c\", \"echo out; echo err >&2; exit 3\"], \"cwd\": \"/\","
      " \"env\": [\"PATH=/bin\"]}";
  CHECK(run(json, "", 0, out, sizeof out, errors) == 3);
  CHECK(strcmp(out, "out\n") == 0 && strcmp(errors, "err\n") == 0);
}

static void test_310_exec_input(void) {
  enum { SIZE = 200000 };
  const char *json =
      "{\"args\": [\"sh\", \"-c\", \"cat; echo $COLOUR; pwd; id -u\"], \"cwd\": \"/tmp\","
      " \"env\": [\"PATH=/bin\", \"COLOUR=blue\"], \"user\": {\"uid\": 7, \"gid\": 7}}";
  static char input[SIZE + 1], out[SIZE + TEXT_MAX];
  memset(input, 'x', SIZE);
  input[SIZE] = '\n';
  CHECK(run(json, input, sizeof input, out, sizeof out, NULL) == 0);
  CHECK(memcmp(out, input, sizeof input) == 0);
  CHECK(strcmp(out + sizeof input, "blue\n/tmp\n7\n") == 0);
}

static void test_320_exec_missing(void) {
  kata_process *process = NULL;
  const char *json = "{\"args\": [\"no-such-program\"], \"cwd\": \"/\"}";
  OK((process = kata_container_exec(shared, NULL, json, NULL, 0, &err)) != NULL);
  kata_error *err = NULL;
  CHECK(kata_process_start(process, 0, &err) == -1);
  CHECK(strstr(kata_error_get_message(err), "no-such-program") != NULL);
  kata_error_free(err);
  kata_process_delete(process, 0, NULL, NULL);
  kata_process_unref(process);
}

static void test_330_exec_kill(void) {
  const char *json = "{\"args\": [\"/bin/sleep\", \"1000\"], \"cwd\": \"/\"}";
  kata_process *process = NULL, *again = NULL;
  OK((process = kata_container_exec(shared, new_id("exec"), json, NULL, 0, &err)) != NULL);
  OK(kata_process_start(process, 0, &err) == 0);
  OK((again = kata_process_open(shared, new_id("exec"), 0, &err)) != NULL);
  OK(kata_process_kill(again, SIGKILL, 0, &err) == 0);
  int code = -1;
  OK(kata_process_wait(again, PATIENCE_MS, &code, &err) == 0);
  CHECK(code == 137 && strcmp(kata_process_get_id(again), new_id("exec")) == 0);
  OK(kata_process_delete(process, 0, NULL, &err) == 0);
  FAILS(KATA_ERR_NOT_FOUND, "", kata_process_wait(process, PATIENCE_MS, NULL, &err) == 0);
  kata_process_unref(again);
  kata_process_unref(process);
}

static void test_340_terminal(void) {
  int host, guest;
  CHECK(openpty(&host, &guest, NULL, NULL, NULL) == 0);
  kata_process_io io = KATA_PROCESS_IO_INIT;
  io.stdin_fd = io.stdout_fd = guest;
  io.terminal = 1;
  const char *json =
      "{\"args\": [\"sh\", \"-c\", \"read line; stty size\"], \"cwd\": \"/\", \"terminal\": true,"
      " \"env\": [\"PATH=/bin\"]}";
  kata_process *process = NULL;
  OK((process = kata_container_exec(shared, NULL, json, &io, 0, &err)) != NULL);
  OK(kata_process_start(process, 0, &err) == 0);
  OK(kata_process_resize(process, 77, 33, &err) == 0);
  CHECK(write(host, "go\n", 3) == 3);
  char seen[TEXT_MAX] = "";
  for (size_t got = 0; strstr(seen, "33 77") == NULL;) {
    ssize_t n = read(host, seen + got, sizeof seen - got - 1);
    CHECK(n > 0);
    got += (size_t)n;
  }
  int code = -1;
  OK(kata_process_wait(process, PATIENCE_MS, &code, &err) == 0);
  CHECK(code == 0);
  OK(kata_process_delete(process, 0, NULL, &err) == 0);
  kata_process_unref(process);
  close(host);
  close(guest);
}

/* ---- threads and processes of the caller ---- */

static void *exec_and_wait(void *number) {
  char json[TEXT_MAX];
  snprintf(json, sizeof json, "{\"args\": [\"/bin/sh\", \"-c\", \"exit %d\"], \"cwd\": \"/\"}", *(int *)number);
  kata_process *process = NULL;
  int code = -1;
  OK((process = kata_container_exec(shared, NULL, json, NULL, 0, &err)) != NULL);
  OK(kata_process_start(process, 0, &err) == 0);
  OK(kata_process_wait(process, PATIENCE_MS, &code, &err) == 0);
  CHECK(code == *(int *)number);
  OK(kata_process_delete(process, 0, NULL, &err) == 0);
  kata_process_unref(process);
  return NULL;
}

static void test_400_threads(void) {
  pthread_t threads[THREADS];
  int numbers[THREADS];
  for (int i = 0; i < THREADS; i++) {
    numbers[i] = 10 + i;
    CHECK(pthread_create(&threads[i], NULL, exec_and_wait, &numbers[i]) == 0);
  }
  for (int i = 0; i < THREADS; i++) CHECK(pthread_join(threads[i], NULL) == 0);
}

static void test_410_fork(void) {
  pid_t pid = fork();
  if (pid == 0) {
    int number = 5;
    CHECK(kata_sandbox_get_status(sandbox, NULL) == KATA_SANDBOX_RUNNING);
    exec_and_wait(&number);
    _exit(0);
  }
  int status = -1;
  CHECK(waitpid(pid, &status, 0) == pid && status == 0);
}

/* ---- checkpoints ---- */

static const char *saved_by_us(void) {
  static char path[3 * TEXT_MAX];
  snprintf(path, sizeof path, "%s/%s", getenv("KATA_TEST_BUNDLES"), new_id("saved"));
  return path;
}

static void test_420_no_checkpoint(void) {
  FAILS(KATA_ERR_UNSUPPORTED, "shared_fs", kata_container_checkpoint(shared, saved_by_us(), 0, &err) == 0);
  CHECK(kata_container_get_status(shared, NULL) == KATA_CONTAINER_RUNNING);
  kata_sandbox *cold = NULL;
  OK((cold = kata_sandbox_create(ctx, new_id("restored"), NULL, 0, &err)) != NULL);
  FAILS(KATA_ERR_NOT_FOUND, "/nowhere",
        kata_container_restore(cold, new_id("restored"), bundle("disk"), "/nowhere", NULL, 0, &err) != NULL);
  kata_sandbox_delete(cold, KATA_SANDBOX_DELETE_FORCE, NULL);
  kata_sandbox_unref(cold);
}

static void test_430_checkpoint(void) {
  kata_settings *settings = kata_settings_new(0, NULL);
  kata_sandbox *restored = NULL;
  kata_container *container = NULL;
  OK(kata_settings_set(settings, "hypervisor.qemu", "shared_fs", "\"none\"", &err) == 0);
  OK((restored = kata_sandbox_create(ctx, new_id("restored"), settings, 0, &err)) != NULL);
  OK((container = kata_container_restore(restored, new_id("restored"), bundle("disk"), getenv("KATA_TEST_CHECKPOINT"),
                                         NULL, 0, &err)) != NULL);
  OK(kata_container_start(container, 0, &err) == 0);
  CHECK(kata_container_get_status(container, NULL) == KATA_CONTAINER_RUNNING);
  CHECK(has(kata_container_get_processes(container, 0, NULL), "\"sleep\""));
  OK(kata_container_checkpoint(container, saved_by_us(), KATA_CHECKPOINT_LEAVE_RUNNING, &err) == 0);
  CHECK(access(saved_by_us(), F_OK) == 0);
  CHECK(kata_container_get_status(container, NULL) == KATA_CONTAINER_RUNNING);
  finish(container);
  OK(kata_sandbox_delete(restored, KATA_SANDBOX_DELETE_FORCE, &err) == 0);
  kata_sandbox_unref(restored);
  kata_settings_unref(settings);
}

/* For a pool of number guests from templates in a directory. */
static kata_settings *ahead(const char *directory, const char *number) {
  char value[TEXT_MAX];
  kata_settings *settings = kata_settings_new(0, NULL);
  snprintf(value, sizeof value, "\"%s\"", directory);
  OK(kata_settings_set(settings, "factory", "template_path", value, &err) == 0);
  OK(kata_settings_set(settings, "factory", "vm_cache_number", number, &err) == 0);
  OK(kata_settings_set(settings, "hypervisor.qemu", "agent_channel", "\"serial\"", &err) == 0);
  return settings;
}

static void test_440_ahead(void) {
  kata_settings *settings = ahead(getenv("KATA_TEST_STORE"), "1");
  char *before = kata_template_list(ctx, settings, 0, NULL), *key = NULL;
  uint32_t made = 7, ready = 7, removed = 7;
  int is_new = 7;
  OK((key = kata_template_create(ctx, settings, 0, &is_new, &err)) != NULL);
  CHECK(is_new == (strcmp(before, "[ ]") == 0));
  kata_free(before);
  CHECK(has(kata_template_list(ctx, settings, 0, NULL), key));
  OK(kata_pool_fill(ctx, settings, 0, &made, &ready, &err) == 0);
  CHECK(made == 1 && ready == 1);
  char *guests = kata_pool_list(ctx, settings, 0, NULL), place[TEXT_MAX];
  CHECK(guests != NULL && strstr(guests, key) != NULL && strstr(guests, "\"pid\": ") != NULL);
  snprintf(place, sizeof place, "/proc/%ld/root", strtol(strstr(guests, "\"pid\": ") + 7, NULL, 10));
  CHECK(access(place, F_OK) == 0);
  OK(kata_pool_empty(ctx, settings, 0, &removed, &err) == 0);
  CHECK(removed == 1 && access(place, F_OK) != 0);
  kata_free(guests);
  kata_free(key);
  kata_settings_unref(settings);
}

static void test_450_none_ahead(void) {
  const char *key = "0123456789abcdef0123456789abcdef";
  char directory[TEXT_MAX], path[2 * TEXT_MAX];
  snprintf(directory, sizeof directory, "%s", bundle(new_id("store")));
  snprintf(path, sizeof path, "%s/%s", directory, key);
  CHECK(mkdir(directory, 0700) == 0);
  kata_settings *settings = ahead(directory, "0");
  FAILS(KATA_ERR_CONFIG, "factory.vm_cache_number", kata_pool_fill(ctx, settings, 0, NULL, NULL, &err) == 0);
  CHECK(has(kata_pool_list(ctx, settings, 0, NULL), "[ ]"));
  CHECK(chmod(directory, 0777) == 0);
  FAILS(KATA_ERR_PERMISSION_DENIED, directory, kata_template_create(ctx, settings, 0, NULL, &err) != NULL);
  FILE *file = fopen(path, "w");
  CHECK(file != NULL && fclose(file) == 0);
  char **keys = NULL;
  OK((keys = kata_template_remove(ctx, settings, 0, &err)) != NULL);
  CHECK(keys[0] != NULL && strcmp(keys[0], key) == 0 && keys[1] == NULL);
  kata_strv_free(keys);
  kata_settings_unref(settings);
  CHECK(rmdir(directory) == 0);
}

static void test_460_direct_volumes(void) {
  char path[TEXT_MAX];
  snprintf(path, sizeof path, "%s", bundle(new_id("volume")));
  FAILS(KATA_ERR_INVALID_ARGUMENT, "device", kata_direct_volume_add(ctx, path, "{}", 0, &err) == 0);
  FAILS(KATA_ERR_INVALID_ARGUMENT, "absolute", kata_direct_volume_add(ctx, "here", "{}", 0, &err) == 0);
  OK(kata_direct_volume_add(ctx, path, "{\"device\": \"/dev/kata-nothing\"}", 0, &err) == 0);
  char *list = kata_direct_volume_list(ctx, 0, NULL);
  CHECK(list != NULL && strstr(list, path) != NULL && strstr(list, "/dev/kata-nothing") != NULL);
  kata_free(list);
  FAILS(KATA_ERR_NOT_FOUND, path, kata_direct_volume_get_stats(ctx, path, 0, &err) != NULL);
  FAILS(KATA_ERR_NOT_FOUND, path, kata_direct_volume_resize(ctx, path, 4096, 0, &err) == 0);
  OK(kata_direct_volume_remove(ctx, path, 0, &err) == 0);
  list = kata_direct_volume_list(ctx, 0, NULL);
  CHECK(list != NULL && strstr(list, path) == NULL);
  kata_free(list);
}

static void test_470_oci(void) {
  CHECK(has(kata_oci_features(0, NULL), "\"namespaces\""));
  CHECK(has(kata_oci_spec(0, NULL), "\"sh\""));
  CHECK(has(kata_oci_spec(KATA_OCI_SPEC_ROOTLESS, NULL), "\"uidMappings\""));
}

#define TEST(number, name) \
  { #number, test_##number##_##name }
static const struct {
  const char *number;
  void (*run)(void);
} tests[] = {
    TEST(010, version),
    TEST(020, errors),
    TEST(030, settings),
    TEST(040, domain_xml),
    TEST(050, agent_protocol),
    TEST(060, host_check),
    TEST(070, agent_addresses),
    TEST(080, unknown_ids),
    TEST(100, sandbox),
    TEST(110, owner),
    TEST(120, agent),
    TEST(130, pause),
    TEST(140, size),
    TEST(150, console),
    TEST(160, network),
    TEST(170, cold),
    TEST(200, streams),
    TEST(210, life),
    TEST(220, kill),
    TEST(230, delete),
    TEST(240, timeout),
    TEST(250, pause),
    TEST(260, update),
    TEST(270, stats),
    TEST(280, events),
    TEST(290, watch),
    TEST(300, exec),
    TEST(310, exec_input),
    TEST(320, exec_missing),
    TEST(330, exec_kill),
    TEST(340, terminal),
    TEST(400, threads),
    TEST(410, fork),
    TEST(420, no_checkpoint),
    TEST(430, checkpoint),
    TEST(440, ahead),
    TEST(450, none_ahead),
    TEST(460, direct_volumes),
    TEST(470, oci),
};

int main(void) {
  OK((ctx = kata_context_new(0, &err)) != NULL);
  OK((sandbox = kata_sandbox_open(ctx, getenv("KATA_TEST_ID"), 0, &err)) != NULL);
  OK((shared = kata_container_open(ctx, getenv("KATA_TEST_ID"), 0, &err)) != NULL);
  for (size_t i = 0; i < sizeof tests / sizeof *tests; i++) {
    tests[i].run();
    printf("ok %s\n", tests[i].number);
    fflush(stdout);
  }
  kata_container_unref(shared);
  kata_sandbox_unref(sandbox);
  kata_context_unref(ctx);
  return 0;
}
