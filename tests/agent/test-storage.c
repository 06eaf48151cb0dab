/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Storages that need no disk: what is mounted, for whom, how long, and that nothing leads outside. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

/* Last: it needs the ones before. */
#include <cmocka.h>

#include "tests/agent/harness.h"

#define ROOT "/run/kata-containers"
#define SHARED ROOT "/shared/containers"
#define LIMIT_US (60 * G_USEC_PER_SEC)
#define OPTIONS(...) .options = (char *[]){__VA_ARGS__}, .n_options = sizeof((char *[]){__VA_ARGS__}) / sizeof(char *)

/* A storage with these fields; the others are empty. */
#define STORAGE(...) make_storage(&(Fields){__VA_ARGS__})
#define MAX_STORAGES 24

typedef struct {
  char *driver;
  char *source;
  char *fstype;
  char *mount_point;
  char **options;
  gsize n_options;
  Grpc__FSGroup *fs_group;
  gboolean shared;
} Fields;

static Grpc__Storage make_storage(const Fields *fields) {
  Grpc__Storage storage = GRPC__STORAGE__INIT;
  if (fields->driver) storage.driver = fields->driver;
  if (fields->source) storage.source = fields->source;
  if (fields->fstype) storage.fstype = fields->fstype;
  if (fields->mount_point) storage.mount_point = fields->mount_point;
  storage.options = fields->options;
  storage.n_options = fields->n_options;
  storage.fs_group = fields->fs_group;
  storage.shared = fields->shared;
  return storage;
}

static int start(void **state) {
  harness_start();
  Grpc__CreateSandboxRequest request = GRPC__CREATE_SANDBOX_REQUEST__INIT;
  request.sandbox_id = (char *)"pod";
  harness_must("CreateSandbox", &request.base);
  return 0;
}

static int stop(void **state) {
  harness_stop();
  return 0;
}

typedef struct {
  Grpc__CreateContainerRequest request;
  Grpc__Storage *list[MAX_STORAGES];
  Grpc__Spec *spec;
} Creation;

static void creation_init(Creation *creation, const char *id, const char *script, Grpc__Storage *storages, gsize n) {
  grpc__create_container_request__init(&creation->request);
  creation->spec = harness_spec(script);
  creation->request.container_id = (char *)id;
  creation->request.oci = creation->spec;
  assert_true(n <= MAX_STORAGES);
  for (gsize i = 0; i < n; i++) creation->list[i] = &storages[i];
  creation->request.storages = creation->list;
  creation->request.n_storages = n;
}

static void create(const char *id, Grpc__Storage *storages, gsize n) {
  Creation creation;
  creation_init(&creation, id, "sleep 1000", storages, n);
  harness_must("CreateContainer", &creation.request.base);
  harness_spec_free(creation.spec);
}

/* A creation that fails leaves nothing, whatever came before in its list. */
static void must_not_create(Grpc__Storage *storages, gsize n, int code, const char *text) {
  g_autofree char *before = harness_leftovers();
  Creation creation;
  creation_init(&creation, "fails", "true", storages, n);
  harness_must_fail("CreateContainer", &creation.request.base, code, text);
  harness_spec_free(creation.spec);
  g_autofree char *after = harness_leftovers();
  assert_string_equal(before, after);
}

/* The line of /proc/self/mounts for a mount point, or NULL; the last one if there are several. */
static char *find_mount(const char *target) {
  g_autofree char *mounts = NULL;
  char *found = NULL;
  assert_true(g_file_get_contents("/proc/self/mounts", &mounts, NULL, NULL));
  g_auto(GStrv) lines = g_strsplit(mounts, "\n", -1);
  for (char **line = lines; *line; line++) {
    g_auto(GStrv) words = g_strsplit(*line, " ", -1);
    if (g_strv_length(words) < 4 || strcmp(words[1], target) != 0) continue;
    g_free(found);
    found = g_strdup(*line);
  }
  return found;
}

static void assert_mounted(const char *target, const char *const *words) {
  g_autofree char *line = find_mount(target);
  if (!line) fail_msg("nothing is mounted on '%s'", target);
  for (; *words; words++)
    if (!strstr(line, *words)) fail_msg("no '%s' in '%s'", *words, line);
}

static void assert_not_mounted(const char *target) {
  g_autofree char *line = find_mount(target);
  if (line) fail_msg("still mounted: %s", line);
}

static void make_file(const char *path, const char *text) {
  g_autofree char *parent = g_path_get_dirname(path);
  assert_int_equal(g_mkdir_with_parents(parent, 0755), 0);
  assert_true(g_file_set_contents(path, text, -1, NULL));
}

static char *read_file(const char *path) {
  char *text = NULL;
  return g_file_get_contents(path, &text, NULL, NULL) ? text : NULL;
}

/* ---- memory ---- */

