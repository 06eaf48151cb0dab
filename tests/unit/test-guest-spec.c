// SPDX-License-Identifier: LGPL-2.1-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// cmocka.h wants the four above
#include <cmocka.h>
#include <string.h>

#include "common/error.h"
#include "shim/guest-spec.h"

#define PROCESS                                                                              \
  "\"process\": {\"user\": {\"uid\": 0, \"gid\": 0}, \"args\": [\"true\"], \"cwd\": \"/\", " \
  "\"apparmorProfile\": \"docker-default\", \"selinuxLabel\": \"s\"}"

/* What was said in the log since it was cleared. */
static GString *said;

static void remember(const char *domain, GLogLevelFlags level, const char *message, gpointer user_data) {
  g_string_append_printf(said, "%s\n", message);
}

static int start_listening(void **state) {
  said = g_string_new(NULL);
  g_log_set_default_handler(remember, NULL);
  return 0;
}

static int stop_listening(void **state) {
  g_string_free(said, TRUE);
  return 0;
}

static OciSpec *parse(const char *members) {
  g_autofree char *text = g_strdup_printf("{\"ociVersion\": \"1.0.2\", " PROCESS ", %s}", members);
  g_autoptr(GError) error = NULL;
  OciSpec *spec = oci_spec_parse(text, strlen(text), "test", &error);
  if (spec == NULL) fail_msg("%s", error->message);
  return spec;
}

static GPtrArray *rewrite(OciSpec *spec, gboolean *ret_shares_pidns) {
  gboolean ignored = FALSE;
  g_autoptr(GError) error = NULL;
  GPtrArray *shares =
      guest_spec_rewrite(spec, "c1", "/bundle", ret_shares_pidns != NULL ? ret_shares_pidns : &ignored, &error);
  if (shares == NULL) fail_msg("%s", error->message);
  return shares;
}

static const GuestShare *share_at(GPtrArray *shares, guint i) { return shares->pdata[i]; }

static void test_root(void **state) {
  g_autoptr(OciSpec) spec = parse("\"root\": {\"path\": \"rootfs/../fs\", \"readonly\": true}");
  g_autoptr(GPtrArray) shares = rewrite(spec, NULL);
  assert_int_equal(shares->len, 1);
  assert_string_equal(share_at(shares, 0)->host_path, "/bundle/fs");
  assert_string_equal(share_at(shares, 0)->name, "c1");
  assert_true(share_at(shares, 0)->read_only);
  assert_string_equal(spec->root->path, GUEST_SHARE_DIR "c1");
  assert_true(spec->root->readonly);
  assert_string_equal(spec->process->apparmorprofile, "");
  assert_string_equal(spec->process->selinuxlabel, "");
}

static void test_own_namespaces(void **state) {
  g_autoptr(OciSpec) spec = parse(
      "\"root\": {\"path\": \"/r\"}, \"linux\": {\"namespaces\": ["
      "{\"type\": \"ipc\"}, {\"type\": \"uts\", \"path\": \"/proc/7/ns/uts\"}, {\"type\": \"mount\"}]}");
  guest_spec_keep_own(spec);
  g_autoptr(GPtrArray) shares = rewrite(spec, NULL);
  assert_int_equal(spec->linux->n_namespaces, 3);
  assert_true(spec->linux->namespaces[0]->own);
  assert_false(spec->linux->namespaces[1]->own);
  assert_string_equal(spec->linux->namespaces[1]->path, "");
}

static void test_bind_mounts(void **state) {
  g_autoptr(OciSpec) spec = parse(
      "\"root\": {\"path\": \"/r\"}, \"mounts\": ["
      "{\"destination\": \"/proc\", \"type\": \"proc\", \"source\": \"proc\"},"
      "{\"destination\": \"/a\", \"type\": \"bind\", \"source\": \"/host/a\", \"options\": [\"rbind\", \"ro\"]},"
      "{\"destination\": \"/b\", \"type\": \"none\", \"source\": \"rel/b\", \"options\": [\"bind\"]}]");
  g_autoptr(GPtrArray) shares = rewrite(spec, NULL);
  assert_int_equal(shares->len, 3);
  assert_string_equal(share_at(shares, 1)->host_path, "/host/a");
  assert_true(share_at(shares, 1)->read_only);
  assert_string_equal(share_at(shares, 2)->host_path, "/bundle/rel/b");
  assert_false(share_at(shares, 2)->read_only);
  assert_string_not_equal(share_at(shares, 1)->name, share_at(shares, 2)->name);
  assert_string_equal(spec->mounts[0]->source, "proc");
  for (guint i = 1; i < 3; i++) {
    g_autofree char *guest = g_strconcat(GUEST_SHARE_DIR, share_at(shares, i)->name, NULL);
    assert_string_equal(spec->mounts[i]->source, guest);
  }
}

