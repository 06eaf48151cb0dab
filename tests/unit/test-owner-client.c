// SPDX-License-Identifier: LGPL-2.1-or-later
/* The client half of the library against an owner that has no guest: fake-owner. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <glib.h>

#include "kata/kata.h"
#include "lib/paths.h"

typedef kata_error KataError;
G_DEFINE_AUTOPTR_CLEANUP_FUNC(KataError, kata_error_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(kata_sandbox, kata_sandbox_unref)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(kata_container, kata_container_unref)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(kata_process, kata_process_unref)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(kata_settings, kata_settings_unref)

static kata_context *ctx;
static char *root;

static int set_up(void **state) {
  root = g_dir_make_tmp("kata-owner-XXXXXX", NULL);
  ctx = kata_context_new(0, NULL);
  const char *build = g_getenv("top_builddir");
  char *here = g_canonicalize_filename(build != NULL ? build : ".", NULL);
  char *program = g_build_filename(here, "tests", "unit", "fake-owner", NULL);
  char *conf = g_build_filename(root, "kata.conf", NULL);
  int ok = ctx != NULL && kata_context_set_root(ctx, root, NULL) == 0 &&
           kata_context_set_owner_program(ctx, program, NULL) == 0 && g_file_set_contents(conf, "", 0, NULL) &&
           kata_context_set_config_file(ctx, conf, NULL) == 0;
  g_free(conf);
  g_free(program);
  g_free(here);
  return ok ? 0 : -1;
}

static int tear_down(void **state) {
  char *argv[] = {(char *)"rm", (char *)"-r", root, NULL};
  gboolean ok = g_spawn_sync(NULL, argv, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, NULL, NULL, NULL, NULL);
  g_free(root);
  kata_context_unref(ctx);
  return ok ? 0 : -1;
}

static kata_sandbox *make_sandbox(const char *id) {
  g_autoptr(KataError) err = NULL;
  kata_sandbox *sandbox = kata_sandbox_create(ctx, id, NULL, 0, &err);
  assert_string_equal(kata_error_get_message(err), "no error");
  assert_non_null(sandbox);
  return sandbox;
}

static kata_container *make_container(kata_sandbox *sandbox, const char *id) {
  g_autoptr(KataError) err = NULL;
  kata_container *container = kata_container_create(sandbox, id, "/bundle", NULL, 0, &err);
  assert_string_equal(kata_error_get_message(err), "no error");
  assert_non_null(container);
  return container;
}

static gboolean directory_is_there(const char *id) {
  g_autofree char *directory = paths_sandbox_dir(root, id);
  return access(directory, F_OK) == 0;
}

static void kill_owner(const char *id) {
  g_autofree char *directory = paths_sandbox_dir(root, id);
  g_autofree char *path = g_build_filename(directory, PATHS_OWNER_PID, NULL);
  g_autofree char *text = NULL;
  assert_true(g_file_get_contents(path, &text, NULL, NULL));
  assert_int_equal(kill(atoi(text), SIGKILL), 0);
  /* Its sockets close a moment later. */
  while (kill(atoi(text), 0) == 0) {
    g_autofree char *proc = g_strdup_printf("/proc/%d/stat", atoi(text));
    g_autofree char *stat_line = NULL;
    if (!g_file_get_contents(proc, &stat_line, NULL, NULL) || strstr(stat_line, ") Z ") != NULL) break;
    g_usleep(1000);
  }
}

#define assert_error(err, expected_code, text)                 \
  do {                                                         \
    assert_int_equal(kata_error_get_code(err), expected_code); \
    assert_string_equal(kata_error_get_message(err), text);    \
    kata_error_free(g_steal_pointer(&(err)));                  \
  } while (0)

/* ---- sandbox ---- */

static void a_sandbox_lives_and_goes(void **state) {
  g_autoptr(KataError) err = NULL;
  g_autoptr(kata_sandbox) sandbox = make_sandbox("pod-1");
  assert_string_equal(kata_sandbox_get_id(sandbox), "pod-1");
  assert_int_equal(kata_sandbox_get_status(sandbox, NULL), KATA_SANDBOX_CREATED);
  assert_int_equal(kata_sandbox_start(sandbox, 0, NULL), 0);
  assert_int_equal(kata_sandbox_get_status(sandbox, NULL), KATA_SANDBOX_RUNNING);
  assert_int_equal(kata_sandbox_wait(sandbox, 50, 0, &err), -1);
  assert_int_equal(kata_error_get_code(err), KATA_ERR_TIMEOUT);
  g_clear_pointer(&err, kata_error_free);
  assert_int_equal(kata_sandbox_delete(sandbox, 0, &err), -1);
  assert_error(err, KATA_ERR_INVALID_STATE, "cannot delete sandbox 'pod-1' while it runs: stop it first, or force it");
  assert_int_equal(kata_sandbox_stop(sandbox, 0, 0, NULL), 0);
  assert_int_equal(kata_sandbox_get_status(sandbox, NULL), KATA_SANDBOX_STOPPED);
  assert_int_equal(kata_sandbox_delete(sandbox, 0, NULL), 0);
  assert_false(directory_is_there("pod-1"));
  assert_int_equal(kata_sandbox_get_status(sandbox, &err), -1);
  assert_error(err, KATA_ERR_NOT_FOUND, "sandbox 'pod-1' does not exist");
  assert_int_equal(kata_sandbox_delete(sandbox, KATA_SANDBOX_DELETE_FORCE, &err), -1);
  assert_error(err, KATA_ERR_NOT_FOUND, "sandbox 'pod-1' does not exist");
}