static void test_ephemeral(void **state) {
  Grpc__Storage storages[] = {
      STORAGE(.driver = (char *)"ephemeral", .source = (char *)"shm", .fstype = (char *)"tmpfs",
              .mount_point = (char *)ROOT "/own/shm",
              OPTIONS((char *)"noexec", (char *)"nosuid", (char *)"nodev", (char *)"nodiratime", (char *)"mode=1777",
                      (char *)"size=1048576", (char *)"fsgid=321")),
  };
  create("memory", storages, 1);
  static const char *const words[] = {"tmpfs", "noexec", "nosuid", "nodev", "size=1024k", NULL};
  assert_mounted(ROOT "/own/shm", words);
  struct stat info;
  assert_int_equal(stat(ROOT "/own/shm", &info), 0);
  assert_int_equal(info.st_gid, 321);
  assert_int_equal(info.st_mode & 07777, 03777);

  Grpc__UpdateEphemeralMountsRequest update = GRPC__UPDATE_EPHEMERAL_MOUNTS_REQUEST__INIT;
  Grpc__Storage wanted[] = {STORAGE(.driver = (char *)"ephemeral", .source = (char *)"shm", .fstype = (char *)"tmpfs",
                                    .mount_point = (char *)ROOT "/own/shm",
                                    OPTIONS((char *)"remount", (char *)"size=2097152", (char *)"fsgid=321"))};
  Grpc__Storage *list[] = {&wanted[0]};
  update.storages = list;
  update.n_storages = 1;
  harness_must("UpdateEphemeralMounts", &update.base);
  static const char *const larger[] = {"size=2048k", "noexec", "nodiratime", NULL};
  assert_mounted(ROOT "/own/shm", larger);
  Grpc__Storage *many[1025];
  for (gsize i = 0; i < G_N_ELEMENTS(many); i++) many[i] = &wanted[0];
  update.storages = many;
  update.n_storages = G_N_ELEMENTS(many);
  harness_must_fail("UpdateEphemeralMounts", &update.base, TTRPC_RESOURCE_EXHAUSTED,
                    "1025 storages are more than 1024");
  update.storages = list;
  update.n_storages = 1;
  wanted[0].driver = (char *)"local";
  harness_must_fail("UpdateEphemeralMounts", &update.base, TTRPC_INVALID_ARGUMENT, "'ephemeral'");
  wanted[0].driver = (char *)"ephemeral";
  wanted[0].mount_point = (char *)ROOT "/own";
  harness_must_fail("UpdateEphemeralMounts", &update.base, TTRPC_NOT_FOUND, "no storage");
  wanted[0].mount_point = (char *)"/";
  harness_must_fail("UpdateEphemeralMounts", &update.base, TTRPC_INVALID_ARGUMENT, "not below");
  wanted[0].n_options = 0;
  wanted[0].mount_point = (char *)ROOT "/own/shm";
  harness_must("UpdateEphemeralMounts", &update.base);
  assert_mounted(ROOT "/own/shm", larger);
  harness_remove("memory");
  assert_not_mounted(ROOT "/own/shm");
  assert_int_equal(access(ROOT "/own/shm", F_OK), -1);

  storages[0].options = (char *[]){(char *)"fsgid=x"};
  storages[0].n_options = 1;
  must_not_create(storages, 1, TTRPC_INVALID_ARGUMENT, "fsgid=x");
  storages[0].n_options = 0;
  storages[0].fstype = (char *)"ramfs";
  must_not_create(storages, 1, TTRPC_UNIMPLEMENTED, "'ramfs'");
}

static void test_huge_pages_refused(void **state) {
  Grpc__Storage storages[] = {STORAGE(.driver = (char *)"ephemeral", .source = (char *)"nodev",
                                      .fstype = (char *)"hugetlbfs", .mount_point = (char *)ROOT "/own/huge",
                                      OPTIONS((char *)"pagesize=2097152"))};
  must_not_create(storages, 1, TTRPC_INVALID_ARGUMENT, "pagesize=BYTES,size=BYTES");
  storages[0].options[0] = (char *)"pagesize=3000000,size=6000000";
  must_not_create(storages, 1, TTRPC_INVALID_ARGUMENT, "pagesize=BYTES,size=BYTES");
  storages[0].options[0] = (char *)"pagesize=8192,size=8192";
  must_not_create(storages, 1, TTRPC_NOT_FOUND, "no huge pages of 8192 bytes");
}

