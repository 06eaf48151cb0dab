// SPDX-License-Identifier: LGPL-2.1-or-later
/* What every public call promises, seen from outside: linked with libkata.so alone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <kata/kata.h>

#define N_ELEMENTS(array) (sizeof(array) / sizeof((array)[0]))

static void code_values_never_change(void **state) {
  const struct {
    int value;
    kata_error_code code;
    const char *name;
  } codes[] = {
      {0, KATA_ERR_NONE, "none"},
      {1, KATA_ERR_INTERNAL, "internal"},
      {2, KATA_ERR_INVALID_ARGUMENT, "invalid-argument"},
      {3, KATA_ERR_NOT_FOUND, "not-found"},
      {4, KATA_ERR_ALREADY_EXISTS, "already-exists"},
      {5, KATA_ERR_INVALID_STATE, "invalid-state"},
      {6, KATA_ERR_PERMISSION_DENIED, "permission-denied"},
      {7, KATA_ERR_UNSUPPORTED, "unsupported"},
      {8, KATA_ERR_TIMEOUT, "timeout"},
      {9, KATA_ERR_UNAVAILABLE, "unavailable"},
      {10, KATA_ERR_RESOURCE_EXHAUSTED, "resource-exhausted"},
      {11, KATA_ERR_IO, "io"},
      {12, KATA_ERR_CONFIG, "config"},
      {13, KATA_ERR_HOST, "host"},
      {14, KATA_ERR_GUEST, "guest"},
      {15, KATA_ERR_CANCELLED, "cancelled"},
  };
  for (size_t i = 0; i < N_ELEMENTS(codes); i++) {
    assert_int_equal(codes[i].code, codes[i].value);
    assert_string_equal(kata_error_code_name(codes[i].code), codes[i].name);
  }
  assert_string_equal(kata_error_code_name((kata_error_code)16), "unknown");
  assert_string_equal(kata_error_code_name((kata_error_code)-1), "unknown");
}

static void other_values_never_change(void **state) {
  assert_int_equal(KATA_SANDBOX_CREATED, 1);
  assert_int_equal(KATA_SANDBOX_RUNNING, 2);
  assert_int_equal(KATA_SANDBOX_STOPPED, 3);
  assert_int_equal(KATA_SANDBOX_PAUSED, 4);
  assert_int_equal(KATA_SANDBOX_CREATE_BOUND, 1);
  assert_int_equal(KATA_CONTAINER_CREATE_BOUND, 1);
  assert_int_equal(KATA_EVENTS_NEXT_DONT_WAIT, 1);
  assert_int_equal(KATA_CONTAINER_CREATED, 1);
  assert_int_equal(KATA_CONTAINER_RUNNING, 2);
  assert_int_equal(KATA_CONTAINER_STOPPED, 3);
  assert_int_equal(KATA_CONTAINER_PAUSED, 4);
  assert_int_equal(KATA_SANDBOX_DELETE_FORCE, 1);
  assert_int_equal(KATA_CONTAINER_DELETE_FORCE, 1);
  assert_int_equal(KATA_CONTAINER_DELETE_SANDBOX, 2);
  assert_int_equal(KATA_CHECKPOINT_LEAVE_RUNNING, 1);
  assert_int_equal(KATA_KILL_ALL, 1);
  assert_int_equal(KATA_OCI_SPEC_ROOTLESS, 1);
  assert_string_equal(kata_version(), KATA_VERSION);
}

/* The layout is part of the ABI; no padding, so that a later member changes the size. */
static void the_streams_struct_never_changes(void **state) {
  assert_int_equal(offsetof(kata_process_io, size), 0);
  assert_int_equal(offsetof(kata_process_io, stdin_fd), sizeof(size_t));
  assert_int_equal(offsetof(kata_process_io, stdout_fd), sizeof(size_t) + 4);
  assert_int_equal(offsetof(kata_process_io, stderr_fd), sizeof(size_t) + 8);
  assert_int_equal(offsetof(kata_process_io, terminal), sizeof(size_t) + 12);
  assert_int_equal(offsetof(kata_process_io, host_pid), sizeof(size_t) + 16);
  assert_int_equal(offsetof(kata_process_io, reserved), sizeof(size_t) + 20);
  assert_int_equal(sizeof(kata_process_io), sizeof(size_t) + 24);
  kata_process_io io = KATA_PROCESS_IO_INIT;
  assert_int_equal(io.size, sizeof io);
  assert_int_equal(io.stdin_fd, -1);
  assert_int_equal(io.stdout_fd, -1);
  assert_int_equal(io.stderr_fd, -1);
  assert_int_equal(io.terminal, 0);
  assert_int_equal(io.host_pid, 0);
  assert_int_equal(io.reserved, 0);
}

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

