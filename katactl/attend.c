// SPDX-License-Identifier: LGPL-2.1-or-later
#include "attend.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "common/error.h"
#include "common/fds.h"
#include "signals.h"

#define RELAY_BUFFER 4096
/* How often a katactl in the background looks whether it is in the foreground again. */
#define FOREGROUND_CHECK_MS 1000

typedef struct {
  int from, to;
  char buffer[RELAY_BUFFER];
  gsize begin, end;
} Relay;

typedef struct {
  const Attended *attended;
  int done_fd;
} Work;

void attend_prepare_signals(void) {
  sigset_t forwarded;
  signals_get_forwarded(FALSE, &forwarded);
  pthread_sigmask(SIG_BLOCK, &forwarded, NULL);
  signal(SIGPIPE, SIG_IGN);
}

static gpointer run_work(gpointer data) {
  Work *work = data;
  work->attended->work(work->attended->data);
  eventfd_write(work->done_fd, 1);
  return NULL;
}

static gboolean is_in_background(int terminal) {
  pid_t group = tcgetpgrp(terminal);
  return group > 0 && group != getpgrp();
}

static void relay_end(Relay *relay) {
  relay->from = -1;
  fd_clear(&relay->to);
}

static void relay_read(Relay *relay) {
  ssize_t count = read(relay->from, relay->buffer, sizeof relay->buffer);
  if (count < 0 && (errno == EINTR || errno == EAGAIN)) return;
  if (count <= 0) {
    relay_end(relay);
    return;
  }
  relay->begin = 0;
  relay->end = (gsize)count;
}

static void relay_write(Relay *relay) {
  ssize_t count = write(relay->to, relay->buffer + relay->begin, relay->end - relay->begin);
  if (count < 0 && (errno == EINTR || errno == EAGAIN)) return;
  if (count < 0) {
    relay_end(relay);
    return;
  }
  relay->begin += (gsize)count;
}

/* What the relay waits for; in the background it waits for nothing but the next look. */
static struct pollfd relay_get_poll(const Relay *relay, int *ret_timeout) {
  struct pollfd none = {.fd = -1};
  *ret_timeout = -1;
  if (relay->from < 0) return none;
  if (relay->begin < relay->end) return (struct pollfd){.fd = relay->to, .events = POLLOUT};
  if (is_in_background(relay->from)) {
    *ret_timeout = FOREGROUND_CHECK_MS;
    return none;
  }
  return (struct pollfd){.fd = relay->from, .events = POLLIN};
}

static void take_signal(const Attended *attended, int signal_fd) {
  struct signalfd_siginfo info;
  if (read(signal_fd, &info, sizeof info) == (ssize_t)sizeof info)
    attended->on_signal((int)info.ssi_signo, attended->data);
}

static void attend(const Attended *attended, int signal_fd, int done_fd) {
  Relay relay = {.from = attended->relay_from, .to = attended->relay_to};
  if (relay.to >= 0) fd_set_nonblocking(relay.to, TRUE, NULL);
  for (;;) {
    int timeout = -1;
    struct pollfd polled[] = {
        {.fd = done_fd, .events = POLLIN},
        {.fd = signal_fd, .events = POLLIN},
        relay_get_poll(&relay, &timeout),
    };
    if (poll(polled, G_N_ELEMENTS(polled), timeout) <= 0) continue;
    if (polled[0].revents != 0) break;
    if (polled[1].revents != 0) take_signal(attended, signal_fd);
    if (polled[2].revents == 0) continue;
    if (relay.begin < relay.end) {
      relay_write(&relay);
    } else {
      relay_read(&relay);
    }
  }
  relay_end(&relay);
}

gboolean attend_run(const Attended *attended, GError **error) {
  sigset_t forwarded;
  signals_get_forwarded(FALSE, &forwarded);
  autofd int signal_fd = signalfd(-1, &forwarded, SFD_CLOEXEC | SFD_NONBLOCK);
  autofd int done_fd = eventfd(0, EFD_CLOEXEC);
  if (signal_fd < 0 || done_fd < 0) {
    error_set_errno(error, errno, "cannot open a descriptor for signals");
    return FALSE;
  }
  Work work = {.attended = attended, .done_fd = done_fd};
  GThread *thread = g_thread_try_new("work", run_work, &work, error);
  if (thread == NULL) return FALSE;
  attend(attended, signal_fd, done_fd);
  g_thread_join(thread);
  return TRUE;
}
