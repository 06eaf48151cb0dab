// SPDX-License-Identifier: LGPL-2.1-or-later
/* One end of a TCP connection, for measuring it: "serve ADDRESS" answers each client in turn, the others are clients
 * that print one number: "send ADDRESS MIB" and "receive ADDRESS MIB" MB/s, "ping ADDRESS COUNT" the median of
 * microseconds that a byte and its answer take. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { PORT = 5001, CHUNK = 1 << 18, PINGS_MAX = 100000 };

static char chunk[CHUNK];

static void need(int is_so, const char *what) {
  if (is_so) return;
  perror(what);
  exit(1);
}

static double now_us(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

static struct sockaddr_in make_address(const char *text) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(PORT)};
  need(inet_pton(AF_INET, text, &address.sin_addr) == 1, "address");
  return address;
}

static void no_delay(int fd) { setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int)); }

static void write_all(int fd, uint64_t size) {
  while (size > 0) {
    ssize_t sent = write(fd, chunk, size < sizeof chunk ? size : sizeof chunk);
    need(sent > 0, "write");
    size -= (uint64_t)sent;
  }
}

static void read_all(int fd, uint64_t size) {
  while (size > 0) {
    ssize_t got = read(fd, chunk, size < sizeof chunk ? size : sizeof chunk);
    need(got > 0, "read");
    size -= (uint64_t)got;
  }
}

/* A client says what is to be done, and how much of it: it ends with a byte that says it was. */
typedef struct {
  char what;
  uint64_t size;
} Request;

static void answer(int fd) {
  Request request;
  no_delay(fd);
  if (read(fd, &request, sizeof request) != (ssize_t)sizeof request) return;
  if (request.what == 's') read_all(fd, request.size);
  if (request.what == 'r') write_all(fd, request.size);
  for (uint64_t i = 0; request.what == 'p' && i < request.size; i++) {
    read_all(fd, 1);
    write_all(fd, 1);
  }
  write_all(fd, 1);
}

static void serve(const char *address_text) {
  struct sockaddr_in address = make_address(address_text);
  int listener = socket(AF_INET, SOCK_STREAM, 0);
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
  need(bind(listener, (struct sockaddr *)&address, sizeof address) == 0 && listen(listener, 8) == 0, "listen");
  puts("listening");
  fflush(stdout);
  for (;;) {
    int peer = accept(listener, NULL, NULL);
    need(peer >= 0, "accept");
    answer(peer);
    close(peer);
  }
}

static int compare(const void *a, const void *b) {
  double one = *(const double *)a, two = *(const double *)b;
  return (one > two) - (one < two);
}

static double ping(int fd, uint64_t count) {
  double *samples = calloc(count, sizeof *samples);
  need(samples != NULL, "calloc");
  for (uint64_t i = 0; i < count; i++) {
    double begin = now_us();
    write_all(fd, 1);
    read_all(fd, 1);
    samples[i] = now_us() - begin;
  }
  qsort(samples, count, sizeof *samples, compare);
  double median = samples[count / 2];
  free(samples);
  return median;
}

static double transfer(int fd, const Request *request) {
  double begin = now_us();
  if (request->what == 's') write_all(fd, request->size);
  if (request->what == 'r') read_all(fd, request->size);
  read_all(fd, 1);
  return (double)request->size / (now_us() - begin);
}

int main(int argc, char **argv) {
  if (argc == 3 && strcmp(argv[1], "serve") == 0) serve(argv[2]);
  uint64_t number = argc == 4 ? strtoull(argv[3], NULL, 10) : 0;
  if (number == 0 || number > PINGS_MAX) {
    fprintf(stderr, "usage: tcp-talk serve ADDRESS | send|receive ADDRESS MIB | ping ADDRESS COUNT\n");
    return 1;
  }
  struct sockaddr_in address = make_address(argv[2]);
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  need(connect(fd, (struct sockaddr *)&address, sizeof address) == 0, "connect");
  no_delay(fd);
  Request request = {.what = argv[1][0], .size = argv[1][0] == 'p' ? number : number << 20};
  need(write(fd, &request, sizeof request) == (ssize_t)sizeof request, "write");
  printf("%.1f\n", request.what == 'p' ? ping(fd, number) : transfer(fd, &request));
  return 0;
}