/* NULL and unknown flags: tests/abi/arguments.py. */
static void wrong_arguments_are_errors(void **state) {
  kata_context *ctx = kata_context_new(0, NULL);
  kata_settings *settings = kata_settings_new(0, NULL);
  assert_non_null(ctx);
  assert_non_null(settings);
  assert_refused(-1, kata_context_set_config_file(ctx, "kata.conf", err));
  assert_refused(-1, kata_context_set_owner_program(ctx, "owner", err));
  assert_refused(-1, kata_direct_volume_add(ctx, "a", "{\"device\": \"/dev/a\"}", 0, err));
  assert_refused(-1, kata_direct_volume_resize(ctx, "/a", 0, 0, err));
  assert_refused(NULL, kata_domain_xml(settings, "a/b", "/run/kata", 0, err));
  const char *const wrong_ids[] = {"", ".", "..", "a/b", "a b", "\xff"};
  for (size_t i = 0; i < N_ELEMENTS(wrong_ids); i++) {
    assert_refused(NULL, kata_sandbox_create(ctx, wrong_ids[i], NULL, 0, err));
    assert_refused(NULL, kata_sandbox_open(ctx, wrong_ids[i], 0, err));
    assert_refused(NULL, kata_container_open(ctx, wrong_ids[i], 0, err));
  }
  assert_refused(NULL, kata_agent_connect("tcp://127.0.0.1:1", 0, 0, err));
  kata_settings_unref(settings);
  kata_context_unref(ctx);
}

static void a_context_takes_the_environment(void **state) {
  kata_error *err = NULL;
  assert_int_equal(setenv("KATA_ROOT", "/tmp/none//here/", 1), 0);
  assert_int_equal(setenv("KATA_CONFIG", "/tmp/none/kata.conf", 1), 0);
  kata_context *ctx = kata_context_new(0, NULL);
  assert_string_equal(kata_context_get_root(ctx), "/tmp/none/here");
  assert_string_equal(kata_context_get_config_file(ctx), "/tmp/none/kata.conf");
  /* A file that was asked for must be there. */
  assert_null(kata_sandbox_create(ctx, "pod", NULL, 0, &err));
  assert_int_equal(kata_error_get_code(err), KATA_ERR_NOT_FOUND);
  assert_non_null(strstr(kata_error_get_message(err), "/tmp/none/kata.conf"));
  kata_error_free(err);
  err = NULL;
  kata_context_unref(ctx);

  assert_int_equal(setenv("KATA_ROOT", "relative", 1), 0);
  assert_null(kata_context_new(0, &err));
  assert_int_equal(kata_error_get_code(err), KATA_ERR_INVALID_ARGUMENT);
  assert_memory_equal(kata_error_get_message(err), "environment variable KATA_ROOT: ", 32);
  kata_error_free(err);
  unsetenv("KATA_ROOT");
  unsetenv("KATA_CONFIG");
}

