// SPDX-License-Identifier: LGPL-2.1-or-later
#include "lib/owner-program.h"

#include <string.h>
#include <sys/wait.h>

#include "common/error.h"
#include "common/json-text.h"
#include "common/spawn.h"
#include "lib/api.h"

/* A list of some thousand entries. */
#define ANSWER_LIMIT (1u << 20)
#define CODE_LINE "code="

/* The last line may be "code=NAME"; cuts it off. */
static kata_error_code take_code(char *text) {
  char *line = strrchr(text, '\n');
  line = line != NULL ? line + 1 : text;
  if (!g_str_has_prefix(line, CODE_LINE)) return KATA_ERR_NONE;
  kata_error_code code = api_code_from_name(line + strlen(CODE_LINE));
  if (code != KATA_ERR_NONE) *line = '\0';
  return code;
}

void owner_program_set_error(const char *program, const char *words, int status, GError **error) {
  g_autofree char *text = g_utf8_make_valid(words, -1);
  g_strchomp(text);
  kata_error_code code = take_code(text);
  g_strstrip(text);
  if (*text != '\0')
    g_set_error(error, KATA_ERROR, code != KATA_ERR_NONE ? code : KATA_ERR_INTERNAL, "%s", text);
  else if (WIFSIGNALED(status))
    g_set_error(error, KATA_ERROR, KATA_ERR_UNAVAILABLE, "the owner program '%s' was killed by signal %d", program,
                WTERMSIG(status));
  else
    g_set_error(error, KATA_ERROR, KATA_ERR_INTERNAL, "the owner program '%s' failed with status %d and no word why",
                program, WEXITSTATUS(status));
}

static GBytes *write_settings(const kata_context *ctx, const kata_settings *overrides, GError **error) {
  g_autoptr(kata_settings) settings = context_load_settings(ctx, error);
  if (settings == NULL) return NULL;
  if (overrides != NULL) settings_merge(settings, overrides, TRUE);
  char *text = settings_to_text(settings);
  return g_bytes_new_take(text, strlen(text));
}

static struct json_object *read_answer(const kata_context *ctx, const char *text, gsize length, json_type type,
                                       GError **error) {
  struct json_object *answer = json_text_parse(text, length, ANSWER_LIMIT, "its answer", NULL);
  if (json_object_is_type(answer, type)) return answer;
  json_object_put(answer);
  g_set_error(error, KATA_ERROR, KATA_ERR_INTERNAL, "the owner program '%s' did not answer as it should: '%.100s'",
              ctx->owner, text);
  return NULL;
}

struct json_object *owner_program_ask(const kata_context *ctx, const kata_settings *overrides, const char *flag,
                                      const char *word, json_type type, GError **error) {
  g_autoptr(GBytes) input = write_settings(ctx, overrides, error);
  if (input == NULL) return NULL;
  const char *argv[] = {ctx->owner, flag, word, "-config", "-", NULL};
  SpawnOptions options = SPAWN_OPTIONS_INIT;
  options.argv = argv;
  options.die_with_parent = TRUE;
  g_autofree char *answer = NULL, *words = NULL;
  gsize length = 0;
  int status = -1;
  if (!spawn_run(&options, input, ANSWER_LIMIT, 0, &answer, &length, &words, &status, error)) return NULL;
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return read_answer(ctx, answer, length, type, error);
  owner_program_set_error(ctx->owner, words, status, error);
  return NULL;
}
