// SPDX-License-Identifier: LGPL-2.1-or-later
#include "shim/launch.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "common/error.h"
#include "common/fds.h"
#include "lib/domain-xml.h"
#include "lib/host.h"
#include "lib/paths.h"
#include "lib/vm-config.h"
#include "shim/agent-link.h"
#include "shim/boot-slot.h"
#include "shim/checkpoint.h"
#include "shim/console.h"
#include "shim/guest-spec.h"
#include "shim/launch-private.h"
#include "shim/net-follow.h"
#include "shim/pool.h"
#include "shim/resize.h"
#include "shim/sandbox-network.h"
#include "shim/store.h"
#include "shim/task-events.h"
#include "shim/template.h"
#include "shim/volumes.h"

/* Docker's, Podman's and Kubernetes'. */
#define SHM_BYTES (G_GUINT64_CONSTANT(64) << 20)
#define BOOT_SLOTS PATHS_DEFAULT_ROOT "/b"
/* Longer than this others' boots are not waited for. */
#define TURN_PATIENCE_MS 120000

typedef struct {
  const char *name;
  gboolean (*run)(Sandbox *sandbox, GError **error);
  void (*undo)(Sandbox *sandbox); /* NULL: nothing to undo */
} LaunchStep;

char *launch_in_dir(const Sandbox *sandbox, const char *name) { return g_build_filename(sandbox->dir, name, NULL); }

/* ---- the host has what it takes ---- */

static gboolean check_file(const char *path, int mode, const char *what, const char *setting, const char *remedy,
                           GError **error) {
  if (access(path, mode) == 0) return TRUE;
  g_set_error(error, KATA_ERROR, KATA_ERR_HOST, "cannot use the %s '%s' (setting %s): %s; %s", what, path, setting,
              g_strerror(errno), remedy);
  return FALSE;
}

static gboolean shares_files(const Sandbox *sandbox) {
  return g_strcmp0(settings_get_string(sandbox->settings, "hypervisor.qemu", "shared_fs"), "none") != 0;
}

static gboolean step_check(Sandbox *sandbox, GError **error) {
  const kata_settings *settings = sandbox->settings;
  const char *hypervisor = "hypervisor.qemu";
  return check_file(settings_get_string(settings, hypervisor, "path"), X_OK, "hypervisor", "hypervisor.qemu.path",
                    "install qemu-system-x86", error) &&
         check_file(settings_get_string(settings, hypervisor, "kernel"), R_OK, "guest kernel", "hypervisor.qemu.kernel",
                    "build the guest image with 'make guest' and install it", error) &&
         check_file(settings_get_string(settings, hypervisor, "initrd"), R_OK, "guest image", "hypervisor.qemu.initrd",
                    "build the guest image with 'make guest' and install it", error) &&
         (!shares_files(sandbox) ||
          check_file(settings_get_string(settings, hypervisor, "virtio_fs_daemon"), X_OK, "virtiofsd",
                     "hypervisor.qemu.virtio_fs_daemon", "install qemu-system-common", error));
}

/* ---- the share ---- */

/* The settings' own arguments come last, so that they win. */
static GPtrArray *share_daemon_args(const kata_settings *settings) {
  const char *cache = settings_get_string(settings, "hypervisor.qemu", "virtio_fs_cache");
  /* "never" is the word of virtiofsd in Rust, "none" of QEMU's in C; the former takes both after -o. */
  GPtrArray *args = g_ptr_array_new_with_free_func(g_free);
  g_ptr_array_add(args, g_strdup("-o"));
  g_ptr_array_add(args, g_strconcat("cache=", g_str_equal(cache, "never") ? "none" : cache, NULL));
  const char *const *extra = settings_get_strv(settings, "hypervisor.qemu", "virtio_fs_extra_args");
  for (; *extra != NULL; extra++) g_ptr_array_add(args, g_strdup(*extra));
  g_ptr_array_add(args, NULL);
  return args;
}

