// SPDX-License-Identifier: LGPL-2.1-or-later
#include "shim/start.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
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
#include "lib/annotations.h"
#include "lib/host.h"
#include "lib/paths.h"
#include "proto/shim-task.pb-c.h"
#include "shim/cgroup.h"
#include "shim/containerd.h"
#include "shim/pool.h"
#include "shim/publisher.h"
#include "shim/sandbox-dir.h"
#include "shim/sandbox.h"
#include "shim/serve.h"
#include "shim/share.h"
#include "shim/start-input.h"
#include "shim/store.h"
#include "shim/vm.h"

/* How long an owner that holds the lock may take until it listens. */
#define OWNER_ANSWER_MS 3000
/* How long one that ends may take to be gone. */
#define OWNER_END_MS 5000

/* One call of "start". */
typedef struct {
  const ShimOptions *options;
  const char *root;
  const char *bundle; /* containerd's, or NULL: libkata has called */
  char *sandbox_id;
  gboolean must_exist; /* the sandbox: others have made it */
  StartInput input;
} Start;

/* ---- the owner's process ---- */

/* CRI-O, which takes no events, gives an empty address. */
static gboolean is_by_containerd(const ShimOptions *options) { return options->address != NULL; }

int action_report(const ShimOptions *options, const GError *error) {
  fprintf(stderr, "%s\n", error->message);
  if (!is_by_containerd(options)) fprintf(stderr, "code=%s\n", kata_error_code_name(error_get_code(error)));
  return 1;
}

char *start_get_root(const ShimOptions *options) {
  if (options->root != NULL) return g_strdup(options->root);
  return is_by_containerd(options) ? g_build_filename(PATHS_DEFAULT_ROOT, options->namespace_, NULL)
                                   : g_strdup(PATHS_DEFAULT_ROOT);
}

