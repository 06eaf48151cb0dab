// SPDX-License-Identifier: LGPL-2.1-or-later
#include "lib/context.h"

#include <stdlib.h>

#include "common/error.h"
#include "lib/api.h"
#include "lib/paths.h"

#define DEFAULT_CONFIG_FILE KATA_SYSCONFDIR "/kata.conf"

static gboolean check_path(const char *path, const char *what, GError **error) {
  if (path != NULL && g_path_is_absolute(path)) return TRUE;
  g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT, "the %s '%s' is not an absolute path", what,
              path != NULL ? path : "");
  return FALSE;
}

static gboolean set_root(kata_context *ctx, const char *path, GError **error) {
  if (!api_check_argument(path, "path", error) || !paths_check_root(path, error)) return FALSE;
  g_free(ctx->root);
  ctx->root = g_canonicalize_filename(path, "/");
  return TRUE;
}

static gboolean set_config_file(kata_context *ctx, const char *path, GError **error) {
  if (!check_path(path, "settings file", error)) return FALSE;
  g_free(ctx->config_file);
  ctx->config_file = g_strdup(path);
  ctx->config_chosen = TRUE;
  return TRUE;
}

static gboolean set_owner(kata_context *ctx, const char *path, GError **error) {
  if (!check_path(path, "owner program", error)) return FALSE;
  g_free(ctx->owner);
  ctx->owner = g_strdup(path);
  return TRUE;
}

/* The environment stands in for the defaults, but not where the caller runs with more rights than its user. */
static gboolean take_environment(kata_context *ctx, GError **error) {
  static const struct {
    const char *variable;
    gboolean (*set)(kata_context *ctx, const char *value, GError **error);
  } variables[] = {{"KATA_ROOT", set_root}, {"KATA_CONFIG", set_config_file}, {"KATA_OWNER", set_owner}};
  for (gsize i = 0; i < G_N_ELEMENTS(variables); i++) {
    const char *value = secure_getenv(variables[i].variable);
    if (value == NULL || *value == '\0') continue;
    if (!variables[i].set(ctx, value, error)) {
      g_prefix_error(error, "environment variable %s: ", variables[i].variable);
      return FALSE;
    }
  }
  return TRUE;
}

kata_context *kata_context_new(uint32_t flags, kata_error **err) {
  g_autoptr(GError) error = NULL;
  g_autoptr(kata_context) ctx = g_new0(kata_context, 1);
  g_atomic_ref_count_init(&ctx->refs);
  ctx->root = g_strdup(PATHS_DEFAULT_ROOT);
  ctx->config_file = g_strdup(DEFAULT_CONFIG_FILE);
  ctx->owner = g_strdup(KATA_OWNER_PATH);
  if (!api_check(ctx, "context", flags, 0, &error) || !take_environment(ctx, &error)) return api_fail_null(err, error);
  return g_steal_pointer(&ctx);
}

kata_context *kata_context_ref(kata_context *ctx) {
  if (ctx != NULL) g_atomic_ref_count_inc(&ctx->refs);
  return ctx;
}

void kata_context_unref(kata_context *ctx) {
  if (ctx == NULL || !g_atomic_ref_count_dec(&ctx->refs)) return;
  g_free(ctx->root);
  g_free(ctx->config_file);
  g_free(ctx->owner);
  g_free(ctx);
}

int kata_context_set_root(kata_context *ctx, const char *path, kata_error **err) {
  g_autoptr(GError) error = NULL;
  if (!api_check(ctx, "context", 0, 0, &error) || !set_root(ctx, path, &error)) return api_fail(err, error);
  return 0;
}

const char *kata_context_get_root(const kata_context *ctx) { return ctx != NULL ? ctx->root : NULL; }

int kata_context_set_config_file(kata_context *ctx, const char *path, kata_error **err) {
  g_autoptr(GError) error = NULL;
  if (!api_check(ctx, "context", 0, 0, &error) || !set_config_file(ctx, path, &error)) return api_fail(err, error);
  return 0;
}

const char *kata_context_get_config_file(const kata_context *ctx) { return ctx != NULL ? ctx->config_file : NULL; }

int kata_context_set_owner_program(kata_context *ctx, const char *path, kata_error **err) {
  g_autoptr(GError) error = NULL;
  if (!api_check(ctx, "context", 0, 0, &error) || !set_owner(ctx, path, &error)) return api_fail(err, error);
  return 0;
}

kata_context *context_copy_for_root(const kata_context *ctx, const char *root, GError **error) {
  g_autoptr(kata_context) copy = g_new0(kata_context, 1);
  g_atomic_ref_count_init(&copy->refs);
  copy->config_file = g_strdup(ctx->config_file);
  copy->config_chosen = ctx->config_chosen;
  copy->owner = g_strdup(ctx->owner);
  return set_root(copy, root, error) ? g_steal_pointer(&copy) : NULL;
}

kata_settings *context_load_settings(const kata_context *ctx, GError **error) {
  g_autoptr(kata_settings) settings = settings_new();
  if (!settings_load_default(settings, ctx->config_file, ctx->config_chosen, error)) return NULL;
  return g_steal_pointer(&settings);
}

void kata_free(void *memory) { g_free(memory); }

void kata_strv_free(char **array) { g_strfreev(array); }