gboolean launch_step_share(Sandbox *sandbox, GError **error) {
  if (!shares_files(sandbox)) return TRUE;
  g_autofree char *directory = launch_in_dir(sandbox, PATHS_SHARE);
  g_autofree char *socket = launch_in_dir(sandbox, PATHS_VIRTIOFS_SOCKET);
  sandbox->share = share_new(directory, error);
  if (sandbox->share == NULL) return FALSE;
  g_autoptr(GPtrArray) args = share_daemon_args(sandbox->settings);
  return share_start_daemon(sandbox->share,
                            settings_get_string(sandbox->settings, "hypervisor.qemu", "virtio_fs_daemon"), socket,
                            (const char *const *)args->pdata, error);
}

void launch_undo_share(Sandbox *sandbox) {
  if (sandbox->share != NULL) share_stop_daemon(sandbox->share);
  g_clear_pointer(&sandbox->share, share_free);
}

/* ---- the machine ---- */

gboolean launch_open_libvirt(Sandbox *sandbox, GError **error) {
  g_autofree char *root = launch_in_dir(sandbox, PATHS_LIBVIRT);
  g_autofree char *cache =
      g_build_filename(KATA_CACHEDIR, sandbox->accelerator == ACCELERATOR_KVM ? "libvirt-kvm" : "libvirt-tcg", NULL);
  g_autofree char *disks = launch_in_dir(sandbox, PATHS_DISKS);
  DiskOptions options;
  if (!disk_options_read(sandbox->settings, &options, error)) return FALSE;
  sandbox->vm = vm_open(root, cache, error);
  guint ports = (guint)settings_get_int(sandbox->settings, "hypervisor.qemu", "pcie_root_port");
  sandbox->disks = disks_new(disks, ports, &options);
  return sandbox->vm != NULL;
}

static void undo_libvirt(Sandbox *sandbox) {
  g_clear_pointer(&sandbox->disks, disks_free);
  g_clear_pointer(&sandbox->vm, vm_free);
}

/* ---- the network ---- */

static void set_limits(Sandbox *sandbox) {
  gint64 rx = settings_get_int(sandbox->settings, "hypervisor.qemu", "rx_rate_limiter_max_rate");
  gint64 tx = settings_get_int(sandbox->settings, "hypervisor.qemu", "tx_rate_limiter_max_rate");
  net_set_limits(sandbox->net, (guint64)rx, (guint64)tx);
}

static gboolean step_network(Sandbox *sandbox, GError **error) {
  g_mutex_lock(&sandbox->lock);
  sandbox->netns_chosen = TRUE;
  autofd int netns = sandbox->netns >= 0 ? fcntl(sandbox->netns, F_DUPFD_CLOEXEC, 0) : -1;
  g_autofree char *path = g_strdup(sandbox->netns_path != NULL ? sandbox->netns_path : "");
  g_mutex_unlock(&sandbox->lock);
  sandbox->net = net_new(fd_steal(&netns), path, error);
  if (sandbox->net == NULL) return FALSE;
  set_limits(sandbox);
  if (!settings_get_bool(sandbox->settings, "runtime", "forward_localhost")) net_forget_localhost(sandbox->net);
  return store_save(sandbox, error);
}

static void undo_network(Sandbox *sandbox) { g_clear_pointer(&sandbox->net, net_free); }

/* ---- a turn ---- */

gboolean launch_is_cancelled(Sandbox *sandbox, GError **error) {
  g_mutex_lock(&sandbox->lock);
  gboolean cancelled = sandbox->cancelled;
  g_mutex_unlock(&sandbox->lock);
  if (cancelled)
    g_set_error(error, KATA_ERROR, KATA_ERR_CANCELLED, "the start of sandbox '%s' was given up by its caller",
                sandbox->id);
  return cancelled;
}

static gboolean is_given_up(gpointer sandbox) { return launch_is_cancelled(sandbox, NULL); }

void launch_wait_for_turn(Sandbox *sandbox) {
  if (sandbox->accelerator != ACCELERATOR_TCG || sandbox->boot_slot >= 0) return;
  guint n_slots = MAX(2, g_get_num_processors());
  sandbox->boot_slot = boot_slot_take(BOOT_SLOTS, n_slots, TURN_PATIENCE_MS, is_given_up, sandbox);
}

