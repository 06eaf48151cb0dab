// SPDX-License-Identifier: LGPL-2.1-or-later
#include "shim/container-create.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/error.h"
#include "common/fds.h"
#include "common/ids.h"
#include "common/mount-point.h"
#include "common/oci.h"
#include "common/safe-path.h"
#include "lib/annotations.h"
#include "proto/kata-v1.pb-c.h"
#include "shim/agent-link.h"
#include "shim/cgroup-limits.h"
#include "shim/cgroup-systemd.h"
#include "shim/cgroup.h"
#include "shim/checkpoint.h"
#include "shim/container-delete.h"
#include "shim/guest-spec.h"
#include "shim/limits.h"
#include "shim/resize.h"
#include "shim/rootfs.h"
#include "shim/sandbox-dir.h"
#include "shim/sandbox-network.h"
#include "shim/sandbox-pod.h"
#include "shim/start-input.h"
#include "shim/store.h"
#include "shim/task-events.h"
#include "shim/volumes.h"

#define RESOLV_CONF "/etc/resolv.conf"
/* What the agent takes: 256 lines, each of 4096 bytes; a file so short has none longer. */
#define RESOLV_CONF_LIMIT 4096
#define RESOLV_CONF_LINES 256

/* What has been done for a container so far; undone from the end. */
typedef struct {
  Sandbox *sandbox;
  const char *id;
  char *bundle;
  OciSpec *spec; /* as the guest gets it */
  Kata__V1__ContainerInfo *info;
  char *netns_path;  /* "": one of its own */
  GPtrArray *shares; /* GuestShare */
  GArray *trees;     /* int, a mount tree for each share */
  Process *process;
  OciHooks *hooks; /* those of the host, or NULL */
  pid_t peer;      /* the caller's process */
  gboolean shares_pidns;
  gboolean hooked; /* hooks have begun to run: those of the end are due */
  gboolean bound;
  VmDemand demand;
  gboolean moved_host_process;
  char *cgroups_path; /* config.json's as a directory's; NULL: none */
  char *scope;        /* as it stands there, where it names one that systemd shall make, or NULL */
  OciResources *resources;
  char **cgroups; /* directories, or NULL */
  gboolean linked;
  gsize n_rootfs; /* how many mounts lie at the bundle's rootfs, until the guest has them */
  Volumes *volumes;
  const char *checkpoint_dir; /* NULL: a new container */
  Kata__V1__Checkpoint *checkpoint;
} Creation;

static void clear_tree(gpointer fd) { fd_clear(fd); }

static void creation_clear(Creation *creation) {
  g_free(creation->bundle);
  g_free(creation->netns_path);
  g_clear_pointer(&creation->volumes, volumes_free);
  if (creation->checkpoint != NULL) protobuf_c_message_free_unpacked(&creation->checkpoint->base, NULL);
  oci_spec_free(creation->spec);
  if (creation->info != NULL) protobuf_c_message_free_unpacked(&creation->info->base, NULL);
  g_clear_pointer(&creation->shares, g_ptr_array_unref);
  g_clear_pointer(&creation->trees, g_array_unref);
  process_unref(creation->process);
  hooks_free(creation->hooks);
  g_strfreev(creation->cgroups);
  g_free(creation->cgroups_path);
  g_free(creation->scope);
  oci_resources_free(creation->resources);
}

static void creation_undo(Creation *creation) {
  if (creation->volumes != NULL) volumes_hide(creation->volumes);
  if (creation->linked) sandbox_dir_unlink(creation->sandbox->root, creation->id);
  /* The host process may still have to be told; the sandbox's own cgroup goes with the sandbox. */
  if (creation->moved_host_process) {
    g_auto(GStrv) home = cgroup_find(creation->peer);
    cgroup_add(home, (pid_t)process_get_host_pid(creation->process), NULL);
  }
  if (creation->sandbox->cgroups == NULL || !cgroup_is_same(creation->cgroups, creation->sandbox->cgroups))
    cgroup_remove(creation->cgroups);
  HookSubject subject = {.info = creation->info, .status = "stopped", .place = creation->peer};
  subject.outside_network =
      creation->process != NULL && process_get_host_pid(creation->process) == (guint32)creation->peer;
  if (creation->hooked) hooks_run_all(creation->hooks, HOOK_POSTSTOP, &subject);
}

