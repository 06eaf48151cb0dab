// SPDX-License-Identifier: LGPL-2.1-or-later
#include "shim/disk-image.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "common/error.h"
#include "common/fds.h"

#define PIECE_BYTES (1u << 20)

typedef struct {
  const char *from, *to;
  int in, out;
  guint64 bytes;
  GChecksum *sum;
  guint8 *piece;
} Copy;

static void copy_clear(Copy *copy) {
  fd_clear(&copy->in);
  fd_clear(&copy->out);
  g_clear_pointer(&copy->sum, g_checksum_free);
  g_clear_pointer(&copy->piece, g_free);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Copy, copy_clear)

static gboolean is_zero(const guint8 *data, gsize length) {
  return length == 0 || (data[0] == 0 && memcmp(data, data + 1, length - 1) == 0);
}

/* A hole where there are zeros: of a device, what was there before must go. */
static gboolean write_piece(const Copy *copy, guint64 offset, gsize length) {
  if (is_zero(copy->piece, length) &&
      fallocate(copy->out, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)offset, (off_t)length) == 0)
    return TRUE;
  for (gsize done = 0; done < length;) {
    ssize_t count = pwrite(copy->out, copy->piece + done, length - done, (off_t)(offset + done));
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return FALSE;
    done += (gsize)count;
  }
  return TRUE;
}

static gboolean copy_all(Copy *copy, GError **error) {
  copy->sum = g_checksum_new(G_CHECKSUM_SHA256);
  copy->piece = g_malloc(PIECE_BYTES);
  for (guint64 offset = 0; offset < copy->bytes;) {
    gsize wanted = (gsize)MIN(copy->bytes - offset, PIECE_BYTES);
    ssize_t got = fd_read_all(copy->in, copy->piece, wanted);
    if (got != (ssize_t)wanted) {
      if (got >= 0) errno = ENODATA;
      error_set_errno(error, errno, "cannot read '%s'", copy->from);
      return FALSE;
    }
    g_checksum_update(copy->sum, copy->piece, (gssize)wanted);
    if (!write_piece(copy, offset, wanted)) {
      error_set_errno(error, errno, "cannot write '%s'", copy->to);
      return FALSE;
    }
    offset += wanted;
  }
  if (fsync(copy->out) == 0) return TRUE;
  error_set_errno(error, errno, "cannot write '%s'", copy->to);
  return FALSE;
}

static gboolean open_both(Copy *copy, int how, GError **error) {
  copy->in = open(copy->from, O_RDONLY | O_CLOEXEC);
  copy->out = copy->in >= 0 ? open(copy->to, O_WRONLY | O_CLOEXEC | O_NOFOLLOW | how, 0600) : -1;
  if (copy->out >= 0) return TRUE;
  error_set_errno(error, errno, "cannot open '%s'", copy->in < 0 ? copy->from : copy->to);
  return FALSE;
}

gboolean disk_image_save(const char *device, const char *file, guint64 *ret_bytes, char **ret_sha256, GError **error) {
  g_auto(Copy) copy = {.from = device, .to = file, .in = -1, .out = -1};
  if (!open_both(&copy, O_CREAT | O_TRUNC, error)) return FALSE;
  if (ioctl(copy.in, BLKGETSIZE64, &copy.bytes) < 0 || ftruncate(copy.out, (off_t)copy.bytes) < 0) {
    error_set_errno(error, errno, "cannot copy '%s' to '%s'", device, file);
    return FALSE;
  }
  if (!copy_all(&copy, error)) return FALSE;
  *ret_bytes = copy.bytes;
  *ret_sha256 = g_strdup(g_checksum_get_string(copy.sum));
  return TRUE;
}

gboolean disk_image_restore(const char *file, const char *device, guint64 bytes, const char *sha256, GError **error) {
  g_auto(Copy) copy = {.from = file, .to = device, .in = -1, .out = -1, .bytes = bytes};
  guint64 room = 0;
  if (!open_both(&copy, 0, error)) return FALSE;
  if (ioctl(copy.out, BLKGETSIZE64, &room) < 0 || room < bytes) {
    g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT,
                "the disk is too small: it has %" G_GUINT64_FORMAT " bytes, what was saved %" G_GUINT64_FORMAT, room,
                bytes);
    return FALSE;
  }
  if (!copy_all(&copy, error)) return FALSE;
  if (strcmp(g_checksum_get_string(copy.sum), sha256) == 0) return TRUE;
  g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT, "'%s' is damaged: its checksum is wrong", file);
  return FALSE;
}
