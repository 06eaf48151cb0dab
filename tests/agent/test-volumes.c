/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Files the host copies into the guest, what it asks of volumes, watched directories. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

/* Last: it needs the ones before. */
#include <cmocka.h>

#include "common/fds.h"
#include "common/spawn.h"
#include "tests/agent/harness.h"

#define ROOT "/run/kata-containers"
#define SHARED ROOT "/shared/containers"
#define WATCHABLE SHARED "/watchable"
#define LIMIT_US (60 * G_USEC_PER_SEC)
#define POLL_US 20000

static int start(void **state) {
  harness_start();
  return 0;
}

static int stop(void **state) {
  harness_stop();
  return 0;
}

static char *read_file(const char *path) {
  char *text = NULL;
  return g_file_get_contents(path, &text, NULL, NULL) ? text : g_strdup("(none)");
}

static void assert_file(const char *path, const char *text, mode_t mode) {
  struct stat info;
  g_autofree char *found = read_file(path);
  assert_string_equal(found, text);
  assert_int_equal(lstat(path, &info), 0);
  assert_int_equal(info.st_mode & 07777, mode);
}

static guint count_names(const char *path) {
  guint count = 0;
  g_autoptr(GDir) directory = g_dir_open(path, 0, NULL);
  while (directory && g_dir_read_name(directory)) count++;
  return count;
}

/* ---- CopyFile ---- */

static Grpc__CopyFileRequest piece(const char *path, const char *data, gint64 offset, gint64 size) {
  Grpc__CopyFileRequest request = GRPC__COPY_FILE_REQUEST__INIT;
  request.path = (char *)path;
  request.data.data = (guint8 *)data;
  request.data.len = strlen(data);
  request.offset = offset;
  request.file_size = size;
  request.file_mode = S_IFREG | 0640;
  request.dir_mode = 0x80000000u | 0750;
  return request;
}

static void copy(const char *path, const char *data, gint64 offset, gint64 size) {
  Grpc__CopyFileRequest request = piece(path, data, offset, size);
  harness_must("CopyFile", &request.base);
}

static void must_not_copy(const Grpc__CopyFileRequest *request, int code, const char *text) {
  harness_must_fail("CopyFile", &request->base, code, text);
}

static void test_copy_pieces(void **state) {
  copy(SHARED "/new/deep/file.txt", "first ", 0, 13);
  assert_int_equal(access(SHARED "/new/deep/file.txt", F_OK), -1);
  /* Another of the same stem, meanwhile. */
  copy(SHARED "/new/deep/file.conf", "whole", 0, 5);
  copy(SHARED "/new/deep/file.txt", "second ", 6, 13);
  assert_file(SHARED "/new/deep/file.txt", "first second ", 0640);
  assert_file(SHARED "/new/deep/file.conf", "whole", 0640);
  struct stat info;
  assert_int_equal(stat(SHARED "/new/deep", &info), 0);
  assert_int_equal(info.st_mode & 0777, 0750);
  assert_int_equal(count_names(SHARED "/new/deep"), 2);
  /* Replaced in one step: who has the old one open keeps it. */
  autofd int old = open(SHARED "/new/deep/file.txt", O_RDONLY | O_CLOEXEC);
  copy(SHARED "/new/deep/file.txt", "short", 0, 5);
  assert_file(SHARED "/new/deep/file.txt", "short", 0640);
  char text[14] = "";
  assert_int_equal(fd_read_all(old, text, 13), 13);
  assert_string_equal(text, "first second ");
  copy(SHARED "/new/empty", "", 0, 0);
  assert_file(SHARED "/new/empty", "", 0640);
  /* One that is begun again. */
  copy(SHARED "/new/again", "aaaa", 0, 8);
  copy(SHARED "/new/again", "bb", 0, 4);
  copy(SHARED "/new/again", "cc", 2, 4);
  assert_file(SHARED "/new/again", "bbcc", 0640);
  Grpc__CopyFileRequest owned = piece(SHARED "/new/deep/owned", "x", 0, 1);
  owned.uid = 12;
  owned.gid = 34;
  owned.file_mode = S_IFREG | 04755;
  harness_must("CopyFile", &owned.base);
  assert_int_equal(stat(SHARED "/new/deep/owned", &info), 0);
  assert_true(info.st_uid == 12 && info.st_gid == 34);
  assert_int_equal(info.st_mode & 07777, 04755);
  assert_int_equal(stat(SHARED "/new/deep", &info), 0);
  assert_true(info.st_uid == 12 && info.st_gid == 34);
}

