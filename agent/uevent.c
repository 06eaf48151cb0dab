/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent/uevent.h"

#include <errno.h>
#include <glib-unix.h>
#include <linux/netlink.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/error.h"
#include "common/fds.h"

/* The multicast group of the kernel's own messages. */
#define GROUP_KERNEL 1
/* lib/kobject_uevent.c: UEVENT_BUFFER_SIZE, and the header before it. */
#define MESSAGE_MAX 8192
/* Room for the messages of a hundred devices at once. */
#define RECEIVE_BUFFER (1 << 20)

/* Waits at once, each of a call or of a container's device; those beyond them are refused. */
#define WAITS_MAX 4096

struct UeventMonitor {
  int socket;
  guint source;
  ModuleList *modules;
  GQueue waits; /* UeventWait, owned */
};

struct UeventWait {
  UeventMonitor *monitor;
  char *what;
  char *key;
  UeventFindFunc find;
  UeventFunc func;
  gpointer user_data;
  guint timeout_ms;
  guint first_look;
  guint timeout;
};

static void wait_free(UeventWait *wait) {
  if (wait->first_look) g_source_remove(wait->first_look);
  if (wait->timeout) g_source_remove(wait->timeout);
  g_queue_remove(&wait->monitor->waits, wait);
  g_free(wait->what);
  g_free(wait->key);
  g_free(wait);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(UeventWait, wait_free)

/* Returns TRUE if the wait is over and gone. */
static gboolean look(UeventWait *wait) {
  g_autofree char *found = wait->find(wait->key);
  if (!found) return FALSE;
  UeventFunc func = wait->func;
  gpointer user_data = wait->user_data;
  wait_free(wait);
  func(found, NULL, user_data);
  return TRUE;
}

/* The end without a find. */
static void give_up(UeventWait *wait, GError *error) {
  UeventFunc func = wait->func;
  gpointer func_data = wait->user_data;
  wait_free(wait);
  func(NULL, error, func_data);
  g_error_free(error);
}

static gboolean look_first(gpointer user_data) {
  UeventWait *wait = user_data;
  wait->first_look = 0;
  if (!look(wait) && g_queue_get_length(&wait->monitor->waits) > WAITS_MAX)
    give_up(wait,
            g_error_new(KATA_ERROR, KATA_ERR_RESOURCE_EXHAUSTED, "more than %d devices are waited for", WAITS_MAX));
  return G_SOURCE_REMOVE;
}

static gboolean timed_out(gpointer user_data) {
  UeventWait *wait = user_data;
  wait->timeout = 0;
  if (look(wait)) return G_SOURCE_REMOVE;
  g_autofree char *key = error_clean_text(wait->key);
  give_up(wait, g_error_new(KATA_ERROR, KATA_ERR_TIMEOUT,
                            "timeout: %s '%s' did not appear within %u s (agent.hotplug_timeout)", wait->what, key,
                            wait->timeout_ms / 1000));
  return G_SOURCE_REMOVE;
}

UeventWait *uevent_wait(UeventMonitor *monitor, const char *what, UeventFindFunc find, const char *key,
                        guint timeout_ms, UeventFunc func, gpointer user_data) {
  UeventWait *wait = g_new0(UeventWait, 1);
  wait->monitor = monitor;
  wait->what = g_strdup(what);
  wait->key = g_strdup(key);
  wait->find = find;
  wait->func = func;
  wait->user_data = user_data;
  wait->timeout_ms = timeout_ms;
  wait->first_look = g_idle_add_full(G_PRIORITY_DEFAULT, look_first, wait, NULL);
  wait->timeout = g_timeout_add(timeout_ms, timed_out, wait);
  g_queue_push_tail(&monitor->waits, wait);
  return wait;
}

void uevent_cancel(UeventWait *wait) { wait_free(wait); }

/* ---- the kernel's messages ---- */

/* "ACTION@DEVPATH", then "KEY=VALUE" texts, each ended by a NUL. */
static const char *get_value(const char *message, gsize length, const char *key) {
  gsize key_length = strlen(key);
  for (const char *text = message; text < message + length; text += strlen(text) + 1)
    if (strncmp(text, key, key_length) == 0 && text[key_length] == '=') return text + key_length + 1;
  return NULL;
}

static void load_module_of(UeventMonitor *monitor, const char *message, gsize length) {
  const char *action = get_value(message, length, "ACTION");
  const char *alias = get_value(message, length, "MODALIAS");
  g_autoptr(GError) error = NULL;
  if (!monitor->modules || !action || strcmp(action, "add") != 0 || !alias) return;
  if (!modules_load(monitor->modules, alias, &error) && !g_error_matches(error, KATA_ERROR, KATA_ERR_NOT_FOUND))
    g_warning("%s", error->message);
}

/* Only the kernel's own messages count: whoever may administer the network can send to the group as well. */
static ssize_t receive(int socket, char *buffer, gsize size) {
  struct sockaddr_nl sender = {0};
  struct iovec part = {buffer, size - 1};
  struct msghdr header = {.msg_name = &sender, .msg_namelen = sizeof sender, .msg_iov = &part, .msg_iovlen = 1};
  ssize_t length = recvmsg(socket, &header, MSG_DONTWAIT);
  if (length < 0) return -1;
  if (sender.nl_pid != 0 || (header.msg_flags & MSG_TRUNC) != 0) length = 0;
  buffer[length] = '\0';
  return length;
}

static void look_for_all(UeventMonitor *monitor) {
  /* What a wait's func does may end or begin others. */
  g_autoptr(GList) waits = g_list_copy(monitor->waits.head);
  for (GList *link = waits; link; link = link->next)
    if (g_queue_find(&monitor->waits, link->data)) look(link->data);
}

static gboolean messages_came(int fd, GIOCondition condition, gpointer user_data) {
  UeventMonitor *monitor = user_data;
  char buffer[MESSAGE_MAX];
  for (;;) {
    ssize_t length = receive(fd, buffer, sizeof buffer);
    /* ENOBUFS: some got lost. What they said can be seen in /sys. */
    if (length < 0 && (errno == EINTR || errno == ENOBUFS)) continue;
    if (length < 0) break;
    load_module_of(monitor, buffer, (gsize)length);
  }
  look_for_all(monitor);
  return G_SOURCE_CONTINUE;
}

static int open_socket(void) {
  autofd int fd = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_KOBJECT_UEVENT);
  struct sockaddr_nl address = {.nl_family = AF_NETLINK, .nl_groups = GROUP_KERNEL};
  int size = RECEIVE_BUFFER;
  if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) < 0) return -1;
  if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size) < 0)
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
  return fd_steal(&fd);
}

UeventMonitor *uevent_monitor_new(ModuleList *modules) {
  UeventMonitor *monitor = g_new0(UeventMonitor, 1);
  monitor->modules = modules;
  g_queue_init(&monitor->waits);
  monitor->socket = open_socket();
  if (monitor->socket < 0)
    g_warning("cannot listen for new devices: %s", g_strerror(errno));
  else
    monitor->source = g_unix_fd_add(monitor->socket, G_IO_IN, messages_came, monitor);
  return monitor;
}

void uevent_monitor_free(UeventMonitor *monitor) {
  if (!monitor) return;
  while (!g_queue_is_empty(&monitor->waits)) wait_free(g_queue_peek_head(&monitor->waits));
  if (monitor->source) g_source_remove(monitor->source);
  fd_clear(&monitor->socket);
  g_free(monitor);
}