/* The container's process on the host, which a caller that is libkata names. */
static gboolean read_options(const Containerd__Task__V2__CreateTaskRequest *request, guint32 *ret_host_pid,
                             gboolean *ret_bound, GError **error) {
  if (request->options == NULL) return TRUE;
  /* Others than libkata's have been looked at before. */
  if (strcmp(request->options->type_url, "kata.v1.CreateOptions") != 0) return TRUE;
  Kata__V1__CreateOptions *options =
      kata__v1__create_options__unpack(NULL, request->options->value.len, request->options->value.data);
  if (options == NULL) {
    g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT, "the call's options are not a kata.v1.CreateOptions");
    return FALSE;
  }
  *ret_host_pid = options->host_pid;
  *ret_bound = options->bound;
  kata__v1__create_options__free_unpacked(options, NULL);
  return TRUE;
}

static Kata__V1__ContainerInfo *make_info(const Creation *creation) {
  const OciSpec *spec = creation->spec;
  Kata__V1__ContainerInfo info = KATA__V1__CONTAINER_INFO__INIT;
  g_autofree char *process_json = oci_process_to_json(spec->process);
  g_autofree char *rootfs = g_canonicalize_filename(spec->root->path, creation->bundle);
  Google__Protobuf__Timestamp now = GOOGLE__PROTOBUF__TIMESTAMP__INIT;
  gint64 now_us = g_get_real_time();
  now.seconds = now_us / G_USEC_PER_SEC;
  now.nanos = (gint32)(now_us % G_USEC_PER_SEC) * 1000;
  info.id = (char *)creation->id;
  info.sandbox_id = creation->sandbox->id;
  info.bundle = creation->bundle;
  info.rootfs = rootfs;
  info.oci_version = spec->version;
  info.created_at = &now;
  info.terminal = spec->process->terminal;
  info.process_json = process_json;
  info.uid = spec->process->user != NULL ? spec->process->user->uid : 0;
  /* Entries of both maps have the same form: key 1, value 2. */
  info.n_annotations = spec->n_annotations;
  info.annotations = (Kata__V1__ContainerInfo__AnnotationsEntry **)g_newa(gpointer, spec->n_annotations + 1);
  g_autofree Kata__V1__ContainerInfo__AnnotationsEntry *entries =
      g_new0(Kata__V1__ContainerInfo__AnnotationsEntry, spec->n_annotations + 1);
  for (size_t i = 0; i < spec->n_annotations; i++) {
    kata__v1__container_info__annotations_entry__init(&entries[i]);
    entries[i].key = spec->annotations[i]->key;
    entries[i].value = spec->annotations[i]->value;
    info.annotations[i] = &entries[i];
  }
  gsize size = kata__v1__container_info__get_packed_size(&info);
  g_autofree guint8 *packed = g_malloc(size);
  kata__v1__container_info__pack(&info, packed);
  return kata__v1__container_info__unpack(NULL, size, packed);
}

static gboolean is_scope(const char *cgroups_path) {
  g_autofree char *unit = NULL, *slice = NULL;
  return cgroup_systemd_parse(cgroups_path, &unit, &slice) && cgroup_systemd_is_there();
}

/* What the document that goes to the guest does not have any more. */
static gboolean read_cgroup(Creation *creation, GError **error) {
  const Grpc__Linux *lin = creation->spec->linux;
  if (lin == NULL || *lin->cgroupspath == '\0') return TRUE;
  if (lin->resources != NULL) creation->resources = oci_resources_copy(lin->resources);
  creation->cgroups_path = cgroup_expand_path(lin->cgroupspath, error);
  if (creation->cgroups_path == NULL) g_prefix_error(error, "config.json: linux: ");
  if (creation->cgroups_path != NULL && is_scope(lin->cgroupspath)) creation->scope = g_strdup(lin->cgroupspath);
  return creation->cgroups_path != NULL;
}