static void test_copy_others(void **state) {
  Grpc__CopyFileRequest directory = piece(SHARED "/kinds/directory", "", 0, 0);
  directory.file_mode = S_IFDIR | 01770;
  harness_must("CopyFile", &directory.base);
  copy(SHARED "/kinds/directory/kept", "kept", 0, 4);
  harness_must("CopyFile", &directory.base);
  assert_file(SHARED "/kinds/directory/kept", "kept", 0640);
  struct stat info;
  assert_int_equal(stat(SHARED "/kinds/directory", &info), 0);
  assert_int_equal(info.st_mode & 07777, 01770);

  Grpc__CopyFileRequest link = piece(SHARED "/kinds/link", "directory/kept", 0, 14);
  link.file_mode = S_IFLNK | 0777;
  harness_must("CopyFile", &link.base);
  g_autofree char *target = g_file_read_link(SHARED "/kinds/link", NULL);
  assert_string_equal(target, "directory/kept");
  link.data.data = (guint8 *)"elsewhere";
  link.data.len = 9;
  harness_must("CopyFile", &link.base);
  g_autofree char *other = g_file_read_link(SHARED "/kinds/link", NULL);
  assert_string_equal(other, "elsewhere");
  /* A file takes the place of a link, and a link that of a directory. */
  copy(SHARED "/kinds/link", "file now", 0, 8);
  assert_file(SHARED "/kinds/link", "file now", 0640);
  link.path = (char *)SHARED "/kinds/directory";
  harness_must("CopyFile", &link.base);
  g_autofree char *third = g_file_read_link(SHARED "/kinds/directory", NULL);
  assert_string_equal(third, "elsewhere");
  assert_int_equal(count_names(SHARED "/kinds"), 2);
}

static void test_copy_refused(void **state) {
  static const mode_t types[] = {S_IFCHR, S_IFBLK, S_IFIFO, S_IFSOCK};
  static const char *const paths[] = {
      "/etc/passwd", SHARED, SHARED "/", SHARED "/../sandbox/x", ROOT "/x", "x", "", SHARED "s/other", SHARED "/."};
  for (gsize i = 0; i < G_N_ELEMENTS(paths); i++) {
    Grpc__CopyFileRequest request = piece(paths[i], "x", 0, 1);
    must_not_copy(&request, TTRPC_INVALID_ARGUMENT, "");
  }
  for (gsize i = 0; i < G_N_ELEMENTS(types); i++) {
    Grpc__CopyFileRequest request = piece(SHARED "/refused/x", "x", 0, 1);
    request.file_mode = types[i] | 0600;
    must_not_copy(&request, TTRPC_INVALID_ARGUMENT, "only files, directories and links");
  }
  Grpc__CopyFileRequest request = piece(SHARED "/refused/x", "x", 0, -1);
  must_not_copy(&request, TTRPC_INVALID_ARGUMENT, "must not be negative");
  request = piece(SHARED "/refused/x", "x", -1, 1);
  must_not_copy(&request, TTRPC_INVALID_ARGUMENT, "must not be negative");
  request = piece(SHARED "/refused/x", "xyz", 0, 2);
  must_not_copy(&request, TTRPC_INVALID_ARGUMENT, "behind file_size");
  request = piece(SHARED "/refused/x", "xyz", G_MAXINT64, G_MAXINT64);
  must_not_copy(&request, TTRPC_INVALID_ARGUMENT, "behind file_size");
  request = piece(SHARED "/refused/x", "z", 2, 3);
  must_not_copy(&request, TTRPC_INVALID_ARGUMENT, "its beginning did not come");
  copy(SHARED "/refused/x", "x", 0, 4);
  request = piece(SHARED "/refused/x", "z", 2, 4);
  must_not_copy(&request, TTRPC_INVALID_ARGUMENT, "a piece before this one");
  request = piece(SHARED "/refused/x", "x", 0, 1);
  request.uid = -2;
  must_not_copy(&request, TTRPC_INVALID_ARGUMENT, "uid and gid");
  request = piece(SHARED "/refused/link", "", 0, 0);
  request.file_mode = S_IFLNK;
  must_not_copy(&request, TTRPC_INVALID_ARGUMENT, "target of a link");
  assert_int_equal(access(SHARED "/refused/x", F_OK), -1);
}