/* What a pod's containers share outlives them, as Kubernetes has it; what is one container's own goes with it. */
static void test_lifetimes(void **state) {
  Grpc__Storage storages[] = {
      STORAGE(.driver = (char *)"ephemeral", .fstype = (char *)"tmpfs",
              .mount_point = (char *)ROOT "/sandbox/ephemeral/cache"),
      STORAGE(.driver = (char *)"local", .mount_point = (char *)SHARED "/pod/rootfs/local/data",
              OPTIONS((char *)"mode=0777", (char *)"fsgid=55")),
      STORAGE(.driver = (char *)"local", .mount_point = (char *)SHARED "/first/data", OPTIONS((char *)"mode=0700")),
      STORAGE(.driver = (char *)"bind", .source = (char *)SHARED "/pod",
              .mount_point = (char *)ROOT "/sandbox/storage/p", .shared = TRUE),
  };
  Grpc__Storage failing[] = {storages[0], STORAGE(.driver = (char *)"9p")};
  must_not_create(failing, 2, TTRPC_INTERNAL, "9p");
  create("first", storages, G_N_ELEMENTS(storages));
  make_file(ROOT "/sandbox/ephemeral/cache/file", "kept");
  make_file(SHARED "/pod/rootfs/local/data/file", "kept");
  make_file(SHARED "/first/data/file", "lost");
  struct stat info;
  assert_int_equal(stat(SHARED "/pod/rootfs/local/data", &info), 0);
  assert_int_equal(info.st_mode & 07777, 02777);
  assert_int_equal(info.st_gid, 55);
  assert_int_equal(stat(SHARED "/first/data", &info), 0);
  assert_int_equal(info.st_mode & 07777, 0700);
  harness_remove("first");
  must_not_create(failing, 2, TTRPC_INTERNAL, "9p");
  assert_int_equal(access(SHARED "/first/data", F_OK), -1);
  create("second", storages, G_N_ELEMENTS(storages));
  assert_int_equal(access(ROOT "/sandbox/ephemeral/cache/file", F_OK), 0);
  assert_int_equal(access(SHARED "/pod/rootfs/local/data/file", F_OK), 0);
  assert_int_equal(access(SHARED "/first/data/file", F_OK), -1);
  harness_remove("second");
  static const char *const words[] = {"tmpfs", NULL};
  assert_mounted(ROOT "/sandbox/ephemeral/cache", words);
  assert_mounted(ROOT "/sandbox/storage/p", words);

  Grpc__Storage bad =
      STORAGE(.driver = (char *)"local", .mount_point = (char *)SHARED "/bad/data", OPTIONS((char *)"mode=0888"));
  must_not_create(&bad, 1, TTRPC_INVALID_ARGUMENT, "mode=0888");
  bad.options[0] = (char *)"mode=10000";
  must_not_create(&bad, 1, TTRPC_INVALID_ARGUMENT, "mode=10000");
}

/* ---- counting ---- */

static void test_references(void **state) {
  Grpc__Storage storage = STORAGE(.driver = (char *)"ephemeral", .fstype = (char *)"tmpfs",
                                  .mount_point = (char *)ROOT "//counted/./a/", OPTIONS((char *)"size=1m"));
  create("one", &storage, 1);
  make_file(ROOT "/counted/a/file", "x");
  /* The second one's options are not looked at, and nothing is mounted over the first. */
  storage.options[0] = (char *)"size=2m";
  storage.mount_point = (char *)ROOT "/counted/a";
  create("two", &storage, 1);
  static const char *const words[] = {"size=1024k", NULL};
  assert_mounted(ROOT "/counted/a", words);
  Grpc__Storage twice[] = {storage, storage};
  create("three", twice, 2);
  harness_remove("one");
  harness_remove("three");
  assert_int_equal(access(ROOT "/counted/a/file", F_OK), 0);
  Grpc__Storage failing[] = {storage, STORAGE(.driver = (char *)"9p", .mount_point = (char *)ROOT "/counted/b")};
  must_not_create(failing, 2, TTRPC_INTERNAL, "Failed to find the storage handler 9p");
  assert_int_equal(access(ROOT "/counted/a/file", F_OK), 0);
  harness_remove("two");
  assert_not_mounted(ROOT "/counted/a");
  assert_int_equal(rmdir(ROOT "/counted"), 0);
}

/* ---- bind ---- */

static void test_bind(void **state) {
  make_file(SHARED "/volume/deep/file", "text");
  make_file(SHARED "/single", "one file");
  assert_int_equal(mkdir(SHARED "/volume/under", 0755), 0);
  assert_int_equal(mount("tmpfs", SHARED "/volume/under", "tmpfs", 0, NULL), 0);
  Grpc__Storage storages[] = {
      STORAGE(.driver = (char *)"bind", .source = (char *)SHARED "/volume", .mount_point = (char *)ROOT "/own/plain",
              OPTIONS((char *)"bind", (char *)"ro", (char *)"nosuid", (char *)"noexec")),
      STORAGE(.driver = (char *)"bind", .source = (char *)SHARED "/volume", .mount_point = (char *)ROOT "/own/deep",
              OPTIONS((char *)"rbind", (char *)"rshared")),
      STORAGE(.driver = (char *)"bind", .source = (char *)SHARED "/single", .mount_point = (char *)ROOT "/own/single",
              OPTIONS((char *)"bind", (char *)"ro")),
  };
  create("binds", storages, G_N_ELEMENTS(storages));
  static const char *const plain[] = {"ro,", "nosuid", "noexec", NULL};
  assert_mounted(ROOT "/own/plain", plain);
  assert_not_mounted(ROOT "/own/plain/under");
  static const char *const under[] = {"tmpfs", "rw", NULL};
  assert_mounted(ROOT "/own/deep/under", under);
  g_autofree char *info = read_file("/proc/self/mountinfo");
  char *line = strstr(info, " " ROOT "/own/deep ");
  assert_non_null(line);
  assert_non_null(strstr(line, "shared:"));
  assert_true(strstr(line, "shared:") < strchr(line, '\n'));
  g_autofree char *text = read_file(ROOT "/own/single");
  assert_string_equal(text, "one file");
  assert_int_equal(open(ROOT "/own/single", O_WRONLY), -1);
  assert_int_equal(errno, EROFS);
  harness_remove("binds");
  assert_int_equal(umount(SHARED "/volume/under"), 0);
  assert_int_equal(access(ROOT "/own/single", F_OK), -1);
  assert_int_equal(access(ROOT "/own/deep", F_OK), -1);
  assert_int_equal(access(SHARED "/volume/deep/file", F_OK), 0);

  storages[0].source = (char *)SHARED "/no-such";
  must_not_create(storages, 1, TTRPC_NOT_FOUND, "no-such");
  storages[0].source = (char *)"relative";
  must_not_create(storages, 1, TTRPC_INVALID_ARGUMENT, "is not absolute");
}

