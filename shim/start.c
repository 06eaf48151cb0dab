// SPDX-License-Identifier: LGPL-2.1-or-later
#include "shim/start.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/error.h"
#include "common/fds.h"
#include "common/ids.h"
#include "common/log.h"
#include "common/safe-path.h"
#include "common/ttrpc.h"
#include "kata/context.h"
#include "lib/host.h"
#include "lib/paths.h"
#include "proto/shim-options.pb-c.h"
#include "proto/shim-task.pb-c.h"
#include "shim/sandbox-dir.h"
#include "shim/sandbox.h"
#include "shim/serve.h"
#include "shim/share.h"
#include "shim/store.h"
#include "shim/vm.h"

/* What "start" reads from its standard input (containerd's own shims: 10 MiB). */
#define OPTIONS_LIMIT (10u << 20)
/* The settings a sandbox was made with, for an owner that takes it over. */
#define SETTINGS_COPY "kata.conf"
#define SETTINGS_LIMIT (1u << 20)
/* How long an owner that holds the lock may take until it listens. */
#define OWNER_ANSWER_MS 3000

int action_report(const GError *error) {
  fprintf(stderr, "%s\ncode=%s\n", error->message, kata_error_code_name(error_get_code(error)));
  return 1;
}

/* ---- settings ---- */

static gboolean read_options(Runtimeoptions__V1__Options **ret, GError **error) {
  *ret = NULL;
  if (isatty(STDIN_FILENO)) return TRUE;
  g_autoptr(GByteArray) bytes = g_byte_array_new();
  guint8 buffer[4096];
  ssize_t got;
  while ((got = fd_read_all(STDIN_FILENO, buffer, sizeof buffer)) > 0) {
    g_byte_array_append(bytes, buffer, (guint)got);
    if (bytes->len > OPTIONS_LIMIT) {
      g_set_error(error, KATA_ERROR, KATA_ERR_RESOURCE_EXHAUSTED, "the options on standard input exceed %u bytes",
                  OPTIONS_LIMIT);
      return FALSE;
    }
  }
  if (bytes->len == 0) return TRUE;
  Google__Protobuf__Any *any = google__protobuf__any__unpack(NULL, bytes->len, bytes->data);
  if (any != NULL && g_str_has_suffix(any->type_url, "runtimeoptions.v1.Options"))
    *ret = runtimeoptions__v1__options__unpack(NULL, any->value.len, any->value.data);
  gboolean readable = any != NULL && (*ret != NULL || !g_str_has_suffix(any->type_url, "runtimeoptions.v1.Options"));
  if (any != NULL) google__protobuf__any__free_unpacked(any, NULL);
  if (!readable)
    g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT,
                "the options on standard input are not a google.protobuf.Any of runtimeoptions.v1.Options");
  return readable;
}

/* Defaults < file and its drop-ins < what the caller sent along. */
static kata_settings *read_settings(GError **error) {
  Runtimeoptions__V1__Options *options = NULL;
  if (!read_options(&options, error)) return NULL;
  g_autoptr(kata_settings) settings = settings_new();
  gboolean has_path = options != NULL && *options->config_path != '\0';
  const char *path = has_path ? options->config_path : KATA_SYSCONFDIR "/kata.conf";
  gboolean is_default = strcmp(path, KATA_SYSCONFDIR "/kata.conf") == 0;
  gboolean ok = settings_load_default(settings, path, !is_default, error);
  if (ok && options != NULL && options->config_body.len > 0)
    ok = settings_load_text(settings, (const char *)options->config_body.data, options->config_body.len,
                            "settings of the caller", error);
  if (options != NULL) runtimeoptions__v1__options__free_unpacked(options, NULL);
  return ok ? g_steal_pointer(&settings) : NULL;
}

static gboolean keep_settings(const Sandbox *sandbox, GError **error) {
  g_autofree char *path = g_build_filename(sandbox->dir, SETTINGS_COPY, NULL);
  char *text = kata_settings_to_text(sandbox->settings);
  gboolean kept = safe_write_file(path, text, -1, 0600, FALSE, error);
  kata_free(text);
  return kept;
}

static kata_settings *load_kept_settings(const char *dir, GError **error) {
  g_autofree char *path = g_build_filename(dir, SETTINGS_COPY, NULL);
  gsize length = 0;
  g_autofree char *text = safe_read_file(path, SETTINGS_LIMIT, &length, error);
  g_autoptr(kata_settings) settings = settings_new();
  if (text == NULL || !settings_load_text(settings, text, length, path, error)) return NULL;
  return g_steal_pointer(&settings);
}

/* ---- the owner's process ---- */

static char *default_root(const ShimOptions *options) {
  if (options->root != NULL) return g_strdup(options->root);
  gboolean by_containerd = options->address != NULL && *options->address != '\0';
  return by_containerd ? g_build_filename(PATHS_DEFAULT_ROOT, options->namespace_, NULL) : g_strdup(PATHS_DEFAULT_ROOT);
}