/* Links in the tree, made by a container or by CopyFile itself, lead to nothing outside. */
static void test_copy_links(void **state) {
  assert_int_equal(g_mkdir_with_parents("/run/outside", 0755), 0);
  assert_int_equal(g_mkdir_with_parents(SHARED "/links", 0755), 0);
  assert_int_equal(symlink("/run/outside", SHARED "/links/absolute"), 0);
  assert_int_equal(symlink("../../../../outside", SHARED "/links/relative"), 0);
  assert_int_equal(symlink("/run/outside/file", SHARED "/links/file"), 0);
  static const char *const paths[] = {SHARED "/links/absolute/x", SHARED "/links/relative/x", SHARED "/links/file"};
  for (gsize i = 0; i < G_N_ELEMENTS(paths); i++) {
    Grpc__CopyFileRequest request = piece(paths[i], "x", 0, 1);
    ProtobufCMessage *reply = harness_call("CopyFile", &request.base, NULL);
    if (reply) protobuf_c_message_free_unpacked(reply, NULL);
    assert_int_equal(count_names("/run/outside"), 0);
  }
  assert_file(SHARED "/links/file", "x", 0640);
}

/* ---- volumes ---- */

static void test_volume_stats(void **state) {
  assert_int_equal(g_mkdir_with_parents(ROOT "/measured", 0755), 0);
  assert_int_equal(mount("tmpfs", ROOT "/measured", "tmpfs", 0, "size=8m,nr_inodes=100"), 0);
  autofd int fd = open(ROOT "/measured/file", O_CREAT | O_RDWR | O_CLOEXEC, 0600);
  assert_int_equal(posix_fallocate(fd, 0, 3 << 20), 0);
  Grpc__VolumeStatsRequest request = GRPC__VOLUME_STATS_REQUEST__INIT;
  request.volume_guest_path = (char *)ROOT "/measured";
  g_autoptr(GError) error = NULL;
  Grpc__VolumeStatsResponse *reply = (Grpc__VolumeStatsResponse *)harness_call("GetVolumeStats", &request.base, &error);
  if (!reply) fail_msg("%s", error->message);
  assert_int_equal(reply->n_usage, 2);
  assert_int_equal(reply->usage[0]->unit, GRPC__VOLUME_USAGE__UNIT__BYTES);
  assert_int_equal(reply->usage[0]->total, 8 << 20);
  assert_int_equal(reply->usage[0]->used, 3 << 20);
  assert_int_equal(reply->usage[0]->available, 5 << 20);
  assert_int_equal(reply->usage[1]->unit, GRPC__VOLUME_USAGE__UNIT__INODES);
  assert_int_equal(reply->usage[1]->total, 100);
  assert_int_equal(reply->usage[1]->used, 2);
  assert_false(reply->volume_condition->abnormal);
  assert_string_equal(reply->volume_condition->message, "OK");
  protobuf_c_message_free_unpacked(&reply->base, NULL);

  request.volume_guest_path = (char *)ROOT "/none";
  harness_must_fail("GetVolumeStats", &request.base, TTRPC_NOT_FOUND, "/none");
  request.volume_guest_path = (char *)"none";
  harness_must_fail("GetVolumeStats", &request.base, TTRPC_INVALID_ARGUMENT, "not absolute");

  Grpc__ResizeVolumeRequest resize = GRPC__RESIZE_VOLUME_REQUEST__INIT;
  resize.volume_guest_path = (char *)ROOT "/measured";
  resize.size = 16 << 20;
  harness_must_fail("ResizeVolume", &resize.base, TTRPC_UNIMPLEMENTED, "only ext4 and XFS");
  resize.volume_guest_path = (char *)ROOT "/none";
  harness_must_fail("ResizeVolume", &resize.base, TTRPC_NOT_FOUND, "/none");
  fd_clear(&fd);
  assert_int_equal(umount(ROOT "/measured"), 0);
}

