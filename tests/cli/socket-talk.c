/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * socket-talk tcp|udp SOURCE ADDRESS PORT [MS]: asks from that address with a line, and shows what comes back, or says
 * that nothing does in that time (3000). socket-talk answer ADDRESS PORT: answers one question that comes by UDP.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define HEARD_MAX 4096

static int wait_ms = 3000;

typedef union {
  struct sockaddr any;
  struct sockaddr_in v4;
  struct sockaddr_in6 v6;
} Address;

static Address parse(const char *text, const char *port) {
  Address address = {.v6 = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)atoi(port))}};
  if (inet_pton(AF_INET6, text, &address.v6.sin6_addr) == 1) return address;
  address = (Address){.v4 = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port))}};
  if (inet_pton(AF_INET, text, &address.v4.sin_addr) == 1) return address;
  fprintf(stderr, "socket-talk: '%s' is no address\n", text);
  exit(2);
}

static int is_ready(int fd, short events) {
  struct pollfd list = {.fd = fd, .events = events};
  return poll(&list, 1, wait_ms) == 1;
}

static int nothing(const char *step) {
  printf("nothing, by %s: %s\n", step, strerror(errno));
  return 0;
}

static int answer(const char *address, const char *port) {
  static const char line[] = "answer\n";
  char heard[HEARD_MAX];
  Address own = parse(address, port), peer;
  socklen_t size = sizeof peer;
  int fd = socket(own.any.sa_family, SOCK_DGRAM, 0);
  return fd < 0 || bind(fd, &own.any, sizeof own) < 0 || recvfrom(fd, heard, sizeof heard, 0, &peer.any, &size) < 0 ||
         sendto(fd, line, sizeof line - 1, 0, &peer.any, size) < 0;
}

int main(int argc, char **argv) {
  static const char line[] = "question\n";
  char heard[HEARD_MAX];
  if (argc == 4) return answer(argv[2], argv[3]);
  if (argc != 5 && argc != 6) return 2;
  if (argc == 6) wait_ms = atoi(argv[5]);
  Address from = parse(argv[2], "0"), to = parse(argv[3], argv[4]);
  int fd = socket(from.any.sa_family, (strcmp(argv[1], "tcp") == 0 ? SOCK_STREAM : SOCK_DGRAM) | SOCK_NONBLOCK, 0);
  if (fd < 0 || bind(fd, &from.any, sizeof from) < 0) return nothing("bind");
  connect(fd, &to.any, sizeof to); /* in progress, or not: the next steps tell */
  if (!is_ready(fd, POLLOUT) || send(fd, line, sizeof line - 1, MSG_NOSIGNAL) < 0) return nothing("send");
  ssize_t size = is_ready(fd, POLLIN) ? recv(fd, heard, sizeof heard, 0) : 0;
  if (size <= 0) return nothing("receive");
  fwrite(heard, 1, (size_t)size, stdout);
  return 0;
}
