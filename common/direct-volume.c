// SPDX-License-Identifier: LGPL-2.1-or-later
#include "common/direct-volume.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/error.h"
#include "common/ids.h"
#include "common/json-text.h"
#include "common/safe-path.h"

#define MOUNT_INFO "mountInfo.json"
#define GUEST_DIR "/run/kata-containers/sandbox/volumes/"

typedef struct json_object JsonObject;
G_DEFINE_AUTOPTR_CLEANUP_FUNC(JsonObject, json_object_put)

void direct_volume_free(DirectVolume *volume) {
  if (volume == NULL) return;
  g_free(volume->device);
  g_free(volume->fstype);
  g_strfreev(volume->options);
  g_free(volume);
}

/* ---- the document ---- */

static gboolean refuse(const char *where, const char *member, const char *wanted, GError **error) {
  g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT, "%s: '%s': expected %s", where, member, wanted);
  return FALSE;
}

/* *ret stays as it is if there is no such member. */
static gboolean read_text(struct json_object *object, const char *member, const char *where, const char **ret,
                          GError **error) {
  struct json_object *value = NULL;
  if (!json_object_object_get_ex(object, member, &value)) return TRUE;
  if (!json_object_is_type(value, json_type_string)) return refuse(where, member, "a string", error);
  *ret = json_object_get_string(value);
  return TRUE;
}

static gboolean read_device(struct json_object *object, const char *where, DirectVolume *volume, GError **error) {
  const char *type = "block", *device = "", *fstype = "";
  /* The second words are those of upstream's newer runtime. */
  if (!read_text(object, "volume-type", where, &type, error) ||
      !read_text(object, "volume_type", where, &type, error) || !read_text(object, "device", where, &device, error) ||
      !read_text(object, "fstype", where, &fstype, error) || !read_text(object, "fs_type", where, &fstype, error))
    return FALSE;
  if (strcmp(type, "block") != 0 && strcmp(type, "directvol") != 0) {
    g_autofree char *shown = error_clean_text(type);
    g_set_error(error, KATA_ERROR, KATA_ERR_UNSUPPORTED,
                "%s: 'volume-type': a guest can have volumes of type 'block', not '%s'", where, shown);
    return FALSE;
  }
  if (!g_path_is_absolute(device)) return refuse(where, "device", "the absolute path of a block device", error);
  volume->device = g_strdup(device);
  volume->fstype = g_strdup(fstype);
  return TRUE;
}

static gboolean read_options(struct json_object *object, const char *where, DirectVolume *volume, GError **error) {
  g_autoptr(GStrvBuilder) builder = g_strv_builder_new();
  struct json_object *list = NULL;
  gboolean is_there = json_object_object_get_ex(object, "options", &list) && list != NULL;
  if (is_there && !json_object_is_type(list, json_type_array))
    return refuse(where, "options", "an array of strings", error);
  for (size_t i = 0; is_there && i < json_object_array_length(list); i++) {
    struct json_object *entry = json_object_array_get_idx(list, i);
    if (!json_object_is_type(entry, json_type_string)) return refuse(where, "options", "an array of strings", error);
    const char *option = json_object_get_string(entry);
    volume->read_only = volume->read_only || strcmp(option, "ro") == 0;
    if (strcmp(option, "ro") != 0 && strcmp(option, "rw") != 0) g_strv_builder_add(builder, option);
  }
  volume->options = g_strv_builder_end(builder);
  return TRUE;
}

