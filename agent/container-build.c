/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a container needs before crun comes, and how it goes away. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/cgroup.h"
#include "agent/container-private.h"
#include "agent/device-spec.h"
#include "agent/mount.h"
#include "agent/spec.h"
#include "agent/storage-modes.h"
#include "agent/task.h"
#include "agent/user.h"
#include "common/error.h"
#include "common/safe-path.h"

/* The network is the guest's, which is ours and so crun's. */
#define SHARED_NETWORK "/proc/self/ns/net"
#define BIND_TIMEOUT_MS 30000

/* The pid namespace to join, *ret_path NULL for one of its own. It is that of the sandbox's first container, as
 * upstream has it; one of nobody's where that has ended, or asked for a shared one itself, or where CreateSandbox asked
 * for one that all containers share. */
static gboolean find_pid_namespace(const Container *container, gboolean shared, char **ret_path, GError **error) {
  Sandbox *sandbox = container->sandbox;
  *ret_path = NULL;
  if (!shared && !sandbox->shares_pid) return TRUE;
  const char *owner_id = sandbox->pid_namespace_owner;
  const Container *owner = owner_id ? sandbox_find_container(sandbox, owner_id) : NULL;
  gboolean is_owned = owner && owner != container && owner->init && process_is_alive(owner->init);
  if (is_owned && !namespaces_has_pid(sandbox->namespaces))
    *ret_path = g_strdup_printf("/proc/%d/ns/pid", (int)owner->init->pid);
  else
    *ret_path = g_strdup(namespaces_get_pid(sandbox->namespaces, error));
  return *ret_path != NULL;
}

void container_kernel_look(ContainerKernel *kernel) {
  static int has_io_weight = -1, has_swap_limit = -1;
  if (has_io_weight < 0) has_io_weight = cgroup_has_file("io.weight") || cgroup_has_file("io.bfq.weight");
  if (has_swap_limit < 0) has_swap_limit = cgroup_has_file("memory.swap.max");
  kernel->cpus = cgroup_read("", "cpuset.cpus.effective");
  kernel->mems = cgroup_read("", "cpuset.mems.effective");
  kernel->kernel = (SpecKernel){
      .cpus = kernel->cpus,
      .mems = kernel->mems,
      .has_io_weight = has_io_weight,
      .has_swap_limit = has_swap_limit,
  };
}

void container_kernel_clear(ContainerKernel *kernel) {
  g_clear_pointer(&kernel->cpus, g_free);
  g_clear_pointer(&kernel->mems, g_free);
}

static OciSpec *make_spec(Container *container, const Grpc__CreateContainerRequest *request, const char *rootfs,
                          GError **error) {
  Sandbox *sandbox = container->sandbox;
  if (!namespaces_make(sandbox->namespaces, error)) return NULL;
  g_autofree char *pid_path = NULL;
  if (!find_pid_namespace(container, request->sandbox_pidns, &pid_path, error)) return NULL;
  g_auto(ContainerKernel) kernel = {0};
  container_kernel_look(&kernel);
  SpecPlace place = {
      .kernel = kernel.kernel,
      .container_id = container->id,
      .rootfs = rootfs,
      .ipc_path = namespaces_get_ipc(sandbox->namespaces),
      .uts_path = namespaces_get_uts(sandbox->namespaces),
      .network_path = SHARED_NETWORK,
      .pid_path = pid_path,
  };
  return spec_prepare(request->oci, &place, error);
}

static gboolean write_config(Container *container, OciSpec *spec, GError **error) {
  device_spec_apply(container->devices, spec);
  guest_hooks_add(container->sandbox->guest_hooks, spec);
  storage_modes_apply(container->sandbox->storages, spec);
  container->has_start_hooks = spec->hooks && spec->hooks->n_poststart > 0;
  container->has_stop_hooks = spec->hooks && spec->hooks->n_poststop > 0;
  g_autofree char *text = oci_spec_to_json(spec);
  g_autofree char *path = g_build_filename(container->bundle, "config.json", NULL);
  return safe_write_file(path, text, -1, 0600, FALSE, error);
}