static void test_swap_refused(void **state) {
  Grpc__AddSwapPathRequest path = GRPC__ADD_SWAP_PATH_REQUEST__INIT;
  path.path = (char *)"/etc/passwd";
  harness_must_fail("AddSwapPath", &path.base, TTRPC_INVALID_ARGUMENT, "not below '/dev'");
  path.path = (char *)"/dev/null";
  harness_must_fail("AddSwapPath", &path.base, TTRPC_DEADLINE_EXCEEDED, "'/dev/null' did not appear");
  Grpc__AddSwapRequest swap = GRPC__ADD_SWAP_REQUEST__INIT;
  harness_must_fail("AddSwap", &swap.base, TTRPC_INVALID_ARGUMENT, "invalid guest PCI path ''");
  guint32 slots[20] = {1, 99};
  swap.pcipath = slots;
  swap.n_pcipath = 2;
  harness_must_fail("AddSwap", &swap.base, TTRPC_INVALID_ARGUMENT, "invalid guest PCI path '01/63'");
  swap.n_pcipath = 20;
  harness_must_fail("AddSwap", &swap.base, TTRPC_INVALID_ARGUMENT, "invalid guest PCI path");
}

/* ---- last words ---- */

static void set_annotation(Grpc__Spec *spec, const char *key, const char *value) {
  Grpc__Spec__AnnotationsEntry *entry = malloc(sizeof *entry);
  grpc__spec__annotations_entry__init(entry);
  entry->key = strdup(key);
  entry->value = strdup(value);
  spec->annotations = malloc(sizeof *spec->annotations);
  spec->annotations[0] = entry;
  spec->n_annotations = 1;
}

static char *last_words(const char *id) {
  Grpc__GetDiagnosticDataRequest request = GRPC__GET_DIAGNOSTIC_DATA_REQUEST__INIT;
  request.log_type = (char *)"termination_log";
  request.container_id = (char *)id;
  g_autoptr(GError) error = NULL;
  Grpc__GetDiagnosticDataResponse *reply =
      (Grpc__GetDiagnosticDataResponse *)harness_call("GetDiagnosticData", &request.base, &error);
  if (!reply) fail_msg("%s", error->message);
  char *text = g_strdup(reply->data);
  protobuf_c_message_free_unpacked(&reply->base, NULL);
  return text;
}

static void test_termination_log(void **state) {
  copy(SHARED "/log-file", "", 0, 0);
  g_autoptr(Grpc__Spec) spec = harness_spec("printf 'out of \\377 memory' > /dev/termination-log");
  set_annotation(spec, "io.kubernetes.container.terminationMessagePath", "/dev/termination-log");
  harness_add_mount(spec, "/dev/termination-log", "bind", SHARED "/log-file");
  char *options[] = {(char *)"rbind"};
  spec->mounts[spec->n_mounts - 1]->options = options;
  spec->mounts[spec->n_mounts - 1]->n_options = 1;
  harness_create_spec("dies", spec);
  spec->mounts[spec->n_mounts - 1]->options = NULL;
  spec->mounts[spec->n_mounts - 1]->n_options = 0;
  g_autofree char *before = last_words("dies");
  assert_string_equal(before, "");
  harness_start_container("dies");
  harness_wait("dies", "");
  g_autofree char *after = last_words("dies");
  assert_string_equal(after, "out of \xef\xbf\xbd memory");
  g_autofree char *much = g_strnfill(10000, 'm');
  assert_true(g_file_set_contents(SHARED "/log-file", much, -1, NULL));
  g_autofree char *cut = last_words("dies");
  assert_int_equal(strlen(cut), 4096);
  /* What the container could put there instead. */
  assert_int_equal(unlink(SHARED "/log-file"), 0);
  g_autofree char *gone = last_words("dies");
  assert_string_equal(gone, "");
  assert_int_equal(mkfifo(SHARED "/log-file", 0666), 0);
  g_autofree char *pipe = last_words("dies");
  assert_string_equal(pipe, "");
  unlink(SHARED "/log-file");
  harness_remove("dies");

  harness_create("without", "true");
  g_autofree char *none = last_words("without");
  assert_string_equal(none, "");
  harness_remove("without");
  Grpc__GetDiagnosticDataRequest request = GRPC__GET_DIAGNOSTIC_DATA_REQUEST__INIT;
  request.container_id = (char *)"without";
  request.log_type = (char *)"dmesg";
  harness_must_fail("GetDiagnosticData", &request.base, TTRPC_INVALID_ARGUMENT, "unknown log_type 'dmesg'");
  request.log_type = (char *)"termination_log";
  harness_must_fail("GetDiagnosticData", &request.base, TTRPC_INVALID_ARGUMENT, "nvalid container id");
}

