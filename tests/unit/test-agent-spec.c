/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

/* Last: it needs the ones before. */
#include <cmocka.h>

#include "agent/spec.h"
#include "common/error.h"
#include "common/protobuf-json.h"

#define MINIMAL                                                                    \
  "\"ociVersion\":\"1.0.2\",\"root\":{\"path\":\"/shared/c/rootfs\"},"             \
  "\"process\":{\"args\":[\"true\"],\"cwd\":\"/\",\"user\":{\"uid\":0,\"gid\":0}," \
  "\"apparmorProfile\":\"docker-default\"}"

static const SpecPlace place = {
    .container_id = "c1",
    .rootfs = "/run/kata-containers/c1/rootfs",
    .ipc_path = "/ipc",
    .uts_path = "/uts",
    .network_path = "/net",
};

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

static void check_said(const char *text) {
  if (!strstr(said->str, text)) fail_msg("no '%s' in the log '%s'", text, said->str);
}

static OciSpec *parse(const char *members) {
  g_autofree char *text = g_strdup_printf("{" MINIMAL ",%s}", members);
  g_autoptr(GError) error = NULL;
  OciSpec *spec = oci_spec_parse(text, strlen(text), "config.json", &error);
  if (!spec) fail_msg("%s", error->message);
  return spec;
}

static const Grpc__LinuxNamespace *find_namespace(const OciSpec *spec, const char *type) {
  const Grpc__LinuxNamespace *found = NULL;
  for (gsize i = 0; i < spec->linux->n_namespaces; i++) {
    if (strcmp(spec->linux->namespaces[i]->type, type) != 0) continue;
    assert_null(found);
    found = spec->linux->namespaces[i];
  }
  return found;
}

static void test_namespaces(void **state) {
  g_autoptr(OciSpec) spec = parse(
      "\"linux\":{\"namespaces\":[{\"type\":\"ipc\"},{\"type\":\"uts\",\"path\":\"/host\"},{\"type\":\"mount\"},"
      "{\"type\":\"pid\",\"path\":\"/proc/1/ns/pid\"},{\"type\":\"network\",\"path\":\"/var/run/netns/x\"},"
      "{\"type\":\"cgroup\"}]}");
  g_autoptr(OciSpec) prepared = spec_prepare(spec, &place, NULL);
  assert_non_null(prepared);
  assert_int_equal(prepared->linux->n_namespaces, 6);
  assert_string_equal(find_namespace(prepared, "mount")->path, "");
  /* A pid namespace is never the one the sender named. */
  assert_string_equal(find_namespace(prepared, "pid")->path, "");
  assert_string_equal(find_namespace(prepared, "ipc")->path, "/ipc");
  assert_string_equal(find_namespace(prepared, "uts")->path, "/uts");
  assert_string_equal(find_namespace(prepared, "network")->path, "/net");
  assert_non_null(find_namespace(prepared, "cgroup"));
  /* That others are not looked at is said. */
  check_said("'pid' is not the namespace '/proc/1/ns/pid'");
  check_said("'uts' is not the namespace '/host'");
  check_said("'network' is not the namespace '/var/run/netns/x'");
  assert_null(strstr(said->str, "'ipc' is not"));
  /* The sender's document is untouched. */
  assert_string_equal(find_namespace(spec, "pid")->path, "/proc/1/ns/pid");
}

static Grpc__LinuxNamespace *entry_of(const OciSpec *spec, const char *type) {
  for (gsize i = 0; i < spec->linux->n_namespaces; i++)
    if (strcmp(spec->linux->namespaces[i]->type, type) == 0) return spec->linux->namespaces[i];
  return NULL;
}

static void test_own_namespaces(void **state) {
  g_autoptr(OciSpec) spec = parse(
      "\"hostname\":\"me\",\"linux\":{\"namespaces\":[{\"type\":\"ipc\"},{\"type\":\"uts\"},{\"type\":\"mount\"}]}");
  g_autoptr(OciSpec) shared = spec_prepare(spec, &place, NULL);
  assert_string_equal(find_namespace(shared, "uts")->path, "/uts");
  assert_string_equal(shared->hostname, "");
  entry_of(spec, "ipc")->own = entry_of(spec, "uts")->own = TRUE;
  g_autoptr(OciSpec) own = spec_prepare(spec, &place, NULL);
  assert_string_equal(find_namespace(own, "ipc")->path, "");
  assert_string_equal(find_namespace(own, "uts")->path, "");
  assert_string_equal(own->hostname, "me");
}