/* Two containers in one cgroup, or one in the other's, would be killed together. */
static gboolean check_cgroup(const Container *container, GError **error) {
  GHashTableIter iter;
  gpointer value = NULL;
  g_autofree char *own = g_strconcat(container->cgroup_path, "/", NULL);
  g_hash_table_iter_init(&iter, container->sandbox->containers);
  while (g_hash_table_iter_next(&iter, NULL, &value)) {
    const Container *other = value;
    if (other == container || !other->cgroup_path) continue;
    g_autofree char *others = g_strconcat(other->cgroup_path, "/", NULL);
    if (!g_str_has_prefix(own, others) && !g_str_has_prefix(others, own)) continue;
    g_set_error(error, KATA_ERROR, KATA_ERR_ALREADY_EXISTS, "cgroup '%s' of container '%s' is in use by container '%s'",
                container->cgroup_path, container->id, other->id);
    return FALSE;
  }
  return TRUE;
}

/* What can be refused before anything is waited for. */
static gboolean claim_cgroup(Container *container, const Grpc__CreateContainerRequest *request, GError **error) {
  g_autofree char *cgroup_path = spec_get_cgroup_path(request->oci, container->id, error);
  if (!cgroup_path) return FALSE;
  container->cgroup_path = g_steal_pointer(&cgroup_path);
  if (check_cgroup(container, error)) return TRUE;
  g_clear_pointer(&container->cgroup_path, g_free);
  return FALSE;
}

typedef struct {
  Container *container;
  const Grpc__CreateContainerRequest *request;
  OciSpec *spec; /* as crun gets it */
  char *rootfs;
  ContainerFunc func;
  gpointer user_data;
} Build;

static void build_end(Build *ended, const GError *error) {
  g_autofree Build *build = ended;
  oci_spec_free(build->spec);
  g_free(build->rootfs);
  build->func(error, build->user_data);
}

static gboolean is_wanted(const Build *build, GError **error) {
  if (build->container->state != CONTAINER_REMOVING) return TRUE;
  g_set_error(error, KATA_ERROR, KATA_ERR_CANCELLED, "it is to be removed already");
  return FALSE;
}

/* The last step. */
static void user_found(const GError *user_error, gpointer user_data) {
  Build *build = user_data;
  g_autoptr(GError) error = user_error ? g_error_copy(user_error) : NULL;
  if (!error && is_wanted(build, &error)) write_config(build->container, build->spec, &error);
  build_end(build, error);
}

static void make_document(Build *build, GError **error) {
  Container *container = build->container;
  build->spec = make_spec(container, build->request, build->rootfs, error);
  if (build->spec)
    user_start(container->sandbox->reaper, build->rootfs, build->request->string_user, build->spec->process, user_found,
               build);
}

static gboolean bind_rootfs(gpointer data, GString *result, GError **error) {
  const Build *build = data;
  return mount_bind(build->request->oci->root->path, build->rootfs, error);
}

/* A helper that was killed may have been done. */
static void rootfs_bound(const char *result, const GError *bind_error, gpointer user_data) {
  Build *build = user_data;
  build->container->is_rootfs_bound = !bind_error || error_get_code(bind_error) == KATA_ERR_TIMEOUT;
  g_autoptr(GError) error = bind_error ? g_error_copy(bind_error) : NULL;
  if (!error && is_wanted(build, &error)) make_document(build, &error);
  if (error) build_end(build, error);
}

/* The way to it may lead through a file system that another container serves. */
static void start_binding(Build *build) {
  TaskRequest task = {.work = bind_rootfs, .data = build, .timeout_ms = BIND_TIMEOUT_MS};
  task_start(build->container->sandbox->reaper, &task, rootfs_bound, build);
}

static gboolean make_directory(const char *path, gboolean *ret_was_there, GError **error) {
  *ret_was_there = mkdir(path, 0755) < 0;
  if (!*ret_was_there || errno == EEXIST) return TRUE;
  error_set_errno(error, errno, "cannot make '%s'", path);
  return FALSE;
}