static void a_running_sandbox_can_be_deleted_by_force(void **state) {
  g_autoptr(kata_sandbox) sandbox = make_sandbox("pod-2");
  assert_int_equal(kata_sandbox_start(sandbox, 0, NULL), 0);
  assert_int_equal(kata_sandbox_delete(sandbox, KATA_SANDBOX_DELETE_FORCE, NULL), 0);
  assert_false(directory_is_there("pod-2"));
}

static void an_id_is_used_once(void **state) {
  g_autoptr(KataError) err = NULL;
  g_autoptr(kata_sandbox) sandbox = make_sandbox("pod-3");
  assert_null(kata_sandbox_create(ctx, "pod-3", NULL, 0, &err));
  assert_error(err, KATA_ERR_ALREADY_EXISTS, "sandbox exists already");
  assert_int_equal(kata_sandbox_delete(sandbox, 0, NULL), 0);
}

static void sandboxes_are_listed(void **state) {
  g_autoptr(kata_sandbox) second = make_sandbox("pod-b"), first = make_sandbox("pod-a");
  char **ids = kata_sandbox_list(ctx, 0, NULL);
  assert_string_equal(ids[0], "pod-a");
  assert_string_equal(ids[1], "pod-b");
  assert_null(ids[2]);
  kata_strv_free(ids);
  assert_int_equal(kata_sandbox_delete(first, 0, NULL), 0);
  assert_int_equal(kata_sandbox_delete(second, 0, NULL), 0);
  ids = kata_sandbox_list(ctx, 0, NULL);
  assert_null(ids[0]);
  kata_strv_free(ids);
}

static void settings_reach_the_owner(void **state) {
  g_autoptr(KataError) err = NULL;
  g_autoptr(kata_settings) settings = kata_settings_new(0, NULL);
  assert_int_equal(kata_settings_set(settings, "hypervisor.qemu", "default_vcpus", "3", NULL), 0);
  g_autoptr(kata_sandbox) sandbox = kata_sandbox_create(ctx, "pod-4", settings, 0, &err);
  assert_non_null(sandbox);
  char *xml = kata_sandbox_get_domain_xml(sandbox, 0, NULL);
  assert_string_equal(xml, "[hypervisor.qemu]\ndefault_vcpus = 3\n");
  kata_free(xml);
  char *timeline = kata_sandbox_get_boot_timeline(sandbox, 0, NULL);
  assert_string_equal(timeline,
                      "[ { \"name\": \"kernel \\\"x\\\"\", \"begin_us\": 10, \"end_us\": 18446744073709551615 } ]");
  kata_free(timeline);
  assert_int_equal(kata_sandbox_delete(sandbox, 0, NULL), 0);
}

static void the_network_reaches_the_owner(void **state) {
  g_autoptr(KataError) err = NULL;
  g_autoptr(kata_sandbox) sandbox = kata_sandbox_create(ctx, "pod-net", NULL, 0, &err);
  assert_non_null(sandbox);
  assert_int_equal(kata_sandbox_set_netns(sandbox, NULL, 0, &err), -1);
  assert_int_equal(kata_error_get_code(err), KATA_ERR_INVALID_ARGUMENT);
  assert_int_equal(kata_sandbox_set_netns(sandbox, "/run/netns/blue", 0, NULL), 0);
  g_autofree char *directory = paths_sandbox_dir(kata_context_get_root(ctx), "pod-net");
  g_autofree char *file = g_build_filename(directory, "netns", NULL);
  g_autofree char *path = NULL;
  assert_true(g_file_get_contents(file, &path, NULL, NULL));
  assert_string_equal(path, "/run/netns/blue");
  /* It has no hypervisor: nobody is connected. */
  const char *const unknown[] = {"/proc/self/ns/net", "/no/such/namespace"};
  for (gsize i = 0; i < G_N_ELEMENTS(unknown); i++) {
    g_autoptr(KataError) why = NULL;
    assert_null(kata_sandbox_find_netns(ctx, unknown[i], 0, &why));
    assert_int_equal(kata_error_get_code(why), KATA_ERR_NOT_FOUND);
  }
  assert_int_equal(kata_sandbox_delete(sandbox, 0, NULL), 0);
}

static void a_wrong_settings_file_starts_nothing(void **state) {
  g_autoptr(KataError) err = NULL;
  g_autofree char *conf = g_strdup(kata_context_get_config_file(ctx));
  assert_true(g_file_set_contents(conf, "[runtime]\nenable_debug = 3\n", -1, NULL));
  assert_null(kata_sandbox_create(ctx, "pod-5", NULL, 0, &err));
  assert_int_equal(kata_error_get_code(err), KATA_ERR_CONFIG);
  assert_true(g_str_has_prefix(kata_error_get_message(err), conf));
  assert_false(directory_is_there("pod-5"));
  assert_true(g_file_set_contents(conf, "", -1, NULL));
}