static void test_shared_pid_namespace(void **state) {
  g_autoptr(OciSpec) spec = parse("\"linux\":{}");
  SpecPlace shared = place;
  shared.pid_path = "/proc/77/ns/pid";
  g_autoptr(OciSpec) prepared = spec_prepare(spec, &shared, NULL);
  assert_non_null(prepared);
  assert_string_equal(find_namespace(prepared, "pid")->path, "/proc/77/ns/pid");
  assert_non_null(find_namespace(prepared, "mount"));
}

static void test_rewrites(void **state) {
  g_autoptr(OciSpec) spec = parse(
      "\"hostname\":\"mine\",\"linux\":{\"intelRdt\":{},\"resources\":{\"pids\":{\"limit\":7}}},"
      "\"mounts\":[{\"destination\":\"/d\",\"type\":\"local\",\"source\":\"/s\",\"options\":[\"rbind\",\"ro\"]},"
      "{\"destination\":\"/t\",\"type\":\"tmpfs\",\"source\":\"tmpfs\",\"options\":[\"nosuid\"]}]");
  g_autoptr(OciSpec) prepared = spec_prepare(spec, &place, NULL);
  assert_non_null(prepared);
  assert_string_equal(prepared->root->path, "/run/kata-containers/c1/rootfs");
  assert_string_equal(prepared->hostname, "");
  assert_string_equal(prepared->linux->cgroupspath, "/c1");
  assert_null(prepared->linux->intelrdt);
  assert_string_equal(prepared->mounts[0]->type, "bind");
  assert_string_equal(prepared->mounts[1]->type, "tmpfs");
  assert_int_equal(prepared->linux->resources->pids->limit, 7);
}

static void check_propagation(const char *given, const char *expected) {
  g_autofree char *members = g_strdup_printf("\"linux\":{\"rootfsPropagation\":\"%s\"}", given);
  g_autoptr(OciSpec) spec = parse(members);
  g_autoptr(OciSpec) prepared = spec_prepare(spec, &place, NULL);
  assert_string_equal(prepared->linux->rootfspropagation, expected);
}

static void test_propagation(void **state) {
  check_propagation("", "private");
  check_propagation("rprivate", "private");
  check_propagation("rslave", "slave");
  check_propagation("shared", "shared");
  check_propagation("unbindable", "unbindable");
}

static void check_cgroup_path(const char *given, const char *expected) {
  g_autofree char *members = g_strdup_printf("\"linux\":{\"cgroupsPath\":\"%s\"}", given);
  g_autoptr(OciSpec) spec = parse(members);
  g_autoptr(GError) error = NULL;
  g_autofree char *path = spec_get_cgroup_path(spec, "c1", &error);
  if (expected) {
    assert_non_null(path);
    assert_string_equal(path, expected);
  } else {
    assert_null(path);
    assert_int_equal(error_get_code(error), KATA_ERR_INVALID_ARGUMENT);
  }
}

/* crun 1.8 knows no name of a version but 1.0.x. */
static void test_version(void **state) {
  static const char *const known[] = {"", "1.0.0", "1.1.0", "1.2.1-dev", "1.3.0"};
  for (gsize i = 0; i < G_N_ELEMENTS(known); i++) {
    g_autoptr(OciSpec) spec = parse("\"linux\":{}");
    char *version = spec->version;
    spec->version = (char *)known[i];
    g_autoptr(OciSpec) prepared = spec_prepare(spec, &place, NULL);
    spec->version = version;
    assert_non_null(prepared);
    assert_string_equal(prepared->version, "1.0.2");
  }
  g_autoptr(OciSpec) spec = parse("\"linux\":{}");
  char *version = spec->version;
  spec->version = (char *)"2.0.0";
  g_autoptr(GError) error = NULL;
  assert_null(spec_prepare(spec, &place, &error));
  spec->version = version;
  assert_non_null(strstr(error->message, "version '2.0.0' is not known, only 1.x is"));
}