/* What it asks for beyond a mount. */
static gboolean read_metadata(struct json_object *object, const char *where, DirectVolume *volume, GError **error) {
  static const char *const unsupported[] = {"encryptionKey", "createFilesystem"};
  struct json_object *metadata = NULL;
  const char *group = NULL, *policy = "Always";
  if (!json_object_object_get_ex(object, "metadata", &metadata) || metadata == NULL) return TRUE;
  if (!json_object_is_type(metadata, json_type_object)) return refuse(where, "metadata", "an object", error);
  for (gsize i = 0; i < G_N_ELEMENTS(unsupported); i++) {
    if (!json_object_object_get_ex(metadata, unsupported[i], NULL)) continue;
    g_set_error(error, KATA_ERROR, KATA_ERR_UNSUPPORTED, "%s: 'metadata': guests know no '%s'", where, unsupported[i]);
    return FALSE;
  }
  if (!read_text(metadata, "fsGroup", where, &group, error) ||
      !read_text(metadata, "fsGroupChangePolicy", where, &policy, error))
    return FALSE;
  volume->only_if_root_differs = strcmp(policy, "OnRootMismatch") == 0;
  if (!volume->only_if_root_differs && strcmp(policy, "Always") != 0 && *policy != '\0')
    return refuse(where, "fsGroupChangePolicy", "'Always' or 'OnRootMismatch'", error);
  volume->has_group = group != NULL && *group != '\0';
  guint64 number = 0;
  if (volume->has_group && !g_ascii_string_to_unsigned(group, 10, 0, UINT_MAX - 1, &number, NULL))
    return refuse(where, "fsGroup", "the number of a group", error);
  volume->group = (guint32)number;
  return TRUE;
}

DirectVolume *direct_volume_parse(const char *json, gsize length, const char *where, GError **error) {
  g_autoptr(JsonObject) object = json_text_parse(json, length, DIRECT_VOLUME_LIMIT, where, error);
  if (object == NULL) return NULL;
  if (!json_object_is_type(object, json_type_object)) {
    g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT, "%s: expected an object", where);
    return NULL;
  }
  g_autoptr(DirectVolume) volume = g_new0(DirectVolume, 1);
  if (!read_device(object, where, volume, error) || !read_options(object, where, volume, error) ||
      !read_metadata(object, where, volume, error))
    return NULL;
  return g_steal_pointer(&volume);
}

/* ---- its directory ---- */

/* The form that URLs take, with its padding. */
static char *encode(const char *path) {
  char *text = g_base64_encode((const guchar *)path, strlen(path));
  return g_strdelimit(g_strdelimit(text, "+", '-'), "/", '_');
}

/* NULL: no such name. */
static char *decode(const char *name) {
  gsize length = 0;
  g_autofree char *text = g_strdelimit(g_strdelimit(g_strdup(name), "-", '+'), "_", '/');
  g_autofree guchar *bytes = g_base64_decode(text, &length);
  g_autofree char *path = g_strndup((const char *)bytes, length);
  g_autofree char *again = encode(path);
  gboolean is_whole = strcmp(again, name) == 0 && g_path_is_absolute(path) && g_utf8_validate(path, -1, NULL);
  return is_whole ? g_steal_pointer(&path) : NULL;
}

/* NULL: such a path can have none. */
static char *directory_of(const char *path) {
  g_autofree char *name = encode(path);
  return strlen(name) <= NAME_MAX ? g_build_filename(DIRECT_VOLUMES, name, NULL) : NULL;
}

static char *check_path(const char *path, GError **error) {
  if (!safe_path_check(path, "volume path", error)) return NULL;
  char *directory = directory_of(path);
  if (directory == NULL)
    g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT,
                "volume path '%s': too long, a direct-assigned volume's may have %d bytes", path, NAME_MAX / 4 * 3);
  return directory;
}

char *direct_volume_guest_path(const char *path) {
  g_autofree char *name = encode(path);
  return g_strconcat(GUEST_DIR, name, NULL);
}

gboolean direct_volume_find(const char *path, DirectVolume **ret, GError **error) {
  g_autofree char *directory = directory_of(path);
  g_autofree char *file = directory != NULL ? g_build_filename(directory, MOUNT_INFO, NULL) : NULL;
  *ret = NULL;
  if (file == NULL || access(file, F_OK) < 0) return TRUE;
  gsize length = 0;
  g_autofree char *json = safe_read_file(file, DIRECT_VOLUME_LIMIT, &length, error);
  g_autofree char *where = g_strdup_printf("direct-assigned volume '%s'", path);
  if (json != NULL) *ret = direct_volume_parse(json, length, where, error);
  return *ret != NULL;
}

