// SPDX-License-Identifier: 0BSD
/*
 * run-container BUNDLE: runs an OCI bundle's container in a virtual machine of its own, with the
 * caller's streams, and ends with its exit status.
 *
 *     cc run-container.c $(pkg-config --cflags --libs libkata)
 *
 * The environment variables KATA_ROOT, KATA_CONFIG and KATA_OWNER work as for every program that uses libkata.
 */
#include <kata/kata.h>
#include <stdio.h>
#include <unistd.h>

/* An error of ours; the container's own status is below 126 unless its program could not be run. */
enum { STATUS_FAILED = 125 };

static int complain(const char *what, kata_error *err) {
  fprintf(stderr, "run-container: %s: %s\n", what, kata_error_get_message(err));
  if (*kata_error_get_detail(err) != '\0') fprintf(stderr, "%s\n", kata_error_get_detail(err));
  kata_error_free(err);
  return STATUS_FAILED;
}

/* Runs the container to its end and deletes it. */
static int run_in(kata_sandbox *sandbox, const char *id, const char *bundle) {
  kata_process_io io = KATA_PROCESS_IO_INIT;
  io.stdin_fd = STDIN_FILENO;
  io.stdout_fd = STDOUT_FILENO;
  io.stderr_fd = STDERR_FILENO;

  kata_error *err = NULL;
  kata_container *container = kata_container_create(sandbox, id, bundle, &io, 0, &err);
  if (container == NULL) return complain("cannot create the container", err);

  int status = STATUS_FAILED;
  if (kata_container_start(container, 0, &err) < 0)
    complain("cannot start the container", err);
  else if (kata_container_wait(container, 0, &status, &err) < 0)
    status = complain("cannot wait for the container", err);

  kata_container_delete(container, KATA_CONTAINER_DELETE_FORCE, NULL, NULL);
  kata_container_unref(container);
  return status;
}

/* Starts a virtual machine, runs the container in it and removes both. */
static int run(kata_context *ctx, const char *id, const char *bundle) {
  kata_error *err = NULL;
  kata_sandbox *sandbox = kata_sandbox_create(ctx, id, NULL, 0, &err);
  if (sandbox == NULL) return complain("cannot create the sandbox", err);

  int status;
  if (kata_sandbox_start(sandbox, 0, &err) < 0)
    status = complain("cannot start the virtual machine", err);
  else
    status = run_in(sandbox, id, bundle);

  if (kata_sandbox_delete(sandbox, KATA_SANDBOX_DELETE_FORCE, &err) < 0) {
    /* After a failed start nothing is left to be deleted. */
    if (kata_error_get_code(err) != KATA_ERR_NOT_FOUND)
      complain("cannot delete the sandbox", err);
    else
      kata_error_free(err);
  }
  kata_sandbox_unref(sandbox);
  return status;
}

int main(int argc, char **argv) {
  if (argc != 2) {
    fprintf(stderr, "usage: run-container BUNDLE\n");
    return STATUS_FAILED;
  }
  kata_error *err = NULL;
  kata_context *ctx = kata_context_new(0, &err);
  if (ctx == NULL) return complain("cannot begin", err);

  char id[32];
  snprintf(id, sizeof id, "example-%d", (int)getpid());
  int status = run(ctx, id, argv[1]);
  kata_context_unref(ctx);
  return status;
}
