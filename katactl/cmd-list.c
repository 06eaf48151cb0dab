// SPDX-License-Identifier: LGPL-2.1-or-later
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "commands.h"
#include "common/error.h"
#include "guest-assets.h"
#include "state-json.h"

#define COLUMN_MIN 12
#define COLUMN_GAP 3

static const char *format = "table";
static gboolean quiet, kata_all;

const Option list_options[] = {{"format", 'f', OPTION_TEXT, &format, "table|json", "how to show them"},
                               {"quiet", 'q', OPTION_FLAG, &quiet, NULL, "only the ids"},
                               {"kata-all", 0, OPTION_FLAG, &kata_all, NULL, "also what their guests run on"},
                               OPTIONS_END};

static const struct {
  const char *title;
  const char *key;
} columns[] = {{"ID", "id"},
               {"PID", "pid"},
               {"STATUS", "status"},
               {"BUNDLE", "bundle"},
               {"CREATED", "created"},
               {"OWNER", "owner"},
               /* With --kata-all. */
               {"HYPERVISOR", "hypervisor"},
               {"KERNEL", "kernel"},
               {"IMAGE", "image"},
               {"LATEST-KERNEL", "latest_kernel"},
               {"LATEST-IMAGE", "latest_image"}};
#define RUNC_COLUMNS 6u

static const char *get_text(json_object *state, const char *key) {
  json_object *value = NULL;
  return json_object_object_get_ex(state, key, &value) ? json_object_get_string(value) : "";
}

/* One container's state, or NULL if it went away meanwhile or cannot be read, which the log tells. */
static json_object *load_state(App *app, const char *id) {
  kata_error *err = NULL;
  g_autoptr(GError) error = NULL;
  g_autoptr(kata_container) container = kata_container_open(app->context, id, 0, &err);
  autokatafree char *document = container != NULL ? kata_container_get_state(container, 0, &err) : NULL;
  if (document == NULL) {
    if (kata_error_get_code(err) != KATA_ERR_NOT_FOUND) {
      g_warning("cannot load container '%s': %s", id, kata_error_get_message(err));
    }
    kata_error_free(err);
    return NULL;
  }
  json_object *state = state_json_build(document, NULL, &error);
  if (state == NULL) {
    g_warning("cannot load container '%s': %s", id, error->message);
    return NULL;
  }
  g_autofree char *owner = state_json_find_owner(get_text(state, "bundle"));
  json_object_object_add(state, "owner", json_object_new_string(owner));
  if (kata_all) guest_assets_add(app, state, kata_container_get_sandbox_id(container));
  return state;
}

static void print_table(json_object *states) {
  gsize widths[G_N_ELEMENTS(columns)];
  gsize n_states = json_object_array_length(states), n_columns = kata_all ? G_N_ELEMENTS(columns) : RUNC_COLUMNS;
  for (gsize c = 0; c < n_columns; c++) {
    widths[c] = MAX(COLUMN_MIN, strlen(columns[c].title) + COLUMN_GAP);
    for (gsize i = 0; i < n_states; i++) {
      widths[c] = MAX(widths[c], strlen(get_text(json_object_array_get_idx(states, i), columns[c].key)) + COLUMN_GAP);
    }
  }
  gsize last = n_columns - 1;
  for (gsize c = 0; c < last; c++) printf("%-*s", (int)widths[c], columns[c].title);
  printf("%s\n", columns[last].title);
  for (gsize i = 0; i < n_states; i++) {
    json_object *state = json_object_array_get_idx(states, i);
    for (gsize c = 0; c < last; c++) printf("%-*s", (int)widths[c], get_text(state, columns[c].key));
    printf("%s\n", get_text(state, columns[last].key));
  }
}

static void print_json(json_object *states) {
  if (json_object_array_length(states) == 0) {
    puts("null");
  } else {
    puts(json_object_to_json_string_ext(states, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
  }
}

/* A root that was named must be there; the default one may be made yet. */
static gboolean check_root(const App *app, GError **error) {
  const char *root = kata_context_get_root(app->context);
  struct stat info;
  if (!app->root_given || stat(root, &info) == 0) return TRUE;
  error_set_errno(error, errno, "open %s", root);
  return FALSE;
}

int cmd_list(App *app, char **operands, GError **error) {
  gboolean is_json = strcmp(format, "json") == 0;
  if (!is_json && strcmp(format, "table") != 0) {
    g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT, "invalid format option");
    return 1;
  }
  if (!check_root(app, error)) return 1;
  kata_error *err = NULL;
  char **ids = kata_container_list(app->context, 0, &err);
  if (ids == NULL) {
    app_take_error(err, error);
    return 1;
  }
  g_autoptr(json_object) states = json_object_new_array();
  for (char **id = ids; *id != NULL; id++) {
    if (quiet) {
      puts(*id);
      continue;
    }
    json_object *state = load_state(app, *id);
    if (state != NULL) json_object_array_add(states, state);
  }
  kata_strv_free(ids);
  if (quiet) return 0;
  if (is_json) {
    print_json(states);
  } else {
    print_table(states);
  }
  return 0;
}