/* ---- the machine itself ---- */

VmConfig *launch_make_config(Sandbox *sandbox, GError **error) {
  g_autoptr(VmConfig) config =
      vm_config_new(sandbox->settings, sandbox->id, sandbox->dir, sandbox->accelerator, sandbox->channel, error);
  if (config == NULL) return NULL;
  if (config->channel == CHANNEL_VSOCK) config->vsock_cid = sandbox->vsock_cid;
  resize_decide(sandbox, config);
  if (sandbox->net != NULL) net_add_nics(sandbox->net, config);
  return g_steal_pointer(&config);
}

/* Taps come to be, and QEMU lives, in the network namespace of the thread that starts it. */
static gboolean start_here(gpointer data, GError **error) {
  Sandbox *sandbox = data;
  if (sandbox->restoring != NULL) return checkpoint_restore_machine(sandbox, error);
  return vm_start(sandbox->vm, sandbox->domain_xml, error);
}

static gboolean step_machine(Sandbox *sandbox, GError **error) {
  if (sandbox->from_template) return TRUE;
  launch_wait_for_turn(sandbox);
  /* Context ids 0 to 2 are taken (vsock(7)); the kernel refuses one in use. */
  if (sandbox->channel == CHANNEL_VSOCK) sandbox->vsock_cid = (guint32)g_random_int_range(3, G_MAXINT32);
  g_autoptr(VmConfig) config = launch_make_config(sandbox, error);
  if (config == NULL) return FALSE;
  if (sandbox->restoring == NULL && (sandbox->domain_xml = domain_xml_build(config, error)) == NULL) return FALSE;
  if (!net_namespace_run(net_get_namespace(sandbox->net), start_here, sandbox, error) ||
      !net_connect(sandbox->net, error))
    return FALSE;
  sandbox_watch(sandbox);
  /* From here on a new owner could take over what there is, or clean it up. */
  return store_save(sandbox, error);
}

void launch_undo_machine(Sandbox *sandbox) {
  sandbox_unwatch(sandbox);
  vm_destroy(sandbox->vm);
  net_disconnect(sandbox->net);
}

/* ---- the agent ---- */

gboolean launch_connect_agent(Sandbox *sandbox, gboolean was_used, int timeout_ms, GError **error) {
  g_autofree char *address = NULL;
  TtrpcStreamKind kind = TTRPC_STREAM_SOCKET;
  if (sandbox->channel == CHANNEL_VSOCK) {
    address = g_strdup_printf("vsock://%u:1024", sandbox->vsock_cid);
  } else {
    address = g_strdup_printf("unix://%s/%s", sandbox->dir, PATHS_AGENT_SOCKET);
    kind = TTRPC_STREAM_PORT;
  }
  int fd = ttrpc_dial(address, timeout_ms, error);
  if (fd < 0) return FALSE;
  g_autoptr(TtrpcClient) client = ttrpc_client_new(fd, kind);
  g_mutex_lock(&sandbox->lock);
  gboolean cancelled = sandbox->cancelled;
  if (!cancelled) sandbox->agent = ttrpc_client_ref(client); /* so that a cancel or QEMU's end reaches it */
  g_mutex_unlock(&sandbox->lock);
  if (cancelled) {
    g_set_error(error, KATA_ERROR, KATA_ERR_CANCELLED, "the start was given up by its caller");
    return FALSE;
  }
  return kind != TTRPC_STREAM_PORT || ttrpc_client_sync(client, was_used, timeout_ms, error);
}

