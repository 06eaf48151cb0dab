// SPDX-License-Identifier: 0BSD
/*
 * tiny-engine LAYOUT DIRECTORY: a container engine in small. Pulls the first image of an OCI image layout apart into a
 * bundle below DIRECTORY, which must not exist, and runs it in a virtual machine of its own. Files that a layer takes
 * away from those below it (whiteouts) it does not take away.
 *
 *     cc tiny-engine.c $(pkg-config --cflags --libs libkata json-c)
 */
#include <json-c/json.h>
#include <kata/kata.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *layout, *bundle;

static void fail(const char *what, const char *why) {
  fprintf(stderr, "tiny-engine: %s: %s\n", what, why);
  exit(125);
}

static const char *in(const char *directory, const char *name) {
  static char path[4096];
  snprintf(path, sizeof path, "%s/%s", directory, name);
  return path;
}

static json_object *get(json_object *object, const char *name) {
  json_object *member = NULL;
  json_object_object_get_ex(object, name, &member);
  return member;
}

/* "sha256:HEX" is the file blobs/sha256/HEX. */
static const char *blob(json_object *descriptor) {
  char name[128];
  const char *digest = json_object_get_string(get(descriptor, "digest"));
  if (digest == NULL || sscanf(digest, "sha256:%80[0-9a-f]", name) != 1) fail(layout, "no sha256 digest");
  char below[256];
  snprintf(below, sizeof below, "blobs/sha256/%s", name);
  return in(layout, below);
}

static json_object *read_json(const char *path) {
  json_object *document = json_object_from_file(path);
  if (document == NULL) fail(path, json_util_get_last_err());
  return document;
}

static void unpack(const char *layer) {
  const char *rootfs = in(bundle, "rootfs");
  char *const command[] = {(char *)"tar", (char *)"-x",  (char *)"-C", (char *)rootfs, (char *)"--exclude=.wh.*",
                           (char *)"-f",  (char *)layer, NULL};
  int status = -1;
  if (fork() == 0) execvp("tar", command), _exit(127);
  if (wait(&status) < 0 || status != 0) fail(layer, "tar could not unpack it");
}

/* config.json: what the image says of its process, in the least that a container needs. */
static void write_config(json_object *image) {
  static const char rest[] =
      "{\"ociVersion\": \"1.0.2\", \"root\": {\"path\": \"rootfs\"}, \"mounts\": [{\"destination\": \"/proc\","
      " \"type\": \"proc\", \"source\": \"proc\"}, {\"destination\": \"/dev\", \"type\": \"tmpfs\", \"source\": "
      "\"tmpfs\"}],"
      " \"linux\": {\"namespaces\": [{\"type\": \"pid\"}, {\"type\": \"mount\"}, {\"type\": \"network\"}]}}";
  json_object *config = json_tokener_parse(rest), *process = json_object_new_object();
  json_object *args = json_object_new_array(), *cwd = get(get(image, "config"), "WorkingDir");
  const char *const parts[] = {"Entrypoint", "Cmd"};
  for (int part = 0; part < 2; part++) {
    json_object *words = get(get(image, "config"), parts[part]);
    for (size_t i = 0; words != NULL && i < json_object_array_length(words); i++)
      json_object_array_add(args, json_object_get(json_object_array_get_idx(words, i)));
  }
  json_object_object_add(process, "args", args);
  json_object_object_add(process, "env", json_object_get(get(get(image, "config"), "Env")));
  json_object_object_add(process, "cwd", cwd != NULL ? json_object_get(cwd) : json_object_new_string("/"));
  json_object_object_add(process, "user", json_tokener_parse("{\"uid\": 0, \"gid\": 0}"));
  json_object_object_add(config, "process", process);
  if (json_object_to_file(in(bundle, "config.json"), config) < 0) fail(bundle, json_util_get_last_err());
}

static int run(kata_error **err) {
  char id[32];
  snprintf(id, sizeof id, "tiny-%d", (int)getpid());
  kata_process_io io = KATA_PROCESS_IO_INIT;
  io.stdin_fd = STDIN_FILENO, io.stdout_fd = STDOUT_FILENO, io.stderr_fd = STDERR_FILENO;
  kata_context *ctx = kata_context_new(0, err);
  kata_sandbox *sandbox = ctx != NULL ? kata_sandbox_create(ctx, id, NULL, KATA_SANDBOX_CREATE_BOUND, err) : NULL;
  kata_container *container = sandbox != NULL ? kata_container_create(sandbox, id, bundle, &io, 0, err) : NULL;
  int status = 125;
  if (container != NULL && kata_container_start(container, 0, err) == 0)
    kata_container_wait(container, 0, &status, err);
  if (sandbox != NULL) kata_sandbox_delete(sandbox, KATA_SANDBOX_DELETE_FORCE, NULL);
  kata_container_unref(container);
  kata_sandbox_unref(sandbox);
  kata_context_unref(ctx);
  return status;
}

int main(int argc, char **argv) {
  if (argc != 3) fail("usage", "tiny-engine LAYOUT DIRECTORY");
  layout = argv[1], bundle = argv[2];
  if (mkdir(bundle, 0755) < 0 || mkdir(in(bundle, "rootfs"), 0755) < 0) fail(bundle, "cannot be made");
  json_object *manifests = get(read_json(in(layout, "index.json")), "manifests");
  json_object *manifest = read_json(blob(json_object_array_get_idx(manifests, 0))), *layers = get(manifest, "layers");
  for (size_t i = 0; layers != NULL && i < json_object_array_length(layers); i++) {
    char *layer = strdup(blob(json_object_array_get_idx(layers, i)));
    unpack(layer);
    free(layer);
  }
  write_config(read_json(blob(get(manifest, "config"))));
  kata_error *err = NULL;
  int status = run(&err);
  if (err != NULL) fail("cannot run it", kata_error_get_message(err));
  return status;
}
