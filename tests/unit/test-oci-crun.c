// SPDX-License-Identifier: LGPL-2.1-or-later
/* crun takes what we write: its schema is the judge of which members must be there and what they are called. */
#include <errno.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/oci.h"
#include "common/safe-path.h"
#include "common/spawn.h"

#define SKIPPED 77
#define BUSYBOX "/bin/busybox"
#define PATIENCE_MS 120000

static const char *const applets[] = {"sh", "true", "echo", "id", "hostname", "cat", "ls"};
static const char *const folders[] = {"bin", "proc", "dev", "sys", "tmp", "data"};

static char *folder; /* holds the bundle and crun's state */
static char *bundle;
static char *container; /* a name that nobody else uses */

static char *run(const char *cwd, const char *const *argv, int *status) {
  SpawnOptions options = SPAWN_OPTIONS_INIT;
  options.argv = argv;
  options.cwd = cwd;
  g_autofree char *complaints = NULL;
  char *output = NULL;
  g_autoptr(GError) error = NULL;
  if (!spawn_run(&options, NULL, 1u << 20, PATIENCE_MS, &output, NULL, &complaints, status, &error)) {
    fail_msg("%s", error->message);
  }
  if (*complaints != '\0') print_message("%s", complaints);
  return output;
}

static char *crun(const char *command, int *status) {
  g_autofree char *root = g_build_filename(folder, "state", NULL);
  const char *const argv[] = {"crun", "--cgroup-manager", "cgroupfs", "--root", root, command, container, NULL};
  return run(bundle, argv, status);
}

static int set_up(void **state) {
  folder = g_dir_make_tmp("oci-crun-XXXXXX", NULL);
  bundle = g_build_filename(folder, "bundle", NULL);
  container = g_strdup_printf("oci-crun-%d", (int)getpid());
  for (gsize i = 0; i < G_N_ELEMENTS(folders); i++) {
    g_autofree char *path = g_build_filename(bundle, "rootfs", folders[i], NULL);
    if (g_mkdir_with_parents(path, 0755) < 0) return -1;
  }
  g_autofree char *program = NULL;
  g_autofree char *copy = g_build_filename(bundle, "rootfs/bin/busybox", NULL);
  gsize length;
  if (!g_file_get_contents(BUSYBOX, &program, &length, NULL)) return -1;
  if (!safe_write_file(copy, program, (gssize)length, 0755, FALSE, NULL)) return -1;
  for (gsize i = 0; i < G_N_ELEMENTS(applets); i++) {
    g_autofree char *path = g_build_filename(bundle, "rootfs/bin", applets[i], NULL);
    if (symlink("busybox", path) < 0) return -1;
  }
  return chmod(folder, 0755);
}

static int tear_down(void **state) {
  gboolean is_removed = safe_remove_tree(folder, NULL);
  g_clear_pointer(&folder, g_free);
  g_clear_pointer(&bundle, g_free);
  g_clear_pointer(&container, g_free);
  return is_removed ? 0 : -1;
}

static void write_config(const OciSpec *spec) {
  g_autofree char *json = oci_spec_to_json(spec);
  g_autofree char *path = g_build_filename(bundle, "config.json", NULL);
  assert_true(safe_write_file(path, json, -1, 0644, FALSE, NULL));
}

static void drop_user_namespace(Grpc__Linux *linux) {
  for (size_t i = 0; i < linux->n_namespaces; i++) {
    if (strcmp(linux->namespaces[i]->type, "user") != 0) continue;
    grpc__linux_namespace__free_unpacked(linux->namespaces[i], NULL);
    linux->namespaces[i] = linux->namespaces[--linux->n_namespaces];
  }
  for (size_t i = 0; i < linux->n_uidmappings; i++) grpc__linux_idmapping__free_unpacked(linux->uidmappings[i], NULL);
  for (size_t i = 0; i < linux->n_gidmappings; i++) grpc__linux_idmapping__free_unpacked(linux->gidmappings[i], NULL);
  linux->n_uidmappings = linux->n_gidmappings = 0;
}

static void drop_mappings(Grpc__Mount *mount) {
  for (size_t i = 0; i < mount->n_uidmappings; i++) grpc__linux_idmapping__free_unpacked(mount->uidmappings[i], NULL);
  for (size_t i = 0; i < mount->n_gidmappings; i++) grpc__linux_idmapping__free_unpacked(mount->gidmappings[i], NULL);
  mount->n_uidmappings = mount->n_gidmappings = 0;
}

/* The document that has everything, but for what this host's kernel may not have. Its hooks read all of their input:
 * crun 1.8.1 fails when a hook is gone before crun has written the state to it. */
