// SPDX-License-Identifier: LGPL-2.1-or-later
/* Calls to an agent, by hand. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "commands.h"
#include "common/error.h"
#include "common/fds.h"
#include "common/ids.h"

/* What upstream's runtime gives most calls. */
#define DEFAULT_TIMEOUT_S 60
#define TIMEOUT_MAX_S (G_MAXUINT32 / 1000)
/* More than the longest request, 4 MiB, takes as JSON. */
#define REQUEST_MAX (8u << 20)
#define COLUMN_GAP 2

static const char *sandbox_id;
static int timeout_s = DEFAULT_TIMEOUT_S;
static const char *template_of;
static const char *description_of;

const Option agent_call_options[] = {
    {"sandbox", 's', OPTION_TEXT, &sandbox_id, "ID",
     "the agent of this sandbox, or of the one this container is in, in place of ADDRESS"},
    {"timeout", 't', OPTION_NUMBER, &timeout_s, "SECONDS", "how long to wait (default: 60; 0: for ever)"},
    OPTIONS_END};

const Option agent_methods_options[] = {
    {"template", 0, OPTION_TEXT, &template_of, "METHOD", "show a request with all its members at their defaults"},
    {"describe", 0, OPTION_TEXT, &description_of, "MESSAGE", "show the fields of a message, such as grpc.Storage"},
    OPTIONS_END};

static gboolean fail(kata_error *err, GError **error) {
  app_take_error(err, error);
  return FALSE;
}

/* ---- call ---- */

static char *read_stdin(GError **error) {
  g_autofree char *text = g_malloc(REQUEST_MAX + 2);
  ssize_t size = fd_read_all(STDIN_FILENO, text, REQUEST_MAX + 1);
  if (size < 0) {
    error_set_errno(error, errno, "cannot read the request from standard input");
    return NULL;
  }
  if (size > REQUEST_MAX || memchr(text, '\0', (size_t)size) != NULL) {
    g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT, "the request on standard input %s",
                size > REQUEST_MAX ? "is longer than 8 MiB" : "is not JSON: it has NUL characters");
    return NULL;
  }
  text[size] = '\0';
  return g_realloc(g_steal_pointer(&text), (gsize)size + 1);
}

static gboolean call_at_address(const char *address, const char *method, const char *request, uint32_t timeout_ms,
                                char **ret_reply, GError **error) {
  kata_error *err = NULL;
  kata_agent *agent = kata_agent_connect(address, 0, 0, &err);
  if (agent == NULL) return fail(err, error);
  int result = kata_agent_call(agent, method, request, timeout_ms, 0, ret_reply, &err);
  kata_agent_unref(agent);
  return result == 0 || fail(err, error);
}

static gboolean call_in_sandbox(App *app, const char *id, const char *method, const char *request, uint32_t timeout_ms,
                                char **ret_reply, GError **error) {
  if (!id_check(id, "sandbox", error)) return FALSE;
  kata_error *err = NULL;
  g_autoptr(kata_container) container = kata_container_open(app->context, id, 0, NULL);
  const char *name = container != NULL ? kata_container_get_sandbox_id(container) : id;
  g_autoptr(kata_sandbox) sandbox = kata_sandbox_open(app->context, name, 0, &err);
  return (sandbox != NULL && kata_sandbox_call_agent(sandbox, method, request, timeout_ms, 0, ret_reply, &err) == 0) ||
         fail(err, error);
}

int cmd_agent_call(App *app, char **operands, GError **error) {
  const char *address = sandbox_id == NULL ? *operands++ : NULL;
  guint n_operands = g_strv_length(operands);
  if (n_operands < 1 || n_operands > 2) {
    g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT,
                "agent call needs ADDRESS METHOD, or --sandbox ID METHOD, and at most one request after them");
    return 1;
  }
  if ((guint)timeout_s > TIMEOUT_MAX_S) {
    g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT, "a time-out of %d s is too long: at most %u s", timeout_s,
                TIMEOUT_MAX_S);
    return 1;
  }
  const char *method = operands[0], *request = operands[1];
  g_autofree char *input = NULL;
  if (g_strcmp0(request, "-") == 0) {
    request = input = read_stdin(error);
    if (input == NULL) return 1;
  }
  autokatafree char *reply = NULL;
  uint32_t timeout_ms = (uint32_t)timeout_s * 1000;
  gboolean done = address != NULL ? call_at_address(address, method, request, timeout_ms, &reply, error)
                                  : call_in_sandbox(app, sandbox_id, method, request, timeout_ms, &reply, error);
  if (!done) return 1;
  puts(reply);
  return 0;
}

/* ---- methods ---- */

/* With or without its service in front. */
static const kata_agent_method *find_method(const char *name) {
  const kata_agent_method *method = NULL;
  while ((method = kata_agent_method_next(method)) != NULL) {
    const char *full = kata_agent_method_get_name(method);
    if (strcmp(full, name) == 0 || strcmp(strchr(full, '.') + 1, name) == 0) return method;
  }
  return NULL;
}

static void print_methods(void) {
  gsize widths[2] = {0, 0};
  for (const kata_agent_method *method = kata_agent_method_next(NULL); method != NULL;
       method = kata_agent_method_next(method)) {
    widths[0] = MAX(widths[0], strlen(kata_agent_method_get_name(method)) + COLUMN_GAP);
    widths[1] = MAX(widths[1], strlen(kata_agent_method_get_request_type(method)) + COLUMN_GAP);
  }
  printf("%-*s%-*s%s\n", (int)widths[0], "METHOD", (int)widths[1], "REQUEST", "REPLY");
  for (const kata_agent_method *method = kata_agent_method_next(NULL); method != NULL;
       method = kata_agent_method_next(method))
    printf("%-*s%-*s%s\n", (int)widths[0], kata_agent_method_get_name(method), (int)widths[1],
           kata_agent_method_get_request_type(method), kata_agent_method_get_reply_type(method));
}

int cmd_agent_methods(App *app, char **operands, GError **error) {
  kata_error *err = NULL;
  if (template_of != NULL && description_of != NULL) {
    g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT, "--template and --describe exclude each other");
    return 1;
  }
  if (template_of == NULL && description_of == NULL) {
    print_methods();
    return 0;
  }
  const kata_agent_method *method = template_of != NULL ? find_method(template_of) : NULL;
  if (template_of != NULL && method == NULL) {
    g_set_error(error, KATA_ERROR, KATA_ERR_NOT_FOUND,
                "the agent protocol has no method '%s' ('katactl agent methods' lists them)", template_of);
    return 1;
  }
  autokatafree char *text = method != NULL
                                ? kata_agent_make_template(kata_agent_method_get_request_type(method), 0, &err)
                                : kata_agent_describe_message(description_of, 0, &err);
  if (text == NULL) {
    app_take_error(err, error);
    return 1;
  }
  puts(text);
  return 0;
}
