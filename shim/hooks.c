// SPDX-License-Identifier: LGPL-2.1-or-later
#include "shim/hooks.h"

#include <errno.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "common/error.h"
#include "common/fds.h"
#include "common/spawn.h"

/* What an error repeats of a hook's words. */
#define OUTPUT_LIMIT (4u << 10)

void hooks_free(OciHooks *hooks) {
  if (hooks != NULL) protobuf_c_message_free_unpacked(&hooks->base, NULL);
}

static gboolean has_host_hooks(const OciHooks *hooks) {
  return hooks->n_prestart > 0 || hooks->n_createruntime > 0 || hooks->n_createcontainer > 0 ||
         hooks->n_poststart > 0 || hooks->n_poststop > 0;
}

OciHooks *hooks_take(OciSpec *spec) {
  g_autoptr(OciHooks) hooks = spec->hooks;
  spec->hooks = NULL;
  if (hooks == NULL) return NULL;
  if (hooks->n_startcontainer > 0) {
    spec->hooks = calloc(1, sizeof *spec->hooks); /* freed by protobuf-c */
    grpc__hooks__init(spec->hooks);
    spec->hooks->n_startcontainer = hooks->n_startcontainer;
    spec->hooks->startcontainer = g_steal_pointer(&hooks->startcontainer);
    hooks->n_startcontainer = 0;
  }
  return has_host_hooks(hooks) ? g_steal_pointer(&hooks) : NULL;
}

OciHooks *hooks_copy(const OciHooks *hooks) {
  if (hooks == NULL) return NULL;
  gsize size = grpc__hooks__get_packed_size(hooks);
  g_autofree guint8 *packed = g_malloc(MAX(size, 1));
  grpc__hooks__pack(hooks, packed);
  return grpc__hooks__unpack(NULL, size, packed);
}

typedef struct {
  const char *name; /* config.json's */
  Grpc__Hook *const *list;
  gsize length;
} HookList;

static HookList get_list(const OciHooks *hooks, HookPoint point) {
  switch (point) {
    case HOOK_PRESTART:
      return (HookList){"prestart", hooks->prestart, hooks->n_prestart};
    case HOOK_CREATE_RUNTIME:
      return (HookList){"createRuntime", hooks->createruntime, hooks->n_createruntime};
    case HOOK_CREATE_CONTAINER:
      return (HookList){"createContainer", hooks->createcontainer, hooks->n_createcontainer};
    case HOOK_POSTSTART:
      return (HookList){"poststart", hooks->poststart, hooks->n_poststart};
    case HOOK_POSTSTOP:
      return (HookList){"poststop", hooks->poststop, hooks->n_poststop};
  }
  return (HookList){0};
}

/* ---- what a hook is told ---- */

static void add_text(struct json_object *json, const char *name, const char *text) {
  json_object_object_add(json, name, json_object_new_string(text));
}

/* The OCI runtime specification's "State". */
static GBytes *make_state(const HookSubject *subject) {
  const Kata__V1__ContainerInfo *info = subject->info;
  struct json_object *json = json_object_new_object();
  add_text(json, "ociVersion", info->oci_version);
  add_text(json, "id", info->id);
  add_text(json, "status", subject->status);
  if (subject->pid != 0) json_object_object_add(json, "pid", json_object_new_int64(subject->pid));
  add_text(json, "bundle", info->bundle);
  if (info->n_annotations > 0) {
    struct json_object *annotations = json_object_new_object();
    for (gsize i = 0; i < info->n_annotations; i++)
      add_text(annotations, info->annotations[i]->key, info->annotations[i]->value);
    json_object_object_add(json, "annotations", annotations);
  }
  const char *text = json_object_to_json_string_ext(json, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE);
  GBytes *bytes = g_bytes_new(text, strlen(text));
  json_object_put(json);
  return bytes;
}

/* ---- where it runs ---- */

/* The network first, so that it can be left out; the mount namespace last: with it /proc may change. */
static const char *const joined[] = {"net", "ipc", "uts", "mnt"};

typedef struct {
  int fds[G_N_ELEMENTS(joined)];
  gsize n_fds;
} Namespaces;

static void namespaces_clear(Namespaces *namespaces) {
  while (namespaces->n_fds > 0) fd_clear(&namespaces->fds[--namespaces->n_fds]);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Namespaces, namespaces_clear)

