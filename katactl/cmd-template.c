// SPDX-License-Identifier: LGPL-2.1-or-later
/* Saved guests, which the owner program makes and knows. */
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "commands.h"
#include "common/error.h"
#include "common/spawn.h"

#define WORDS_MAX 8192

static int run_owner(App *app, const char *what, GError **error) {
  const char *owner = g_getenv("KATA_OWNER");
  if (owner == NULL || *owner == '\0') owner = KATA_OWNER_PATH;
  const char *config = kata_context_get_config_file(app->context);
  /* Without a file of that name the defaults are meant. */
  gboolean has_config = config != NULL && access(config, F_OK) == 0;
  const char *argv[] = {owner, "-template", what, has_config ? "-config" : NULL, config, NULL};
  SpawnOptions options = SPAWN_OPTIONS_INIT;
  options.argv = argv;
  options.stdout_fd = STDOUT_FILENO;
  options.die_with_parent = TRUE;
  fflush(stdout);
  int status = 0;
  g_autofree char *words = NULL;
  if (!spawn_run(&options, NULL, WORDS_MAX, 0, NULL, NULL, &words, &status, error)) return 1;
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return 0;
  /* Its last line is a code for programs. */
  char *code = strstr(words, "\ncode=");
  if (code != NULL) *code = '\0';
  g_set_error(error, KATA_ERROR, KATA_ERR_HOST, "%s", *words != '\0' ? words : "the owner program has died");
  return 1;
}

int cmd_template_create(App *app, char **operands, GError **error) { return run_owner(app, "create", error); }

int cmd_template_list(App *app, char **operands, GError **error) { return run_owner(app, "list", error); }

int cmd_template_remove(App *app, char **operands, GError **error) { return run_owner(app, "remove", error); }