/* ---- watched directories ---- */

/* As kubelet makes one: the keys are links through "..data", which is turned to a new directory at once. */
static void make_config_map(const char *path, const char *version, const char *text) {
  g_autofree char *directory = g_build_filename(path, version, NULL);
  g_autofree char *key = g_build_filename(directory, "key", NULL);
  g_autofree char *link = g_build_filename(path, "key", NULL);
  g_autofree char *data = g_build_filename(path, "..data", NULL);
  g_autofree char *new_data = g_build_filename(path, "..data_tmp", NULL);
  assert_int_equal(g_mkdir_with_parents(directory, 0755), 0);
  assert_true(g_file_set_contents(key, text, -1, NULL));
  assert_int_equal(symlink(version, new_data), 0);
  assert_int_equal(rename(new_data, data), 0);
  if (access(link, F_OK) < 0) assert_int_equal(symlink("..data/key", link), 0);
}

static void create_watching(const char *id, const char *source, const char *target) {
  Grpc__Storage storage = GRPC__STORAGE__INIT;
  Grpc__Storage *list[] = {&storage};
  g_autoptr(Grpc__Spec) spec = harness_spec("sleep 1000");
  storage.driver = (char *)"watchable-bind";
  storage.source = (char *)source;
  storage.fstype = (char *)"bind";
  storage.mount_point = (char *)target;
  Grpc__CreateContainerRequest request = GRPC__CREATE_CONTAINER_REQUEST__INIT;
  request.container_id = (char *)id;
  request.oci = spec;
  request.storages = list;
  request.n_storages = 1;
  harness_must("CreateContainer", &request.base);
}

static void wait_for_text(const char *path, const char *text) {
  gint64 limit = g_get_monotonic_time() + LIMIT_US;
  for (;;) {
    g_autofree char *found = read_file(path);
    if (strcmp(found, text) == 0) return;
    if (g_get_monotonic_time() > limit) fail_msg("'%s' has '%s', not '%s'", path, found, text);
    g_usleep(POLL_US);
  }
}

/* The original may be on a tmpfs as well: the copy's has few inodes. */
static gboolean is_copy(const char *path) {
  struct statvfs info;
  return statvfs(path, &info) == 0 && info.f_files == 256;
}

static void test_watched_directory(void **state) {
  make_config_map(SHARED "/map", "..v1", "one");
  assert_true(g_file_set_contents(SHARED "/map/plain", "plain", -1, NULL));
  create_watching("watcher", SHARED "/map", WATCHABLE "/map");
  assert_true(is_copy(WATCHABLE "/map"));
  assert_file(WATCHABLE "/map/plain", "plain", 0644);
  g_autofree char *first = read_file(WATCHABLE "/map/key");
  assert_string_equal(first, "one");

  autofd int events = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
  assert_true(inotify_add_watch(events, WATCHABLE "/map", IN_MOVED_TO) >= 0);
  make_config_map(SHARED "/map", "..v2", "two");
  assert_true(g_file_set_contents(SHARED "/map/..v1/key", "stale", -1, NULL));
  wait_for_text(WATCHABLE "/map/key", "two");
  char buffer[4096] __attribute__((aligned(8)));
  ssize_t length = read(events, buffer, sizeof buffer);
  gboolean was_told = FALSE;
  for (char *at = buffer; length > 0 && at < buffer + length;) {
    const struct inotify_event *event = (const struct inotify_event *)at;
    was_told |= event->len > 0 && strcmp(event->name, "..data") == 0;
    at += sizeof *event + event->len;
  }
  assert_true(was_told);
  assert_int_equal(unlink(SHARED "/map/plain"), 0);
  assert_int_equal(mkdir(SHARED "/map/plain", 0711), 0);
  assert_true(g_file_set_contents(SHARED "/map/plain/inner", "inner", -1, NULL));
  wait_for_text(WATCHABLE "/map/plain/inner", "inner");

  /* What grows too large is bound as it is. */
  g_autofree char *large = g_strnfill((1 << 20) + 1, 'l');
  assert_true(g_file_set_contents(SHARED "/map/large", large, -1, NULL));
  wait_for_text(WATCHABLE "/map/large", large);
  harness_remove("watcher");
  assert_false(is_copy(WATCHABLE "/map"));
  assert_int_equal(access(WATCHABLE "/map", F_OK), -1);
}