static void a_failed_start_tells_why(void **state) {
  g_autoptr(KataError) err = NULL;
  assert_null(kata_sandbox_create(ctx, "fails-with-code", NULL, 0, &err));
  assert_string_equal(kata_error_get_detail(err), "line one\nline two");
  assert_error(err, KATA_ERR_HOST, "the kernel '/x' is not there");
  assert_null(kata_sandbox_create(ctx, "fails-without-code", NULL, 0, &err));
  assert_string_equal(kata_error_get_detail(err), "");
  assert_error(err, KATA_ERR_INTERNAL, "something broke");
  assert_null(kata_sandbox_create(ctx, "fails-silently", NULL, 0, &err));
  assert_int_equal(kata_error_get_code(err), KATA_ERR_INTERNAL);
  assert_non_null(strstr(kata_error_get_message(err), "failed with status 7"));
  g_clear_pointer(&err, kata_error_free);
  assert_null(kata_sandbox_create(ctx, "dies", NULL, 0, &err));
  assert_int_equal(kata_error_get_code(err), KATA_ERR_UNAVAILABLE);
  assert_non_null(strstr(kata_error_get_message(err), "killed by signal 6"));
  g_clear_pointer(&err, kata_error_free);
  assert_null(kata_sandbox_create(ctx, "says-nothing", NULL, 0, &err));
  assert_int_equal(kata_error_get_code(err), KATA_ERR_INTERNAL);
  assert_non_null(strstr(kata_error_get_message(err), "did not say where it listens"));
}

static void a_missing_owner_program_is_named(void **state) {
  g_autoptr(KataError) err = NULL;
  kata_context *other = kata_context_new(0, NULL);
  assert_int_equal(kata_context_set_root(other, root, NULL), 0);
  assert_int_equal(kata_context_set_config_file(other, kata_context_get_config_file(ctx), NULL), 0);
  assert_int_equal(kata_context_set_owner_program(other, "/nowhere/owner", NULL), 0);
  assert_null(kata_sandbox_create(other, "pod-6", NULL, 0, &err));
  assert_int_equal(kata_error_get_code(err), KATA_ERR_NOT_FOUND);
  assert_non_null(strstr(kata_error_get_message(err), "/nowhere/owner"));
  kata_context_unref(other);
}

static void a_program_that_does_not_answer_is_named(void **state) {
  static const struct {
    const char *program;
    kata_error_code code;
    const char *words;
  } cases[] = {{"/bin/true", KATA_ERR_INTERNAL, "'/bin/true' did not answer as it should"},
               {"/bin/false", KATA_ERR_INTERNAL, "'/bin/false' failed with status 1 and no word why"},
               {"/nowhere/owner", KATA_ERR_NOT_FOUND, "/nowhere/owner"}};
  kata_context *other = kata_context_new(0, NULL);
  for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
    kata_error *err = NULL;
    guint32 made = 7;
    assert_int_equal(kata_context_set_owner_program(other, cases[i].program, NULL), 0);
    assert_int_equal(kata_pool_fill(other, NULL, 0, &made, NULL, &err), -1);
    assert_int_equal(kata_error_get_code(err), cases[i].code);
    assert_non_null(strstr(kata_error_get_message(err), cases[i].words));
    kata_error_free(err);
    assert_int_equal(made, 7);
  }
  kata_context_unref(other);
}

static void a_refused_sandbox_leaves_nothing(void **state) {
  g_autoptr(KataError) err = NULL;
  assert_null(kata_sandbox_create(ctx, "refuses-create", NULL, 0, &err));
  assert_string_equal(kata_error_get_detail(err), "said the host");
  assert_error(err, KATA_ERR_INVALID_STATE, "no room for sandbox 'refuses-create'");
  assert_false(directory_is_there("refuses-create"));
}

/* ---- the owner is killed ---- */

static void a_killed_owner_is_replaced(void **state) {
  g_autoptr(kata_sandbox) sandbox = make_sandbox("pod-7");
  assert_int_equal(kata_sandbox_start(sandbox, 0, NULL), 0);
  kill_owner("pod-7");
  assert_int_equal(kata_sandbox_get_status(sandbox, NULL), KATA_SANDBOX_RUNNING);
  kill_owner("pod-7");
  g_autoptr(kata_sandbox) again = kata_sandbox_open(ctx, "pod-7", 0, NULL);
  assert_non_null(again);
  assert_int_equal(kata_sandbox_delete(again, KATA_SANDBOX_DELETE_FORCE, NULL), 0);
}

static void a_sandbox_that_died_with_its_owner_is_cleared_away(void **state) {
  g_autoptr(KataError) err = NULL;
  g_autoptr(kata_sandbox) sandbox = make_sandbox("pod-8");
  kill_owner("pod-8");
  assert_true(directory_is_there("pod-8"));
  assert_null(kata_sandbox_open(ctx, "pod-8", 0, &err));
  assert_error(err, KATA_ERR_NOT_FOUND, "sandbox was dead");
  assert_false(directory_is_there("pod-8"));

  g_autoptr(kata_sandbox) other = make_sandbox("pod-9");
  kill_owner("pod-9");
  assert_int_equal(kata_sandbox_delete(other, 0, NULL), 0);
  assert_false(directory_is_there("pod-9"));
}