static gboolean step_kernel(Sandbox *sandbox, GError **error) {
  if (sandbox->from_template) return TRUE;
  gint64 seconds = settings_get_int(sandbox->settings, "agent.kata", "dial_timeout");
  g_autoptr(GError) why = NULL;
  if (launch_connect_agent(sandbox, sandbox->restoring != NULL, (int)seconds * 1000, &why)) return TRUE;
  kata_error_code code = error_get_code(why) == KATA_ERR_TIMEOUT ? KATA_ERR_TIMEOUT : KATA_ERR_GUEST;
  if (code == KATA_ERR_TIMEOUT)
    g_set_error(error, KATA_ERROR, code,
                "the guest's agent did not answer within %" G_GINT64_FORMAT " s (setting agent.kata.dial_timeout)",
                seconds);
  else
    g_set_error(error, KATA_ERROR, code, "the guest did not come up: %s", why->message);
  if (error != NULL) console_explain(sandbox->dir, *error);
  return FALSE;
}

void launch_undo_agent(Sandbox *sandbox) {
  g_mutex_lock(&sandbox->lock);
  g_autoptr(TtrpcClient) agent = g_steal_pointer(&sandbox->agent);
  g_mutex_unlock(&sandbox->lock);
  if (agent != NULL) ttrpc_client_close(agent, "the start has failed");
}

static gpointer pump_thread(gpointer user_data) {
  Sandbox *sandbox = user_data;
  g_autoptr(TtrpcClient) agent = sandbox_get_agent(sandbox, NULL);
  if (agent == NULL) return NULL;
  ttrpc_client_pump(agent);
  g_mutex_lock(&sandbox->lock);
  gboolean is_current = sandbox->agent == agent; /* else it was closed on purpose */
  g_mutex_unlock(&sandbox->lock);
  if (is_current) sandbox_guest_lost(sandbox, "the connection to the guest's agent has broken");
  return NULL;
}

/* CRI-O looks for a file of this name in the bundle. */
static void tell_oom(Sandbox *sandbox, const Container *container) {
  events_add(sandbox->events, "oom", container->info->id, 0);
  task_event_oom(sandbox, container->info->id);
  for (size_t i = 0; i < container->info->n_annotations; i++) {
    if (!g_str_has_prefix(container->info->annotations[i]->key, "io.kubernetes.cri-o.")) continue;
    g_autofree char *path = g_build_filename(container->info->bundle, "oom", NULL);
    autofd int file = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
    if (file < 0) g_warning("cannot make the file '%s': %s", path, g_strerror(errno));
    return;
  }
}

/* One question after the other; an agent that knows nothing of them ends it. */
static gpointer oom_thread(gpointer user_data) {
  Sandbox *sandbox = user_data;
  g_autoptr(TtrpcClient) agent = sandbox_get_agent(sandbox, NULL);
  Grpc__GetOOMEventRequest request = GRPC__GET_OOMEVENT_REQUEST__INIT;
  Grpc__OOMEvent *event = NULL;
  while (agent != NULL && agent_call_get_oom_event(agent, &request, 0, &event, NULL)) {
    g_autoptr(Container) container = sandbox_find_container(sandbox, agent_calls_own_id(event->container_id), NULL);
    if (container != NULL) tell_oom(sandbox, container);
    grpc__oomevent__free_unpacked(g_steal_pointer(&event), NULL);
  }
  return NULL;
}

/* Somebody always listens to the agent, so that its end is noticed at once. */
static void start_pump(Sandbox *sandbox) { g_thread_unref(g_thread_new("agent", pump_thread, sandbox)); }

static void start_oom_watch(Sandbox *sandbox) { g_thread_unref(g_thread_new("oom", oom_thread, sandbox)); }

static void kernel_module_free(gpointer data) {
  Grpc__KernelModule *module = data;
  g_free(module->name);
  g_strfreev(module->parameters);
  g_free(module);
}

/* "NAME PARAMETER..." each. */
static GPtrArray *kernel_modules(const kata_settings *settings) {
  GPtrArray *modules = g_ptr_array_new_with_free_func(kernel_module_free);
  const char *const *line = settings_get_strv(settings, "agent.kata", "kernel_modules");
  for (; *line != NULL; line++) {
    g_auto(GStrv) words = g_strsplit(*line, " ", -1);
    if (words[0] == NULL || *words[0] == '\0') continue;
    Grpc__KernelModule *module = g_new(Grpc__KernelModule, 1);
    grpc__kernel_module__init(module);
    module->name = g_strdup(words[0]);
    module->parameters = g_strdupv(words + 1);
    module->n_parameters = g_strv_length(module->parameters);
    g_ptr_array_add(modules, module);
  }
  return modules;
}