static gboolean open_namespaces(Namespaces *namespaces, const HookSubject *subject, GError **error) {
  pid_t place = subject->place;
  for (gsize i = subject->outside_network ? 1 : 0; place > 0 && i < G_N_ELEMENTS(joined); i++) {
    gboolean elsewhere = subject->network_place > 0 && i < G_N_ELEMENTS(joined) - 1;
    g_autofree char *path =
        g_strdup_printf("/proc/%d/ns/%s", (int)(elsewhere ? subject->network_place : place), joined[i]);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    gboolean is_gone = fd < 0 && (errno == ENOENT || errno == ESRCH);
    if (is_gone && !elsewhere) { /* a caller that did not wait */
      namespaces_clear(namespaces);
      return TRUE;
    }
    if (fd < 0) {
      if (is_gone) /* never in the host's network what is meant for the container's */
        g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_STATE, "process %d, whose network it belongs into, has ended",
                    (int)subject->network_place);
      else
        error_set_errno(error, errno, "cannot open '%s'", path);
      return FALSE;
    }
    namespaces->fds[namespaces->n_fds++] = fd;
  }
  return TRUE;
}

/* ---- running ---- */

static char **copy_texts(char *const *texts, gsize length) {
  char **copy = g_new0(char *, length + 1);
  for (gsize i = 0; i < length; i++) copy[i] = g_strdup(texts[i]);
  return copy;
}

static gboolean check_status(int status, const char *out, const char *err, GError **error) {
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return TRUE;
  g_autofree char *how = WIFSIGNALED(status) ? g_strdup_printf("signal: %s", g_strsignal(WTERMSIG(status)))
                                             : g_strdup_printf("exit status %d", WEXITSTATUS(status));
  g_autofree char *clean_out = error_clean_text(out), *clean_err = error_clean_text(err);
  g_set_error(error, KATA_ERROR, KATA_ERR_IO, "%s, stdout: %s, stderr: %s", how, clean_out, clean_err);
  return FALSE;
}

static gboolean run_hook(const Grpc__Hook *hook, const HookSubject *subject, GBytes *state, GError **error) {
  g_auto(Namespaces) namespaces = {0};
  if (!open_namespaces(&namespaces, subject, error)) return FALSE;
  g_auto(GStrv) argv = copy_texts(hook->args, hook->n_args), env = copy_texts(hook->env, hook->n_env);
  const char *const only_path[] = {hook->path, NULL};
  SpawnOptions options = SPAWN_OPTIONS_INIT;
  options.program = hook->path;
  options.argv = hook->n_args > 0 ? (const char *const *)argv : only_path;
  options.envp = (const char *const *)env;
  options.cwd = subject->info->bundle;
  options.namespaces = namespaces.fds;
  options.n_namespaces = namespaces.n_fds;
  options.new_session = TRUE;
  g_autofree char *out = NULL, *err = NULL;
  int status = -1;
  g_autoptr(GError) why = NULL;
  int timeout_ms = (int)MIN(hook->timeout, G_MAXINT / 1000) * 1000;
  if (spawn_run(&options, state, OUTPUT_LIMIT, timeout_ms, &out, NULL, &err, &status, &why))
    return check_status(status, g_strchomp(out), g_strchomp(err), error);
  if (error_get_code(why) == KATA_ERR_TIMEOUT)
    g_set_error(error, KATA_ERROR, KATA_ERR_TIMEOUT, "hook ran past specified timeout of %.1fs", (double)hook->timeout);
  else
    g_propagate_error(error, g_steal_pointer(&why));
  return FALSE;
}

gboolean hooks_run(const OciHooks *hooks, HookPoint point, const HookSubject *subject, GError **error) {
  if (hooks == NULL) return TRUE;
  HookList list = get_list(hooks, point);
  g_autoptr(GBytes) state = make_state(subject);
  for (gsize i = 0; i < list.length; i++) {
    if (run_hook(list.list[i], subject, state, error)) continue;
    g_prefix_error(error, "error running %s hook #%zu: ", list.name, i);
    return FALSE;
  }
  return TRUE;
}

void hooks_run_all(const OciHooks *hooks, HookPoint point, const HookSubject *subject) {
  if (hooks == NULL) return;
  HookList list = get_list(hooks, point);
  g_autoptr(GBytes) state = make_state(subject);
  for (gsize i = 0; i < list.length; i++) {
    g_autoptr(GError) error = NULL;
    if (!run_hook(list.list[i], subject, state, &error))
      g_warning("container '%s': error running %s hook #%zu: %s", subject->info->id, list.name, i, error->message);
  }
}
