/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/container.h"
#include "agent/mount.h"
#include "agent/preparation.h"
#include "agent/task.h"
#include "common/error.h"
#include "common/fds.h"
#include "common/ids.h"
#include "common/safe-path.h"
#include "common/spawn.h"

#define RESOLV_CONF_DIR MOUNT_ROOT "/sandbox"
#define RESOLV_CONF RESOLV_CONF_DIR "/resolv.conf"
#define GUEST_RESOLV_CONF "/etc/resolv.conf"
/* As many lines as a resolv.conf may sensibly have, and as long. */
#define DNS_LINES_MAX 256
#define DNS_LINE_MAX 4096
#define KERNEL_MODULES_MAX 256
#define MODPROBE_TIMEOUT_MS 30000
#define MODPROBE_OUTPUT_MAX 65536

Sandbox *sandbox_new(const AgentConfig *config, Reaper *reaper, UeventMonitor *uevents) {
  Sandbox *sandbox = g_new0(Sandbox, 1);
  sandbox->config = config;
  sandbox->reaper = reaper;
  sandbox->uevents = uevents;
  sandbox->storages = storage_table_new(config, reaper, uevents);
  sandbox->oom = oom_monitor_new();
  sandbox->namespaces = namespaces_new(reaper);
  sandbox->containers = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, (GDestroyNotify)container_free);
  return sandbox;
}

void sandbox_free(Sandbox *sandbox) {
  if (!sandbox) return;
  g_hash_table_unref(sandbox->containers);
  oom_monitor_free(sandbox->oom);
  storage_table_free(sandbox->storages);
  g_free(sandbox->pid_namespace_owner);
  g_free(sandbox->hostname);
  g_free(sandbox->domainname);
  guest_hooks_free(sandbox->guest_hooks);
  namespaces_free(sandbox->namespaces);
  g_free(sandbox);
}

Container *sandbox_find_container(const Sandbox *sandbox, const char *id) {
  return g_hash_table_lookup(sandbox->containers, id);
}

/* ---- create ---- */

/* Names are set once: later ones would rename the containers that are there. Returns what is to be set. */
static const char *name_to_set(const char *old, const char *name, const char *what) {
  if (!old || !*name) return name;
  if (strcmp(old, name) != 0) {
    g_autofree char *shown = error_clean_text(name);
    g_warning("the %s stays '%s', though '%s' is asked for: all containers of the sandbox share it", what, old, shown);
  }
  return "";
}

gboolean sandbox_set_names(Sandbox *sandbox, const char *hostname, const char *domainname, GError **error) {
  hostname = name_to_set(sandbox->hostname, hostname, "host name");
  domainname = name_to_set(sandbox->domainname, domainname, "domain name");
  if (!namespaces_set_names(sandbox->namespaces, hostname, domainname, error)) return FALSE;
  if (*hostname) sandbox->hostname = g_strdup(hostname);
  if (*domainname) sandbox->domainname = g_strdup(domainname);
  return TRUE;
}

static gboolean load_module(const Grpc__KernelModule *module, GError **error) {
  g_autoptr(GPtrArray) argv = g_ptr_array_new();
  g_ptr_array_add(argv, (gpointer) "modprobe");
  g_ptr_array_add(argv, (gpointer) "--");
  g_ptr_array_add(argv, module->name);
  for (gsize i = 0; i < module->n_parameters; i++) g_ptr_array_add(argv, module->parameters[i]);
  g_ptr_array_add(argv, NULL);
  SpawnOptions options = SPAWN_OPTIONS_INIT;
  options.argv = (const char *const *)argv->pdata;
  options.die_with_parent = TRUE;
  g_autofree char *said = NULL;
  int wait_status = 0;
  if (!spawn_run(&options, NULL, MODPROBE_OUTPUT_MAX, MODPROBE_TIMEOUT_MS, NULL, NULL, &said, &wait_status, error))
    return FALSE;
  if (wait_status == 0) return TRUE;
  g_set_error(error, KATA_ERROR, KATA_ERR_INTERNAL, "cannot load the kernel module '%s': %s", module->name,
              said && *said ? g_strchomp(said) : "modprobe failed");
  return FALSE;
}