static void an_owner_that_ends_in_a_call_is_an_error(void **state) {
  g_autoptr(KataError) err = NULL;
  g_autoptr(kata_sandbox) sandbox = make_sandbox("drops-start");
  assert_int_equal(kata_sandbox_start(sandbox, 0, &err), -1);
  assert_int_equal(kata_error_get_code(err), KATA_ERR_UNAVAILABLE);
  assert_int_equal(kata_sandbox_delete(sandbox, 0, NULL), 0);
}

/* ---- container ---- */

static void a_container_lives_and_goes(void **state) {
  g_autoptr(KataError) err = NULL;
  g_autoptr(kata_sandbox) sandbox = make_sandbox("pod-10");
  g_autoptr(kata_container) container = make_container(sandbox, "c-1");
  assert_string_equal(kata_container_get_id(container), "c-1");
  assert_string_equal(kata_container_get_sandbox_id(container), "pod-10");
  assert_null(kata_container_create(sandbox, "c-1", "/bundle", NULL, 0, &err));
  assert_error(err, KATA_ERR_ALREADY_EXISTS, "container with given ID already exists");
  assert_int_equal(kata_container_get_status(container, NULL), KATA_CONTAINER_CREATED);
  assert_int_equal(kata_container_start(container, 0, NULL), 0);
  assert_int_equal(kata_container_get_status(container, NULL), KATA_CONTAINER_RUNNING);
  assert_int_equal(kata_container_wait(container, 50, NULL, &err), -1);
  assert_int_equal(kata_error_get_code(err), KATA_ERR_TIMEOUT);
  g_clear_pointer(&err, kata_error_free);
  assert_int_equal(kata_container_pause(container, 0, NULL), 0);
  assert_int_equal(kata_container_get_status(container, NULL), KATA_CONTAINER_PAUSED);
  assert_int_equal(kata_container_pause(container, 0, &err), -1);
  assert_error(err, KATA_ERR_INVALID_STATE, "container not running");
  assert_int_equal(kata_container_resume(container, 0, NULL), 0);
  assert_int_equal(kata_container_update(container, "{\"pids\":{\"limit\":7}}", 0, NULL), 0);
  assert_int_equal(kata_container_resize(container, 80, 24, NULL), 0);
  assert_int_equal(kata_container_resize(container, 70000, 24, &err), -1);
  assert_int_equal(kata_error_get_code(err), KATA_ERR_INVALID_ARGUMENT);
  g_clear_pointer(&err, kata_error_free);
  assert_int_equal(kata_container_close_stdin(container, NULL), 0);
  assert_int_equal(kata_container_delete(container, 0, NULL, &err), -1);
  assert_error(err, KATA_ERR_INVALID_STATE, "cannot delete container c-1 that is not stopped: running");
  assert_int_equal(kata_container_kill(container, 15, 0, NULL), 0);
  int status = -1;
  assert_int_equal(kata_container_wait(container, 0, &status, NULL), 0);
  assert_int_equal(status, 128 + 15);
  assert_int_equal(kata_container_delete(container, 0, &status, NULL), 0);
  assert_int_equal(status, 128 + 15);
  assert_int_equal(kata_container_get_status(container, &err), -1);
  assert_error(err, KATA_ERR_NOT_FOUND, "container 'c-1' was not found: container does not exist");
  assert_true(directory_is_there("pod-10"));
  assert_int_equal(kata_sandbox_delete(sandbox, 0, NULL), 0);
}

static void the_last_container_takes_its_sandbox_along(void **state) {
  g_autoptr(kata_sandbox) sandbox = make_sandbox("pod-11");
  g_autoptr(kata_container) one = make_container(sandbox, "c-2"), two = make_container(sandbox, "c-3");
  assert_int_equal(kata_container_start(two, 0, NULL), 0);
  const uint32_t flags = KATA_CONTAINER_DELETE_FORCE | KATA_CONTAINER_DELETE_SANDBOX;
  assert_int_equal(kata_container_delete(one, KATA_CONTAINER_DELETE_SANDBOX, NULL, NULL), 0); /* only created */
  assert_true(directory_is_there("pod-11"));
  int status = -1;
  assert_int_equal(kata_container_delete(two, flags, &status, NULL), 0);
  assert_int_equal(status, 128 + 9);
  assert_false(directory_is_there("pod-11"));
  assert_int_equal(kata_container_delete(two, flags, NULL, NULL), 0); /* gone is what was asked for */
}

