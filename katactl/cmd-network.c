// SPDX-License-Identifier: LGPL-2.1-or-later
/* A running guest's interfaces and routes; the commands of Kata Containers 1.x. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "commands.h"
#include "common/error.h"
#include "common/fds.h"
#include "common/ids.h"
#include "common/safe-path.h"

#define DOCUMENT_MAX (4u << 20)

/* ID: of a sandbox, or of a container in it. */
static kata_sandbox *open_sandbox(App *app, const char *id, GError **error) {
  if (!id_check(id, "sandbox", error)) return NULL;
  kata_error *err = NULL;
  g_autoptr(kata_container) container = kata_container_open(app->context, id, 0, NULL);
  const char *name = container != NULL ? kata_container_get_sandbox_id(container) : id;
  kata_sandbox *sandbox = kata_sandbox_open(app->context, name, 0, &err);
  if (sandbox == NULL) app_take_error(err, error);
  return sandbox;
}

static char *read_stdin(GError **error) {
  g_autofree char *text = g_malloc(DOCUMENT_MAX + 2);
  ssize_t size = fd_read_all(STDIN_FILENO, text, DOCUMENT_MAX + 1);
  if (size < 0) {
    error_set_errno(error, errno, "cannot read standard input");
    return NULL;
  }
  if (size > DOCUMENT_MAX || memchr(text, '\0', (size_t)size) != NULL) {
    g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT, "what standard input has is no JSON of at most 4 MiB");
    return NULL;
  }
  text[size] = '\0';
  return g_steal_pointer(&text);
}

static char *read_document(const char *path, GError **error) {
  if (strcmp(path, "-") == 0) return read_stdin(error);
  g_autofree char *full = g_canonicalize_filename(path, NULL);
  return safe_read_file(full, DOCUMENT_MAX, NULL, error);
}

typedef int ChangeFunc(kata_sandbox *sandbox, const char *interface_json, uint32_t flags, kata_error **err);

static int change(App *app, char **operands, ChangeFunc *func, GError **error) {
  g_autoptr(kata_sandbox) sandbox = open_sandbox(app, operands[0], error);
  g_autofree char *text = sandbox != NULL ? read_document(operands[1], error) : NULL;
  if (text == NULL) return 1;
  kata_error *err = NULL;
  if (func(sandbox, text, 0, &err) == 0) return 0;
  app_take_error(err, error);
  return 1;
}

int cmd_network_add_if(App *app, char **operands, GError **error) {
  return change(app, operands, kata_sandbox_add_interface, error);
}

int cmd_network_del_if(App *app, char **operands, GError **error) {
  return change(app, operands, kata_sandbox_remove_interface, error);
}

static int show(char *list, kata_error *err, GError **error) {
  if (list == NULL) {
    app_take_error(err, error);
    return 1;
  }
  puts(list);
  kata_free(list);
  return 0;
}

int cmd_network_list_ifs(App *app, char **operands, GError **error) {
  g_autoptr(kata_sandbox) sandbox = open_sandbox(app, operands[0], error);
  kata_error *err = NULL;
  if (sandbox == NULL) return 1;
  char *list = kata_sandbox_list_interfaces(sandbox, 0, &err);
  return show(list, err, error);
}

int cmd_network_list_routes(App *app, char **operands, GError **error) {
  g_autoptr(kata_sandbox) sandbox = open_sandbox(app, operands[0], error);
  kata_error *err = NULL;
  if (sandbox == NULL) return 1;
  char *list = kata_sandbox_list_routes(sandbox, 0, &err);
  return show(list, err, error);
}

int cmd_network_update_routes(App *app, char **operands, GError **error) {
  g_autoptr(kata_sandbox) sandbox = open_sandbox(app, operands[0], error);
  g_autofree char *text = sandbox != NULL ? read_document(operands[1], error) : NULL;
  if (text == NULL) return 1;
  kata_error *err = NULL;
  char *list = kata_sandbox_update_routes(sandbox, text, 0, &err);
  return show(list, err, error);
}