static gboolean greet_again(Sandbox *sandbox, GError **error) {
  g_autoptr(TtrpcClient) agent = sandbox_get_agent(sandbox, error);
  if (agent == NULL) return FALSE;
  start_pump(sandbox);
  if (!agent_renew_guest(agent, AGENT_CALL_TIMEOUT_MS, error)) return FALSE;
  start_oom_watch(sandbox);
  return TRUE;
}

static gboolean step_agent(Sandbox *sandbox, GError **error) {
  if (sandbox->restoring != NULL) return greet_again(sandbox, error);
  g_autofree char *shm_size =
      g_strdup_printf("size=%" G_GUINT64_FORMAT, sandbox->shm_bytes > 0 ? sandbox->shm_bytes : SHM_BYTES);
  char *shm_options[] = {"noexec", "nosuid", "nodev", "mode=1777", shm_size};
  Grpc__Storage share = GRPC__STORAGE__INIT, shm = GRPC__STORAGE__INIT;
  share.driver = "virtio-fs";
  share.source = VM_CONFIG_VIRTIOFS_TAG;
  share.fstype = "virtiofs";
  share.mount_point = GUEST_SHARE_DIR;
  shm.driver = "ephemeral";
  shm.source = "shm";
  shm.fstype = "tmpfs";
  shm.options = shm_options;
  shm.n_options = G_N_ELEMENTS(shm_options) - sandbox->shm_is_free;
  shm.mount_point = GUEST_SHM_DIR;
  Grpc__Storage *storages[] = {&shm, &share};
  Grpc__CreateSandboxRequest request = GRPC__CREATE_SANDBOX_REQUEST__INIT;
  request.sandbox_id = sandbox->id;
  if (sandbox->hostname != NULL) request.hostname = sandbox->hostname;
  request.storages = storages;
  request.n_storages = shares_files(sandbox) ? 2 : 1;
  g_autoptr(GPtrArray) modules = kernel_modules(sandbox->settings);
  request.kernel_modules = (Grpc__KernelModule **)modules->pdata;
  request.n_kernel_modules = modules->len;
  request.dns = sandbox->dns;
  request.n_dns = sandbox->dns != NULL ? g_strv_length(sandbox->dns) : 0;
  g_autoptr(TtrpcClient) agent = sandbox_get_agent(sandbox, error);
  if (agent == NULL) return FALSE;
  start_pump(sandbox);
  /* Before CreateSandbox, as upstream's runtime does. */
  sandbox_network_serve_dns(sandbox);
  if (!net_tell_guest(sandbox->net, agent, error)) return FALSE;
  if (agent_call_create_sandbox(agent, &request, AGENT_CALL_TIMEOUT_MS, error)) {
    start_oom_watch(sandbox);
    return TRUE;
  }
  g_prefix_error(error, "the guest could not set the sandbox up: ");
  if (error != NULL) console_explain_loss(sandbox->dir, *error);
  return FALSE;
}

/* ---- the list ---- */

/* Where a start goes on that has turned away from its template. */
#define STEP_MACHINE 6

static const LaunchStep steps[] = {
    {"check", step_check, NULL},
    {"standby", launch_check_standby, NULL},
    {"share", launch_step_share, launch_undo_share},
    {"network", step_network, undo_network},
    {"libvirt", launch_open_libvirt, undo_libvirt},
    {"template", launch_from_template, NULL},
    [STEP_MACHINE] = {"machine", step_machine, launch_undo_machine},
    {"kernel", step_kernel, launch_undo_agent},
    {"agent", step_agent, launch_undo_agent},
};

/* A virtiofsd that has died says why on its standard error. */
static void append_daemon_words(const Sandbox *sandbox, GError *error) {
  g_autofree char *words = sandbox->share != NULL ? share_dup_daemon_log(sandbox->share) : NULL;
  if (words == NULL || *g_strstrip(words) == '\0') return;
  error_append_detail(error, "virtiofsd said:");
  error_append_detail(error, words);
}