static void test_watched_file(void **state) {
  assert_true(g_file_set_contents(SHARED "/watched-file", "one", -1, NULL));
  create_watching("file-watcher", SHARED "/watched-file", WATCHABLE "/watched-file");
  g_autofree char *first = read_file(WATCHABLE "/watched-file");
  assert_string_equal(first, "one");
  autofd int held = open(WATCHABLE "/watched-file", O_RDONLY | O_CLOEXEC);
  assert_true(g_file_set_contents(SHARED "/watched-file", "two and more", -1, NULL));
  wait_for_text(WATCHABLE "/watched-file", "two and more");
  /* In place: a container has this very file mounted. */
  char text[13] = "";
  assert_int_equal(pread(held, text, 12, 0), 12);
  assert_string_equal(text, "two and more");
  fd_clear(&held);
  harness_remove("file-watcher");
  assert_int_equal(access(WATCHABLE "/watched-file", F_OK), -1);
}

static void test_watched_limits(void **state) {
  assert_int_equal(g_mkdir_with_parents(SHARED "/many", 0755), 0);
  for (int i = 0; i < 17; i++) {
    g_autofree char *path = g_strdup_printf(SHARED "/many/%d", i);
    assert_true(g_file_set_contents(path, "x", -1, NULL));
  }
  create_watching("many", SHARED "/many", WATCHABLE "/many");
  assert_false(is_copy(WATCHABLE "/many"));
  assert_file(WATCHABLE "/many/16", "x", 0644);
  harness_remove("many");
  assert_int_equal(unlink(SHARED "/many/16"), 0);
  create_watching("sixteen", SHARED "/many", WATCHABLE "/many");
  assert_true(is_copy(WATCHABLE "/many"));
  harness_remove("sixteen");
  /* A link that leads outside is copied as what it is. */
  assert_int_equal(mkdir(SHARED "/linked", 0755), 0);
  assert_int_equal(symlink("/etc/passwd", SHARED "/linked/passwd"), 0);
  create_watching("linked", SHARED "/linked", WATCHABLE "/linked");
  struct stat info;
  assert_int_equal(lstat(WATCHABLE "/linked/passwd", &info), 0);
  assert_true(S_ISLNK(info.st_mode));
  harness_remove("linked");

  Grpc__Storage storage = GRPC__STORAGE__INIT;
  Grpc__Storage *list[] = {&storage};
  g_autoptr(Grpc__Spec) spec = harness_spec("true");
  storage.driver = (char *)"watchable-bind";
  storage.source = (char *)SHARED "/many";
  storage.mount_point = (char *)SHARED "/elsewhere/many";
  Grpc__CreateContainerRequest request = GRPC__CREATE_CONTAINER_REQUEST__INIT;
  request.container_id = (char *)"elsewhere";
  request.oci = spec;
  request.storages = list;
  request.n_storages = 1;
  harness_must_fail("CreateContainer", &request.base, TTRPC_INVALID_ARGUMENT, "not right below");
}

static int run(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_copy_pieces),     cmocka_unit_test(test_copy_others),
      cmocka_unit_test(test_copy_refused),    cmocka_unit_test(test_copy_links),
      cmocka_unit_test(test_volume_stats),    cmocka_unit_test(test_swap_refused),
      cmocka_unit_test(test_termination_log), cmocka_unit_test(test_watched_directory),
      cmocka_unit_test(test_watched_file),    cmocka_unit_test(test_watched_limits),
  };
  return cmocka_run_group_tests_name("agent-volumes", tests, start, stop);
}

int main(void) { return harness_run(run); }