static gboolean set_dns(const Sandbox *sandbox, char *const *lines, gsize n_lines, GError **error) {
  if (n_lines == 0) return TRUE;
  g_autoptr(GString) text = g_string_new(NULL);
  for (gsize i = 0; i < n_lines; i++) g_string_append_printf(text, "%s\n", lines[i]);
  if (!safe_write_file(RESOLV_CONF, text->str, (gssize)text->len, 0644, FALSE, error)) return FALSE;
  /* As an ordinary process it is not our /etc. */
  if (!sandbox->config->is_init) return TRUE;
  /* Of an image that has none and cannot be written the sandbox's own remains. */
  autofd int place = open(GUEST_RESOLV_CONF, O_RDONLY | O_CREAT | O_CLOEXEC, 0644);
  if (place < 0 || mount(RESOLV_CONF, GUEST_RESOLV_CONF, "none", MS_BIND, NULL) == 0) return TRUE;
  error_set_errno(error, errno, "cannot put the sandbox's resolv.conf in place");
  return FALSE;
}

static gboolean check_dns(const Grpc__CreateSandboxRequest *request, GError **error) {
  for (gsize i = 0; i < request->n_dns; i++) {
    if (strlen(request->dns[i]) <= DNS_LINE_MAX) continue;
    g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT, "dns[%zu]: a line of %zu bytes is longer than %d", i,
                strlen(request->dns[i]), DNS_LINE_MAX);
    return FALSE;
  }
  return TRUE;
}

static gboolean check_request(const Sandbox *sandbox, const Grpc__CreateSandboxRequest *request, GError **error) {
  if (*request->sandbox_id && !id_check(request->sandbox_id, "sandbox", error)) return FALSE;
  if (sandbox->is_creating || sandbox->is_created || sandbox->is_destroying) {
    g_set_error(error, KATA_ERROR, KATA_ERR_ALREADY_EXISTS, "this guest has its sandbox already");
    return FALSE;
  }
  if (request->n_storages <= STORAGE_LIST_MAX && request->n_dns <= DNS_LINES_MAX &&
      request->n_kernel_modules <= KERNEL_MODULES_MAX)
    return check_dns(request, error);
  g_set_error(error, KATA_ERROR, KATA_ERR_RESOURCE_EXHAUSTED,
              "too many storages, name server lines or kernel modules for one sandbox");
  return FALSE;
}

/* All that is done before modules and storages are waited for. */
static gboolean set_up(Sandbox *sandbox, const Grpc__CreateSandboxRequest *request, GError **error) {
  if (g_mkdir_with_parents(RESOLV_CONF_DIR, 0755) < 0) {
    error_set_errno(error, errno, "cannot make '%s'", RESOLV_CONF_DIR);
    return FALSE;
  }
  /* An attempt that failed before may have found others. */
  g_clear_pointer(&sandbox->guest_hooks, guest_hooks_free);
  if (*request->guest_hook_path) sandbox->guest_hooks = guest_hooks_find(request->guest_hook_path);
  if (!namespaces_make(sandbox->namespaces, error)) return FALSE;
  storage_table_set_sandbox_id(sandbox->storages, request->sandbox_id);
  sandbox->shares_pid = request->sandbox_pidns;
  if (sandbox->shares_pid && !namespaces_get_pid(sandbox->namespaces, error)) return FALSE;
  return sandbox_set_names(sandbox, request->hostname, "", error);
}

typedef struct {
  Sandbox *sandbox;
  const Grpc__CreateSandboxRequest *request;
  SandboxFunc func;
  gpointer user_data;
  GPtrArray *keys; /* of the storages; they are the sandbox's, so nobody will ever give them back one by one */
  GError *error;
} Creation;

static void creation_end(gpointer user_data) {
  g_autofree Creation *creation = user_data;
  g_autoptr(GError) error = g_steal_pointer(&creation->error);
  creation->sandbox->is_creating = FALSE;
  creation->sandbox->is_created = error == NULL;
  if (!error) storage_table_keep(creation->sandbox->storages, creation->keys);
  g_ptr_array_unref(creation->keys);
  creation->func(error, creation->user_data);
}

static void storages_mounted(const GError *error, gpointer user_data) {
  Creation *creation = user_data;
  const Grpc__CreateSandboxRequest *request = creation->request;
  creation->sandbox->preparation = NULL;
  if (error)
    creation->error = g_error_copy(error);
  else if (set_dns(creation->sandbox, request->dns, request->n_dns, &creation->error)) {
    creation_end(creation);
    return;
  }
  storage_table_release(creation->sandbox->storages, creation->keys, creation_end, creation);
}