static void add_bound(Grpc__Spec *spec, const char *destination, const char *source, char **options, gsize n_options) {
  harness_add_mount(spec, destination, "bind", source);
  Grpc__Mount *entry = spec->mounts[spec->n_mounts - 1];
  entry->n_options = n_options;
  entry->options = malloc(n_options * sizeof *entry->options);
  for (gsize i = 0; i < n_options; i++) entry->options[i] = strdup(options[i]);
}

/* What a storage may not do, containers may not do with it, unless their own mount says otherwise: a bind alone is none
 * of another mode. */
static void test_options_in_container(void **state) {
  make_file(SHARED "/kept/file", "text");
  Grpc__Storage storages[] = {
      STORAGE(.driver = (char *)"ephemeral", .fstype = (char *)"tmpfs", .mount_point = (char *)ROOT "/sandbox/limited",
              OPTIONS((char *)"noexec", (char *)"nosuid", (char *)"nodev", (char *)"noatime", (char *)"size=65536")),
      STORAGE(.driver = (char *)"bind", .source = (char *)SHARED "/kept", .mount_point = (char *)ROOT "/own/kept",
              OPTIONS((char *)"bind", (char *)"ro")),
  };
  char *plain[] = {(char *)"rbind"};
  char *other[] = {(char *)"rbind", (char *)"exec", (char *)"rw"};
  Creation creation;
  creation_init(&creation, "modes",
                "for at in /tmp /sys /etc; do grep \" $at \" /proc/mounts | (while read from to type options rest; do "
                "last=$options; done; for word in ro rw noexec nosuid nodev; do case ,$last, in *,$word,*) echo -n "
                "$word' ';; esac; done; echo $at); done; echo x 2>/dev/null >/etc/new || echo refused",
                storages, G_N_ELEMENTS(storages));
  add_bound(creation.spec, "/tmp", ROOT "/sandbox/limited", plain, G_N_ELEMENTS(plain));
  add_bound(creation.spec, "/sys", ROOT "/sandbox/../sandbox/limited/", other, G_N_ELEMENTS(other));
  add_bound(creation.spec, "/etc", ROOT "/own/kept", other, G_N_ELEMENTS(other));
  harness_must("CreateContainer", &creation.request.base);
  harness_start_container("modes");
  g_autoptr(GString) out = harness_read_all("modes", "", FALSE);
  harness_wait("modes", "");
  harness_remove("modes");
  harness_spec_free(creation.spec);
  assert_string_equal(out->str, "rw noexec nosuid nodev /tmp\nrw nosuid nodev /sys\nro /etc\nrefused\n");
}

/* ---- paths that lead elsewhere ---- */