/* A storage may have mounted the root file system there. */
static void make_bundle(Build *build, GError **error) {
  gboolean was_there = FALSE;
  if (!make_directory(build->container->bundle, &was_there, error) || !make_directory(build->rootfs, &was_there, error))
    return;
  if (was_there)
    make_document(build, error);
  else
    start_binding(build);
}

static void prepared(const GError *prepare_error, gpointer user_data) {
  Build *build = user_data;
  g_autoptr(GError) error = prepare_error ? g_error_copy(prepare_error) : NULL;
  build->container->preparation = NULL;
  build->rootfs = g_build_filename(build->container->bundle, "rootfs", NULL);
  if (!error && is_wanted(build, &error)) make_bundle(build, &error);
  if (error) build_end(build, error);
}

void container_build(Container *container, const Grpc__CreateContainerRequest *request, ContainerFunc func,
                     gpointer user_data) {
  g_autoptr(GError) error = NULL;
  if (!claim_cgroup(container, request, &error)) {
    func(error, user_data);
    return;
  }
  if (g_mkdir_with_parents(MOUNT_ROOT, 0755) < 0 || g_mkdir_with_parents(CRUN_STATE_DIR, 0700) < 0) {
    error_set_errno(&error, errno, "cannot make '%s'", MOUNT_ROOT);
    func(error, user_data);
    return;
  }
  Build *build = g_new(Build, 1);
  *build = (Build){.container = container, .request = request, .func = func, .user_data = user_data};
  PreparationRequest wanted = {
      .container_id = container->id,
      .devices = request->devices,
      .n_devices = request->n_devices,
      .storages = request->storages,
      .n_storages = request->n_storages,
      .keys = container->storages,
      .found = container->devices,
  };
  if (wanted.n_devices == 0 && wanted.n_storages == 0)
    prepared(NULL, build);
  else
    container->preparation = preparation_start(container->sandbox, &wanted, prepared, build);
}

typedef struct {
  Container *container;
  void (*func)(gpointer user_data);
  gpointer user_data;
} Unbuild;

static gboolean remove_bundle(gpointer path, GString *result, GError **error) { return safe_remove_tree(path, error); }

static void bundle_removed(const char *result, const GError *error, gpointer user_data) {
  g_autofree Unbuild *unbuild = user_data;
  if (error) g_warning("%s", error->message);
  unbuild->func(unbuild->user_data);
}

static void released(gpointer user_data) {
  Unbuild *unbuild = user_data;
  char *bundle = unbuild->container->bundle;
  g_autofree char *layer = g_build_filename(bundle, STORAGE_LAYER_NAME, NULL);
  /* All that the container ever wrote may be in it. */
  if (access(layer, F_OK) == 0) {
    TaskRequest task = {.work = remove_bundle, .data = bundle};
    task_start(unbuild->container->sandbox->reaper, &task, bundle_removed, unbuild);
    return;
  }
  g_autoptr(GError) error = NULL;
  remove_bundle(bundle, NULL, &error);
  bundle_removed(NULL, error, unbuild);
}

void container_unbuild(Container *container, void (*func)(gpointer user_data), gpointer user_data) {
  g_autofree char *rootfs = g_build_filename(container->bundle, "rootfs", NULL);
  if (container->is_rootfs_bound && umount2(rootfs, UMOUNT_NOFOLLOW | MNT_DETACH) < 0)
    g_warning("cannot unmount '%s': %s", rootfs, g_strerror(errno));
  container->is_rootfs_bound = FALSE;
  Unbuild *unbuild = g_new(Unbuild, 1);
  *unbuild = (Unbuild){container, func, user_data};
  g_autoptr(GPtrArray) keys = g_steal_pointer(&container->storages);
  container->storages = g_ptr_array_new_with_free_func(g_free);
  storage_table_release(container->sandbox->storages, keys, released, unbuild);
}