/* The guest itself asks the pod's name servers: lines of the file that the first container gets as its own. */
static void read_dns(const Creation *creation) {
  Sandbox *sandbox = creation->sandbox;
  if (sandbox_get_status(sandbox) != SANDBOX_CREATED || sandbox->dns != NULL) return;
  for (size_t i = 0; i < creation->spec->n_mounts; i++) {
    const Grpc__Mount *mount = creation->spec->mounts[i];
    if (strcmp(mount->destination, RESOLV_CONF) != 0 || !mount_is_bind(mount)) continue;
    g_autofree char *path = g_canonicalize_filename(mount->source, creation->bundle);
    g_autofree char *text = share_read_file(creation->peer, path, RESOLV_CONF_LIMIT, NULL, NULL);
    if (sandbox->resolv_conf < 0) sandbox->resolv_conf = share_open_file(creation->peer, path, NULL);
    /* One that cannot be read is told of where it is mounted. */
    if (text != NULL) sandbox->dns = g_strsplit(g_strchomp(text), "\n", RESOLV_CONF_LINES);
    return;
  }
}

static gboolean read_bundle(Creation *creation, GError **error) {
  g_autofree char *path = g_build_filename(creation->bundle, "config.json", NULL);
  gsize length = 0;
  g_autoptr(GError) why = NULL;
  g_autofree char *text = share_read_file(creation->peer, path, OCI_DOCUMENT_LIMIT, &length, &why);
  if (text == NULL) {
    if (error_get_code(why) == KATA_ERR_NOT_FOUND)
      g_set_error(error, KATA_ERROR, KATA_ERR_NOT_FOUND, "JSON specification file config.json not found: '%s'", path);
    else
      g_propagate_error(error, g_steal_pointer(&why));
    return FALSE;
  }
  creation->spec = oci_spec_parse(text, length, "config.json", error);
  if (creation->spec == NULL) return FALSE;
  creation->netns_path = sandbox_network_read(creation->spec, error);
  if (creation->netns_path == NULL) return FALSE;
  creation->info = make_info(creation);
  creation->hooks = hooks_take(creation->spec);
  if (!read_cgroup(creation, error)) return FALSE;
  creation->demand = vm_demand_of_spec(creation->spec);
  read_dns(creation);
  if (sandbox_get_status(creation->sandbox) != SANDBOX_CREATED) guest_spec_keep_own(creation->spec);
  sandbox_pod_add_sysctls(creation->sandbox, creation->spec);
  creation->shares = guest_spec_rewrite(creation->spec, creation->id, creation->bundle, &creation->shares_pidns, error);
  return creation->shares != NULL;
}

/* Everything the bundle names on the host is looked up before anything is started. */
static gboolean open_trees(Creation *creation, GError **error) {
  g_clear_pointer(&creation->trees, g_array_unref);
  creation->trees = g_array_new(FALSE, FALSE, sizeof(int));
  g_array_set_clear_func(creation->trees, clear_tree);
  for (guint i = 0; i < creation->shares->len; i++) {
    const GuestShare *share = creation->shares->pdata[i];
    if (share->is_volume) {
      static const int none = -1;
      g_array_append_val(creation->trees, none);
      continue;
    }
    /* Mounts that were made for the root file system are in the owner's namespace, all others in the caller's. */
    pid_t viewer = i == 0 && creation->n_rootfs > 0 ? 0 : creation->peer;
    int tree = share->is_flat ? share_clone_mount(viewer, share->host_path, error)
                              : share_clone_tree(viewer, share->host_path, error);
    if (tree < 0) {
      g_prefix_error(error, i == 0 ? "config.json: root.path: " : "config.json: mounts: ");
      return FALSE;
    }
    g_array_append_val(creation->trees, tree);
  }
  g_clear_pointer(&creation->volumes, volumes_free);
  creation->volumes = volumes_plan(creation->sandbox, creation->id, creation->peer, creation->spec, creation->shares,
                                   creation->trees, error);
  return creation->volumes != NULL;
}