static void test_hostile_paths(void **state) {
  assert_int_equal(g_mkdir_with_parents("/run/outside/secret", 0755), 0);
  make_file("/run/outside/secret/file", "secret");
  assert_int_equal(g_mkdir_with_parents(SHARED "/box/rootfs", 0755), 0);
  assert_int_equal(symlink("/run/outside", SHARED "/box/rootfs/absolute"), 0);
  assert_int_equal(symlink("../../../../../outside", SHARED "/box/rootfs/relative"), 0);
  assert_int_equal(symlink("/run/outside/made", SHARED "/box/rootfs/dangling"), 0);
  assert_int_equal(symlink("/proc/self/root", SHARED "/box/rootfs/magic"), 0);
  static const char *const links[] = {"absolute", "relative", "dangling", "magic"};
  for (gsize i = 0; i < G_N_ELEMENTS(links); i++) {
    g_autofree char *target = g_build_filename(SHARED "/box/rootfs", links[i], "secret", NULL);
    Grpc__Storage to = STORAGE(.driver = (char *)"ephemeral", .fstype = (char *)"tmpfs", .mount_point = target);
    Grpc__Storage from =
        STORAGE(.driver = (char *)"bind", .source = target, .mount_point = (char *)ROOT "/own/hostile");
    Creation creation;
    creation_init(&creation, "hostile", "true", &to, 1);
    ProtobufCMessage *reply = harness_call("CreateContainer", &creation.request.base, NULL);
    assert_not_mounted("/run/outside/secret");
    assert_int_equal(access("/run/outside/made", F_OK), -1);
    if (reply) harness_remove("hostile");
    if (reply) protobuf_c_message_free_unpacked(reply, NULL);
    harness_spec_free(creation.spec);
    creation_init(&creation, "hostile", "true", &from, 1);
    reply = harness_call("CreateContainer", &creation.request.base, NULL);
    assert_int_equal(access(ROOT "/own/hostile/file", F_OK), -1);
    if (reply) harness_remove("hostile");
    if (reply) protobuf_c_message_free_unpacked(reply, NULL);
    harness_spec_free(creation.spec);
  }
  static const char *const outside[] = {"/etc",
                                        "/run/kata-containers",
                                        "/run/kata-containers/",
                                        "/run/kata-containers2/x",
                                        "/run/kata-containers/../x",
                                        "relative",
                                        ""};
  for (gsize i = 0; i < G_N_ELEMENTS(outside); i++) {
    Grpc__Storage storage =
        STORAGE(.driver = (char *)"ephemeral", .fstype = (char *)"tmpfs", .mount_point = (char *)outside[i]);
    must_not_create(&storage, 1, TTRPC_INVALID_ARGUMENT, "");
  }
  Grpc__Storage options[] = {STORAGE(.driver = (char *)"ephemeral", .fstype = (char *)"tmpfs",
                                     .mount_point = (char *)ROOT "/own/options", OPTIONS((char *)"remount"))};
  must_not_create(options, 1, TTRPC_INVALID_ARGUMENT, "remount");
  options[0].options[0] = (char *)"bind";
  must_not_create(options, 1, TTRPC_INVALID_ARGUMENT, "bind");
  options[0].options[0] = (char *)"loop";
  must_not_create(options, 1, TTRPC_UNIMPLEMENTED, "loop");
  options[0].options[0] = (char *)"no-such-option=1";
  must_not_create(options, 1, TTRPC_INVALID_ARGUMENT, "no-such-option=1");
}

/* ---- overlayfs ---- */

static void assert_logged(const char *text) {
  g_autofree char *log = harness_log();
  if (!strstr(log, text)) fail_msg("no \"%s\" in the agent's log", text);
}

/* Nobody's containers are refused for words that are meant for others, and nobody has to guess. */
static void test_unknown_options(void **state) {
  make_file(SHARED "/strange/low/file", "low");
  make_file(SHARED "/strange/other/file", "other");
  Grpc__Storage storages[] = {
      STORAGE(.driver = (char *)"overlayfs", .source = (char *)"none", .fstype = (char *)"overlay",
              .mount_point = (char *)ROOT "/strange/rootfs2",
              OPTIONS((char *)"lowerdir=" SHARED "/strange/low:" SHARED "/strange/other",
                      (char *)"io.katacontainers.fs-opt.root-hash=abc")),
      STORAGE(.driver = (char *)"local", .mount_point = (char *)ROOT "/strange/local",
              OPTIONS((char *)"mode=0700", (char *)"colour=blue")),
  };
  storages[1].driver_options = (char *[]){(char *)"do-what-i-mean"};
  storages[1].n_driver_options = 1;
  create("strange", storages, 2);
  g_autofree char *low = read_file(ROOT "/strange/rootfs2/file");
  assert_string_equal(low, "low");
  harness_remove("strange");
  assert_logged("/strange/rootfs2': the option 'io.katacontainers.fs-opt.root-hash=abc' is not known here");
  assert_logged("/strange/local': driver 'local' makes nothing of the option 'colour=blue'");
  assert_logged("/strange/local': driver 'local' makes nothing of the driver option 'do-what-i-mean'");
}

