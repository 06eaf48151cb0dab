// SPDX-License-Identifier: LGPL-2.1-or-later
#include "owner-program.h"

#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/error.h"
#include "common/spawn.h"

#define WORDS_MAX 8192

int owner_program_run(App *app, const char *flag, const char *what, GError **error) {
  const char *owner = g_getenv("KATA_OWNER");
  if (owner == NULL || *owner == '\0') owner = KATA_OWNER_PATH;
  const char *config = kata_context_get_config_file(app->context);
  /* Without a file of that name the defaults are meant. */
  gboolean has_config = config != NULL && access(config, F_OK) == 0;
  const char *argv[] = {owner, flag, what, has_config ? "-config" : NULL, config, NULL};
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
