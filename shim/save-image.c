// SPDX-License-Identifier: LGPL-2.1-or-later
#include "shim/save-image.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "common/error.h"
#include "common/fds.h"

#define SEAL_MAGIC "kataSAVE"
#define SEAL_VERSION 1u

/* Behind what QEMU reads: it stops at the end of its stream. Numbers in little-endian order. */
typedef struct {
  char magic[8];
  guint32 version;
  guint32 checksum; /* CRC-32 of all before, and of this with 0 here */
  guint64 length;   /* of all before */
  guint64 qemu_version;
  guint64 libvirt_version;
} Seal;
G_STATIC_ASSERT(sizeof(Seal) == 40);

/* ---- a file in memory ---- */

typedef struct {
  void *data;
  gsize length;
} Mapping;

static void mapping_clear(Mapping *mapping) {
  if (mapping->data != NULL) munmap(mapping->data, mapping->length);
  mapping->data = NULL;
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Mapping, mapping_clear)

static gboolean map_file(const char *path, Mapping *ret_mapping, GError **error) {
  autofd int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
  struct stat st;
  if (fd < 0 || fstat(fd, &st) < 0) {
    error_set_errno(error, errno, "cannot open the saved machine '%s'", path);
    return FALSE;
  }
  if (!S_ISREG(st.st_mode) || st.st_size == 0) {
    g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT, "'%s' is no saved machine: %s", path,
                S_ISREG(st.st_mode) ? "it is empty" : "it is not a regular file");
    return FALSE;
  }
  void *data = mmap(NULL, (gsize)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
  if (data == MAP_FAILED) {
    error_set_errno(error, errno, "cannot read the saved machine '%s'", path);
    return FALSE;
  }
  *ret_mapping = (Mapping){data, (gsize)st.st_size};
  madvise(data, ret_mapping->length, MADV_SEQUENTIAL);
  return TRUE;
}

/* ---- sealing ---- */

typedef struct {
  int fd;
  uLong checksum;
  guint64 length;
} Output;

static gboolean write_part(const void *data, gsize length, gpointer user_data) {
  Output *output = user_data;
  if (!fd_write_all(output->fd, data, length)) return FALSE;
  output->checksum = crc32_z(output->checksum, data, length);
  output->length += length;
  return TRUE;
}

static gboolean write_seal(Output *output, const SaveImageMaker *maker) {
  Seal seal = {.version = GUINT32_TO_LE(SEAL_VERSION),
               .length = GUINT64_TO_LE(output->length),
               .qemu_version = GUINT64_TO_LE(maker->qemu_version),
               .libvirt_version = GUINT64_TO_LE(maker->libvirt_version)};
  memcpy(seal.magic, SEAL_MAGIC, sizeof seal.magic);
  seal.checksum = GUINT32_TO_LE((guint32)crc32_z(output->checksum, (const Bytef *)&seal, sizeof seal));
  return fd_write_all(output->fd, &seal, sizeof seal) && fsync(output->fd) == 0;
}

/* The parts are many and small: the guest's pages. */
typedef struct {
  Output *output;
  guint8 *bytes;
  gsize used;
} Buffer;
#define BUFFER_BYTES (1024u * 1024u)

static gboolean flush_buffer(Buffer *buffer) {
  gboolean written = write_part(buffer->bytes, buffer->used, buffer->output);
  buffer->used = 0;
  return written;
}

static gboolean write_buffered(const void *data, gsize length, gpointer user_data) {
  Buffer *buffer = user_data;
  if (buffer->used + length > BUFFER_BYTES && !flush_buffer(buffer)) return FALSE;
  if (length > BUFFER_BYTES) return write_part(data, length, buffer->output);
  memcpy(buffer->bytes + buffer->used, data, length);
  buffer->used += length;
  return TRUE;
}

static gboolean write_image(Output *output, const Mapping *image) {
  g_autofree guint8 *bytes = g_malloc(BUFFER_BYTES);
  Buffer buffer = {output, bytes, 0};
  SavePagesResult result = save_pages_drop_zeros(image->data, image->length, write_buffered, &buffer);
  if (result == SAVE_PAGES_DONE) return flush_buffer(&buffer);
  if (result == SAVE_PAGES_FAILED) return FALSE;
  g_debug("the saved machine has an unknown format: its pages of zeros stay in it");
  if (ftruncate(output->fd, 0) < 0 || lseek(output->fd, 0, SEEK_SET) < 0) return FALSE;
  *output = (Output){.fd = output->fd};
  return write_part(image->data, image->length, output);
}

gboolean save_image_seal(const char *in_path, const char *out_path, const SaveImageMaker *maker, GError **error) {
  g_auto(Mapping) image = {0};
  if (!map_file(in_path, &image, error)) return FALSE;
  autofd int fd = open(out_path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
  Output output = {.fd = fd};
  if (fd >= 0 && write_image(&output, &image) && write_seal(&output, maker)) return TRUE;
  int reason = errno;
  if (fd >= 0) unlink(out_path);
  error_set_errno(error, reason, "cannot write the saved machine to '%s'", out_path);
  return FALSE;
}

/* ---- reading ---- */

static gboolean read_seal(const char *path, const Mapping *file, Seal *ret_seal, GError **error) {
  const char *why = NULL;
  if (file->length > sizeof *ret_seal)
    memcpy(ret_seal, (const guint8 *)file->data + file->length - sizeof *ret_seal, sizeof *ret_seal);
  if (file->length <= sizeof *ret_seal || memcmp(ret_seal->magic, SEAL_MAGIC, sizeof ret_seal->magic) != 0)
    why = "its end is missing, or it is another kind of file";
  else if (GUINT32_FROM_LE(ret_seal->version) != SEAL_VERSION)
    why = "another version of this program wrote it";
  else if (GUINT64_FROM_LE(ret_seal->length) != file->length - sizeof *ret_seal)
    why = "it has not the length it was written with";
  if (why == NULL) return TRUE;
  g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT, "cannot use the saved machine '%s': %s", path, why);
  return FALSE;
}

gboolean save_image_read_maker(const char *path, SaveImageMaker *ret_maker, GError **error) {
  g_auto(Mapping) file = {0};
  Seal seal;
  if (!map_file(path, &file, error) || !read_seal(path, &file, &seal, error)) return FALSE;
  *ret_maker = (SaveImageMaker){.qemu_version = GUINT64_FROM_LE(seal.qemu_version),
                                .libvirt_version = GUINT64_FROM_LE(seal.libvirt_version)};
  return TRUE;
}

gboolean save_image_check(const char *path, GError **error) {
  g_auto(Mapping) file = {0};
  Seal seal;
  if (!map_file(path, &file, error) || !read_seal(path, &file, &seal, error)) return FALSE;
  guint32 wanted = GUINT32_FROM_LE(seal.checksum);
  seal.checksum = 0;
  uLong checksum = crc32_z(0, file.data, file.length - sizeof seal);
  if ((guint32)crc32_z(checksum, (const Bytef *)&seal, sizeof seal) == wanted) return TRUE;
  g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT,
              "cannot use the saved machine '%s': it is damaged, its checksum is wrong", path);
  return FALSE;
}