static void test_overlay(void **state) {
  make_file(SHARED "/layers/low/file", "low");
  make_file(SHARED "/layers/high/other", "high");
  make_file("/run/outside/layer/file", "outside");
  char *lower = (char *)"lowerdir=" SHARED "/layers/high:" SHARED "/layers/low";
  Grpc__Storage storages[] = {
      STORAGE(.driver = (char *)"overlayfs", .source = (char *)"none", .fstype = (char *)"overlay",
              .mount_point = (char *)ROOT "/layered/rootfs2",
              OPTIONS(lower, (char *)"io.katacontainers.fs-opt.overlay-rw")),
  };
  create("layered", storages, 1);
  g_autofree char *low = read_file(ROOT "/layered/rootfs2/file");
  g_autofree char *high = read_file(ROOT "/layered/rootfs2/other");
  assert_string_equal(low, "low");
  assert_string_equal(high, "high");
  make_file(ROOT "/layered/rootfs2/file", "changed");
  g_autofree char *unchanged = read_file(SHARED "/layers/low/file");
  assert_string_equal(unchanged, "low");
  harness_remove("layered");
  assert_int_equal(access(ROOT "/layered", F_OK), -1);

  char *create_upper = (char *)"io.katacontainers.volume.overlayfs.create_directory=" ROOT "/own/made/up";
  char *create_work = (char *)"io.katacontainers.volume.overlayfs.create_directory=" ROOT "/own/made/work";
  char *created[] = {create_upper, create_work};
  storages[0].driver_options = created;
  storages[0].n_driver_options = 2;
  storages[0].options =
      (char *[]){lower, (char *)"upperdir=" ROOT "/own/made/up", (char *)"workdir=" ROOT "/own/made/work"};
  storages[0].n_options = 3;
  storages[0].mount_point = (char *)ROOT "/own/layered";
  create("layers", storages, 1);
  make_file(ROOT "/own/layered/new", "new");
  g_autofree char *upper = read_file(ROOT "/own/made/up/new");
  assert_string_equal(upper, "new");
  harness_remove("layers");
  assert_not_mounted(ROOT "/own/layered");

  storages[0].n_driver_options = 0;
  storages[0].n_options = 1;
  storages[0].options[0] = (char *)"lowerdir=/run/outside/layer:" SHARED "/layers/low";
  must_not_create(storages, 1, TTRPC_INVALID_ARGUMENT, "'/run/outside/layer' is not below");
  storages[0].options[0] = (char *)"lowerdir=" SHARED "/layers/none";
  must_not_create(storages, 1, TTRPC_NOT_FOUND, "layers/none");
  storages[0].fstype = (char *)"ext4";
  must_not_create(storages, 1, TTRPC_INVALID_ARGUMENT, "fstype 'ext4'");
}

/* ---- groups ---- */

static void test_groups(void **state) {
  make_file(SHARED "/grouped/a/file", "x");
  assert_int_equal(chmod(SHARED "/grouped/a/file", 04701), 0);
  assert_int_equal(symlink("/run/outside/target", SHARED "/grouped/link"), 0);
  make_file("/run/outside/target", "x");
  assert_int_equal(chmod("/run/outside/target", 0600), 0);
  Grpc__FSGroup group = GRPC__FSGROUP__INIT;
  group.group_id = 4321;
  Grpc__Storage storages[] = {STORAGE(.driver = (char *)"bind", .source = (char *)SHARED "/grouped",
                                      .mount_point = (char *)ROOT "/own/grouped", .fs_group = &group)};
  create("group", storages, 1);
  struct stat info;
  assert_int_equal(stat(SHARED "/grouped/a/file", &info), 0);
  assert_int_equal(info.st_gid, 4321);
  assert_int_equal(info.st_mode & 07777, 04761);
  assert_int_equal(stat(SHARED "/grouped/a", &info), 0);
  assert_int_equal(info.st_gid, 4321);
  assert_int_equal(info.st_mode & 07777, 02775);
  assert_int_equal(lstat(SHARED "/grouped/link", &info), 0);
  assert_int_equal(info.st_gid, 4321);
  assert_int_equal(stat("/run/outside/target", &info), 0);
  assert_int_equal(info.st_gid, 0);
  assert_int_equal(info.st_mode & 07777, 0600);
  harness_remove("group");

  /* Who looks at the root only sees that all is done. */
  assert_int_equal(chown(SHARED "/grouped/a/file", 0, 7), 0);
  group.group_change_policy = TYPES__FSGROUP_CHANGE_POLICY__OnRootMismatch;
  create("group", storages, 1);
  assert_int_equal(stat(SHARED "/grouped/a/file", &info), 0);
  assert_int_equal(info.st_gid, 7);
  harness_remove("group");
  assert_int_equal(chown(SHARED "/grouped", 0, 8), 0);
  create("group", storages, 1);
  assert_int_equal(stat(SHARED "/grouped/a/file", &info), 0);
  assert_int_equal(info.st_gid, 4321);
  harness_remove("group");

  /* Read-only: the group may read, no more. */
  make_file(SHARED "/readable/file", "x");
  assert_int_equal(chmod(SHARED "/readable/file", 0600), 0);
  Grpc__Storage readable[] = {STORAGE(.driver = (char *)"bind", .source = (char *)SHARED "/readable",
                                      .mount_point = (char *)ROOT "/own/readable", .fs_group = &group,
                                      OPTIONS((char *)"ro"))};
  create("group", readable, 1);
  assert_int_equal(stat(ROOT "/own/readable/file", &info), 0);
  assert_int_equal(info.st_gid, 4321);
  assert_int_equal(info.st_mode & 07777, 0640);
  assert_int_equal(access(ROOT "/own/readable/file", W_OK), -1);
  harness_remove("group");
}

/* ---- disks that never come ---- */