static void test_cgroup_path(void **state) {
  check_cgroup_path("", "/c1");
  check_cgroup_path("/a/b", "/a/b");
  check_cgroup_path("a//b/", "/a/b");
  check_cgroup_path("/./a", "/a");
  check_cgroup_path("system.slice:kata:id", "/system.slice/kata/id");
  check_cgroup_path("/a/../../b", NULL);
  check_cgroup_path("..:x:y", NULL);
  check_cgroup_path("/", NULL);
  check_cgroup_path("::", NULL);
}

static void check_refused(OciSpec *spec, const char *text) {
  g_autoptr(GError) error = NULL;
  assert_false(spec_check(spec, &error));
  assert_int_equal(error_get_code(error), KATA_ERR_INVALID_ARGUMENT);
  if (!strstr(error->message, text)) fail_msg("no '%s' in '%s'", text, error->message);
}

static void test_refused(void **state) {
  check_refused(NULL, "no process");
  g_autoptr(OciSpec) device = parse("\"linux\":{\"devices\":[{\"path\":\"/dev/x\",\"type\":\"c\"}]}");
  assert_true(spec_check(device, NULL));
  g_free(device->linux->devices[0]->type);
  device->linux->devices[0]->type = g_strdup("zebra");
  check_refused(device, "zebra");
  g_autoptr(OciSpec) root = parse("\"linux\":{}");
  g_free(root->root->path);
  root->root->path = g_strdup("rootfs");
  check_refused(root, "root path");
  g_autoptr(OciSpec) args = parse("\"linux\":{}");
  g_free(args->process->args[0]);
  args->process->args[0] = g_strdup("");
  check_refused(args, "no process");
  g_autoptr(OciSpec) namespace = parse("\"linux\":{\"namespaces\":[{\"type\":\"mount\"},{\"type\":\"uts\"}]}");
  g_free(namespace->linux->namespaces[1]->type);
  namespace->linux->namespaces[1]->type = g_strdup("zebra");
  check_refused(namespace, "linux.namespaces[1].type: 'zebra' does not exist");
}

static void check_missing(const char *members, const char *text) {
  g_autoptr(OciSpec) spec = parse(members);
  g_autoptr(GError) error = NULL;
  assert_false(spec_check(spec, &error));
  assert_int_equal(error_get_code(error), KATA_ERR_UNSUPPORTED);
  if (!strstr(error->message, text)) fail_msg("no '%s' in '%s'", text, error->message);
}

/* What this kernel cannot do and somebody counts on. Whether it has security modules is the machine's matter. */
static void test_missing(void **state) {
  check_missing("\"linux\":{\"intelRdt\":{\"l3CacheSchema\":\"L3:0=f\"}}", "linux.intelRdt: a guest has no caches");
  static const struct {
    const char *members, *field;
  } limits[] = {
      {"\"memory\":{\"kernel\":7}", "memory.kernel"},
      {"\"memory\":{\"kernelTCP\":7}", "memory.kernelTCP"},
      {"\"memory\":{\"swappiness\":1}", "memory.swappiness (but 0 and 60)"},
      {"\"memory\":{\"disableOOMKiller\":true}", "memory.disableOOMKiller"},
      {"\"cpu\":{\"realtimeRuntime\":1}", "cpu.realtimeRuntime"},
      {"\"cpu\":{\"realtimePeriod\":2}", "cpu.realtimePeriod"},
      {"\"network\":{\"classID\":1}", "network.classID"},
      {"\"network\":{\"priorities\":[{\"name\":\"eth0\",\"priority\":1}]}", "network.priorities"},
      {"\"blockIO\":{\"leafWeight\":6}", "blockIO.leafWeight"},
      {"\"blockIO\":{\"weightDevice\":[{\"major\":8,\"minor\":0,\"leafWeight\":7}]}", "blockIO.leafWeight"},
  };
  for (gsize i = 0; i < G_N_ELEMENTS(limits); i++) {
    g_autofree char *members = g_strdup_printf("\"linux\":{\"resources\":{%s}}", limits[i].members);
    g_autofree char *text = g_strdup_printf("linux.resources.%s: this guest has cgroup version 2", limits[i].field);
    check_missing(members, text);
  }
  if (access("/sys/fs/selinux/enforce", F_OK) == 0) return;
  check_missing("\"linux\":{\"mountLabel\":\"a:b:c\"}", "linux.mountLabel: this guest's kernel has no SELinux");
  g_autoptr(OciSpec) spec = parse("\"linux\":{}");
  spec->process->selinuxlabel = g_strdup("a:b:c");
  g_autoptr(GError) error = NULL;
  assert_null(spec_prepare_process(spec->process, &error));
  assert_int_equal(error_get_code(error), KATA_ERR_UNSUPPORTED);
  assert_string_equal(error->message, "process.selinuxLabel: this guest's kernel has no SELinux");
}