/* Of upstream's newer runtime, by its types of mounts. */
static void test_volumes(void **state) {
  g_autoptr(OciSpec) spec = parse(
      "\"root\": {\"path\": \"/r\"}, \"mounts\": ["
      "{\"destination\": \"/a\", \"type\": \"directvol\", \"source\": \"/v/1\", \"options\": [\"rbind\", \"ro\"]},"
      "{\"destination\": \"/b\", \"type\": \"directvol\", \"source\": \"/v/2\"}]");
  g_autoptr(GPtrArray) shares = rewrite(spec, NULL);
  assert_int_equal(shares->len, 3);
  for (guint i = 1; i < 3; i++) {
    assert_true(share_at(shares, i)->is_volume);
    assert_string_equal(spec->mounts[i - 1]->type, "bind");
  }
  assert_string_equal(share_at(shares, 2)->host_path, "/v/2");
  assert_int_equal(spec->mounts[0]->n_options, 2);
  assert_int_equal(spec->mounts[1]->n_options, 1);
  assert_string_equal(spec->mounts[1]->options[0], "rbind");

  g_autoptr(OciSpec) wrong = parse(
      "\"root\": {\"path\": \"/r\"}, \"mounts\": [{\"destination\": \"/c\", \"type\": \"spdkvol\", \"source\": "
      "\"/v\"}]");
  g_autoptr(GError) error = NULL;
  gboolean shares_pidns = FALSE;
  assert_null(guest_spec_rewrite(wrong, "c1", "/bundle", &shares_pidns, &error));
  assert_true(g_error_matches(error, KATA_ERROR, KATA_ERR_UNSUPPORTED));
  assert_non_null(strstr(error->message, "'/c': guests have no volumes of type 'spdkvol'"));
}

static void test_namespaces(void **state) {
  gboolean shares_pidns = FALSE;
  g_autoptr(OciSpec) spec = parse(
      "\"root\": {\"path\": \"/r\"}, \"linux\": {\"cgroupsPath\": \"/machine/c1\", \"mountLabel\": \"m\", "
      "\"namespaces\": ["
      "{\"type\": \"pid\", \"path\": \"/proc/1/ns/pid\"}, {\"type\": \"network\", \"path\": \"/run/netns/x\"},"
      "{\"type\": \"ipc\", \"path\": \"/proc/1/ns/ipc\"}, {\"type\": \"mount\"}, {\"type\": \"cgroup\"}]}");
  g_autoptr(GPtrArray) shares = rewrite(spec, &shares_pidns);
  assert_true(shares_pidns);
  assert_int_equal(spec->linux->n_namespaces, 2);
  assert_string_equal(spec->linux->namespaces[0]->type, "ipc");
  assert_string_equal(spec->linux->namespaces[0]->path, "");
  assert_string_equal(spec->linux->namespaces[1]->type, "mount");
  assert_string_equal(spec->linux->cgroupspath, "");
  assert_string_equal(spec->linux->mountlabel, "");
}

static void test_host_numbers_go(void **state) {
  gboolean shares_pidns = TRUE;
  g_autoptr(OciSpec) spec = parse(
      "\"root\": {\"path\": \"/r\"}, \"linux\": {\"devices\": ["
      "{\"path\": \"/dev/fuse\", \"type\": \"c\", \"major\": 10, \"minor\": 229},"
      "{\"path\": \"/dev/sda\", \"type\": \"b\", \"major\": 8, \"minor\": 0}],"
      "\"resources\": {\"cpu\": {\"cpus\": \"3\", \"mems\": \"1\", \"shares\": 512}, \"pids\": {\"limit\": 7},"
      "\"blockIO\": {\"weight\": 100, \"throttleReadBpsDevice\": [{\"major\": 8, \"minor\": 0, \"rate\": 1}]}, "
      "\"network\": {\"classID\": 1}}}");
  g_autoptr(GPtrArray) shares = rewrite(spec, &shares_pidns);
  assert_false(shares_pidns);
  assert_int_equal(spec->linux->n_devices, 1);
  assert_string_equal(spec->linux->devices[0]->path, "/dev/fuse");
  assert_string_equal(spec->linux->resources->cpu->cpus, "");
  assert_string_equal(spec->linux->resources->cpu->mems, "");
  /* The agent finds ones of the guest for them. */
  assert_string_equal(spec->linux->resources->cpu->hostcpus, "3");
  assert_string_equal(spec->linux->resources->cpu->hostmems, "1");
  assert_int_equal(spec->linux->resources->cpu->shares, 512);
  assert_int_equal(spec->linux->resources->pids->limit, 7);
  assert_int_equal(spec->linux->resources->blockio->weight, 100);
  assert_int_equal(spec->linux->resources->blockio->n_throttlereadbpsdevice, 0);
  assert_null(spec->linux->resources->network);
}