static void test_missing_devices(void **state) {
  Grpc__Storage first =
      STORAGE(.driver = (char *)"ephemeral", .fstype = (char *)"tmpfs", .mount_point = (char *)ROOT "/own/first");
  Grpc__Storage storages[] = {first, STORAGE(.driver = (char *)"blk", .source = (char *)"1f/1f",
                                             .fstype = (char *)"ext4", .mount_point = (char *)ROOT "/own/disk")};
  must_not_create(storages, 2, TTRPC_DEADLINE_EXCEEDED, "virtio disk '1f/1f' did not appear within");
  storages[1].source = (char *)"zz/1";
  must_not_create(storages, 2, TTRPC_INVALID_ARGUMENT, "invalid guest PCI path 'zz/1'");
  storages[1].source = (char *)"/etc/passwd";
  must_not_create(storages, 2, TTRPC_INVALID_ARGUMENT, "not below '/dev'");
  storages[1].source = (char *)"/dev/../etc";
  must_not_create(storages, 2, TTRPC_INVALID_ARGUMENT, "..");
  storages[1].driver = (char *)"scsi";
  storages[1].source = (char *)"1";
  must_not_create(storages, 2, TTRPC_INVALID_ARGUMENT, "invalid SCSI address '1'");
  storages[1].driver = (char *)"mmioblk";
  storages[1].source = (char *)"1:1";
  must_not_create(storages, 2, TTRPC_INVALID_ARGUMENT, "not absolute");
  storages[1].driver = (char *)"nvdimm";
  storages[1].source = (char *)"/dev/pmem0";
  storages[1].fstype = (char *)"";
  must_not_create(storages, 2, TTRPC_INVALID_ARGUMENT, "has no fstype");
  storages[1].fstype = (char *)"xfs";
  char *create_option[] = {(char *)"create_filesystem"};
  storages[1].driver_options = create_option;
  storages[1].n_driver_options = 1;
  must_not_create(storages, 2, TTRPC_UNIMPLEMENTED, "makes ext4");
  create_option[0] = (char *)"encryption_key=ephemeral";
  must_not_create(storages, 2, TTRPC_UNIMPLEMENTED, "cannot encrypt");
}

static gpointer create_in_thread(gpointer data) {
  const Grpc__CreateContainerRequest *request = data;
  GError *error = NULL;
  ProtobufCMessage *reply = harness_call("CreateContainer", &request->base, &error);
  if (reply) protobuf_c_message_free_unpacked(reply, NULL);
  return error;
}

/* While one container waits for its disk, others are served; and who removes it does not wait. */
static void test_removed_while_waiting(void **state) {
  g_autofree char *before = harness_leftovers();
  Grpc__Storage storages[] = {
      STORAGE(.driver = (char *)"ephemeral", .fstype = (char *)"tmpfs", .mount_point = (char *)ROOT "/own/first"),
      STORAGE(.driver = (char *)"blk", .source = (char *)"1f/1f", .fstype = (char *)"ext4",
              .mount_point = (char *)ROOT "/own/disk"),
  };
  Creation creation;
  creation_init(&creation, "waits", "true", storages, 2);
  GThread *thread = g_thread_new("create", create_in_thread, &creation.request);
  gint64 limit = g_get_monotonic_time() + LIMIT_US;
  for (g_autofree char *line = NULL; !line; line = find_mount(ROOT "/own/first")) {
    assert_true(g_get_monotonic_time() < limit);
    g_usleep(2000);
  }
  create("meanwhile", NULL, 0);
  harness_remove("meanwhile");
  harness_remove("waits");
  g_autoptr(GError) error = g_thread_join(thread);
  assert_non_null(error);
  assert_non_null(strstr(error->message, "cannot create container 'waits'"));
  harness_spec_free(creation.spec);
  g_autofree char *after = harness_leftovers();
  assert_string_equal(before, after);
}

/* ---- one container's mounts in another ---- */

static Grpc__CreateContainerRequest sharing(const char *id, Grpc__Spec *spec, Grpc__SharedMount **list) {
  Grpc__CreateContainerRequest request = GRPC__CREATE_CONTAINER_REQUEST__INIT;
  request.container_id = (char *)id;
  request.oci = spec;
  request.shared_mounts = list;
  request.n_shared_mounts = 1;
  return request;
}