static void test_everything_runs(void **state) {
  const char *top = g_getenv("top_srcdir");
  g_autofree char *path = g_build_filename(top != NULL ? top : "..", "tests/data/oci-everything.json", NULL);
  gsize length;
  g_autofree char *text = safe_read_file(path, OCI_DOCUMENT_LIMIT, &length, NULL);
  assert_non_null(text);
  g_autoptr(OciSpec) spec = oci_spec_parse(text, length, "config.json", NULL);
  assert_non_null(spec);
  Grpc__Linux *linux = spec->linux;
  drop_user_namespace(linux);
  grpc__linux_intel_rdt__free_unpacked(g_steal_pointer(&linux->intelrdt), NULL);
  OciResources *resources = linux->resources;
  grpc__linux_block_io__free_unpacked(g_steal_pointer(&resources->blockio), NULL);
  grpc__linux_network__free_unpacked(g_steal_pointer(&resources->network), NULL);
  for (size_t i = 0; i < resources->n_hugepagelimits; i++) {
    grpc__linux_hugepage_limit__free_unpacked(resources->hugepagelimits[i], NULL);
  }
  resources->n_hugepagelimits = 0;
  grpc__linux_memory__free_unpacked(g_steal_pointer(&resources->memory), NULL);
  grpc__linux_cpu__free_unpacked(g_steal_pointer(&resources->cpu), NULL);
  /* What only cgroup v2 has, only some file systems can, and who listens for system calls. */
  for (size_t i = 0; i < resources->n_unified; i++)
    protobuf_c_message_free_unpacked(&resources->unified[i]->base, NULL);
  resources->n_unified = 0;
  for (size_t i = 0; i < spec->n_mounts; i++) drop_mappings(spec->mounts[i]);
  /* Means nothing beside ALLOW, says crun. */
  linux->seccomp->default_errno_ret_given_case = GRPC__LINUX_SECCOMP__DEFAULT_ERRNO_RET_GIVEN__NOT_SET;
  g_free(linux->seccomp->listenerpath);
  linux->seccomp->listenerpath = g_strdup("");
  g_free(linux->seccomp->listenermetadata);
  linux->seccomp->listenermetadata = g_strdup("");
  g_free(linux->cgroupspath);
  linux->cgroupspath = g_strconcat("/", container, NULL);
  write_config(spec);

  int status;
  g_autofree char *output = crun("run", &status);
  assert_string_equal(output, "pid 1\n0\neverything\n100\n/dev/kmsg2\n/dev/pipe\n");
  assert_int_equal(status, 0);
}

/* What crun itself proposes, read and written again. */
static void test_crun_spec_runs(void **state) {
  int status;
  g_autofree char *nothing = run(bundle, (const char *const[]){"crun", "spec", NULL}, &status);
  assert_int_equal(status, 0);
  g_autoptr(GError) error = NULL;
  g_autoptr(OciSpec) spec = oci_spec_load(bundle, &error);
  if (spec == NULL) fail_msg("%s", error->message);
  spec->process->terminal = FALSE;
  for (size_t i = 0; i < spec->process->n_args; i++) g_free(spec->process->args[i]);
  spec->process->args[0] = g_strdup("/bin/echo");
  spec->process->n_args = 1;
  write_config(spec);
  g_autofree char *output = crun("run", &status);
  assert_string_equal(output, "\n");
  assert_int_equal(status, 0);
}

static void test_create_start_delete(void **state) {
  static const char text[] =
      "{\"ociVersion\": \"1.0.2\", \"process\": {\"args\": [\"/bin/true\"], \"cwd\": \"/\", \"user\": {}}, "
      "\"root\": {\"path\": \"rootfs\"}}";
  g_autoptr(OciSpec) spec = oci_spec_parse(text, strlen(text), "config.json", NULL);
  assert_non_null(spec);
  write_config(spec);
  static const char *const commands[] = {"create", "state", "start", "delete"};
  for (gsize i = 0; i < G_N_ELEMENTS(commands); i++) {
    int status;
    g_autofree char *output = NULL;
    /* It ends by itself some time after its start; until then it cannot be deleted. */
    for (int n = 0; n < 500; n++) {
      g_clear_pointer(&output, g_free);
      output = crun(commands[i], &status);
      if (status == 0 || strcmp(commands[i], "delete") != 0) break;
      g_usleep(20000);
    }
    if (status != 0) fail_msg("crun %s: %d", commands[i], status);
    if (strcmp(commands[i], "state") == 0) assert_non_null(strstr(output, "\"created\""));
  }
}

/* crun refuses to run beside a cgroup v2 tree that only half the controllers have. */
static gboolean enter_own_mounts(void) {
  if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", "", MS_REC | MS_PRIVATE, "") < 0) return FALSE;
  return umount("/sys/fs/cgroup/unified") == 0 || errno == EINVAL || errno == ENOENT;
}

int main(void) {
  g_autofree char *program = g_find_program_in_path("crun");
  if (program == NULL || access(BUSYBOX, X_OK) < 0) {
    puts("skipped: crun and " BUSYBOX " are needed");
    return SKIPPED;
  }
  if (!enter_own_mounts()) {
    puts("skipped: root is needed to run containers");
    return SKIPPED;
  }
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(test_everything_runs, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_crun_spec_runs, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_create_start_delete, set_up, tear_down),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