/* In the helper: a module's devices may take their time. */
static gboolean load_modules(gpointer data, GString *result, GError **error) {
  const Grpc__CreateSandboxRequest *request = data;
  for (gsize i = 0; i < request->n_kernel_modules; i++)
    if (!load_module(request->kernel_modules[i], error)) return FALSE;
  return TRUE;
}

static void modules_loaded(const char *result, const GError *module_error, gpointer user_data) {
  Creation *creation = user_data;
  const Grpc__CreateSandboxRequest *request = creation->request;
  if (module_error)
    creation->error = g_error_copy(module_error);
  else if (creation->sandbox->is_destroying)
    creation->error = g_error_new(KATA_ERROR, KATA_ERR_CANCELLED, "the sandbox is ending already");
  if (creation->error) {
    creation_end(creation);
    return;
  }
  PreparationRequest wanted = {
      .storages = request->storages, .n_storages = request->n_storages, .keys = creation->keys};
  creation->sandbox->preparation = preparation_start(creation->sandbox, &wanted, storages_mounted, creation);
}

void sandbox_create(Sandbox *sandbox, const Grpc__CreateSandboxRequest *request, SandboxFunc func, gpointer user_data) {
  g_autoptr(GError) error = NULL;
  if (!check_request(sandbox, request, &error) || !set_up(sandbox, request, &error)) {
    func(error, user_data);
    return;
  }
  Creation *creation = g_new0(Creation, 1);
  creation->sandbox = sandbox;
  creation->request = request;
  creation->func = func;
  creation->user_data = user_data;
  creation->keys = g_ptr_array_new_with_free_func(g_free);
  sandbox->is_creating = TRUE;
  if (request->n_kernel_modules == 0) {
    modules_loaded(NULL, NULL, creation);
    return;
  }
  TaskRequest task = {.work = load_modules, .data = (gpointer)request};
  task_start(sandbox->reaper, &task, modules_loaded, creation);
}

/* ---- destroy ---- */

typedef struct {
  Sandbox *sandbox;
  guint left; /* containers, and one for the loop that starts */
  guint timeout;
  void (*func)(gpointer user_data);
  gpointer user_data;
} Ending;

static void ending_told(Ending *ending) {
  if (!ending->func) return;
  void (*func)(gpointer) = ending->func;
  ending->func = NULL;
  func(ending->user_data);
}

static void storages_released(gpointer user_data) {
  Ending *ending = user_data;
  if (ending->timeout) g_source_remove(ending->timeout);
  ending_told(ending);
  g_free(ending);
}

static void ending_step(Ending *ending) {
  if (--ending->left == 0) storage_table_release_all(ending->sandbox->storages, storages_released, ending);
}

static void container_removed(const GError *error, gpointer user_data) { ending_step(user_data); }

static gboolean ending_timed_out(gpointer user_data) {
  Ending *ending = user_data;
  ending->timeout = 0;
  g_warning("containers or storages did not end within %d s: %u containers are left", SANDBOX_DESTROY_MS / 1000,
            ending->left);
  ending_told(ending);
  return G_SOURCE_REMOVE;
}

gboolean sandbox_destroy(Sandbox *sandbox, void (*func)(gpointer user_data), gpointer user_data, GError **error) {
  if (sandbox->is_destroying) {
    g_set_error(error, KATA_ERROR, KATA_ERR_INTERNAL, "the sandbox is being destroyed already");
    return FALSE;
  }
  sandbox->is_destroying = TRUE;
  oom_monitor_end(sandbox->oom);
  Ending *ending = g_new0(Ending, 1);
  ending->sandbox = sandbox;
  ending->left = 1;
  ending->func = func;
  ending->user_data = user_data;
  ending->timeout = g_timeout_add(SANDBOX_DESTROY_MS, ending_timed_out, ending);
  if (sandbox->preparation) preparation_cancel(sandbox->preparation);
  g_autoptr(GList) containers = g_hash_table_get_values(sandbox->containers);
  for (GList *link = containers; link; link = link->next) {
    ending->left++;
    container_remove(link->data, 0, container_removed, ending);
  }
  ending_step(ending);
  return TRUE;
}
