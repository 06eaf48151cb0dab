// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Every call on a handle refuses flags it does not know, and NULL where something must be, before it does anything:
 * with handles of an owner that has no guest. Calls without a handle are in test-api.c; symbols.py sees to it that the
 * two have all calls.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>
#include <kata/kata.h>

#define ALL_FLAGS 0xffffffffu
enum { PATH_MAX_HERE = 256, STATUS_BEFORE = 77 };

static char root[] = "/tmp/kata-arguments-XXXXXX";
static kata_context *ctx;
static kata_sandbox *sandbox;
static kata_container *container;
static kata_process *process;
static kata_events *events;
static kata_agent *agent;
static int listener = -1;

/* call: uses err; must fail with INVALID_ARGUMENT, with err and without. */
#define assert_refused(failure, call)                                       \
  do {                                                                      \
    kata_error *made = NULL, **err = &made;                                 \
    assert_true((call) == (failure));                                       \
    assert_int_equal(kata_error_get_code(made), KATA_ERR_INVALID_ARGUMENT); \
    assert_int_not_equal(kata_error_get_message(made)[0], '\0');            \
    kata_error_free(made);                                                  \
    err = NULL;                                                             \
    assert_true((call) == (failure));                                       \
  } while (0)

/* Somebody who takes connections and says nothing. */
static int connect_agent(void) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  snprintf(address.sun_path, sizeof address.sun_path, "%s/agent.sock", root);
  char uri[PATH_MAX_HERE];
  snprintf(uri, sizeof uri, "unix://%s", address.sun_path);
  listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (bind(listener, (struct sockaddr *)&address, sizeof address) < 0 || listen(listener, 1) < 0) return -1;
  agent = kata_agent_connect(uri, 0, 0, NULL);
  return agent != NULL ? 0 : -1;
}

static int set_up(void **state) {
  char program[PATH_MAX_HERE], *cwd = getcwd(NULL, 0);
  const char *build = getenv("top_builddir");
  snprintf(program, sizeof program, "%s/%s/tests/unit/fake-owner", build != NULL && *build == '/' ? "" : cwd,
           build != NULL ? build : ".");
  free(cwd);
  ctx = kata_context_new(0, NULL);
  if (mkdtemp(root) == NULL || kata_context_set_root(ctx, root, NULL) < 0 ||
      kata_context_set_owner_program(ctx, program, NULL) < 0)
    return -1;
  sandbox = kata_sandbox_create(ctx, "pod", NULL, 0, NULL);
  container = kata_container_create(sandbox, "box", "/bundle", NULL, 0, NULL);
  process = container != NULL ? kata_process_open(container, "one", 0, NULL) : NULL;
  events = sandbox != NULL ? kata_events_open(sandbox, 0, 0, NULL) : NULL;
  return process != NULL && events != NULL ? connect_agent() : -1;
}

static int tear_down(void **state) {
  kata_agent_unref(agent);
  close(listener);
  kata_events_unref(events);
  kata_process_unref(process);
  kata_container_unref(container);
  int status = kata_sandbox_delete(sandbox, KATA_SANDBOX_DELETE_FORCE, NULL);
  kata_sandbox_unref(sandbox);
  kata_context_unref(ctx);
  char command[PATH_MAX_HERE];
  snprintf(command, sizeof command, "rm -r %s", root);
  return status < 0 ? status : system(command);
}

static void a_sandbox_knows_no_other_flags(void **state) {
  char *text = NULL;
  assert_refused(NULL, kata_context_load_settings(ctx, ALL_FLAGS, err));
  assert_refused(NULL, kata_sandbox_find_netns(ctx, "/run/netns/x", ALL_FLAGS, err));
  assert_refused(-1, kata_sandbox_set_netns(sandbox, "/proc/self/ns/net", ALL_FLAGS, err));
  assert_refused(-1, kata_sandbox_start(sandbox, ALL_FLAGS, err));
  assert_refused(-1, kata_sandbox_stop(sandbox, 0, ALL_FLAGS, err));
  assert_refused(-1, kata_sandbox_delete(sandbox, ALL_FLAGS, err));
  assert_refused(-1, kata_sandbox_wait(sandbox, 1, ALL_FLAGS, err));
  assert_refused(NULL, kata_sandbox_get_domain_xml(sandbox, ALL_FLAGS, err));
  assert_refused(NULL, kata_sandbox_get_boot_timeline(sandbox, ALL_FLAGS, err));
  assert_refused(-1, kata_sandbox_pause(sandbox, ALL_FLAGS, err));
  assert_refused(-1, kata_sandbox_resume(sandbox, ALL_FLAGS, err));
  assert_refused(-1, kata_sandbox_resize(sandbox, 2, 0, ALL_FLAGS, err));
  assert_refused(NULL, kata_sandbox_get_stats(sandbox, ALL_FLAGS, err));
  assert_refused(-1, kata_sandbox_attach_console(sandbox, 1, ALL_FLAGS, err));
  assert_refused(-1, kata_sandbox_call_agent(sandbox, "Health.Check", NULL, 1, ALL_FLAGS, &text, err));
  assert_refused(-1, kata_sandbox_add_interface(sandbox, "{}", ALL_FLAGS, err));
  assert_refused(-1, kata_sandbox_remove_interface(sandbox, "{}", ALL_FLAGS, err));
  assert_refused(NULL, kata_sandbox_list_interfaces(sandbox, ALL_FLAGS, err));
  assert_refused(NULL, kata_sandbox_list_routes(sandbox, ALL_FLAGS, err));
  assert_refused(NULL, kata_sandbox_update_routes(sandbox, "[]", ALL_FLAGS, err));
  assert_refused(NULL, kata_events_open(sandbox, 0, ALL_FLAGS, err));
  assert_refused(NULL, kata_events_next(events, 1, ALL_FLAGS, err));
  assert_refused(-1, kata_agent_call(agent, "Health.Check", NULL, 1, ALL_FLAGS, &text, err));
  assert_null(text);
  assert_int_equal(kata_sandbox_get_status(sandbox, NULL), KATA_SANDBOX_CREATED);
}

