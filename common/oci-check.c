// SPDX-License-Identifier: LGPL-2.1-or-later
#include "oci-check.h"

#include <limits.h>
#include <string.h>

#include "error.h"

static gboolean fail(GError **error, const char *where, const char *format, ...) G_GNUC_PRINTF(3, 4);

static gboolean fail(GError **error, const char *where, const char *format, ...) {
  va_list args;
  va_start(args, format);
  g_autofree char *text = g_strdup_vprintf(format, args);
  va_end(args);
  g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT, "%s: %s", where, text);
  return FALSE;
}

static gboolean fail_value(GError **error, const char *where, const char *what, const char *value, const char *reason) {
  g_autofree char *shown = error_clean_text(value);
  return fail(error, where, "%s '%s' %s", what, shown, reason);
}

/* What is wrong with a path that a container's root resolves; NULL: nothing. */
static const char *find_path_fault(const char *path) {
  if (*path == '\0') return "is empty";
  if (strlen(path) >= PATH_MAX) return "is longer than " G_STRINGIFY(PATH_MAX) " bytes";
  g_auto(GStrv) parts = g_strsplit(path, "/", -1);
  return g_strv_contains((const char *const *)parts, "..") ? "has a '..' in it" : NULL;
}

static const char *find_absolute_path_fault(const char *path) {
  return *path != '\0' && *path != '/' ? "is not absolute" : find_path_fault(path);
}

static gboolean is_one_of(const char *value, const char *const *known) { return g_strv_contains(known, value); }

static gboolean check_version(const OciSpec *spec, const char *where, GError **error) {
  const char *version = spec->version;
  if (*version == '\0') return fail(error, where, "ociVersion must not be empty");
  if (g_regex_match_simple("^1\\.[0-9]+\\.[0-9]+([-+][-+.0-9A-Za-z]+)?$", version, 0, 0)) return TRUE;
  return fail_value(error, where, "ociVersion", version, "is not known, only 1.x is");
}

gboolean oci_check_process(const OciProcess *process, const char *where, GError **error) {
  if (process == NULL) return fail(error, where, "process property must not be empty");
  /* These three as runc says them: callers match the words. */
  if (*process->cwd == '\0') return fail(error, where, "Cwd property must not be empty");
  if (*process->cwd != '/') return fail(error, where, "Cwd must be an absolute path");
  if (process->n_args == 0) return fail(error, where, "args must not be empty");
  for (gsize i = 0; i < process->n_rlimits; i++) {
    const char *type = process->rlimits[i]->type;
    if (!g_str_has_prefix(type, "RLIMIT_")) return fail_value(error, where, "rlimit type", type, "is not known");
  }
  return TRUE;
}

static gboolean check_root(const OciSpec *spec, const char *where, GError **error) {
  if (spec->root == NULL) return fail(error, where, "root must be specified");
  if (*spec->root->path == '\0') return fail(error, where, "root.path must not be empty");
  if (strlen(spec->root->path) >= PATH_MAX) {
    return fail_value(error, where, "root.path", spec->root->path, "is too long");
  }
  return TRUE;
}

static gboolean check_mounts(OciSpec *spec, const char *where, GError **error) {
  for (gsize i = 0; i < spec->n_mounts; i++) {
    Grpc__Mount *mount = spec->mounts[i];
    const char *fault = find_path_fault(mount->destination);
    if (fault != NULL) return fail_value(error, where, "mount destination", mount->destination, fault);
    if (*mount->destination == '/') continue;
    char *absolute = g_strconcat("/", mount->destination, NULL);
    g_free(mount->destination);
    mount->destination = absolute;
  }
  return TRUE;
}

static gboolean check_hook_list(Grpc__Hook *const *hooks, gsize n_hooks, const char *where, GError **error) {
  for (gsize i = 0; i < n_hooks; i++) {
    const char *path = hooks[i]->path;
    if (*path != '/') return fail_value(error, where, "hook path", path, "is not absolute");
    if (hooks[i]->timeout < 0) return fail_value(error, where, "hook", path, "has a timeout below 0");
  }
  return TRUE;
}

static gboolean check_hooks(const Grpc__Hooks *hooks, const char *where, GError **error) {
  return hooks == NULL || (check_hook_list(hooks->prestart, hooks->n_prestart, where, error) &&
                           check_hook_list(hooks->createruntime, hooks->n_createruntime, where, error) &&
                           check_hook_list(hooks->createcontainer, hooks->n_createcontainer, where, error) &&
                           check_hook_list(hooks->startcontainer, hooks->n_startcontainer, where, error) &&
                           check_hook_list(hooks->poststart, hooks->n_poststart, where, error) &&
                           check_hook_list(hooks->poststop, hooks->n_poststop, where, error));
}

static gboolean check_namespaces(const Grpc__Linux *linux, const char *where, GError **error) {
  static const char *const known[] = {"pid", "network", "mount", "ipc", "uts", "user", "cgroup", "time", NULL};
  for (gsize i = 0; i < linux->n_namespaces; i++) {
    const Grpc__LinuxNamespace *space = linux->namespaces[i];
    if (!is_one_of(space->type, known)) return fail_value(error, where, "namespace", space->type, "does not exist");
    for (gsize j = 0; j < i; j++) {
      if (strcmp(linux->namespaces[j]->type, space->type) == 0) {
        return fail(error, where, "malformed spec file: duplicated ns '%s'", space->type);
      }
    }
    if (*space->path != '\0' && *space->path != '/') {
      return fail_value(error, where, "namespace path", space->path, "is not absolute");
    }
  }
  return TRUE;
}

static gboolean check_devices(const Grpc__Linux *linux, const char *where, GError **error) {
  static const char *const known[] = {"c", "b", "u", "p", NULL};
  for (gsize i = 0; i < linux->n_devices; i++) {
    const Grpc__LinuxDevice *device = linux->devices[i];
    const char *fault = find_absolute_path_fault(device->path);
    if (fault != NULL) return fail_value(error, where, "device path", device->path, fault);
    if (!is_one_of(device->type, known)) {
      return fail_value(error, where, "device type", device->type, "is not one of c, b, u, p");
    }
  }
  return TRUE;
}

gboolean oci_check_resources(const OciResources *resources, const char *where, GError **error) {
  static const char *const known[] = {"", "a", "c", "b", NULL};
  if (resources == NULL) return TRUE;
  for (gsize i = 0; i < resources->n_devices; i++) {
    const Grpc__LinuxDeviceCgroup *rule = resources->devices[i];
    if (!is_one_of(rule->type, known)) {
      return fail_value(error, where, "device rule's type", rule->type, "is not one of a, b, c");
    }
    if (rule->access[strspn(rule->access, "rwm")] != '\0') {
      return fail_value(error, where, "device rule's access", rule->access, "is not made of r, w, m");
    }
  }
  return TRUE;
}

static gboolean check_linux(const Grpc__Linux *linux, const char *where, GError **error) {
  return linux == NULL || (check_namespaces(linux, where, error) && check_devices(linux, where, error) &&
                           oci_check_resources(linux->resources, where, error));
}

gboolean oci_check_spec(OciSpec *spec, const char *where, GError **error) {
  return check_version(spec, where, error) && oci_check_process(spec->process, where, error) &&
         check_root(spec, where, error) && check_mounts(spec, where, error) && check_hooks(spec->hooks, where, error) &&
         check_linux(spec->linux, where, error);
}