char *direct_volume_read(const char *path) {
  g_autofree char *directory = directory_of(path);
  g_autofree char *file = directory != NULL ? g_build_filename(directory, MOUNT_INFO, NULL) : NULL;
  return file != NULL ? safe_read_file(file, DIRECT_VOLUME_LIMIT, NULL, NULL) : NULL;
}

static gint compare_texts(gconstpointer a, gconstpointer b) {
  return strcmp(*(const char *const *)a, *(const char *const *)b);
}

char **direct_volume_list(GError **error) {
  g_autoptr(GPtrArray) paths = g_ptr_array_new_with_free_func(g_free);
  gboolean is_there = access(DIRECT_VOLUMES, F_OK) == 0 || errno != ENOENT;
  g_autoptr(GDir) directory = is_there ? g_dir_open(DIRECT_VOLUMES, 0, error) : NULL;
  if (is_there && directory == NULL) return NULL;
  const char *name;
  while (directory != NULL && (name = g_dir_read_name(directory)) != NULL) {
    char *path = decode(name);
    if (path != NULL) g_ptr_array_add(paths, path);
  }
  g_ptr_array_sort(paths, compare_texts);
  g_ptr_array_add(paths, NULL);
  return (char **)g_ptr_array_free(g_steal_pointer(&paths), FALSE);
}

gboolean direct_volume_add(const char *path, const char *json, GError **error) {
  g_autofree char *directory = check_path(path, error);
  if (directory == NULL) return FALSE;
  g_autoptr(DirectVolume) volume = direct_volume_parse(json, strlen(json), "mount info", error);
  if (volume == NULL) return FALSE;
  if (g_mkdir_with_parents(directory, 0700) < 0) {
    error_set_errno(error, errno, "cannot make the directory '%s'", directory);
    return FALSE;
  }
  g_autofree char *file = g_build_filename(directory, MOUNT_INFO, NULL);
  return safe_write_file(file, json, -1, 0600, FALSE, error);
}

gboolean direct_volume_remove(const char *path, GError **error) {
  g_autofree char *directory = check_path(path, error);
  return directory != NULL && safe_remove_tree(directory, error);
}

/* ---- who uses it ---- */

gboolean direct_volume_add_user(const char *path, const char *sandbox, const char *root, GError **error) {
  g_autofree char *directory = check_path(path, error);
  if (directory == NULL) return FALSE;
  if (strcmp(sandbox, MOUNT_INFO) == 0) {
    g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT, "a sandbox called '%s' cannot be noted", sandbox);
    return FALSE;
  }
  g_autofree char *file = g_build_filename(directory, sandbox, NULL);
  return safe_write_file(file, root, -1, 0600, FALSE, error);
}

void direct_volume_drop_user(const char *path, const char *sandbox) {
  g_autofree char *directory = directory_of(path);
  g_autofree char *file = directory != NULL ? g_build_filename(directory, sandbox, NULL) : NULL;
  if (file != NULL && strcmp(sandbox, MOUNT_INFO) != 0) unlink(file);
}

char **direct_volume_list_users(const char *path) {
  g_autofree char *directory = directory_of(path);
  g_autoptr(GDir) files = directory != NULL ? g_dir_open(directory, 0, NULL) : NULL;
  g_autoptr(GStrvBuilder) builder = g_strv_builder_new();
  const char *name;
  while (files != NULL && (name = g_dir_read_name(files)) != NULL) {
    g_autofree char *file = g_build_filename(directory, name, NULL);
    g_autofree char *root = NULL;
    if (strcmp(name, MOUNT_INFO) == 0 || !id_check(name, "sandbox", NULL)) continue;
    root = safe_read_file(file, PATH_MAX, NULL, NULL);
    if (root == NULL || !g_path_is_absolute(root)) continue;
    g_strv_builder_add_many(builder, name, root, NULL);
  }
  return g_strv_builder_end(builder);
}
