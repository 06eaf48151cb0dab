/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * vsock-talk PORT TEXT: connects to the port on this machine's own context (vsock(7), the loopback's), says
 * "connected", sends what comes on standard input, and shows what comes back until TEXT is in it.
 */
#include <linux/vm_sockets.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define HEARD_MAX 65536

static int connect_to(unsigned port) {
  struct sockaddr_vm address = {.svm_family = AF_VSOCK, .svm_cid = VMADDR_CID_LOCAL, .svm_port = port};
  int fd = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address) == 0) return fd;
  perror("vsock-talk");
  exit(2);
}

/* Returns FALSE at the end of the input. */
static int send_some(int fd) {
  char block[4096];
  ssize_t size = read(STDIN_FILENO, block, sizeof block);
  return size > 0 && write(fd, block, (size_t)size) == size;
}

int main(int argc, char **argv) {
  static char heard[HEARD_MAX + 1];
  size_t length = 0;
  if (argc != 3) return 2;
  int fd = connect_to((unsigned)strtoul(argv[1], NULL, 10));
  struct pollfd ends[] = {{.fd = fd, .events = POLLIN}, {.fd = STDIN_FILENO, .events = POLLIN}};
  puts("connected");
  fflush(stdout);
  while (poll(ends, 2, -1) > 0) {
    if (ends[1].revents && !send_some(fd)) ends[1].fd = -1;
    if (!ends[0].revents) continue;
    ssize_t size = length < HEARD_MAX ? read(fd, heard + length, HEARD_MAX - length) : 0;
    if (size <= 0) break;
    fwrite(heard + length, 1, (size_t)size, stdout);
    fflush(stdout);
    length += (size_t)size;
    if (memmem(heard, length, argv[2], strlen(argv[2]))) return 0;
  }
  return 1;
}