/* What is left out and refuses nobody's container is said in the log. */
static void test_warnings(void **state) {
  g_autoptr(OciSpec) spec = parse("\"linux\":{},\"hooks\":{\"createRuntime\":[{\"path\":\"/a\"}]}");
  Grpc__Solaris solaris = GRPC__SOLARIS__INIT;
  spec->solaris = &solaris;
  g_string_truncate(said, 0);
  g_autoptr(OciSpec) prepared = spec_prepare(spec, &place, NULL);
  spec->solaris = NULL;
  assert_non_null(prepared);
  check_said("hooks.createRuntime: 1 hooks are not run here");
  check_said("'solaris' and 'windows' of the OCI document are not looked at");
  if (access("/sys/kernel/security/apparmor", F_OK) == 0) return;
  check_said("process.apparmorProfile 'docker-default' confines nothing here: this guest's kernel has no AppArmor");
  assert_string_equal(prepared->process->apparmorprofile, "");
  g_string_truncate(said, 0);
  g_autoptr(OciProcess) process = spec_prepare_process(spec->process, NULL);
  check_said("'docker-default'");
  assert_string_equal(process->apparmorprofile, "");
}

/* ---- limits ---- */

static char *prepared_resources(const char *members, const SpecKernel *kernel, GError **error) {
  g_autofree char *text = g_strdup_printf("\"linux\":{\"resources\":{%s}}", members);
  g_autoptr(OciSpec) spec = parse(text);
  Grpc__LinuxCPU *cpu = spec->linux->resources->cpu;
  if (cpu) {
    /* As our owner sends them. */
    cpu->hostcpus = g_steal_pointer(&cpu->cpus);
    cpu->cpus = (char *)protobuf_c_empty_string;
  }
  SpecPlace own = place;
  own.kernel = *kernel;
  g_autoptr(OciSpec) prepared = spec_prepare(spec, &own, error);
  if (!prepared) return NULL;
  struct json_object *json = protobuf_to_json(&prepared->linux->resources->base, PROTOBUF_JSON_OCI);
  char *written = g_strdup(json_object_to_json_string_ext(json, JSON_C_TO_STRING_PLAIN));
  json_object_put(json);
  return written;
}

static void check_resources(const char *members, const char *expected) {
  static const SpecKernel kernel = {.cpus = "0-1\n", .mems = "0\n", .has_io_weight = TRUE, .has_swap_limit = TRUE};
  g_autoptr(GError) error = NULL;
  g_autofree char *written = prepared_resources(members, &kernel, &error);
  if (!written) fail_msg("%s", error->message);
  assert_string_equal(written, expected);
}

static void test_resources(void **state) {
  /* What there is anyway: no limit of kernel memory, the kernel's own swappiness, Docker's "as it is". */
  check_resources(
      "\"memory\":{\"limit\":-1,\"swap\":-1,\"reservation\":5,\"kernel\":-1,\"kernelTCP\":-1,"
      "\"swappiness\":60,\"disableOOMKiller\":false}",
      "{\"memory\":{\"limit\":-1,\"reservation\":5,\"swap\":-1}}");
  check_resources("\"memory\":{\"limit\":9,\"swappiness\":18446744073709551615}", "{\"memory\":{\"limit\":9}}");
  /* Never swapped, whatever limit of swap is beside it. */
  check_resources("\"memory\":{\"limit\":9,\"swap\":20,\"swappiness\":0}",
                  "{\"memory\":{\"limit\":9},\"unified\":{\"memory.swap.max\":\"0\"}}");
  static const SpecKernel without_swap = {.cpus = "0", .mems = "0"};
  g_autofree char *unswapped = prepared_resources("\"memory\":{\"swappiness\":0}", &without_swap, NULL);
  assert_string_equal(unswapped, "{\"memory\":{}}");
  /* Zeros mean "not set" to runc, but for these. */
  check_resources(
      "\"memory\":{\"limit\":0,\"swap\":0,\"reservation\":0},\"pids\":{\"limit\":0},"
      "\"cpu\":{\"shares\":0,\"quota\":0,\"period\":0,\"idle\":0,\"realtimeRuntime\":0,\"realtimePeriod\":0},"
      "\"blockIO\":{\"weight\":0,\"leafWeight\":0},\"network\":{}",
      "{\"memory\":{},\"cpu\":{\"idle\":0},\"pids\":{\"limit\":0}}");
  check_resources("\"cpu\":{\"quota\":-1,\"burst\":1000}",
                  "{\"cpu\":{},\"unified\":{\"cpu.max\":\"max\",\"cpu.max.burst\":\"1000\"}}");
  check_resources("\"cpu\":{\"quota\":-1,\"period\":5000}", "{\"cpu\":{},\"unified\":{\"cpu.max\":\"max 5000\"}}");
  check_resources("\"cpu\":{\"burst\":1000},\"unified\":{\"cpu.max.burst\":\"7\"}",
                  "{\"cpu\":{},\"unified\":{\"cpu.max.burst\":\"7\"}}");
  check_resources(
      "\"blockIO\":{\"weight\":15,\"weightDevice\":[{\"major\":8,\"minor\":0,"
      "\"weight\":70}],\"throttleReadBpsDevice\":[{\"major\":8,\"minor\":0,\"rate\":9}]}",
      "{\"blockIO\":{\"weight\":15,\"throttleReadBpsDevice\":[{\"major\":8,\"minor\":0,\"rate\":9}]}}");
}