/* Whether the tree of bind mount number, counting only such, is a directory. */
static gboolean is_directory(const Creation *creation, guint number) {
  struct stat status;
  int tree = g_array_index(creation->trees, int, number + 1); /* the first is the root */
  return fstat(tree, &status) < 0 || S_ISDIR(status.st_mode);
}

/* The guest cannot write to a root that is read-only, so mount points that are missing there are made here. One that
 * cannot be made is the guest's to complain of. */
static void make_mount_points(Creation *creation) {
  const GuestShare *root = creation->shares->pdata[0];
  if (!root->read_only) return;
  int root_fd = g_array_index(creation->trees, int, 0);
  guint n_binds = 0;
  for (gsize i = 0; i < creation->spec->n_mounts; i++) {
    const Grpc__Mount *mount = creation->spec->mounts[i];
    gboolean wants_directory = !mount_is_bind(mount) || is_directory(creation, n_binds++);
    if (mount_is_beneath(creation->spec, i, TRUE) || mount_is_beneath(creation->spec, i, FALSE)) continue;
    autofd int place = mount_point_open(root_fd, mount->destination, wants_directory, NULL);
    (void)place;
  }
}

static gboolean create_in_guest(Creation *creation, GError **error) {
  Grpc__CreateContainerRequest request = GRPC__CREATE_CONTAINER_REQUEST__INIT;
  if (volumes_root_is_tree(creation->volumes)) make_mount_points(creation);
  if (!volumes_show(creation->volumes, &request, error)) return FALSE;
  request.container_id = (char *)creation->id;
  request.exec_id = (char *)creation->id;
  request.oci = creation->spec;
  request.sandbox_pidns = creation->shares_pidns;
  gint64 seconds = settings_get_int(creation->sandbox->settings, "runtime", "create_container_timeout");
  g_autoptr(TtrpcClient) agent = sandbox_get_agent(creation->sandbox, error);
  return agent != NULL && agent_call_create_container(agent, &request, seconds * 1000, error);
}

static gboolean open_process(Creation *creation, const Containerd__Task__V2__CreateTaskRequest *request,
                             GError **error) {
  ProcessOptions options = {.container_id = creation->id,
                            .exec_id = "",
                            .terminal = creation->spec->process->terminal,
                            .stdin_uri = request->stdin,
                            .stdout_uri = request->stdout,
                            .stderr_uri = request->stderr,
                            .namespace_ = creation->sandbox->namespace_,
                            .publisher = creation->sandbox->publisher};
  if (!read_options(request, &options.host_pid, &creation->bound, error)) return FALSE;
  creation->process = process_new(&options, sandbox_on_process_ended, creation->sandbox, error);
  return creation->process != NULL;
}

static gboolean check_request(const Containerd__Task__V2__CreateTaskRequest *request, GError **error) {
  if (!id_check(request->id, "container", error)) return FALSE;
  if (strcmp(request->id, VOLUMES_WATCHABLE) == 0) {
    g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT,
                "no container can be called '%s': the guest keeps that name for volumes that are watched", request->id);
    return FALSE;
  }
  if (*request->checkpoint != '\0' && !safe_path_check(request->checkpoint, "checkpoint", error)) return FALSE;
  return safe_path_check(request->bundle, "bundle", error);
}

static void timed(Sandbox *sandbox, const char *step, gboolean begin) {
  (begin ? timeline_begin : timeline_end)(sandbox->timeline, step);
}

/* systemd makes no scope without a process: a host process that is the caller stays where it is. */
static gboolean make_scope(Creation *creation, gboolean is_first, gboolean *ret_made, GError **error) {
  pid_t pids[2], host_pid = (pid_t)process_get_host_pid(creation->process);
  gsize n_pids = 0;
  if (is_first) pids[n_pids++] = getpid();
  if (host_pid != 0 && host_pid != creation->peer) pids[n_pids++] = host_pid;
  *ret_made = n_pids > 0;
  return n_pids == 0 || cgroup_systemd_start(creation->scope, pids, n_pids, error);
}

