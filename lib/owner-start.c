// SPDX-License-Identifier: LGPL-2.1-or-later
#include "lib/owner-start.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "common/error.h"
#include "common/spawn.h"
#include "lib/owner-program.h"
#include "proto/google-protobuf.pb-c.h"
#include "proto/shim-options.pb-c.h"

/* What is kept of the program's words. */
#define OUTPUT_LIMIT (64u << 10)
/* "start" makes a directory and a process; after a crash it also removes what was left. */
#define START_MS 60000

static GBytes *pack(const ProtobufCMessage *message) {
  gsize size = protobuf_c_message_get_packed_size(message);
  guint8 *data = g_malloc(MAX(size, 1));
  protobuf_c_message_pack(message, data);
  return g_bytes_new_take(data, size);
}

/* What containerd would send as runtime options: which file, and what is set over it. */
static GBytes *pack_options(const kata_context *ctx, const kata_settings *overrides) {
  g_autofree char *body = overrides != NULL ? settings_to_text(overrides) : g_strdup("");
  Runtimeoptions__V1__Options options = RUNTIMEOPTIONS__V1__OPTIONS__INIT;
  /* The default file need not be there; the owner knows where it would be. */
  options.config_path = ctx->config_chosen ? ctx->config_file : (char *)"";
  options.config_body.data = (guint8 *)body;
  options.config_body.len = strlen(body);
  g_autoptr(GBytes) packed = pack(&options.base);
  Google__Protobuf__Any any = GOOGLE__PROTOBUF__ANY__INIT;
  any.type_url = (char *)"runtimeoptions.v1.Options";
  any.value.data = (guint8 *)g_bytes_get_data(packed, &any.value.len);
  return pack(&any.base);
}

static gboolean make_root(const char *root, GError **error) {
  if (g_mkdir_with_parents(root, 0711) == 0) return TRUE;
  error_set_errno(error, errno, "cannot make the directory of sandboxes '%s'", root);
  return FALSE;
}

gboolean owner_start_program(const kata_context *ctx, const char *sandbox_id, const kata_settings *overrides,
                             gboolean adopt, GError **error) {
  if (!make_root(ctx->root, error)) return FALSE;
  const char *argv[12];
  gsize n = 0;
  argv[n++] = ctx->owner;
  argv[n++] = "-namespace";
  argv[n++] = "kata";
  argv[n++] = "-id";
  argv[n++] = sandbox_id;
  argv[n++] = "-root";
  argv[n++] = ctx->root;
  argv[n++] = "-bundle";
  argv[n++] = "";
  if (adopt) argv[n++] = "-adopt";
  argv[n++] = "start";
  argv[n] = NULL;
  SpawnOptions options = SPAWN_OPTIONS_INIT;
  options.argv = argv;
  options.cwd = ctx->root;

  g_autoptr(GBytes) input = pack_options(ctx, overrides);
  g_autofree char *address = NULL, *words = NULL;
  int status = -1;
  if (!spawn_run(&options, input, OUTPUT_LIMIT, START_MS, &address, NULL, &words, &status, error)) {
    g_prefix_error(error, "cannot start the owner of sandbox '%s': ", sandbox_id);
    return FALSE;
  }
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
    owner_program_set_error(ctx->owner, words, status, error);
    return FALSE;
  }
  if (!g_str_has_prefix(address, "unix://")) {
    g_set_error(error, KATA_ERROR, KATA_ERR_INTERNAL, "the owner program '%s' did not say where it listens",
                ctx->owner);
    return FALSE;
  }
  return TRUE;
}