/* What is left out and may be missed is named, once each. */
static void test_what_is_left_out(void **state) {
  g_autoptr(OciSpec) spec = parse(
      "\"root\": {\"path\": \"/r\"}, \"linux\": {\"mountLabel\": \"m\", \"devices\": ["
      "{\"path\": \"/dev/sdb\", \"type\": \"b\", \"major\": 8, \"minor\": 16}], \"resources\": {"
      "\"devices\": [{\"allow\": true, \"type\": \"b\", \"major\": 8, \"minor\": 16, \"access\": \"r\"}], "
      "\"blockIO\": {\"weightDevice\": [{\"major\": 8, \"minor\": 0, \"weight\": 10}, "
      "{\"major\": 8, \"minor\": 16, \"weight\": 10}]}, "
      "\"network\": {\"classID\": 1, \"priorities\": [{\"name\": \"eth0\", \"priority\": 5}]}}}");
  g_string_truncate(said, 0);
  g_autoptr(GPtrArray) shares = rewrite(spec, NULL);
  assert_string_equal(
      said->str,
      "container 'c1': linux.resources.blockIO.weightDevice of 8:0 is left out: it is no device of the container\n"
      "container 'c1': linux.resources.network.classID is left out: the container's network is the guest's\n"
      "container 'c1': linux.resources.network.priorities is left out: the container's network is the guest's\n"
      "container 'c1': linux.mountLabel 'm' is left out: the guest has no policy of SELinux\n"
      "container 'c1': process.selinuxLabel 's' is left out: the guest has no policy of SELinux\n"
      "container 'c1': process.apparmorProfile 'docker-default' is left out: the guest has no profiles of AppArmor\n");
  assert_int_equal(spec->linux->resources->blockio->n_weightdevice, 1);
  assert_int_equal(spec->linux->resources->blockio->weightdevice[0]->minor, 16);
}

/* The agent would refuse a label; an engine sends one with every exec of a host with SELinux. */
static void test_exec(void **state) {
  static const char text[] =
      "{\"args\": [\"true\"], \"cwd\": \"/\", \"selinuxLabel\": \"a:b:c\", \"apparmorProfile\": \"p\"}";
  g_autoptr(GError) error = NULL;
  g_autoptr(OciProcess) process = oci_process_parse(text, strlen(text), "process", &error);
  if (process == NULL) fail_msg("%s", error->message);
  g_string_truncate(said, 0);
  guest_process_rewrite("c1", process);
  assert_string_equal(process->selinuxlabel, "");
  assert_string_equal(process->apparmorprofile, "");
  assert_non_null(strstr(said->str, "process.selinuxLabel 'a:b:c' is left out"));
  /* Nothing is said of what nobody sent. */
  g_string_truncate(said, 0);
  guest_process_rewrite("c1", process);
  assert_string_equal(said->str, "");
}

static void test_listener_is_refused(void **state) {
  g_autoptr(OciSpec) spec = parse(
      "\"root\": {\"path\": \"/r\"}, \"linux\": {\"seccomp\": {\"defaultAction\": \"SCMP_ACT_ALLOW\", "
      "\"listenerPath\": \"/run/l\"}}");
  gboolean ignored = FALSE;
  g_autoptr(GError) error = NULL;
  assert_null(guest_spec_rewrite(spec, "c1", "/bundle", &ignored, &error));
  assert_int_equal(error_get_code(error), KATA_ERR_UNSUPPORTED);
  assert_non_null(strstr(error->message, "listenerPath"));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_root),
      cmocka_unit_test(test_own_namespaces),
      cmocka_unit_test(test_bind_mounts),
      cmocka_unit_test(test_volumes),
      cmocka_unit_test(test_namespaces),
      cmocka_unit_test(test_host_numbers_go),
      cmocka_unit_test(test_what_is_left_out),
      cmocka_unit_test(test_exec),
      cmocka_unit_test(test_listener_is_refused),
  };
  return cmocka_run_group_tests(tests, start_listening, stop_listening);
}