static gboolean make_cgroup(Creation *creation, gboolean is_first, GError **error) {
  gboolean made = TRUE;
  if (creation->scope != NULL && !make_scope(creation, is_first, &made, error)) return FALSE;
  if (!made) return TRUE;
  creation->cgroups = cgroup_make(creation->cgroups_path, creation->peer > 0 ? creation->peer : getpid(), error);
  if (creation->cgroups == NULL || !cgroup_note(creation->sandbox->dir, creation->cgroups, error)) return FALSE;
  const Grpc__LinuxCPU *cpu = creation->resources != NULL ? creation->resources->cpu : NULL;
  if (cpu != NULL && !cgroup_limits_set_cpuset(creation->cgroups, cpu->cpus, cpu->mems, error)) return FALSE;
  cgroup_limits_apply_block_io(creation->cgroups, creation->resources);
  return TRUE;
}

/* The first container's cgroup is the sandbox's: QEMU and its helpers begin in it. A host process that is the caller
 * itself stays where it is: it outlives the container. */
static gboolean join_cgroup(Creation *creation, GError **error) {
  Sandbox *sandbox = creation->sandbox;
  pid_t host_pid = (pid_t)process_get_host_pid(creation->process);
  if (creation->cgroups_path == NULL) return TRUE;
  gboolean is_first = sandbox_get_status(sandbox) == SANDBOX_CREATED && sandbox->cgroups == NULL;
  g_auto(GStrv) home = cgroup_find(getpid()); /* before systemd moves this process */
  if (!make_cgroup(creation, is_first, error)) return FALSE;
  if (creation->cgroups == NULL) return TRUE;
  if (is_first && !sandbox_join_cgroup(sandbox, g_strdupv(creation->cgroups), g_steal_pointer(&home), error))
    return FALSE;
  if (is_first) sandbox->scope = g_strdup(creation->scope);
  if (host_pid == 0 || host_pid == creation->peer) return TRUE;
  creation->moved_host_process = cgroup_add(creation->cgroups, host_pid, error);
  return creation->moved_host_process;
}

/* What they mount, and the network they make, the guest shall get: they run before both are looked at. */
static gboolean run_create_hooks(Creation *creation, GError **error) {
  if (creation->hooks == NULL) return TRUE;
  creation->hooked = TRUE;
  guint32 host_pid = process_get_host_pid(creation->process);
  HookSubject subject = {.info = creation->info, .status = "creating", .place = creation->peer};
  subject.pid = host_pid != 0 ? host_pid : (guint32)getpid();
  subject.outside_network = host_pid == (guint32)creation->peer;
  timed(creation->sandbox, "hooks", TRUE);
  gboolean done = hooks_run(creation->hooks, HOOK_PRESTART, &subject, error) &&
                  hooks_run(creation->hooks, HOOK_CREATE_RUNTIME, &subject, error);
  /* A hook's path is the host's (OCI runtime specification), so the caller's mounts are what it sees. */
  subject.network_place = (pid_t)host_pid;
  subject.outside_network = FALSE;
  done = done && hooks_run(creation->hooks, HOOK_CREATE_CONTAINER, &subject, error);
  timed(creation->sandbox, "hooks", FALSE);
  return done && open_trees(creation, error);
}

/* After the hooks: Docker's put an interface into it. */
static gboolean choose_network(Creation *creation, GError **error) {
  return sandbox_network_choose(creation->sandbox, creation->netns_path, creation->peer,
                                process_get_host_pid(creation->process), error);
}

