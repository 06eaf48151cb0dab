// SPDX-License-Identifier: LGPL-2.1-or-later
/* What is known of a container, as others are told of it. */
#include <json-c/json.h>
#include <string.h>

#include "common/error.h"
#include "lib/api.h"
#include "lib/container.h"

int container_status_from_word(const char *word) {
  static const struct {
    const char *word;
    kata_container_status status;
  } words[] = {{"created", KATA_CONTAINER_CREATED},
               {"running", KATA_CONTAINER_RUNNING},
               {"stopped", KATA_CONTAINER_STOPPED},
               {"paused", KATA_CONTAINER_PAUSED}};
  for (gsize i = 0; i < G_N_ELEMENTS(words); i++) {
    if (strcmp(word, words[i].word) == 0) return (int)words[i].status;
  }
  return -1;
}

/* As Go writes time.RFC3339Nano: no zeros at the end of the fraction. */
char *container_time_to_text(const Google__Protobuf__Timestamp *time) {
  g_autoptr(GDateTime) utc = time != NULL ? g_date_time_new_from_unix_utc(time->seconds) : NULL;
  if (utc == NULL) return g_strdup("0001-01-01T00:00:00Z");
  g_autofree char *seconds = g_date_time_format(utc, "%Y-%m-%dT%H:%M:%S");
  if (time->nanos <= 0) return g_strconcat(seconds, "Z", NULL);
  g_autofree char *fraction = g_strdup_printf("%09d", time->nanos);
  for (gsize end = strlen(fraction); end > 0 && fraction[end - 1] == '0'; end--) fraction[end - 1] = '\0';
  return g_strconcat(seconds, ".", fraction, "Z", NULL);
}

static void add_text(struct json_object *json, const char *name, const char *text) {
  json_object_object_add(json, name, json_object_new_string(text));
}

char *container_info_to_state(const Kata__V1__ContainerInfo *info) {
  g_autofree char *created = container_time_to_text(info->created_at);
  struct json_object *json = json_object_new_object();
  add_text(json, "ociVersion", info->oci_version);
  add_text(json, "id", info->id);
  json_object_object_add(json, "pid", json_object_new_int64(info->pid));
  add_text(json, "status", info->status);
  add_text(json, "bundle", info->bundle);
  add_text(json, "rootfs", info->rootfs);
  add_text(json, "created", created);
  if (info->n_annotations > 0) {
    struct json_object *annotations = json_object_new_object();
    for (gsize i = 0; i < info->n_annotations; i++)
      add_text(annotations, info->annotations[i]->key, info->annotations[i]->value);
    json_object_object_add(json, "annotations", annotations);
  }
  add_text(json, "owner", "");
  char *text = g_strdup(json_object_to_json_string_ext(
      json, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED | JSON_C_TO_STRING_NOSLASHESCAPE));
  json_object_put(json);
  return text;
}

static gboolean get_info(const kata_container *container, uint32_t flags, OwnerReply **ret_reply,
                         const Kata__V1__ContainerInfo **ret_info, GError **error) {
  return api_check(container, "container", flags, 0, error) &&
         container_ask_info(container->ctx, container->sandbox_id, container->id, ret_reply, ret_info, error);
}

int kata_container_get_status(kata_container *container, kata_error **err) {
  g_autoptr(GError) error = NULL;
  g_autoptr(OwnerReply) reply = NULL;
  const Kata__V1__ContainerInfo *info = NULL;
  if (!get_info(container, 0, &reply, &info, &error)) return api_fail(err, error);
  int status = container_status_from_word(info->status);
  if (status > 0) return status;
  g_set_error(&error, KATA_ERROR, KATA_ERR_INTERNAL, "container '%s' has the unknown status '%s'", container->id,
              info->status);
  return api_fail(err, error);
}

char *kata_container_get_state(kata_container *container, uint32_t flags, kata_error **err) {
  g_autoptr(GError) error = NULL;
  g_autoptr(OwnerReply) reply = NULL;
  const Kata__V1__ContainerInfo *info = NULL;
  if (!get_info(container, flags, &reply, &info, &error)) return api_fail_null(err, error);
  return container_info_to_state(info);
}

char *kata_container_get_process_template(kata_container *container, uint32_t flags, kata_error **err) {
  g_autoptr(GError) error = NULL;
  g_autoptr(OwnerReply) reply = NULL;
  const Kata__V1__ContainerInfo *info = NULL;
  if (!get_info(container, flags, &reply, &info, &error)) return api_fail_null(err, error);
  return g_strdup(info->process_json);
}