static void the_state_is_as_runc_prints_it(void **state) {
  g_autoptr(kata_sandbox) sandbox = make_sandbox("pod-12");
  kata_process_io io = KATA_PROCESS_IO_INIT;
  io.host_pid = 4242;
  g_autoptr(kata_container) container = kata_container_create(sandbox, "c-4", "/a//b/../bundle", &io, 0, NULL);
  char *json = kata_container_get_state(container, 0, NULL);
  assert_string_equal(json,
                      "{\n"
                      "  \"ociVersion\": \"1.0.2\",\n"
                      "  \"id\": \"c-4\",\n"
                      "  \"pid\": 4242,\n"
                      "  \"status\": \"created\",\n"
                      "  \"bundle\": \"/a/bundle\",\n"
                      "  \"rootfs\": \"/bundle/rootfs\",\n"
                      "  \"created\": \"2023-11-14T22:13:20.12Z\",\n"
                      "  \"annotations\": {\n"
                      "    \"note\": \"a/b \\\"c\\\"\"\n"
                      "  },\n"
                      "  \"owner\": \"\"\n"
                      "}");
  kata_free(json);
  char *process = kata_container_get_process_template(container, 0, NULL);
  assert_string_equal(process, "{\"cwd\":\"/\"}");
  kata_free(process);
  char *stats = kata_container_get_stats(container, 0, NULL);
  assert_non_null(stats);
  assert_non_null(strstr(stats, "\"pids_stats\": { \"current\": "));
  kata_free(stats);
  assert_int_equal(kata_sandbox_delete(sandbox, 0, NULL), 0);
}

static void processes_and_events_are_told(void **state) {
  g_autoptr(kata_sandbox) sandbox = make_sandbox("pod-13");
  g_autoptr(kata_container) container = make_container(sandbox, "c-6");
  char *processes = kata_container_get_processes(container, 0, NULL);
  assert_string_equal(processes,
                      "[ { \"pid\": 70, \"container_pid\": 1, \"command\": \"sh\", \"is_init\": true, "
                      "\"host_pid\": 4242 } ]");
  kata_free(processes);
  uint64_t position = 0;
  char *event = kata_container_next_event(container, &position, 0, 0, NULL);
  assert_string_equal(event, "{ \"type\": \"oom\", \"time\": \"2023-11-14T22:13:20Z\" }");
  assert_int_equal(position, 5);
  kata_free(event);
  event = kata_container_next_event(container, &position, 1000, 0, NULL);
  assert_string_equal(event, "{ \"type\": \"exit\", \"time\": \"2023-11-14T22:13:20Z\", \"exit_status\": 3 }");
  kata_free(event);
  g_autoptr(KataError) err = NULL;
  assert_null(kata_container_next_event(container, &position, 1, 0, &err));
  assert_error(err, KATA_ERR_TIMEOUT, "nothing happened to container 'c-6' within 1 ms");
  assert_int_equal(position, 7);
  assert_int_equal(kata_sandbox_delete(sandbox, 0, NULL), 0);
}

static void broken_counters_are_the_guests_fault(void **state) {
  g_autoptr(KataError) err = NULL;
  g_autoptr(kata_sandbox) sandbox = make_sandbox("breaks-stats");
  g_autoptr(kata_container) container = make_container(sandbox, "c-5");
  assert_null(kata_container_get_stats(container, 0, &err));
  assert_error(err, KATA_ERR_GUEST, "the guest's counters of container 'c-5' are not well-formed");
  assert_int_equal(kata_sandbox_delete(sandbox, 0, NULL), 0);
}

static void the_agent_is_called_through_the_owner(void **state) {
  g_autoptr(KataError) err = NULL;
  g_autoptr(kata_sandbox) sandbox = make_sandbox("pod-14");
  char *reply = NULL;
  assert_int_equal(kata_sandbox_call_agent(sandbox, "Version", "{\"service\": \"x\"}", 60000, 0, &reply, NULL), 0);
  assert_string_equal(reply, "{ \"agentVersion\": \"x\" }");
  kata_free(reply);
  assert_int_equal(kata_sandbox_call_agent(sandbox, "Version", NULL, 0, 0, NULL, NULL), 0);
  reply = NULL;
  assert_int_equal(kata_sandbox_call_agent(sandbox, "Version", "{\"service\": 1}", 0, 0, &reply, &err), -1);
  assert_error(err, KATA_ERR_INVALID_ARGUMENT, "request: service: expected a string, found a number");
  g_clear_pointer(&err, kata_error_free);
  assert_int_equal(kata_sandbox_call_agent(sandbox, "ListRoutes", NULL, 0, 0, &reply, &err), -1);
  assert_error(err, KATA_ERR_UNSUPPORTED, "method ListRoutes");
  assert_null(reply);
  assert_int_equal(kata_sandbox_delete(sandbox, 0, NULL), 0);
}