static gboolean mount_rootfs(Creation *creation, const Containerd__Task__V2__CreateTaskRequest *request,
                             GError **error) {
  gboolean is_taken = FALSE;
  if (!volumes_take_rootfs(creation->sandbox, creation->shares, request->rootfs, request->n_rootfs, &is_taken, error))
    return FALSE;
  if (request->n_rootfs == 0 || is_taken) return TRUE;
  if (!rootfs_mount(creation->bundle, request->rootfs, request->n_rootfs, error)) return FALSE;
  creation->n_rootfs = request->n_rootfs;
  return TRUE;
}

/* Whatever is on the disk now, it gets what was saved. */
static void take_saved_type(Creation *creation) {
  GuestShare *root = creation->shares->pdata[0];
  const Kata__V1__ContainerState *saved = creation->checkpoint->sandbox->containers[0];
  for (size_t i = 0; i < saved->n_disks && root->fstype == NULL; i++)
    if (*saved->disks[i]->fstype != '\0') root->fstype = g_strdup(saved->disks[i]->fstype);
}

/* containerd gives the runtime's options to the start and to Create, CRI-O only to Create: then the settings are read
 * again. */
static gboolean read_settings(Creation *creation, const Google__Protobuf__Any *options, GError **error) {
  Sandbox *sandbox = creation->sandbox;
  g_auto(StartInput) input = {0};
  if (options == NULL || strcmp(options->type_url, "kata.v1.CreateOptions") == 0) return TRUE;
  if (!start_input_take_options(&input, options, error)) return FALSE;
  if (input.options == NULL || sandbox->settings_given || sandbox_get_status(sandbox) != SANDBOX_CREATED) return TRUE;
  g_autoptr(kata_settings) settings = start_input_load_settings(&input, error);
  if (settings == NULL || !annotations_apply(settings, creation->spec, error) ||
      !sandbox_change_settings(sandbox, settings, error))
    return FALSE;
  sandbox->settings_given = TRUE;
  return store_save_settings(sandbox, error);
}

static gboolean read_checkpoint(Creation *creation, const Containerd__Task__V2__CreateTaskRequest *request,
                                GError **error) {
  Sandbox *sandbox = creation->sandbox;
  if (*request->checkpoint == '\0') return TRUE;
  if (sandbox_get_status(sandbox) != SANDBOX_CREATED) {
    g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_STATE,
                "cannot restore the checkpoint: sandbox '%s' has been started, and a checkpoint is a whole machine",
                sandbox->id);
    return FALSE;
  }
  creation->checkpoint_dir = request->checkpoint;
  creation->checkpoint = checkpoint_load(request->checkpoint, error);
  if (creation->checkpoint == NULL || !checkpoint_check(creation->checkpoint, sandbox, error)) return FALSE;
  take_saved_type(creation);
  /* The machine is as large as it was. */
  const Kata__V1__SandboxState *saved = creation->checkpoint->sandbox;
  sandbox->shm_is_free = saved->shm_is_free;
  sandbox->base_size = (VmSize){saved->base_vcpus, saved->base_memory_mib};
  sandbox->size = (VmSize){saved->vcpus, saved->memory_mib};
  return TRUE;
}

static const Kata__V1__ContainerState *saved_container(const Creation *creation) {
  return creation->checkpoint->sandbox->containers[0];
}

static gboolean prepare_disks(Restoring *restoring, Disks *disks, GError **error) {
  const Creation *creation = restoring->user_data;
  return volumes_prepare_disks(creation->volumes, saved_container(creation), disks, error) &&
         checkpoint_restore_disks(restoring, disks, error);
}

static const char *saved_guest_id(const Creation *creation) {
  const Kata__V1__ContainerState *saved = saved_container(creation);
  return *saved->guest_id != '\0' ? saved->guest_id : saved->info->id;
}

/* As with runc, what was frozen when it was saved runs when it is restored. */
static gboolean resume_saved(Creation *creation, GError **error) {
  if (strcmp(saved_container(creation)->info->status, "paused") != 0) return TRUE;
  Grpc__ResumeContainerRequest request = GRPC__RESUME_CONTAINER_REQUEST__INIT;
  request.container_id = (char *)saved_guest_id(creation);
  g_autoptr(TtrpcClient) agent = sandbox_get_agent(creation->sandbox, error);
  return agent != NULL && agent_call_resume_container(agent, &request, AGENT_CALL_TIMEOUT_MS, error);
}