gboolean start_check_options(const ShimOptions *options, const char *root, GError **error) {
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

/* The mount namespace of a machine that runs already is the owner's, too. */
static gboolean settle_mounts(const Sandbox *sandbox, const Kata__V1__SandboxState *state, GError **error) {
  if (state != NULL && state->qemu_pid != 0) return share_join_namespace((pid_t)state->qemu_pid, error);
  /* One that has just ended is found out by the start itself, which goes on without it. */
  if (sandbox->standby != NULL && share_join_namespace(sandbox->standby->machine, NULL)) return TRUE;
  return share_enter_namespace(sandbox->accelerator == ACCELERATOR_TCG, error);
}

/* In the new process, which has one thread yet. */
static gboolean settle(const Start *start, Sandbox *sandbox, int lock_fd, const Kata__V1__SandboxState *state,
                       GError **error) {
  if (!detach(sandbox->dir, error)) return FALSE;
  if (!write_pid(lock_fd)) {
    error_set_errno(error, errno, "cannot write '%s/%s'", sandbox->dir, PATHS_OWNER_PID);
    return FALSE;
  }
  if (start->bundle != NULL) containerd_adjust_owner();
  return settle_mounts(sandbox, state, error);
}

/* Not removed in the end: who names it has made it. */
static void join_shim_cgroup(Sandbox *sandbox, const char *path) {
  g_autoptr(GError) error = NULL;
  char **directories = cgroup_make(path, getpid(), &error);
  if (directories == NULL || !sandbox_join_cgroup(sandbox, directories, NULL, &error))
    g_warning("cannot join the cgroup of the option shim_cgroup: %s", error->message);
}

static void begin_to_log(const Start *start, const Sandbox *sandbox) {
  gboolean wordy =
      start->options->debug || start->input.debug || settings_get_bool(sandbox->settings, "runtime", "enable_debug");
  log_open(STDERR_FILENO, LOG_FORMAT_TEXT, wordy ? G_LOG_LEVEL_DEBUG : G_LOG_LEVEL_MESSAGE);
  if (start->bundle != NULL) containerd_open_log(start->bundle);
}

/* Once, for all of them. */
static void tell_ignored_settings(const Sandbox *sandbox) {
  GPtrArray *ignored = settings_get_ignored(sandbox->settings);
  g_autoptr(GString) names = g_string_new(NULL);
  for (guint i = 0; i < ignored->len; i++) {
    const IgnoredSetting *one = ignored->pdata[i];
    g_string_append_printf(names, "%s[%s] %s (%s)", i > 0 ? ", " : "", one->section, one->key, one->why);
  }
  if (ignored->len > 0) g_warning("settings without effect: %s", names->str);
}

/* Whoever starts one that takes over, containerd waits for the events of its sandbox. */
static const char *find_events_address(const Start *start, const Kata__V1__SandboxState *state) {
  if (state != NULL) return state->events_address;
  if (start->bundle == NULL) return NULL;
  return start->input.ttrpc_address != NULL ? start->input.ttrpc_address : getenv("TTRPC_ADDRESS");
}

static int be_owner(const Start *start, Sandbox *sandbox, int listen_fd, const Kata__V1__SandboxState *state) {
  begin_to_log(start, sandbox);
  if (state == NULL) tell_ignored_settings(sandbox);
  if (start->input.shim_cgroup != NULL) join_shim_cgroup(sandbox, start->input.shim_cgroup);
  sandbox->publisher = publisher_new(find_events_address(start, state), sandbox->namespace_);
  return serve(sandbox, listen_fd, state);
}

/* Leaves the owner running. In the caller: its pid, or 0 with an error. Never returns in the owner itself. */
static pid_t leave_owner(const Start *start, Sandbox *sandbox, int lock_fd, int listen_fd,
                         const Kata__V1__SandboxState *state, GError **error) {
  /* A pipe that closes when the owner is detached, or says why it could not be. */
  int ready[2];
  if (pipe2(ready, O_CLOEXEC) < 0) {
    error_set_errno(error, errno, "cannot make a pipe");
    return 0;
  }
  pid_t pid = fork();
  if (pid == 0) {
    fd_clear(&ready[0]);
    g_autoptr(GError) why = NULL;
    if (!settle(start, sandbox, lock_fd, state, &why)) {
      fd_write_all(ready[1], why->message, strlen(why->message));
      _exit(1);
    }
    fd_clear(&ready[1]);
    _exit(be_owner(start, sandbox, listen_fd, state));
  }
  fd_clear(&ready[1]);
  char text[1024];
  ssize_t length = pid > 0 ? fd_read_all(ready[0], text, sizeof text - 1) : 0;
  fd_clear(&ready[0]);
  if (pid > 0 && length == 0) return pid;
  if (pid < 0)
    error_set_errno(error, errno, "cannot start the owner");
  else
    g_set_error(error, KATA_ERROR, KATA_ERR_HOST, "cannot start the owner: %.*s", (int)length, text);
  return 0;
}

/* The last thing that start does: containerd takes every byte for the address. */
static gboolean announce(const Start *start, const char *dir, pid_t owner, GError **error) {
  g_autofree char *address = g_strdup_printf("unix://%s/%s", dir, PATHS_OWNER_SOCKET);
  if (start->bundle != NULL && !containerd_note_owner(start->bundle, address, owner, error)) return FALSE;
  printf("%s\n", address);
  fflush(stdout);
  return TRUE;
}

/* ---- start ---- */

static gboolean apply_annotations(const Start *start, kata_settings *settings, GError **error) {
  if (start->bundle == NULL || !containerd_has_document(start->bundle)) return TRUE;
  g_autoptr(OciSpec) spec = oci_spec_load(start->bundle, error);
  return spec != NULL && annotations_apply(settings, spec, error);
}

/* With a guest that stands by, if there is one for it. Its directory is then the sandbox's. */
static gboolean move_in_with_standby(const Start *start, Sandbox *sandbox, int *ret_lock, GError **error) {
  autofd int lock = -1;
  g_autoptr(PoolMember) standby = pool_take(sandbox, &lock);
  if (standby == NULL) return TRUE;
  if (!sandbox_dir_move_in(start->root, start->sandbox_id, standby->directory, error)) {
    pool_offer(standby, NULL);
    return FALSE;
  }
  g_free(sandbox->dir);
  sandbox->dir = g_strdup(standby->directory);
  sandbox->standby = g_steal_pointer(&standby);
  *ret_lock = fd_steal(&lock);
  return TRUE;
}

/* Its directory, locked. */
static int move_in(const Start *start, Sandbox *sandbox, GError **error) {
  int lock = -1;
  if (!move_in_with_standby(start, sandbox, &lock, error) || lock >= 0) return lock;
  char *dir = sandbox_dir_create(start->root, start->sandbox_id, error);
  if (dir == NULL) return -1;
  g_free(sandbox->dir);
  sandbox->dir = dir;
  lock = sandbox_dir_lock(dir, error);
  if (lock < 0) sandbox_dir_remove(start->root, dir, NULL);
  return lock;
}

static gboolean start_new(const Start *start, GError **error) {
  g_autoptr(kata_settings) settings = start_input_load_settings(&start->input, error);
  if (settings == NULL || !apply_annotations(start, settings, error)) return FALSE;
  g_autoptr(Sandbox) sandbox = sandbox_new(start->options->namespace_, start->sandbox_id, start->root, settings, error);
  autofd int lock = sandbox != NULL ? move_in(start, sandbox, error) : -1;
  if (lock < 0) return FALSE;
  sandbox->settings_given = start->bundle == NULL || start->input.options != NULL;
  g_autofree char *address = g_strdup_printf("unix://%s/%s", sandbox->dir, PATHS_OWNER_SOCKET);
  autofd int listener = ttrpc_listen(address, error);
  pid_t owner = 0;
  if (listener >= 0 && store_save_settings(sandbox, error) && store_save(sandbox, error))
    owner = leave_owner(start, sandbox, lock, listener, NULL, error);
  if (owner > 0 && announce(start, sandbox->dir, owner, error)) return TRUE;
  if (owner > 0) kill(owner, SIGKILL);
  sandbox_dir_remove(start->root, sandbox->dir, NULL);
  return FALSE;
}

static gboolean not_found(const char *id, GError **error) {
  g_set_error(error, KATA_ERROR, KATA_ERR_NOT_FOUND, "sandbox '%s' does not exist", id);
  return FALSE;
}

/* Another owner holds the sandbox: it only has to answer. */
static gboolean wait_for_owner(const Start *start, const char *dir, GError **error) {
  g_autofree char *address = g_strdup_printf("unix://%s/%s", dir, PATHS_OWNER_SOCKET);
  autofd int fd = ttrpc_dial(address, OWNER_ANSWER_MS, error);
  return fd >= 0 && announce(start, dir, sandbox_dir_read_owner(dir), error);
}

/* -1 also if there is no directory, then with KATA_ERR_NOT_FOUND. An owner that has been told to end gets timeout_ms.
 */
static int lock_left_over(const char *dir, guint timeout_ms, GError **error) {
  gint64 deadline = g_get_monotonic_time() + timeout_ms * G_TIME_SPAN_MILLISECOND;
  for (;;) {
    g_autoptr(GError) why = NULL;
    int lock = sandbox_dir_lock(dir, &why);
    if (lock >= 0) return lock;
    if (error_get_code(why) != KATA_ERR_ALREADY_EXISTS || g_get_monotonic_time() >= deadline) {
      g_propagate_error(error, g_steal_pointer(&why));
      return -1;
    }
    g_usleep(20000);
  }
}

/* For containerd: the sandbox's owner if it lives, else a new one. What one that has died left is of no use any more:
 * containerd knows of no container in it. */
static gboolean start_or_join(const Start *start, GError **error) {
  g_autofree char *dir = sandbox_dir_find(start->root, start->sandbox_id);
  g_autoptr(GError) why = NULL;
  gboolean joins = strcmp(start->sandbox_id, start->options->id) != 0;
  autofd int lock = lock_left_over(dir, joins ? 0 : OWNER_END_MS, &why);
  if (lock < 0 && error_get_code(why) == KATA_ERR_ALREADY_EXISTS) {
    if (joins) return wait_for_owner(start, dir, error);
    g_set_error(error, KATA_ERROR, KATA_ERR_ALREADY_EXISTS, "sandbox '%s' already exists", start->sandbox_id);
    return FALSE;
  }
  if (start->must_exist) return not_found(start->sandbox_id, error);
  if (lock >= 0 && !sandbox_dir_remove(start->root, dir, error)) return FALSE;
  fd_clear(&lock);
  g_clear_error(&why);
  if (start_new(start, &why)) return TRUE;
  /* Somebody has begun the same group at the same time. */
  if (joins && error_get_code(why) == KATA_ERR_ALREADY_EXISTS) return wait_for_owner(start, dir, error);
  g_propagate_error(error, g_steal_pointer(&why));
  return FALSE;
}

/* A sandbox that never came to have a container has nothing to be taken over for. */
static gboolean is_worth_adopting(const Kata__V1__SandboxState *state) {
  return strcmp(state->status, "running") == 0 || state->n_containers > 0;
}

static gboolean start_adopting(const Start *start, GError **error) {
  const ShimOptions *options = start->options;
  const char *root = start->root;
  g_autofree char *dir = sandbox_dir_find(root, options->id);
  if (!g_file_test(dir, G_FILE_TEST_IS_DIR)) return not_found(options->id, error);
  g_autoptr(GError) why = NULL;
  autofd int lock = sandbox_dir_lock(dir, &why);
  if (lock < 0 && error_get_code(why) == KATA_ERR_ALREADY_EXISTS) return wait_for_owner(start, dir, error);
  if (lock < 0) return not_found(options->id, error);
  g_autoptr(Kata__V1__SandboxState) state = store_load(dir, &why);
  if (state == NULL && error_get_code(why) == KATA_ERR_UNSUPPORTED) {
    g_propagate_error(error, g_steal_pointer(&why)); /* a newer owner's: not ours to remove */
    return FALSE;
  }
  g_autoptr(kata_settings) settings = state != NULL ? store_load_settings(dir, NULL) : NULL;
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
  pid_t owner = listener >= 0 ? leave_owner(start, sandbox, lock, listener, state, error) : 0;
  return owner > 0 && announce(start, dir, owner, error);
}

static gboolean run_start(Start *start, GError **error) {
  if (!start_check_options(start->options, start->root, error)) return FALSE;
  if (start->options->adopt) {
    start->sandbox_id = g_strdup(start->options->id);
    return start_adopting(start, error);
  }
  if (!start_input_read(&start->input, start->options->id, error)) return FALSE;
  if (start->bundle == NULL) {
    start->sandbox_id = g_strdup(start->options->id);
    return start_new(start, error);
  }
  start->sandbox_id = containerd_find_sandbox(start->bundle, start->options->id, &start->must_exist, error);
  return start->sandbox_id != NULL && start_or_join(start, error);
}

int action_start(const ShimOptions *options) {
  umask(022); /* the caller's may keep QEMU's user out of what is made here */
  g_autofree char *root = start_get_root(options);
  g_autofree char *bundle = is_by_containerd(options) ? g_get_current_dir() : NULL;
  Start start = {.options = options, .root = root, .bundle = bundle};
  g_autoptr(GError) error = NULL;
  gboolean started = run_start(&start, &error);
  start_input_clear(&start.input);
  g_free(start.sandbox_id);
  return started ? 0 : action_report(options, error);
}

/* ---- the capability cache ---- */

int action_warm_cache(const ShimOptions *options) {
  g_autoptr(GError) error = NULL;
  Accelerator accelerator = ACCELERATOR_TCG;
  if (!host_resolve_accelerator(ACCELERATOR_AUTO, &accelerator, &error) ||
      !share_enter_namespace(accelerator == ACCELERATOR_TCG, &error) ||
      !vm_warm_cache(accelerator == ACCELERATOR_KVM ? KATA_CACHEDIR "/libvirt-kvm" : KATA_CACHEDIR "/libvirt-tcg",
                     &error))
    return action_report(options, error);
  return 0;
}
