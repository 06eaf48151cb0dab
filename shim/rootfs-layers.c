// SPDX-License-Identifier: LGPL-2.1-or-later
#include "shim/rootfs-layers.h"

#include <stdlib.h>
#include <string.h>

#include "common/error.h"

#define FORMAT "format/"
#define OPEN "{{"
#define CLOSE "}}"
#define LOWER "lowerdir="
#define UPPER "upperdir="
#define WORK "workdir="
/* Words to containerd's own mounts, not to the kernel. */
#define NOT_THE_KERNELS "X-containerd."
#define DM_VERITY "X-containerd.dmverity="
#define DEVICE "device="
/* The kernel stacks 500; a machine has far fewer ports. */
#define LAYERS_MAX 500

void rootfs_layers_free(RootfsLayers *layers) {
  if (layers == NULL) return;
  g_array_unref(layers->lowers);
  g_free(layers->upperdir);
  g_free(layers->workdir);
  g_strfreev(layers->options);
  g_free(layers);
}

gboolean rootfs_layers_match(Containerd__Types__Mount *const *mounts, gsize n_mounts) {
  return n_mounts > 0 && g_str_has_prefix(mounts[n_mounts - 1]->type, FORMAT);
}

static gboolean refuse(GError **error, int code, const char *text, const char *why) {
  g_autofree char *shown = error_clean_text(text);
  g_set_error(error, KATA_ERROR, code, "the root file system's mounts: '%s': %s", shown, why);
  return FALSE;
}

static gboolean refuse_word(GError **error, const char *text) {
  return refuse(error, KATA_ERR_INVALID_ARGUMENT, text,
                "expected '{{ mount N }}' or '{{ overlay N N }}' of mounts before it");
}

/* ---- what stands for mounts ---- */

static gboolean take_number(const char *word, guint n_mounts, guint *ret) {
  guint64 number = 0;
  if (!g_ascii_string_to_unsigned(word, 10, 0, G_MAXUINT, &number, NULL) || number >= n_mounts) return FALSE;
  *ret = (guint)number;
  return TRUE;
}

static void append_range(GArray *list, guint from, guint to) {
  for (guint i = from;; i += from <= to ? 1 : -1u) {
    g_array_append_val(list, i);
    if (i == to) return;
  }
}

/* "mount N" or "overlay N N". */
static gboolean take_words(const char *text, guint n_mounts, GArray *list) {
  g_auto(GStrv) words = g_strsplit(text, " ", -1);
  guint n_words = g_strv_length(words), from = 0, to = 0;
  if (n_words == 2 && strcmp(words[0], "mount") == 0 && take_number(words[1], n_mounts, &from))
    to = from;
  else if (n_words != 3 || strcmp(words[0], "overlay") != 0 || !take_number(words[1], n_mounts, &from) ||
           !take_number(words[2], n_mounts, &to))
    return FALSE;
  append_range(list, from, to);
  return TRUE;
}

/* What *text begins with; *text then is what follows. */
static gboolean take_template(const char **text, guint n_mounts, GArray *list) {
  const char *end = g_str_has_prefix(*text, OPEN) ? strstr(*text, CLOSE) : NULL;
  if (end == NULL) return FALSE;
  g_autofree char *inside = g_strndup(*text + strlen(OPEN), (gsize)(end - *text) - strlen(OPEN));
  *text = end + strlen(CLOSE);
  return take_words(g_strstrip(inside), n_mounts, list);
}

/* ---- the parts of an overlay ---- */

static gboolean take_lowers(RootfsLayers *layers, const char *value, GError **error) {
  for (const char *rest = value;; rest++) {
    if (!take_template(&rest, layers->n_mounts, layers->lowers)) return refuse_word(error, value);
    if (*rest == '\0') return TRUE;
    if (*rest != ':') return refuse_word(error, value);
  }
}

/* One that is a directory of the host, as snapshotters without a disk for it give it, is not the guest's: memory takes
 * its place. */
static gboolean take_directory(RootfsLayers *layers, const char *value, char **ret_name, GError **error) {
  if (g_path_is_absolute(value)) return TRUE;
  g_autoptr(GArray) list = g_array_new(FALSE, FALSE, sizeof(guint));
  const char *rest = value;
  if (*ret_name != NULL || !take_template(&rest, layers->n_mounts, list) || list->len != 1 || *rest != '/' ||
      strchr(rest + 1, '/') != NULL || rest[1] == '\0' || rest[1] == '.')
    return refuse(error, KATA_ERR_INVALID_ARGUMENT, value, "expected '{{ mount N }}/NAME' of a mount before it");
  gint number = (gint)g_array_index(list, guint, 0);
  if (layers->upper >= 0 && layers->upper != number)
    return refuse(error, KATA_ERR_INVALID_ARGUMENT, value, "upperdir and workdir must be of one mount");
  layers->upper = number;
  *ret_name = g_strdup(rest + 1);
  return TRUE;
}

