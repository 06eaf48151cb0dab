// SPDX-License-Identifier: LGPL-2.1-or-later
#include "shim/stream-binary.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "common/error.h"
#include "common/fds.h"

#define SCHEME "binary://"
#define SCHEME_2 "binary-v2://"
#define READY_TIMEOUT_MS 10000
/* The program's descriptors. */
enum { FD_OUT = 3, FD_ERR, FD_READY };

static gboolean is_version_2(const char *uri) { return g_str_has_prefix(uri, SCHEME_2); }

gboolean stream_is_binary(const char *uri) {
  return uri != NULL && (g_str_has_prefix(uri, SCHEME) || is_version_2(uri));
}

/* PROGRAM NAME VALUE NAME VALUE..., as containerd's own shim passes them. */
static GPtrArray *parse_command(const char *uri, GError **error) {
  g_autoptr(GPtrArray) argv = g_ptr_array_new_with_free_func(g_free);
  const char *scheme = is_version_2(uri) ? SCHEME_2 : SCHEME;
  g_auto(GStrv) parts = g_strsplit(uri + strlen(scheme), "?", 2);
  g_ptr_array_add(argv, g_uri_unescape_string(parts[0], NULL));
  const char *program = argv->pdata[0];
  if (program == NULL || !g_path_is_absolute(program)) {
    g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT, "stream '%s' is not of the form %s/PROGRAM", uri, scheme);
    return NULL;
  }
  GUriParamsIter iter;
  char *name = NULL, *value = NULL;
  g_uri_params_iter_init(&iter, parts[1] != NULL ? parts[1] : "", -1, "&", G_URI_PARAMS_WWW_FORM);
  while (g_uri_params_iter_next(&iter, &name, &value, NULL)) {
    g_ptr_array_add(argv, name);
    if (*value != '\0')
      g_ptr_array_add(argv, value);
    else
      g_free(value);
  }
  g_ptr_array_add(argv, NULL);
  return g_steal_pointer(&argv);
}

/* A byte, or the end of the pipe; of version 2 a byte alone. */
static gboolean wait_ready(int fd, const char *program, gboolean wants_byte, GError **error) {
  struct pollfd ready = {.fd = fd, .events = POLLIN};
  int count;
  do count = poll(&ready, 1, READY_TIMEOUT_MS);
  while (count < 0 && errno == EINTR);
  char byte;
  if (count > 0 && (!wants_byte || read(fd, &byte, 1) == 1)) return TRUE;
  if (count > 0)
    g_set_error(error, KATA_ERROR, KATA_ERR_IO,
                "the logging program '%s' ended, or closed descriptor %d, without a word", program, FD_READY);
  else
    g_set_error(error, KATA_ERROR, KATA_ERR_TIMEOUT, "the logging program '%s' was not ready within %d s", program,
                READY_TIMEOUT_MS / 1000);
  return FALSE;
}

static gboolean start(char **argv, char **envp, const int *fds, GError **error) {
  static const int targets[] = {FD_OUT, FD_ERR, FD_READY};
  g_autoptr(GError) why = NULL;
  if (g_spawn_async_with_pipes_and_fds("/", (const char *const *)argv, (const char *const *)envp, G_SPAWN_DEFAULT, NULL,
                                       NULL, -1, -1, -1, fds, targets, G_N_ELEMENTS(targets), NULL, NULL, NULL, NULL,
                                       &why))
    return TRUE;
  g_set_error(error, KATA_ERROR, KATA_ERR_NOT_FOUND, "cannot start the logging program '%s': %s", argv[0],
              why->message);
  return FALSE;
}

gboolean stream_binary_open(const char *uri, const char *id, const char *namespace_, Stream **ret_out, Stream **ret_err,
                            GError **error) {
  g_autoptr(GPtrArray) argv = parse_command(uri, error);
  if (argv == NULL) return FALSE;
  g_autofree char *id_word = g_strconcat("CONTAINER_ID=", id, NULL);
  g_autofree char *namespace_word = g_strconcat("CONTAINER_NAMESPACE=", namespace_, NULL);
  char *envp[] = {id_word, namespace_word, NULL};
  int pipes[3][2];
  for (int i = 0; i < 3; i++)
    if (pipe2(pipes[i], O_CLOEXEC) < 0) {
      error_set_errno(error, errno, "cannot make pipes for the stream '%s'", uri);
      while (i-- > 0) close(pipes[i][0]), close(pipes[i][1]);
      return FALSE;
    }
  autofd int out = pipes[0][1], errors = pipes[1][1], ready = pipes[2][0];
  int theirs[] = {pipes[0][0], pipes[1][0], pipes[2][1]};
  gboolean started = start((char **)argv->pdata, envp, theirs, error);
  for (int i = 0; i < 3; i++) close(theirs[i]);
  if (!started || !wait_ready(ready, argv->pdata[0], is_version_2(uri), error)) return FALSE;
  *ret_out = stream_new(fd_steal(&out));
  *ret_err = stream_new(fd_steal(&errors));
  return TRUE;
}
