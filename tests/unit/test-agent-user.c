/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Last: it needs the ones before. */
#include <cmocka.h>

#include "agent/user.h"
#include "common/error.h"

#define PASSWD                                            \
  "root:x:0:0:root:/root:/bin/sh\n"                       \
  "broken\n:::\nbad:x:minus:1::\nhigh:x:4294967295:1::\n" \
  "worker:x:1000:100:w:/home/worker:/bin/sh\n"            \
  "last:x:7:8::"
#define GROUP "root:x:0:\nusers:x:100:\nadm:x:4:root,worker\nbroken\naudio:x:29:worker\nnone:x:x:worker\n"

static Grpc__User resolved(const char *uid, const char *gid, const char *username) {
  Grpc__User user = GRPC__USER__INIT;
  Grpc__StringUser asked = GRPC__STRING_USER__INIT;
  if (uid) asked.uid = (char *)uid;
  if (gid) asked.gid = (char *)gid;
  if (username) user.username = (char *)username;
  g_autoptr(GError) error = NULL;
  assert_true(user_is_named(&asked, &user));
  if (!user_resolve(PASSWD, GROUP, &asked, &user, &error)) fail_msg("%s", error->message);
  return user;
}

static void check(Grpc__User user, guint32 uid, guint32 gid, gsize n_groups) {
  assert_int_equal(user.uid, uid);
  assert_int_equal(user.gid, gid);
  assert_int_equal(user.n_additionalgids, n_groups);
  g_free(user.additionalgids);
}

static void test_names_and_numbers(void **state) {
  check(resolved("worker", NULL, NULL), 1000, 100, 2);
  check(resolved("worker", "adm", NULL), 1000, 4, 2);
  check(resolved("1000", NULL, NULL), 1000, 100, 2);
  check(resolved("4242", NULL, NULL), 4242, 0, 0);
  check(resolved("4242", "17", NULL), 4242, 17, 0);
  check(resolved("last", NULL, NULL), 7, 8, 0);
  check(resolved(NULL, "audio", NULL), 0, 29, 0);
  check(resolved(NULL, NULL, "worker"), 1000, 100, 2);
  check(resolved(NULL, NULL, "worker:29"), 1000, 29, 2);
  check(resolved(NULL, NULL, "worker:"), 1000, 100, 2);
  check(resolved("root", NULL, "worker"), 0, 0, 1);
}

static void test_nobody_named(void **state) {
  Grpc__User user = GRPC__USER__INIT;
  Grpc__StringUser asked = GRPC__STRING_USER__INIT;
  assert_false(user_is_named(NULL, NULL));
  assert_false(user_is_named(&asked, &user));
  /* A number beside it: that is the answer already. */
  user.username = (char *)"worker";
  user.uid = 5;
  assert_false(user_is_named(&asked, &user));
}

static void check_refused(const char *uid, const char *gid, const char *text) {
  Grpc__User user = GRPC__USER__INIT;
  Grpc__StringUser asked = GRPC__STRING_USER__INIT;
  asked.uid = (char *)uid;
  asked.gid = (char *)gid;
  g_autoptr(GError) error = NULL;
  assert_false(user_resolve(PASSWD, GROUP, &asked, &user, &error));
  assert_int_equal(error_get_code(error), KATA_ERR_NOT_FOUND);
  if (!strstr(error->message, text)) fail_msg("no '%s' in '%s'", text, error->message);
  g_free(user.additionalgids);
}

static void test_refused(void **state) {
  check_refused("nobody", "", "user 'nobody' is not");
  check_refused("bad", "", "user 'bad' is not");
  check_refused("4294967295", "", "user '4294967295' is not");
  check_refused("-1", "", "user '-1' is not");
  check_refused("worker", "none", "group 'none' is not");
  check_refused("a\nb", "", "user 'a\\x0ab' is not");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_names_and_numbers),
      cmocka_unit_test(test_nobody_named),
      cmocka_unit_test(test_refused),
  };
  return cmocka_run_group_tests_name("agent-user", tests, NULL, NULL);
}
