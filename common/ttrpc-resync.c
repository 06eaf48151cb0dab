// SPDX-License-Identifier: LGPL-2.1-or-later
#include "common/ttrpc-resync.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "common/error.h"
#include "common/ttrpc-frame.h"
#include "common/ttrpc-message.h"
#include "common/ttrpc.h"

#define SEAL_TAG ((15 << 3) | 1) /* field number 15, wire type fixed64 */
#define ANSWER_WAIT_US (300 * G_TIME_SPAN_MILLISECOND)
#define FILLER_SIZE (TTRPC_MAX_BODY + TTRPC_HEADER_SIZE)

const guint8 TTRPC_MARKER[TTRPC_MARKER_SIZE] = {0xa7, 'k', 'a',  't',  'a',  0x1a, 'p',  'o',
                                                'r',  't', 0x0d, 0x0a, 0xd1, 0x5e, 0x90, 0xfe};

void ttrpc_sync_encode(const guint8 nonce[TTRPC_NONCE_SIZE], guint8 bytes[TTRPC_SYNC_SIZE]) {
  const TtrpcFrame frame = {.length = TTRPC_NONCE_SIZE, .type = TTRPC_FRAME_SYNC};
  ttrpc_header_encode(&frame, bytes);
  memcpy(bytes + TTRPC_HEADER_SIZE, nonce, TTRPC_NONCE_SIZE);
}

void ttrpc_seal_encode(const guint8 nonce[TTRPC_NONCE_SIZE], guint8 bytes[TTRPC_SEAL_SIZE]) {
  bytes[0] = SEAL_TAG;
  memcpy(bytes + 1, nonce, TTRPC_SEAL_SIZE - 1);
}

gboolean ttrpc_seal_check(const guint8 nonce[TTRPC_NONCE_SIZE], const guint8 *body, gsize length) {
  guint8 seal[TTRPC_SEAL_SIZE];
  ttrpc_seal_encode(nonce, seal);
  return length >= TTRPC_SEAL_SIZE && memcmp(body + length - TTRPC_SEAL_SIZE, seal, TTRPC_SEAL_SIZE) == 0;
}

typedef struct {
  int fd;
  gboolean is_socket;
  guint8 nonce[TTRPC_NONCE_SIZE];
  guint8 expected[TTRPC_SYNC_SIZE];
  guint8 window[TTRPC_SYNC_SIZE]; /* the bytes read last */
  GByteArray *output;
  gsize written;
} Resync;

static gboolean queue_sync(Resync *sync, GError **error) {
  if (getrandom(sync->nonce, TTRPC_NONCE_SIZE, 0) != TTRPC_NONCE_SIZE) {
    error_set_errno(error, errno, "cannot make a random number to find the start of frames on the port with");
    return FALSE;
  }
  ttrpc_sync_encode(sync->nonce, sync->expected);
  g_byte_array_append(sync->output, sync->expected, TTRPC_SYNC_SIZE);
  memset(sync->window, 0xff, TTRPC_SYNC_SIZE); /* no part of a SYNC that begins with zeros */
  return TRUE;
}

static gboolean queue_filler(Resync *sync, GError **error) {
  guint old_size = sync->output->len;
  g_byte_array_set_size(sync->output, old_size + FILLER_SIZE);
  memset(sync->output->data + old_size, 0, FILLER_SIZE);
  g_byte_array_append(sync->output, TTRPC_MARKER, TTRPC_MARKER_SIZE);
  return queue_sync(sync, error);
}

/* TRUE once the answer is complete. */
static gboolean scan(Resync *sync, const guint8 *bytes, gsize size) {
  for (gsize i = 0; i < size; i++) {
    memmove(sync->window, sync->window + 1, TTRPC_SYNC_SIZE - 1);
    sync->window[TTRPC_SYNC_SIZE - 1] = bytes[i];
    if (bytes[i] == sync->expected[TTRPC_SYNC_SIZE - 1] && memcmp(sync->window, sync->expected, TTRPC_SYNC_SIZE) == 0)
      return TRUE;
  }
  return FALSE;
}