static void interfaces_are_the_owners_and_routes_the_agents(void **state) {
  g_autoptr(KataError) err = NULL;
  g_autoptr(kata_sandbox) sandbox = make_sandbox("pod-15");
  assert_int_equal(kata_sandbox_add_interface(sandbox, "{\"device\": \"eth1\", \"mtu\": 1400}", 0, NULL), 0);
  assert_int_equal(kata_sandbox_add_interface(sandbox, "{\"device\": \"eth9\"}", 0, &err), -1);
  assert_error(err, KATA_ERR_NOT_FOUND, "add 'eth9'");
  g_clear_pointer(&err, kata_error_free);
  assert_int_equal(kata_sandbox_remove_interface(sandbox, "{\"device\": \"eth9\"}", 0, &err), -1);
  assert_error(err, KATA_ERR_NOT_FOUND, "remove 'eth9'");
  g_clear_pointer(&err, kata_error_free);
  assert_int_equal(kata_sandbox_add_interface(sandbox, "[]", 0, &err), -1);
  assert_error(err, KATA_ERR_INVALID_ARGUMENT, "the interface is not a JSON object such as {\"device\": \"eth1\"}");
  g_clear_pointer(&err, kata_error_free);
  assert_int_equal(kata_sandbox_add_interface(sandbox, "{\"mtu\": \"many\"}", 0, &err), -1);
  assert_error(err, KATA_ERR_INVALID_ARGUMENT, "interface: mtu: expected a whole number, found 'many'");
  g_clear_pointer(&err, kata_error_free);
  assert_int_equal(kata_sandbox_remove_interface(sandbox, NULL, 0, &err), -1);
  assert_error(err, KATA_ERR_INVALID_ARGUMENT, "the argument 'interface_json' is NULL");
  g_clear_pointer(&err, kata_error_free);
  char *interfaces = kata_sandbox_list_interfaces(sandbox, 0, NULL);
  assert_non_null(strstr(interfaces, "\"name\":\"eth1\""));
  assert_int_equal(*interfaces, '[');
  kata_free(interfaces);
  assert_null(kata_sandbox_list_routes(sandbox, 0, &err));
  assert_error(err, KATA_ERR_UNSUPPORTED, "method ListRoutes");
  g_clear_pointer(&err, kata_error_free);
  assert_null(kata_sandbox_update_routes(sandbox, "{}", 0, &err));
  assert_error(err, KATA_ERR_INVALID_ARGUMENT, "the routes are not a JSON array");
  g_clear_pointer(&err, kata_error_free);
  assert_null(kata_sandbox_update_routes(sandbox, "[{\"mtu\": -1}]", 0, &err));
  assert_error(err, KATA_ERR_INVALID_ARGUMENT,
               "request: routes.Routes[0].mtu: -1 is out of range, which is 0 to 4294967295");
  assert_int_equal(kata_sandbox_delete(sandbox, 0, NULL), 0);
}

static void broken_answers_are_the_guests_fault(void **state) {
  g_autoptr(KataError) err = NULL;
  g_autoptr(kata_sandbox) sandbox = make_sandbox("breaks-stats");
  assert_int_equal(kata_sandbox_call_agent(sandbox, "Version", "{\"service\": \"x\"}", 0, 0, NULL, &err), -1);
  assert_error(err, KATA_ERR_GUEST,
               "the answer of sandbox 'breaks-stats' to 'Health.Version' is not a grpc.VersionCheckResponse");
  assert_int_equal(kata_sandbox_delete(sandbox, 0, NULL), 0);
}

static void containers_are_found_and_listed(void **state) {
  g_autoptr(KataError) err = NULL;
  g_autoptr(kata_sandbox) sandbox = make_sandbox("pod-13");
  g_autoptr(kata_container) second = make_container(sandbox, "c-7"), first = make_container(sandbox, "c-6");
  char **ids = kata_container_list(ctx, 0, NULL);
  assert_string_equal(ids[0], "c-6");
  assert_string_equal(ids[1], "c-7");
  assert_null(ids[2]);
  kata_strv_free(ids);
  g_autoptr(kata_container) opened = kata_container_open(ctx, "c-7", 0, NULL);
  assert_string_equal(kata_container_get_sandbox_id(opened), "pod-13");
  assert_null(kata_container_open(ctx, "c-8", 0, &err));
  assert_error(err, KATA_ERR_NOT_FOUND, "container 'c-8' was not found: container does not exist");
  assert_int_equal(kata_sandbox_delete(sandbox, 0, NULL), 0);
}

static void stale_links_are_removed(void **state) {
  g_autoptr(KataError) err = NULL;
  g_autofree char *links = g_build_filename(root, PATHS_CONTAINERS, NULL);
  mkdir(links, 0711);
  g_autofree char *link = paths_container_link(root, "c-9"), *other = paths_container_link(root, "c-10");
  assert_int_equal(symlink("../s/0123456789abcdef", link), 0);
  assert_int_equal(symlink("/etc", other), 0);
  assert_null(kata_container_open(ctx, "c-9", 0, &err));
  assert_error(err, KATA_ERR_NOT_FOUND, "container 'c-9' was not found: container does not exist");
  struct stat status;
  assert_int_equal(lstat(link, &status), -1);
  /* A link that is none of ours leads nowhere. */
  assert_null(kata_container_open(ctx, "c-10", 0, &err));
  assert_error(err, KATA_ERR_NOT_FOUND, "container 'c-10' was not found: container does not exist");
  assert_int_equal(unlink(other), 0);
  char **ids = kata_container_list(ctx, 0, NULL);
  assert_null(ids[0]);
  kata_strv_free(ids);
}

static void a_container_of_a_dead_sandbox_is_gone(void **state) {
  g_autoptr(KataError) err = NULL;
  g_autoptr(kata_sandbox) sandbox = make_sandbox("pod-14");
  g_autoptr(kata_container) container = make_container(sandbox, "c-11");
  kill_owner("pod-14");
  assert_null(kata_container_open(ctx, "c-11", 0, &err));
  assert_error(err, KATA_ERR_NOT_FOUND, "container 'c-11' was not found: container does not exist");
  assert_false(directory_is_there("pod-14"));
  assert_int_equal(kata_container_delete(container, KATA_CONTAINER_DELETE_FORCE, NULL, NULL), 0);
}