static gboolean check_options(const ShimOptions *options, const char *root, GError **error) {
  if (options->namespace_ == NULL || *options->namespace_ == '\0') {
    g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT, "the flag -namespace is missing");
    return FALSE;
  }
  return id_check(options->id != NULL ? options->id : "", "sandbox", error) && paths_check_root(root, error);
}

/* In the new process: away from the caller's session, descriptors and directory. */
static gboolean detach(const char *dir, GError **error) {
  setsid();
  umask(022);
  prctl(PR_SET_NAME, "kata-owner");
  g_autofree char *log = g_build_filename(dir, PATHS_OWNER_LOG, NULL);
  autofd int null = open("/dev/null", O_RDWR | O_CLOEXEC);
  autofd int log_fd = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (null < 0 || log_fd < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(null, STDOUT_FILENO) < 0 ||
      dup2(log_fd, STDERR_FILENO) < 0 || chdir("/") < 0) {
    error_set_errno(error, errno, "cannot detach the owner (log '%s')", log);
    return FALSE;
  }
  return TRUE;
}

static gboolean write_pid(int lock_fd) {
  g_autofree char *text = g_strdup_printf("%d\n", (int)getpid());
  return ftruncate(lock_fd, 0) == 0 && fd_write_all(lock_fd, text, strlen(text));
}

/* Leaves the owner running. In the caller: TRUE once it is. Never returns in the owner itself. */
static gboolean leave_owner(Sandbox *sandbox, int lock_fd, int listen_fd, const Kata__V1__SandboxState *state,
                            gboolean debug, GError **error) {
  /* A pipe that closes when the owner is detached, or says why it could not be. */
  int ready[2];
  if (pipe2(ready, O_CLOEXEC) < 0) {
    error_set_errno(error, errno, "cannot make a pipe");
    return FALSE;
  }
  pid_t pid = fork();
  if (pid == 0) {
    fd_clear(&ready[0]);
    g_autoptr(GError) why = NULL;
    gboolean adopting = state != NULL && state->qemu_pid != 0;
    if (!detach(sandbox->dir, &why) || !write_pid(lock_fd) ||
        !(adopting ? share_join_namespace((pid_t)state->qemu_pid, &why)
                   : share_enter_namespace(sandbox->accelerator == ACCELERATOR_TCG, &why))) {
      const char *text = why != NULL ? why->message : "cannot write owner.pid";
      fd_write_all(ready[1], text, strlen(text));
      _exit(1);
    }
    fd_clear(&ready[1]);
    gboolean wordy = debug || settings_get_bool(sandbox->settings, "runtime", "enable_debug");
    log_open(STDERR_FILENO, LOG_FORMAT_TEXT, wordy ? G_LOG_LEVEL_DEBUG : G_LOG_LEVEL_MESSAGE);
    _exit(serve(sandbox, listen_fd, state));
  }
  fd_clear(&ready[1]);
  char text[1024];
  ssize_t length = pid > 0 ? fd_read_all(ready[0], text, sizeof text - 1) : 0;
  fd_clear(&ready[0]);
  if (pid > 0 && length == 0) return TRUE;
  if (pid < 0)
    error_set_errno(error, errno, "cannot start the owner");
  else
    g_set_error(error, KATA_ERROR, KATA_ERR_HOST, "cannot start the owner: %.*s", (int)length, text);
  return FALSE;
}

static void print_address(const Sandbox *sandbox) {
  printf("unix://%s/%s\n", sandbox->dir, PATHS_OWNER_SOCKET);
  fflush(stdout);
}

/* ---- start ---- */

static gboolean start_new(const ShimOptions *options, const char *root, GError **error) {
  g_autoptr(kata_settings) settings = read_settings(error);
  if (settings == NULL) return FALSE;
  g_autoptr(Sandbox) sandbox = sandbox_new(options->namespace_, options->id, root, settings, error);
  char *dir = sandbox != NULL ? sandbox_dir_create(root, options->id, error) : NULL;
  if (dir == NULL) return FALSE;
  g_free(sandbox->dir);
  sandbox->dir = dir;
  autofd int lock = sandbox_dir_lock(sandbox->dir, error);
  g_autofree char *address = g_strdup_printf("unix://%s/%s", sandbox->dir, PATHS_OWNER_SOCKET);
  autofd int listener = lock >= 0 ? ttrpc_listen(address, error) : -1;
  if (listener >= 0 && keep_settings(sandbox, error) && store_save(sandbox, error) &&
      leave_owner(sandbox, lock, listener, NULL, options->debug, error)) {
    print_address(sandbox);
    return TRUE;
  }
  sandbox_dir_remove(root, sandbox->dir, NULL);
  return FALSE;
}

/* Another owner holds the sandbox: it only has to answer. */
static gboolean wait_for_owner(const char *dir, GError **error) {
  g_autofree char *address = g_strdup_printf("unix://%s/%s", dir, PATHS_OWNER_SOCKET);
  autofd int fd = ttrpc_dial(address, OWNER_ANSWER_MS, error);
  if (fd < 0) return FALSE;
  printf("%s\n", address);
  return TRUE;
}