static void an_empty_root_has_nothing(void **state) {
  kata_error *err = NULL;
  kata_context *ctx = kata_context_new(0, NULL);
  assert_int_equal(kata_context_set_root(ctx, "/nowhere/at/all", NULL), 0);
  char **sandboxes = kata_sandbox_list(ctx, 0, NULL), **containers = kata_container_list(ctx, 0, NULL);
  assert_non_null(sandboxes);
  assert_null(sandboxes[0]);
  assert_non_null(containers);
  assert_null(containers[0]);
  kata_strv_free(sandboxes);
  kata_strv_free(containers);
  assert_null(kata_sandbox_open(ctx, "pod", 0, &err));
  assert_int_equal(kata_error_get_code(err), KATA_ERR_NOT_FOUND);
  assert_string_equal(kata_error_get_message(err), "sandbox 'pod' does not exist");
  kata_error_free(err);
  err = NULL;
  assert_null(kata_container_open(ctx, "box", 0, &err));
  assert_int_equal(kata_error_get_code(err), KATA_ERR_NOT_FOUND);
  assert_string_equal(kata_error_get_message(err), "container 'box' was not found: container does not exist");
  kata_error_free(err);
  assert_int_not_equal(access("/nowhere", F_OK), 0); /* looking makes nothing */
  kata_context_unref(ctx);
}

static void settings_travel_as_text(void **state) {
  kata_error *err = NULL;
  kata_settings *settings = kata_settings_new(0, NULL);
  char *value = kata_settings_get(settings, "hypervisor.qemu", "default_vcpus", NULL);
  assert_string_equal(value, "1");
  kata_free(value);
  assert_int_equal(kata_settings_set(settings, "hypervisor.qemu", "default_vcpus", "4", NULL), 0);
  char *text = kata_settings_to_text(settings);
  assert_string_equal(text, "[hypervisor.qemu]\ndefault_vcpus = 4\n");
  kata_free(text);
  assert_null(kata_settings_get(settings, "hypervisor.qemu", "no_such_key", &err));
  assert_int_equal(kata_error_get_code(err), KATA_ERR_CONFIG);
  kata_error_free(err);
  kata_settings_unref(settings);
}

static void the_domain_is_of_the_settings(void **state) {
  kata_settings *settings = kata_settings_new(0, NULL);
  assert_int_equal(kata_settings_set(settings, "hypervisor.qemu", "accelerator", "\"tcg\"", NULL), 0);
  assert_int_equal(kata_settings_set(settings, "hypervisor.qemu", "default_memory", "320", NULL), 0);
  char *xml = kata_domain_xml(settings, "pod", "/run//kata/", 0, NULL);
  assert_non_null(xml);
  assert_non_null(strstr(xml, "<domain type=\"qemu\">"));
  assert_non_null(strstr(xml, "<memory unit=\"MiB\">320</memory>"));
  assert_null(strstr(xml, "<vsock")); /* it may start from a template */
  assert_non_null(strstr(xml, "\"/run/kata/s/"));
  kata_free(xml);
  assert_int_equal(kata_settings_set(settings, "factory", "enable_template", "false", NULL), 0);
  xml = kata_domain_xml(settings, "pod", "/run/kata", 0, NULL);
  assert_non_null(strstr(xml, "<cid auto=\"yes\"/>")); /* "auto" is vsock where nothing is looked at */
  kata_free(xml);
  kata_settings_unref(settings);
}

static void an_agent_that_is_not_there_is_named(void **state) {
  kata_error *err = NULL;
  assert_null(kata_agent_connect("unix:///nowhere/agent.sock", 0, 0, &err));
  assert_int_equal(kata_error_get_code(err), KATA_ERR_UNAVAILABLE);
  assert_non_null(strstr(kata_error_get_message(err), "/nowhere/agent.sock"));
  kata_error_free(err);
}

int main(void) {
  unsetenv("KATA_ROOT");
  unsetenv("KATA_CONFIG");
  unsetenv("KATA_OWNER");
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(code_values_never_change),
      cmocka_unit_test(other_values_never_change),
      cmocka_unit_test(the_streams_struct_never_changes),
      cmocka_unit_test(wrong_arguments_are_errors),
      cmocka_unit_test(a_context_takes_the_environment),
      cmocka_unit_test(an_empty_root_has_nothing),
      cmocka_unit_test(settings_travel_as_text),
      cmocka_unit_test(the_domain_is_of_the_settings),
      cmocka_unit_test(an_agent_that_is_not_there_is_named),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