static void check_no_weight(const char *members) {
  static const SpecKernel kernel = {.cpus = "0-1", .mems = "0"};
  g_autoptr(GError) error = NULL;
  assert_null(prepared_resources(members, &kernel, &error));
  assert_int_equal(error_get_code(error), KATA_ERR_UNSUPPORTED);
  assert_non_null(strstr(error->message, "blockIO.weight: this guest's kernel cannot weigh"));
}

static void test_no_io_weight(void **state) {
  check_no_weight("\"blockIO\":{\"weight\":15}");
  check_no_weight("\"blockIO\":{\"weightDevice\":[{\"major\":8,\"minor\":0,\"weight\":70}]}");
}

/* Said here, whether or not the guest's kernel has the controller. */
static void test_impossible_resources(void **state) {
  static const struct {
    const char *members, *text;
  } cases[] = {
      {"\"memory\":{\"limit\":-5}", "memory.limit is -5"},
      {"\"memory\":{\"reservation\":-2}", "memory.reservation is -2"},
      {"\"memory\":{\"swap\":-9223372036854775807}", "memory.swap is -9223372036854775807"},
      {"\"cpu\":{\"cpus\":\"9-2000000\"}", "cpu.cpus '9-2000000'"},
      {"\"cpu\":{\"cpus\":\"0,x\"}", "cpu.cpus '0,x'"},
      {"\"cpu\":{\"mems\":\"1-0\"}", "cpu.mems '1-0'"},
      {"\"cpu\":{\"idle\":2}", "cpu.idle is 2: it can be 0 or 1"},
      {"\"blockIO\":{\"weight\":9}", "blockIO.weight is 9: it can be from 10 to 1000"},
      {"\"blockIO\":{\"weight\":1001}", "blockIO.weight is 1001"},
      {"\"blockIO\":{\"weightDevice\":[{\"major\":8,\"weight\":10},{\"major\":8,\"minor\":16,\"weight\":9}]}",
       "blockIO.weightDevice[1].weight is 9: it can be from 10 to 1000"},
      {"\"blockIO\":{\"weightDevice\":[{\"major\":8,\"weight\":1001}]}", "blockIO.weightDevice[0].weight is 1001"},
  };
  static const SpecKernel kernel = {.cpus = "0-1", .mems = "0"};
  for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autoptr(GError) error = NULL;
    assert_null(prepared_resources(cases[i].members, &kernel, &error));
    assert_int_equal(error_get_code(error), KATA_ERR_INVALID_ARGUMENT);
    if (!strstr(error->message, cases[i].text)) fail_msg("no '%s' in '%s'", cases[i].text, error->message);
  }
}