/* ---- streams ---- */

static void descriptors_reach_the_owner(void **state) {
  g_autoptr(kata_sandbox) sandbox = make_sandbox("pod-15");
  int out[2], err_pipe[2];
  char text[32] = "";
  assert_int_equal(pipe2(out, O_CLOEXEC), 0);
  assert_int_equal(pipe2(err_pipe, O_CLOEXEC), 0);
  kata_process_io io = KATA_PROCESS_IO_INIT;
  io.stdout_fd = out[1];
  io.stderr_fd = err_pipe[1];
  g_autoptr(kata_container) container = kata_container_create(sandbox, "c-12", "/bundle", &io, 0, NULL);
  assert_non_null(container);
  assert_int_equal(read(out[0], text, sizeof text), 6);
  assert_memory_equal(text, "stdout", 6);
  assert_int_equal(read(err_pipe[0], text, sizeof text), 6);
  assert_memory_equal(text, "stderr", 6);
  /* A terminal has no stream of errors of its own: what is in stderr_fd is not looked at. */
  io.terminal = 1;
  io.stderr_fd = 1 << 20;
  g_autoptr(kata_container) other = kata_container_create(sandbox, "c-13", "/bundle", &io, 0, NULL);
  assert_non_null(other);
  assert_int_equal(read(out[0], text, sizeof text), 8);
  assert_memory_equal(text, "terminal", 8);
  for (int i = 0; i < 2; i++) {
    close(out[i]);
    close(err_pipe[i]);
  }
  assert_int_equal(kata_sandbox_delete(sandbox, 0, NULL), 0);
}

static void wrong_streams_are_refused(void **state) {
  g_autoptr(KataError) err = NULL;
  g_autoptr(kata_sandbox) sandbox = make_sandbox("pod-16");
  kata_process_io io = KATA_PROCESS_IO_INIT;
  io.stdin_fd = 1 << 20;
  assert_null(kata_container_create(sandbox, "c-14", "/bundle", &io, 0, &err));
  assert_error(err, KATA_ERR_INVALID_ARGUMENT, "stdin_fd: descriptor 1048576 is not open");
  io.stdin_fd = -1;
  io.size = 4;
  assert_null(kata_container_create(sandbox, "c-14", "/bundle", &io, 0, &err));
  assert_int_equal(kata_error_get_code(err), KATA_ERR_INVALID_ARGUMENT);
  g_clear_pointer(&err, kata_error_free);
  /* A newer program's struct is taken as long as it asks for nothing we do not know. */
  struct {
    kata_process_io io;
    guint64 more;
  } newer = {KATA_PROCESS_IO_INIT, 0};
  newer.io.size = sizeof newer;
  g_autoptr(kata_container) container = kata_container_create(sandbox, "c-14", "/bundle", &newer.io, 0, NULL);
  assert_non_null(container);
  newer.more = 1;
  assert_null(kata_container_create(sandbox, "c-15", "/bundle", &newer.io, 0, &err));
  assert_int_equal(kata_error_get_code(err), KATA_ERR_INVALID_ARGUMENT);
  assert_int_equal(kata_sandbox_delete(sandbox, 0, NULL), 0);
}

/* ---- process ---- */

static void a_process_lives_and_goes(void **state) {
  g_autoptr(KataError) err = NULL;
  g_autoptr(kata_sandbox) sandbox = make_sandbox("pod-17");
  g_autoptr(kata_container) container = make_container(sandbox, "c-16");
  assert_null(kata_container_exec(container, NULL, "{}", NULL, 0, &err));
  assert_error(err, KATA_ERR_INVALID_ARGUMENT, "exec args cannot be empty");
  g_autoptr(kata_process) process = kata_container_exec(container, "e-1", "{\"args\":[\"x\"]}", NULL, 0, NULL);
  assert_string_equal(kata_process_get_id(process), "e-1");
  assert_int_equal(kata_process_start(process, 0, NULL), 0);
  assert_int_equal(kata_process_resize(process, 80, 24, NULL), 0);
  assert_int_equal(kata_process_close_stdin(process, NULL), 0);
  g_autoptr(kata_process) opened = kata_process_open(container, "e-1", 0, NULL);
  assert_int_equal(kata_process_kill(opened, 9, 0, NULL), 0);
  int status = -1;
  assert_int_equal(kata_process_wait(process, 0, &status, NULL), 0);
  assert_int_equal(status, 128 + 9);
  status = -1;
  assert_int_equal(kata_process_delete(process, 0, &status, NULL), 0);
  assert_int_equal(status, 128 + 9);
  assert_int_equal(kata_process_wait(process, 0, NULL, &err), -1);
  assert_error(err, KATA_ERR_NOT_FOUND, "nothing named 'c-16/e-1' here");
  assert_int_equal(kata_process_kill(process, 1000, 0, &err), -1);
  assert_int_equal(kata_error_get_code(err), KATA_ERR_INVALID_ARGUMENT);

  g_autoptr(kata_process) one = kata_container_exec(container, NULL, "{\"args\":[\"x\"]}", NULL, 0, NULL);
  g_autoptr(kata_process) two = kata_container_exec(container, NULL, "{\"args\":[\"x\"]}", NULL, 0, NULL);
  assert_string_not_equal(kata_process_get_id(one), kata_process_get_id(two));
  assert_int_equal(kata_sandbox_delete(sandbox, 0, NULL), 0);
}