static gboolean not_found(const char *id, GError **error) {
  g_set_error(error, KATA_ERROR, KATA_ERR_NOT_FOUND, "sandbox '%s' does not exist", id);
  return FALSE;
}

/* A sandbox that never came to have a container has nothing to be taken over for. */
static gboolean is_worth_adopting(const Kata__V1__SandboxState *state) {
  return strcmp(state->status, "running") == 0 || state->n_containers > 0;
}

static gboolean start_adopting(const ShimOptions *options, const char *root, GError **error) {
  g_autofree char *dir = sandbox_dir_find(root, options->id);
  if (!g_file_test(dir, G_FILE_TEST_IS_DIR)) return not_found(options->id, error);
  g_autoptr(GError) why = NULL;
  autofd int lock = sandbox_dir_lock(dir, &why);
  if (lock < 0 && error_get_code(why) == KATA_ERR_ALREADY_EXISTS) return wait_for_owner(dir, error);
  if (lock < 0) return not_found(options->id, error);
  g_autoptr(Kata__V1__SandboxState) state = store_load(dir, &why);
  if (state == NULL && error_get_code(why) == KATA_ERR_UNSUPPORTED) {
    g_propagate_error(error, g_steal_pointer(&why)); /* a newer owner's: not ours to remove */
    return FALSE;
  }
  g_autoptr(kata_settings) settings = state != NULL ? load_kept_settings(dir, NULL) : NULL;
  g_autoptr(Sandbox) sandbox = settings != NULL && is_worth_adopting(state)
                                   ? sandbox_new(options->namespace_, options->id, root, settings, NULL)
                                   : NULL;
  if (sandbox == NULL) {
    sandbox_dir_remove(root, dir, NULL);
    return not_found(options->id, error);
  }
  if (state->qemu_pid != 0 && !vm_is_ours((pid_t)state->qemu_pid, dir)) state->qemu_pid = 0;
  g_autofree char *address = g_strdup_printf("unix://%s/%s", dir, PATHS_OWNER_SOCKET);
  autofd int listener = ttrpc_listen(address, error);
  if (listener < 0 || !leave_owner(sandbox, lock, listener, state, options->debug, error)) return FALSE;
  print_address(sandbox);
  return TRUE;
}

int action_start(const ShimOptions *options) {
  umask(022); /* the caller's may keep QEMU's user out of what is made here */
  g_autofree char *root = default_root(options);
  g_autoptr(GError) error = NULL;
  if (check_options(options, root, &error) &&
      (options->adopt ? start_adopting(options, root, &error) : start_new(options, root, &error)))
    return 0;
  return action_report(error);
}

/* ---- delete ---- */

/* Ends a live owner, which then cannot put back what is removed. */
static void kill_owner(const char *dir) {
  g_autofree char *path = g_build_filename(dir, PATHS_OWNER_PID, NULL);
  g_autofree char *text = safe_read_file(path, 64, NULL, NULL);
  autofd int lock = sandbox_dir_lock(dir, NULL);
  pid_t pid = text != NULL ? (pid_t)g_ascii_strtoll(text, NULL, 10) : 0;
  if (lock < 0 && pid > 1) kill(pid, SIGKILL);
}

int action_delete(const ShimOptions *options) {
  g_autofree char *root = default_root(options);
  g_autoptr(GError) error = NULL;
  if (!check_options(options, root, &error)) return action_report(error);
  g_autofree char *dir = sandbox_dir_find(root, options->id);
  kill_owner(dir);
  if (!sandbox_dir_remove(root, dir, &error)) return action_report(error);
  /* 137: killed, as containerd's own shim answers. */
  Containerd__Task__V2__DeleteResponse reply = CONTAINERD__TASK__V2__DELETE_RESPONSE__INIT;
  Google__Protobuf__Timestamp now = GOOGLE__PROTOBUF__TIMESTAMP__INIT;
  now.seconds = g_get_real_time() / G_USEC_PER_SEC;
  reply.exit_status = 137;
  reply.exited_at = &now;
  guint8 packed[64];
  gsize size = containerd__task__v2__delete_response__pack(&reply, packed);
  return fd_write_all(STDOUT_FILENO, packed, size) ? 0 : 1;
}

/* ---- the capability cache ---- */

int action_warm_cache(void) {
  g_autoptr(GError) error = NULL;
  Accelerator accelerator = ACCELERATOR_TCG;
  if (!host_resolve_accelerator(ACCELERATOR_AUTO, &accelerator, &error) ||
      !share_enter_namespace(accelerator == ACCELERATOR_TCG, &error) ||
      !vm_warm_cache(accelerator == ACCELERATOR_KVM ? KATA_CACHEDIR "/libvirt-kvm" : KATA_CACHEDIR "/libvirt-tcg",
                     &error))
    return action_report(error);
  return 0;
}