typedef enum { STEP_MORE, STEP_DONE, STEP_FAILED } Step;

static Step read_answer(Resync *sync, GError **error) {
  guint8 bytes[4096];
  ssize_t count = read(sync->fd, bytes, sizeof(bytes));
  if (count < 0 && (errno == EINTR || errno == EAGAIN || errno == EWOULDBLOCK)) return STEP_MORE;
  if (count < 0) {
    error_set_errno(error, errno, "cannot read from the port");
    return STEP_FAILED;
  }
  if (count == 0) {
    g_set_error(error, KATA_ERROR, KATA_ERR_UNAVAILABLE, "the port was closed before the guest answered on it");
    return STEP_FAILED;
  }
  return scan(sync, bytes, (gsize)count) ? STEP_DONE : STEP_MORE;
}

static Step write_output(Resync *sync, GError **error) {
  gssize written =
      ttrpc_write(sync->fd, sync->is_socket, sync->output->data + sync->written, sync->output->len - sync->written);
  if (written < 0) {
    error_set_errno(error, errno, "cannot write to the port");
    return STEP_FAILED;
  }
  sync->written += (gsize)written;
  return STEP_MORE;
}

/* One round of poll(), at the longest until the monotonic time until_us (-1: for ever). */
static Step exchange(Resync *sync, int stop_fd, gint64 until_us, GError **error) {
  gboolean has_output = sync->written < sync->output->len;
  struct pollfd fds[] = {{.fd = sync->fd, .events = has_output ? POLLIN | POLLOUT : POLLIN},
                         {.fd = stop_fd, .events = POLLIN}};
  int wait_ms = -1;
  if (until_us >= 0) wait_ms = (int)CLAMP((until_us - g_get_monotonic_time() + 999) / 1000, 0, G_MAXINT);
  if (poll(fds, G_N_ELEMENTS(fds), wait_ms) < 0) return STEP_MORE;
  if (fds[1].revents != 0) {
    g_set_error(error, KATA_ERROR, KATA_ERR_CANCELLED, "gave up waiting for the guest to answer on the port");
    return STEP_FAILED;
  }
  if (fds[0].revents & POLLOUT && write_output(sync, error) == STEP_FAILED) return STEP_FAILED;
  return fds[0].revents & (POLLIN | POLLHUP | POLLERR) ? read_answer(sync, error) : STEP_MORE;
}

gboolean ttrpc_resync(int fd, int stop_fd, gboolean was_used, int timeout_ms, guint8 ret_nonce[TTRPC_NONCE_SIZE],
                      GError **error) {
  g_autoptr(GByteArray) output = g_byte_array_new();
  Resync sync = {.fd = fd, .is_socket = ttrpc_is_socket(fd), .output = output};
  gint64 start = g_get_monotonic_time();
  gint64 deadline = timeout_ms < 0 ? -1 : start + timeout_ms * G_TIME_SPAN_MILLISECOND;
  gint64 filler_time = start + ANSWER_WAIT_US;
  gboolean is_filler_due = was_used;
  if (!queue_sync(&sync, error)) return FALSE;
  for (;;) {
    gint64 now = g_get_monotonic_time();
    if (deadline >= 0 && now >= deadline) {
      g_set_error(error, KATA_ERROR, KATA_ERR_TIMEOUT, "the guest did not answer on the port within %d ms", timeout_ms);
      return FALSE;
    }
    if (is_filler_due && now >= filler_time) {
      is_filler_due = FALSE;
      if (!queue_filler(&sync, error)) return FALSE;
    }
    gint64 until = deadline;
    if (is_filler_due && (deadline < 0 || filler_time < deadline)) until = filler_time;
    switch (exchange(&sync, stop_fd, until, error)) {
      case STEP_FAILED:
        return FALSE;
      case STEP_DONE:
        memcpy(ret_nonce, sync.nonce, TTRPC_NONCE_SIZE);
        return TRUE;
      case STEP_MORE:
        break;
    }
  }
}