static void test_shared_mounts(void **state) {
  g_autoptr(Grpc__Spec) server = harness_spec("echo served > /tmp/file; echo ready; sleep 1000");
  server->annotations = malloc(sizeof *server->annotations);
  server->annotations[0] = malloc(sizeof **server->annotations);
  grpc__spec__annotations_entry__init(server->annotations[0]);
  server->annotations[0]->key = strdup("io.kubernetes.cri.container-name");
  server->annotations[0]->value = strdup("sidecar");
  server->n_annotations = 1;
  harness_create_spec("server", server);
  harness_start_container("server");
  g_autoptr(GBytes) ready = harness_read("server", "", 6);

  g_autoptr(Grpc__Spec) spec = harness_spec("cat /dev/from/sidecar/file; echo back > /dev/from/sidecar/back");
  Grpc__SharedMount mount = GRPC__SHARED_MOUNT__INIT;
  Grpc__SharedMount *list[] = {&mount};
  mount.name = (char *)"cache";
  mount.src_ctr = (char *)"sidecar";
  mount.src_path = (char *)"/tmp";
  mount.dst_ctr = (char *)"user";
  mount.dst_path = (char *)"/dev/from/sidecar";
  Grpc__CreateContainerRequest request = sharing("user", spec, list);
  harness_must("CreateContainer", &request.base);
  harness_start_container("user");
  g_autoptr(GString) out = harness_read_all("user", "", FALSE);
  assert_string_equal(out->str, "served\n");
  harness_wait("user", "");
  harness_remove("user");
  harness_exec("server", "look", "cat /tmp/back");
  g_autoptr(GString) back = harness_read_all("server", "look", FALSE);
  assert_string_equal(back->str, "back\n");
  harness_wait("server", "look");

  g_autofree char *before = harness_leftovers();
  mount.src_ctr = (char *)"nobody";
  harness_must_fail("CreateContainer", &request.base, TTRPC_NOT_FOUND, "there is no container 'nobody'");
  mount.src_ctr = (char *)"server";
  mount.src_path = (char *)"/no/such";
  harness_must_fail("CreateContainer", &request.base, TTRPC_NOT_FOUND, "cannot share mount 'cache'");
  mount.src_path = (char *)"relative";
  harness_must_fail("CreateContainer", &request.base, TTRPC_INVALID_ARGUMENT, "source of a shared mount");
  mount.src_path = (char *)"/tmp";
  mount.dst_ctr = (char *)"another";
  harness_must_fail("CreateContainer", &request.base, TTRPC_INVALID_ARGUMENT, "for another container");
  mount.dst_ctr = (char *)"";
  mount.dst_path = (char *)"/dev/../..";
  harness_must_fail("CreateContainer", &request.base, TTRPC_INVALID_ARGUMENT, "destination of a shared mount");
  /* What the container planted leads to its own root at most. */
  harness_exec("server", "plant", "/bin/busybox ln -s /run/test /tmp/link");
  assert_int_equal(harness_wait("server", "plant"), 0);
  mount.dst_path = (char *)"/dev/from/sidecar";
  mount.src_path = (char *)"/tmp/link/rootfs";
  harness_must_fail("CreateContainer", &request.base, TTRPC_NOT_FOUND, "cannot share mount 'cache'");
  mount.src_path = (char *)"/proc/1/root";
  harness_must_fail("CreateContainer", &request.base, TTRPC_INVALID_ARGUMENT, "cannot share mount 'cache'");
  g_autofree char *after = harness_leftovers();
  assert_string_equal(before, after);
  harness_remove("server");
}

/* ---- the sandbox's own ---- */

static void test_sandbox_that_fails(void **state) {
  harness_stop();
  harness_start();
  g_autofree char *before = harness_leftovers();
  Grpc__Storage storages[] = {
      STORAGE(.driver = (char *)"ephemeral", .fstype = (char *)"tmpfs", .mount_point = (char *)ROOT "/own/shm"),
      STORAGE(.driver = (char *)"watchable-bind", .source = (char *)"/etc",
              .mount_point = (char *)SHARED "/watchable/x"),
  };
  Grpc__Storage *list[] = {&storages[0], &storages[1]};
  Grpc__CreateSandboxRequest request = GRPC__CREATE_SANDBOX_REQUEST__INIT;
  request.sandbox_id = (char *)"pod";
  request.storages = list;
  request.n_storages = 2;
  harness_must_fail("CreateSandbox", &request.base, TTRPC_INVALID_ARGUMENT, "containers only");
  assert_not_mounted(ROOT "/own/shm");
  request.n_storages = 1;
  harness_must("CreateSandbox", &request.base);
  harness_must_fail("CreateSandbox", &request.base, TTRPC_ALREADY_EXISTS, "");
  static const char *const words[] = {"tmpfs", NULL};
  assert_mounted(ROOT "/own/shm", words);
  harness_stop();
  assert_not_mounted(ROOT "/own/shm");
  start(NULL);
}

static int run(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_ephemeral),
      cmocka_unit_test(test_huge_pages_refused),
      cmocka_unit_test(test_lifetimes),
      cmocka_unit_test(test_references),
      cmocka_unit_test(test_bind),
      cmocka_unit_test(test_options_in_container),
      cmocka_unit_test(test_hostile_paths),
      cmocka_unit_test(test_overlay),
      cmocka_unit_test(test_unknown_options),
      cmocka_unit_test(test_groups),
      cmocka_unit_test(test_shared_mounts),
      cmocka_unit_test(test_missing_devices),
      cmocka_unit_test(test_removed_while_waiting),
      cmocka_unit_test(test_sandbox_that_fails),
  };
  return cmocka_run_group_tests_name("agent-storage", tests, start, stop);
}

int main(void) { return harness_run(run); }