static gboolean take_option(RootfsLayers *layers, const char *option, GPtrArray *others, GError **error) {
  if (g_str_has_prefix(option, LOWER)) return take_lowers(layers, option + strlen(LOWER), error);
  if (g_str_has_prefix(option, UPPER)) return take_directory(layers, option + strlen(UPPER), &layers->upperdir, error);
  if (g_str_has_prefix(option, WORK)) return take_directory(layers, option + strlen(WORK), &layers->workdir, error);
  /* Directories that containerd would make for it are made in the guest anyway. */
  if (g_str_has_prefix(option, NOT_THE_KERNELS)) return TRUE;
  if (g_str_has_prefix(option, "uidmap=") || g_str_has_prefix(option, "gidmap="))
    return refuse(error, KATA_ERR_UNSUPPORTED, option, "a guest has no user namespaces for its root file systems");
  if (strstr(option, OPEN) != NULL) return refuse(error, KATA_ERR_UNSUPPORTED, option, "not known here");
  g_ptr_array_add(others, g_strdup(option));
  return TRUE;
}

static gboolean take_overlay(RootfsLayers *layers, const Containerd__Types__Mount *mount, GError **error) {
  GPtrArray *others = g_ptr_array_new();
  gboolean done = TRUE;
  for (gsize i = 0; i < mount->n_options && done; i++) done = take_option(layers, mount->options[i], others, error);
  g_ptr_array_add(others, NULL);
  layers->options = (char **)g_ptr_array_free(others, FALSE);
  if (!done) return FALSE;
  if (layers->lowers->len == 0) return refuse(error, KATA_ERR_INVALID_ARGUMENT, mount->type, "it has no lowerdir");
  if ((layers->upperdir == NULL) != (layers->workdir == NULL))
    return refuse(error, KATA_ERR_INVALID_ARGUMENT, mount->type, "it needs both upperdir and workdir, or none of them");
  return TRUE;
}

/* A view of a single layer. */
static gboolean take_bind(RootfsLayers *layers, const Containerd__Types__Mount *mount, GError **error) {
  layers->options = g_new0(char *, 1);
  return take_lowers(layers, mount->source, error);
}

/* ---- layers ---- */

static gboolean check_layer(const Containerd__Types__Mount *mount, GError **error) {
  if (*mount->target != '\0' || !g_path_is_absolute(mount->source) || strchr(mount->type, '/') != NULL)
    return refuse(error, KATA_ERR_UNSUPPORTED, mount->source,
                  "a layer must be a device or an image, without a target, to be plugged into a guest");
  for (gsize i = 0; i < mount->n_options; i++) {
    const char *option = mount->options[i];
    if (g_str_has_prefix(option, DM_VERITY))
      return refuse(error, KATA_ERR_UNSUPPORTED, option,
                    "a guest does not verify layers; set dmverity_mode = \"off\" of containerd's erofs snapshotter");
    if (g_str_has_prefix(option, DEVICE))
      return refuse(error, KATA_ERR_UNSUPPORTED, option,
                    "an image that lies on several disks is not put together in a guest; switch the merging of layers "
                    "(fsmerge) of containerd's erofs snapshotter off");
  }
  return TRUE;
}

static gboolean is_lower(const RootfsLayers *layers, guint number) {
  for (guint i = 0; i < layers->lowers->len; i++)
    if (g_array_index(layers->lowers, guint, i) == number) return TRUE;
  return FALSE;
}

/* Each is in exactly one place. */
static gboolean check_use(const RootfsLayers *layers, Containerd__Types__Mount *const *mounts, GError **error) {
  guint n_used = layers->lowers->len + (layers->upper >= 0);
  for (guint i = 0; i < layers->n_mounts; i++)
    if (!is_lower(layers, i) && layers->upper != (gint)i)
      return refuse(error, KATA_ERR_INVALID_ARGUMENT, mounts[i]->source, "no layer of the overlay is this one");
  if (n_used == layers->n_mounts) return TRUE;
  return refuse(error, KATA_ERR_INVALID_ARGUMENT, mounts[layers->n_mounts]->type, "it has one mount in two places");
}

RootfsLayers *rootfs_layers_parse(Containerd__Types__Mount *const *mounts, gsize n_mounts, GError **error) {
  const Containerd__Types__Mount *last = mounts[n_mounts - 1];
  gboolean is_overlay = g_str_has_suffix(last->type, "/overlay");
  if (n_mounts > LAYERS_MAX || *last->target != '\0' || (!is_overlay && strcmp(last->type, FORMAT "bind") != 0)) {
    refuse(error, KATA_ERR_UNSUPPORTED, last->type, "expected one of " ROOTFS_LAYERS_TYPES ", without a target");
    return NULL;
  }
  g_autoptr(RootfsLayers) layers = g_new0(RootfsLayers, 1);
  layers->n_mounts = (guint)n_mounts - 1;
  layers->lowers = g_array_new(FALSE, FALSE, sizeof(guint));
  layers->upper = -1;
  for (guint i = 0; i < layers->n_mounts; i++)
    if (!check_layer(mounts[i], error)) return NULL;
  if (!(is_overlay ? take_overlay : take_bind)(layers, last, error) || !check_use(layers, mounts, error)) return NULL;
  return g_steal_pointer(&layers);
}