/* ---- threads and forks ---- */

static gpointer wait_in_thread(gpointer container) {
  int status = -1;
  return GINT_TO_POINTER(kata_container_wait(container, 0, &status, NULL) == 0 ? status : -1);
}

static void calls_do_not_block_each_other(void **state) {
  g_autoptr(kata_sandbox) sandbox = make_sandbox("pod-18");
  g_autoptr(kata_container) container = make_container(sandbox, "c-17");
  GThread *threads[4];
  for (guint i = 0; i < G_N_ELEMENTS(threads); i++) threads[i] = g_thread_new("wait", wait_in_thread, container);
  g_usleep(20000);
  assert_int_equal(kata_container_get_status(container, NULL), KATA_CONTAINER_CREATED);
  assert_int_equal(kata_container_kill(container, 10, 0, NULL), 0);
  for (guint i = 0; i < G_N_ELEMENTS(threads); i++)
    assert_int_equal(GPOINTER_TO_INT(g_thread_join(threads[i])), 128 + 10);
  assert_int_equal(kata_sandbox_delete(sandbox, 0, NULL), 0);
}

static void a_handle_survives_fork(void **state) {
  g_autoptr(kata_sandbox) sandbox = make_sandbox("pod-19");
  pid_t child = fork();
  if (child == 0) _exit(kata_sandbox_start(sandbox, 0, NULL) == 0 ? 0 : 1);
  int status = -1;
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_int_equal(status, 0);
  assert_int_equal(kata_sandbox_get_status(sandbox, NULL), KATA_SANDBOX_RUNNING);
  assert_int_equal(kata_sandbox_delete(sandbox, KATA_SANDBOX_DELETE_FORCE, NULL), 0);
}

static guint count_descriptors(void) {
  g_autoptr(GDir) dir = g_dir_open("/proc/self/fd", 0, NULL);
  guint count = 0;
  while (g_dir_read_name(dir) != NULL) count++;
  return count;
}

static guint count_threads(void) {
  g_autoptr(GDir) dir = g_dir_open("/proc/self/task", 0, NULL);
  guint count = 0;
  while (g_dir_read_name(dir) != NULL) count++;
  return count;
}

static void nothing_stays_in_the_callers_process(void **state) {
  guint descriptors = count_descriptors(), threads = count_threads();
  g_autoptr(kata_sandbox) sandbox = make_sandbox("pod-20");
  for (int i = 0; i < 20; i++) assert_int_equal(kata_sandbox_get_status(sandbox, NULL), KATA_SANDBOX_CREATED);
  assert_int_equal(count_descriptors(), descriptors);
  assert_int_equal(count_threads(), threads);
  assert_int_equal(kata_sandbox_delete(sandbox, 0, NULL), 0);
  assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* no child either */
  assert_int_equal(errno, ECHILD);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_sandbox_lives_and_goes),
      cmocka_unit_test(a_running_sandbox_can_be_deleted_by_force),
      cmocka_unit_test(an_id_is_used_once),
      cmocka_unit_test(sandboxes_are_listed),
      cmocka_unit_test(settings_reach_the_owner),
      cmocka_unit_test(the_network_reaches_the_owner),
      cmocka_unit_test(a_wrong_settings_file_starts_nothing),
      cmocka_unit_test(a_failed_start_tells_why),
      cmocka_unit_test(a_missing_owner_program_is_named),
      cmocka_unit_test(a_program_that_does_not_answer_is_named),
      cmocka_unit_test(a_refused_sandbox_leaves_nothing),
      cmocka_unit_test(a_killed_owner_is_replaced),
      cmocka_unit_test(a_sandbox_that_died_with_its_owner_is_cleared_away),
      cmocka_unit_test(an_owner_that_ends_in_a_call_is_an_error),
      cmocka_unit_test(a_container_lives_and_goes),
      cmocka_unit_test(the_last_container_takes_its_sandbox_along),
      cmocka_unit_test(the_state_is_as_runc_prints_it),
      cmocka_unit_test(processes_and_events_are_told),
      cmocka_unit_test(broken_counters_are_the_guests_fault),
      cmocka_unit_test(containers_are_found_and_listed),
      cmocka_unit_test(stale_links_are_removed),
      cmocka_unit_test(a_container_of_a_dead_sandbox_is_gone),
      cmocka_unit_test(descriptors_reach_the_owner),
      cmocka_unit_test(wrong_streams_are_refused),
      cmocka_unit_test(the_agent_is_called_through_the_owner),
      cmocka_unit_test(interfaces_are_the_owners_and_routes_the_agents),
      cmocka_unit_test(broken_answers_are_the_guests_fault),
      cmocka_unit_test(a_process_lives_and_goes),
      cmocka_unit_test(calls_do_not_block_each_other),
      cmocka_unit_test(a_handle_survives_fork),
      cmocka_unit_test(nothing_stays_in_the_callers_process),
  };
  return cmocka_run_group_tests(tests, set_up, tear_down);
}
