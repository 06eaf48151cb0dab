// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Feeds files to a fuzz target, for compilers without libFuzzer: each argument
 * is a file or a directory of files. Without any, a program that is called
 * replay-NAME takes $top_srcdir/tests/fuzz/corpus/NAME.
 */
#include <glib.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
/* A target that has one says here what its own corpus did not reach; NULL: nothing. */
const char *fuzz_find_unreached(void) __attribute__((weak));

static guint replay_file(const char *path) {
  g_autofree char *text = NULL;
  gsize size = 0;
  g_autoptr(GError) error = NULL;
  if (!g_file_get_contents(path, &text, &size, &error)) {
    fprintf(stderr, "%s\n", error->message);
    exit(1);
  }
  /* Exactly as many bytes as there are, so that a sanitizer sees a read past the end. */
  g_autofree guint8 *bytes = size > 0 ? g_memdup2(text, size) : NULL;
  fprintf(stderr, "%s\n", path); /* the last one named is the one that failed */
  LLVMFuzzerTestOneInput(bytes, size);
  return 1;
}

static guint replay_directory(const char *path) {
  g_autoptr(GError) error = NULL;
  g_autoptr(GDir) directory = g_dir_open(path, 0, &error);
  if (directory == NULL) {
    fprintf(stderr, "%s\n", error->message);
    exit(1);
  }
  guint count = 0;
  const char *name;
  while ((name = g_dir_read_name(directory)) != NULL) {
    g_autofree char *file = g_build_filename(path, name, NULL);
    count += replay_file(file);
  }
  return count;
}

static guint replay_own_corpus(const char *program) {
  g_autofree char *base = g_path_get_basename(program);
  const char *name = strstr(base, "replay-"); /* libtool may put "lt-" before it */
  const char *top = g_getenv("top_srcdir");
  if (name == NULL) return 0;
  g_autofree char *path =
      g_build_filename(top != NULL ? top : ".", "tests", "fuzz", "corpus", name + strlen("replay-"), NULL);
  return replay_directory(path);
}

int main(int argc, char **argv) {
  guint count = argc > 1 ? 0 : replay_own_corpus(argv[0]);
  for (int i = 1; i < argc; i++)
    count += g_file_test(argv[i], G_FILE_TEST_IS_DIR) ? replay_directory(argv[i]) : replay_file(argv[i]);
  printf("%u inputs replayed\n", count);
  const char *unreached = argc == 1 && fuzz_find_unreached ? fuzz_find_unreached() : NULL;
  if (unreached) {
    fprintf(stderr, "the corpus does not reach '%s'\n", unreached);
    return 1;
  }
  return count > 0 ? 0 : 1;
}