static void test_device_weights(void **state) {
  g_autoptr(OciSpec) spec = parse(
      "\"linux\":{\"resources\":{\"blockIO\":{\"weightDevice\":[{\"major\":8,\"minor\":0,\"weight\":10},"
      "{\"major\":8,\"minor\":16,\"weight\":1000},{\"major\":8,\"minor\":32,\"leafWeight\":7}]}}}");
  g_auto(GStrv) lines = spec_get_device_weights(spec->linux->resources);
  assert_int_equal(g_strv_length(lines), 2);
  assert_string_equal(lines[0], "8:0 1");
  assert_string_equal(lines[1], "8:16 10000");
  g_auto(GStrv) none = spec_get_device_weights(NULL);
  assert_int_equal(g_strv_length(none), 0);
}

static void test_host_cpus(void **state) {
  check_resources("\"cpu\":{\"cpus\":\"7\"}", "{\"cpu\":{\"cpus\":\"1\"}}");
  /* All there are is no limit. */
  check_resources("\"cpu\":{\"cpus\":\"4-7\"}", "{\"cpu\":{}}");
  static const SpecKernel later = {.cpus = "0-1", .has_cpus_limit = TRUE};
  g_autofree char *lifted = prepared_resources("\"cpu\":{\"cpus\":\"4-7\"}", &later, NULL);
  assert_string_equal(lifted, "{\"cpu\":{\"cpus\":\"0-1\"}}");
  static const SpecKernel none = {0};
  g_autofree char *without = prepared_resources("\"cpu\":{\"cpus\":\"7\"}", &none, NULL);
  assert_string_equal(without, "{\"cpu\":{}}");
  static const SpecKernel two = {.cpus = "0-1"};
  g_autoptr(GError) error = NULL;
  assert_null(prepared_resources("\"cpu\":{\"cpus\":\"7-\"}", &two, &error));
  assert_int_equal(error_get_code(error), KATA_ERR_INVALID_ARGUMENT);
  assert_non_null(strstr(error->message, "cpu.cpus '7-'"));
}

static void test_memory_update(void **state) {
  g_autoptr(OciSpec) spec =
      parse("\"linux\":{\"resources\":{\"memory\":{\"limit\":100,\"swap\":200,\"checkBeforeUpdate\":true}}}");
  OciResources *resources = spec->linux->resources;
  g_autoptr(GError) error = NULL;
  assert_true(spec_check_memory_update(resources, 99, &error));
  assert_false(spec_check_memory_update(resources, 100, &error));
  assert_string_equal(error->message, "rejecting memory limit 100 <= usage 100");
  g_clear_error(&error);
  assert_false(spec_check_memory_update(resources, 300, &error));
  assert_string_equal(error->message, "rejecting memory+swap limit 200 <= usage 300");
  resources->memory->checkbeforeupdate = FALSE;
  assert_true(spec_check_memory_update(resources, 300, NULL));
}

/* createRuntime is the host's. */
static void test_hooks(void **state) {
  g_autoptr(OciSpec) spec = parse(
      "\"linux\":{},\"hooks\":{\"createRuntime\":[{\"path\":\"/a\"}],\"prestart\":[{\"path\":\"/b\"}],"
      "\"createContainer\":[{\"path\":\"/c\"}],\"startContainer\":[{\"path\":\"/d\"}]}");
  g_autoptr(OciSpec) prepared = spec_prepare(spec, &place, NULL);
  assert_non_null(prepared);
  assert_int_equal(prepared->hooks->n_createruntime, 0);
  assert_int_equal(prepared->hooks->n_prestart, 1);
  assert_int_equal(prepared->hooks->n_createcontainer, 1);
  assert_int_equal(prepared->hooks->n_startcontainer, 1);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_namespaces),
      cmocka_unit_test(test_own_namespaces),
      cmocka_unit_test(test_shared_pid_namespace),
      cmocka_unit_test(test_rewrites),
      cmocka_unit_test(test_propagation),
      cmocka_unit_test(test_version),
      cmocka_unit_test(test_cgroup_path),
      cmocka_unit_test(test_refused),
      cmocka_unit_test(test_resources),
      cmocka_unit_test(test_host_cpus),
      cmocka_unit_test(test_memory_update),
      cmocka_unit_test(test_hooks),
      cmocka_unit_test(test_impossible_resources),
      cmocka_unit_test(test_device_weights),
      cmocka_unit_test(test_no_io_weight),
      cmocka_unit_test(test_missing),
      cmocka_unit_test(test_warnings),
  };
  return cmocka_run_group_tests_name("agent-spec", tests, start_listening, stop_listening);
}