static void a_container_knows_no_other_flags(void **state) {
  int status = STATUS_BEFORE;
  uint64_t position = 0;
  assert_refused(NULL, kata_container_create(sandbox, "other", "/bundle", NULL, ALL_FLAGS, err));
  assert_refused(NULL, kata_container_restore(sandbox, "other", "/bundle", "/tmp", NULL, ALL_FLAGS, err));
  assert_refused(-1, kata_container_checkpoint(container, "/tmp", ALL_FLAGS, err));
  assert_refused(-1, kata_container_start(container, ALL_FLAGS, err));
  assert_refused(-1, kata_container_kill(container, 9, ALL_FLAGS, err));
  assert_refused(-1, kata_container_delete(container, ALL_FLAGS, &status, err));
  assert_refused(NULL, kata_container_get_state(container, ALL_FLAGS, err));
  assert_refused(NULL, kata_container_get_process_template(container, ALL_FLAGS, err));
  assert_refused(-1, kata_container_pause(container, ALL_FLAGS, err));
  assert_refused(-1, kata_container_resume(container, ALL_FLAGS, err));
  assert_refused(-1, kata_container_update(container, "{}", ALL_FLAGS, err));
  assert_refused(NULL, kata_container_get_stats(container, ALL_FLAGS, err));
  assert_refused(NULL, kata_container_get_processes(container, ALL_FLAGS, err));
  assert_refused(NULL, kata_container_next_event(container, &position, 1, ALL_FLAGS, err));
  assert_refused(NULL, kata_container_exec(container, "x", "{}", NULL, ALL_FLAGS, err));
  assert_refused(NULL, kata_process_open(container, "x", ALL_FLAGS, err));
  assert_refused(-1, kata_process_start(process, ALL_FLAGS, err));
  assert_refused(-1, kata_process_kill(process, 9, ALL_FLAGS, err));
  assert_refused(-1, kata_process_delete(process, ALL_FLAGS, &status, err));
  assert_int_equal(status, STATUS_BEFORE);
  assert_int_equal(kata_container_get_status(container, NULL), KATA_CONTAINER_CREATED);
}

static void what_must_be_there_must_be_there(void **state) {
  char *text = NULL;
  assert_refused(NULL, kata_sandbox_find_netns(ctx, NULL, 0, err));
  assert_refused(-1, kata_sandbox_set_netns(sandbox, NULL, 0, err));
  assert_refused(-1, kata_sandbox_attach_console(sandbox, -1, 0, err));
  assert_refused(-1, kata_sandbox_call_agent(sandbox, NULL, NULL, 1, 0, &text, err));
  assert_refused(-1, kata_sandbox_add_interface(sandbox, NULL, 0, err));
  assert_refused(-1, kata_sandbox_remove_interface(sandbox, NULL, 0, err));
  assert_refused(NULL, kata_sandbox_update_routes(sandbox, NULL, 0, err));
  assert_refused(-1, kata_agent_call(agent, NULL, NULL, 1, 0, &text, err));
  assert_null(text);
  assert_refused(NULL, kata_container_create(sandbox, NULL, "/bundle", NULL, 0, err));
  assert_refused(NULL, kata_container_create(sandbox, "a/b", "/bundle", NULL, 0, err));
  assert_refused(NULL, kata_container_create(sandbox, "other", NULL, NULL, 0, err));
  assert_refused(NULL, kata_container_create(sandbox, "other", "/bundle", NULL, KATA_CONTAINER_CREATE_BOUND, err));
  assert_refused(NULL, kata_container_restore(sandbox, NULL, "/bundle", "/tmp", NULL, 0, err));
  assert_refused(NULL, kata_container_restore(sandbox, "other", NULL, "/tmp", NULL, 0, err));
  assert_refused(NULL, kata_container_restore(sandbox, "other", "/bundle", NULL, NULL, 0, err));
  assert_refused(-1, kata_container_checkpoint(container, NULL, 0, err));
  assert_refused(-1, kata_container_update(container, NULL, 0, err));
  assert_refused(NULL, kata_container_next_event(container, NULL, 1, 0, err));
  assert_refused(NULL, kata_container_exec(container, "x", NULL, NULL, 0, err));
  assert_refused(NULL, kata_container_exec(container, "a/b", "{}", NULL, 0, err));
  assert_refused(NULL, kata_process_open(container, NULL, 0, err));
}

/* A struct of another size than any there was is no reason to read behind its end. */
static void streams_have_a_size(void **state) {
  kata_process_io io = KATA_PROCESS_IO_INIT;
  io.size = 0;
  assert_refused(NULL, kata_container_create(sandbox, "other", "/bundle", &io, 0, err));
  assert_refused(NULL, kata_container_exec(container, "x", "{}", &io, 0, err));
  io.size = sizeof io;
  io.stdout_fd = 100000; /* nobody's */
  assert_refused(NULL, kata_container_create(sandbox, "other", "/bundle", &io, 0, err));
}

int main(void) {
  unsetenv("KATA_ROOT");
  unsetenv("KATA_CONFIG");
  unsetenv("KATA_OWNER");
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_sandbox_knows_no_other_flags),
      cmocka_unit_test(a_container_knows_no_other_flags),
      cmocka_unit_test(what_must_be_there_must_be_there),
      cmocka_unit_test(streams_have_a_size),
  };
  return cmocka_run_group_tests(tests, set_up, tear_down);
}
