// SPDX-License-Identifier: LGPL-2.1-or-later
/* Arguments that are there and wrong, of calls on handles of an owner that has no guest. NULL and unknown flags are
 * tried by tests/abi/arguments.py, calls without a handle by test-api.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <kata/kata.h>

enum { PATH_MAX_HERE = 256 };

static char root[] = "/tmp/kata-arguments-XXXXXX";
static kata_context *ctx;
static kata_sandbox *sandbox;
static kata_container *container;

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
  return container != NULL ? 0 : -1;
}

static int tear_down(void **state) {
  kata_container_unref(container);
  int status = kata_sandbox_delete(sandbox, KATA_SANDBOX_DELETE_FORCE, NULL);
  kata_sandbox_unref(sandbox);
  kata_context_unref(ctx);
  char command[PATH_MAX_HERE];
  snprintf(command, sizeof command, "rm -r %s", root);
  return status < 0 ? status : system(command);
}

static void wrong_arguments_are_errors(void **state) {
  assert_refused(-1, kata_sandbox_attach_console(sandbox, -1, 0, err));
  assert_refused(NULL, kata_container_create(sandbox, "a/b", "/bundle", NULL, 0, err));
  assert_refused(NULL, kata_container_create(sandbox, "other", "/bundle", NULL, KATA_CONTAINER_CREATE_BOUND, err));
  assert_refused(NULL, kata_container_exec(container, "a/b", "{}", NULL, 0, err));
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
      cmocka_unit_test(wrong_arguments_are_errors),
      cmocka_unit_test(streams_have_a_size),
  };
  return cmocka_run_group_tests(tests, set_up, tear_down);
}
