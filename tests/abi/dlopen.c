// SPDX-License-Identifier: LGPL-2.1-or-later
/* dlopen LIBRARY: a program may load and unload the library again and again, in threads that end, and nothing piles up.
 */
#include <dlfcn.h>
#include <malloc.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <kata/kata.h>

enum { ROUNDS = 1000, WARM_UP = 20, GROWTH_ALLOWED = 4096 };

static const char *library;

#define LOAD(handle, name) __typeof__(&name) p_##name = (__typeof__(&name))dlsym(handle, #name)

/* Through all of the library that has state somewhere below it: GLib, libxml2, json-c. */
static void *use_once(void *unused) {
  void *handle = dlopen(library, RTLD_NOW | RTLD_LOCAL);
  if (handle == NULL) {
    fprintf(stderr, "cannot load '%s': %s\n", library, dlerror());
    exit(1);
  }
  LOAD(handle, kata_settings_new);
  LOAD(handle, kata_settings_set);
  LOAD(handle, kata_settings_unref);
  LOAD(handle, kata_domain_xml);
  LOAD(handle, kata_free);
  LOAD(handle, kata_context_new);
  LOAD(handle, kata_context_unref);
  LOAD(handle, kata_sandbox_open);
  LOAD(handle, kata_context_set_root);
  LOAD(handle, kata_error_get_code);
  LOAD(handle, kata_error_free);
  kata_error *err = NULL;
  kata_settings *settings = p_kata_settings_new(0, NULL);
  char *xml = p_kata_domain_xml(settings, "pod", "/run/kata", 0, NULL);
  kata_context *ctx = p_kata_context_new(0, NULL);
  p_kata_context_set_root(ctx, "/nowhere", NULL);
  if (xml == NULL || p_kata_settings_set(settings, "runtime", "enable_debug", "yes", NULL) == 0 ||
      p_kata_sandbox_open(ctx, "pod", 0, &err) != NULL || p_kata_error_get_code(err) != KATA_ERR_NOT_FOUND) {
    fprintf(stderr, "the library does not work\n");
    exit(1);
  }
  p_kata_error_free(err);
  p_kata_context_unref(ctx);
  p_kata_free(xml);
  p_kata_settings_unref(settings);
  dlclose(handle);
  return NULL;
}

int main(int argc, char **argv) {
  if (argc != 2) {
    fprintf(stderr, "usage: dlopen LIBRARY\n");
    return 2;
  }
  library = argv[1];
  size_t before = 0;
  for (int i = 0; i < ROUNDS; i++) {
    pthread_t thread;
    if (pthread_create(&thread, NULL, use_once, NULL) != 0 || pthread_join(thread, NULL) != 0) return 1;
    if (i == WARM_UP) before = mallinfo2().uordblks;
  }
  size_t after = mallinfo2().uordblks;
  printf("%d times loaded; %zu bytes in use after %d, %zu at the end\n", ROUNDS, before, WARM_UP, after);
  return after <= before + GROWTH_ALLOWED ? 0 : 1;
}
