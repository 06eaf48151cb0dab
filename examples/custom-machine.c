// SPDX-License-Identifier: 0BSD
/*
 * custom-machine BUNDLE: a virtual machine of a size of one's own, whose libvirt domain XML is looked at before and
 * after it has started; runs the bundle in it, and gives the container a limit while it runs.
 *
 *     cc custom-machine.c $(pkg-config --cflags --libs libkata)
 */
#include <kata/kata.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int complain(const char *what, kata_error *err) {
  fprintf(stderr, "custom-machine: %s: %s\n", what, kata_error_get_message(err));
  kata_error_free(err);
  return 125;
}

/* The line of a document that has a word in it. */
static void show_line(const char *document, const char *word) {
  const char *at = document != NULL ? strstr(document, word) : NULL;
  if (at != NULL) printf("%.*s\n", (int)strcspn(at, "\n"), at);
}

static kata_settings *choose(kata_error **err) {
  kata_settings *settings = kata_settings_new(0, err);
  if (settings == NULL) return NULL;
  if (kata_settings_set(settings, "hypervisor.qemu", "default_vcpus", "2", err) == 0 &&
      kata_settings_set(settings, "hypervisor.qemu", "default_memory", "320", err) == 0)
    return settings;
  kata_settings_unref(settings);
  return NULL;
}

static int run_in(kata_sandbox *sandbox, const char *bundle, kata_error **err) {
  if (kata_sandbox_start(sandbox, 0, err) < 0) return 125;
  char *xml = kata_sandbox_get_domain_xml(sandbox, 0, err);
  if (xml == NULL) return 125;
  show_line(xml, "<memory ");
  show_line(xml, "<vcpu");
  fflush(stdout);
  kata_free(xml);

  kata_process_io io = KATA_PROCESS_IO_INIT;
  io.stdout_fd = STDOUT_FILENO;
  io.stderr_fd = STDERR_FILENO;
  kata_container *container = kata_container_create(sandbox, kata_sandbox_get_id(sandbox), bundle, &io, 0, err);
  if (container == NULL) return 125;
  int status = 125;
  if (kata_container_update(container, "{\"memory\": {\"limit\": 67108864}, \"pids\": {\"limit\": 50}}", 0, err) == 0 &&
      kata_container_start(container, 0, err) == 0)
    kata_container_wait(container, 0, &status, err);
  kata_container_unref(container);
  return status;
}

static int run(kata_context *ctx, const kata_settings *settings, const char *bundle, kata_error **err) {
  char id[32];
  snprintf(id, sizeof id, "custom-%d", (int)getpid());
  char *plan = kata_domain_xml(settings, id, kata_context_get_root(ctx), 0, err);
  if (plan == NULL) return 125;
  printf("planned: %zu bytes of domain XML\n", strlen(plan));
  fflush(stdout);
  kata_free(plan);
  kata_sandbox *sandbox = kata_sandbox_create(ctx, id, settings, KATA_SANDBOX_CREATE_BOUND, err);
  if (sandbox == NULL) return 125;
  int status = run_in(sandbox, bundle, err);
  kata_sandbox_delete(sandbox, KATA_SANDBOX_DELETE_FORCE, NULL);
  kata_sandbox_unref(sandbox);
  return status;
}

int main(int argc, char **argv) {
  if (argc != 2) {
    fprintf(stderr, "usage: custom-machine BUNDLE\n");
    return 125;
  }
  kata_error *err = NULL;
  kata_context *ctx = kata_context_new(0, &err);
  kata_settings *settings = ctx != NULL ? choose(&err) : NULL;
  int status = settings != NULL ? run(ctx, settings, argv[1], &err) : 125;
  if (err != NULL) status = complain("failed", err);
  kata_settings_unref(settings);
  kata_context_unref(ctx);
  return status;
}