static gboolean run_from(Sandbox *sandbox, guint first, guint *ret_failed, GError **error) {
  for (guint i = first; i < G_N_ELEMENTS(steps); i++) {
    timeline_begin(sandbox->timeline, steps[i].name);
    gboolean done = !launch_is_cancelled(sandbox, error) && steps[i].run(sandbox, error);
    timeline_end(sandbox->timeline, steps[i].name);
    if (done) continue;
    *ret_failed = i;
    return FALSE;
  }
  return TRUE;
}

static gboolean run_steps(Sandbox *sandbox, GError **error) {
  g_autoptr(GError) why = NULL;
  guint failed = 0;
  if (run_from(sandbox, 0, &failed, &why)) return TRUE;
  if (sandbox->from_template && !launch_is_cancelled(sandbox, NULL)) {
    g_autoptr(GError) first = g_steal_pointer(&why);
    if (launch_leave_template(sandbox, first, &why) && run_from(sandbox, STEP_MACHINE, &failed, &why)) return TRUE;
  }
  append_daemon_words(sandbox, why);
  g_propagate_error(error, g_steal_pointer(&why));
  /* The failed step's own undo too: it takes back what was done of it. */
  for (guint k = failed + 1; k-- > 0;)
    if (steps[k].undo != NULL) steps[k].undo(sandbox);
  return FALSE;
}

/* One that somebody has meanwhile cannot be taken away from the guest: all there is to do is to say so. */
static void adopt_disks(Sandbox *sandbox, const Kata__V1__SandboxState *state) {
  for (size_t i = 0; i < state->n_containers; i++) {
    for (size_t k = 0; k < state->containers[i]->n_disks; k++) {
      g_autoptr(GError) error = NULL;
      if (!disks_adopt(sandbox->disks, state->containers[i]->disks[k], &error)) g_warning("%s", error->message);
    }
  }
}

gboolean launch_adopt(Sandbox *sandbox, const Kata__V1__SandboxState *state, GError **error) {
  /* First: whatever else is missing, what was joined can be parted then. */
  if (state->network != NULL) {
    sandbox->net = net_adopt(state->network, (pid_t)state->qemu_pid, state->netns_mount, error);
    if (sandbox->net == NULL) return FALSE;
    set_limits(sandbox);
  }
  if (shares_files(sandbox)) {
    g_autofree char *directory = launch_in_dir(sandbox, PATHS_SHARE);
    sandbox->share = share_new(directory, error);
    if (sandbox->share == NULL || !share_adopt_daemon(sandbox->share, (pid_t)state->virtiofsd_pid, error)) return FALSE;
  }
  sandbox->netns = net_namespace_open_machine((pid_t)state->qemu_pid, state->netns_mount, NULL);
  g_autoptr(VmConfig) config = launch_make_config(sandbox, error);
  if (config == NULL || !launch_open_libvirt(sandbox, error)) return FALSE;
  sandbox->domain_xml = domain_xml_build(config, error);
  if (sandbox->domain_xml == NULL || !vm_adopt(sandbox->vm, config->name, error)) return FALSE;
  adopt_disks(sandbox, state);
  sandbox_watch(sandbox);
  gint64 seconds = settings_get_int(sandbox->settings, "agent.kata", "dial_timeout");
  if (!launch_connect_agent(sandbox, TRUE, (int)seconds * 1000, error)) return FALSE;
  start_pump(sandbox);
  start_oom_watch(sandbox);
  net_follow_start(sandbox);
  volumes_follow_mounts(sandbox);
  return TRUE;
}

gboolean launch_run(Sandbox *sandbox, GError **error) {
  gboolean is_up = run_steps(sandbox, error);
  fd_clear(&sandbox->boot_slot);
  if (is_up && sandbox->from_template) template_forget_failure(sandbox->settings, sandbox->template_key);
  if (is_up) {
    launch_blame_template(sandbox);
    template_follow_start(sandbox);
    pool_follow_start(sandbox);
  }
  return is_up;
}