/* The container is in the machine. */
static gboolean restore_in_guest(Creation *creation, GError **error) {
  Sandbox *sandbox = creation->sandbox;
  Restoring restoring = {creation->checkpoint_dir, creation->checkpoint, prepare_disks, creation};
  sandbox->restoring = &restoring;
  gboolean is_up = sandbox_ensure_started(sandbox, error);
  sandbox->restoring = NULL;
  if (!is_up) return FALSE;
  volumes_resume_copies(creation->volumes, saved_container(creation));
  return resume_saved(creation, error);
}

static gboolean run_steps(Creation *creation, const Containerd__Task__V2__CreateTaskRequest *request, GError **error) {
  Sandbox *sandbox = creation->sandbox;
  if (!read_bundle(creation, error) || !read_settings(creation, request->options, error) ||
      !read_checkpoint(creation, request, error) || !mount_rootfs(creation, request, error) ||
      !open_trees(creation, error))
    return FALSE;
  if (!sandbox_dir_link(sandbox->root, sandbox->dir, creation->id, error)) return FALSE;
  creation->linked = TRUE;
  if (sandbox_get_status(sandbox) == SANDBOX_CREATED) sandbox->demand = creation->demand;
  if (!open_process(creation, request, error) || !join_cgroup(creation, error) || !run_create_hooks(creation, error) ||
      !choose_network(creation, error))
    return FALSE;
  if (creation->checkpoint != NULL) return restore_in_guest(creation, error);
  if (!sandbox_ensure_started(sandbox, error)) return FALSE;
  timed(sandbox, "container", TRUE);
  gboolean created =
      resize_follow(sandbox, creation->info, &creation->demand, error) && create_in_guest(creation, error);
  timed(sandbox, "container", FALSE);
  return created;
}

static Container *finish_creation(Creation *creation) {
  Container *container = container_new(g_steal_pointer(&creation->info), g_steal_pointer(&creation->process));
  container->hooks = g_steal_pointer(&creation->hooks);
  volumes_give(creation->volumes, container);
  if (container->copies->len > 0) volumes_watch_copies(creation->sandbox);
  container->bound = creation->bound;
  container->demand = creation->demand;
  if (creation->checkpoint != NULL) container_set_guest_id(container, saved_guest_id(creation));
  container->cgroups = g_steal_pointer(&creation->cgroups);
  sandbox_add_container(creation->sandbox, container);
  return container;
}

static gboolean create(Sandbox *sandbox, const Containerd__Task__V2__CreateTaskRequest *request, pid_t peer,
                       GError **error) {
  Creation creation = {.sandbox = sandbox, .id = request->id, .peer = peer};
  creation.bundle = g_canonicalize_filename(request->bundle, "/");
  gboolean created = run_steps(&creation, request, error);
  rootfs_unmount(creation.bundle, creation.n_rootfs);
  if (created) {
    g_autoptr(Container) container = finish_creation(&creation);
    g_autoptr(TtrpcClient) agent = sandbox_get_agent(sandbox, NULL);
    task_event_create(sandbox, container, request);
    if (agent != NULL)
      process_attach(container->init, agent);
    else
      process_set_ended(container->init, PROCESS_STATUS_UNKNOWN);
    limits_follow(sandbox);
    created = store_save(sandbox, error);
    if (!created) container_delete(sandbox, container, peer, NULL);
  } else {
    creation_undo(&creation);
  }
  creation_clear(&creation);
  return created;
}

gboolean container_create(Sandbox *sandbox, const Containerd__Task__V2__CreateTaskRequest *request, pid_t peer,
                          GError **error) {
  if (!check_request(request, error) || !sandbox_begin_creation(sandbox, error)) return FALSE;
  gboolean created = create(sandbox, request, peer, error);
  sandbox_end_creation(sandbox);
  return created;
}
