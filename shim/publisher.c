// SPDX-License-Identifier: LGPL-2.1-or-later
#include "shim/publisher.h"

#include <string.h>

#include "common/error.h"
#include "common/fds.h"
#include "common/ttrpc.h"
#include "proto/shim-publish.pb-c.h"
#include "shim/times.h"

/* As containerd's own shims (containerd shim v2, "Events"). */
#define CALL_TIMEOUT_MS 5000
#define QUEUE_MAX 2048
#define REFUSALS_MAX 5
/* The wait for a containerd that is away grows by a second each time, up to this. */
#define DELAY_MAX_SECONDS 5

typedef struct {
  char *topic;
  char *type_url;
  GBytes *value;
  gint64 time;
} Item;

struct Publisher {
  char *address;
  char *namespace_;
  TtrpcClient *client; /* the thread's */
  GMutex lock;         /* guards what follows */
  GCond changed;
  GQueue items; /* Item, the oldest first */
  gboolean sending;
  guint dropped;
};

static void item_free(gpointer data) {
  Item *item = data;
  g_free(item->topic);
  g_free(item->type_url);
  g_bytes_unref(item->value);
  g_free(item);
}

static gboolean connect_client(Publisher *publisher, GError **error) {
  if (publisher->client != NULL) return TRUE;
  int fd = ttrpc_dial(publisher->address, 0, error);
  if (fd >= 0) publisher->client = ttrpc_client_new(fd, TTRPC_STREAM_SOCKET);
  return fd >= 0;
}

static void disconnect(Publisher *publisher) {
  if (publisher->client != NULL) ttrpc_client_close(publisher->client, NULL);
  g_clear_pointer(&publisher->client, ttrpc_client_unref);
}

static gboolean forward(Publisher *publisher, const Item *item, GError **error) {
  Containerd__Services__Events__Ttrpc__V1__ForwardRequest request =
      CONTAINERD__SERVICES__EVENTS__TTRPC__V1__FORWARD_REQUEST__INIT;
  Containerd__Services__Events__Ttrpc__V1__Envelope envelope = CONTAINERD__SERVICES__EVENTS__TTRPC__V1__ENVELOPE__INIT;
  Google__Protobuf__Any event = GOOGLE__PROTOBUF__ANY__INIT;
  Google__Protobuf__Timestamp when = time_to_message(item->time);
  event.type_url = item->type_url;
  event.value.data = (guint8 *)g_bytes_get_data(item->value, &event.value.len);
  envelope.timestamp = &when;
  envelope.namespace_ = publisher->namespace_;
  envelope.topic = item->topic;
  envelope.event = &event;
  request.envelope = &envelope;
  return connect_client(publisher, error) &&
         ttrpc_client_invoke(publisher->client, &containerd__services__events__ttrpc__v1__events__descriptor, "Forward",
                             &request.base, CALL_TIMEOUT_MS, NULL, error);
}

/* A connection that has broken since the last event says so only now. */
static gboolean send_item(Publisher *publisher, const Item *item, GError **error) {
  g_autoptr(GError) why = NULL;
  gboolean was_connected = publisher->client != NULL;
  if (forward(publisher, item, &why)) return TRUE;
  disconnect(publisher);
  if (was_connected && error_get_code(why) == KATA_ERR_UNAVAILABLE) {
    g_clear_error(&why);
    if (forward(publisher, item, &why)) return TRUE;
    disconnect(publisher);
  }
  g_propagate_error(error, g_steal_pointer(&why));
  return FALSE;
}

static gboolean is_away(const GError *error) {
  kata_error_code code = error_get_code(error);
  return code == KATA_ERR_UNAVAILABLE || code == KATA_ERR_TIMEOUT || code == KATA_ERR_NOT_FOUND;
}

static void publish(Publisher *publisher, const Item *item) {
  guint refusals = 0;
  for (guint tries = 1;; tries++) {
    g_autoptr(GError) error = NULL;
    if (send_item(publisher, item, &error)) return;
    if (!is_away(error) && ++refusals >= REFUSALS_MAX) {
      g_warning("containerd does not take the event '%s': %s", item->topic, error->message);
      return;
    }
    g_debug("cannot send the event '%s' yet: %s", item->topic, error->message);
    g_usleep(MIN(tries, DELAY_MAX_SECONDS) * G_USEC_PER_SEC);
  }
}

static gpointer publisher_thread(gpointer user_data) {
  Publisher *publisher = user_data;
  g_mutex_lock(&publisher->lock);
  for (;;) {
    while (g_queue_is_empty(&publisher->items)) g_cond_wait(&publisher->changed, &publisher->lock);
    Item *item = g_queue_pop_head(&publisher->items);
    publisher->sending = TRUE;
    g_mutex_unlock(&publisher->lock);
    publish(publisher, item);
    item_free(item);
    g_mutex_lock(&publisher->lock);
    publisher->sending = FALSE;
    g_cond_broadcast(&publisher->changed);
  }
  return NULL;
}

Publisher *publisher_new(const char *address, const char *namespace_) {
  if (address == NULL || *address == '\0') return NULL;
  Publisher *publisher = g_new0(Publisher, 1);
  publisher->address = strstr(address, "://") != NULL ? g_strdup(address) : g_strconcat("unix://", address, NULL);
  publisher->namespace_ = g_strdup(namespace_);
  g_mutex_init(&publisher->lock);
  g_cond_init(&publisher->changed);
  g_queue_init(&publisher->items);
  g_thread_unref(g_thread_new("events", publisher_thread, publisher));
  return publisher;
}

const char *publisher_get_address(const Publisher *publisher) { return publisher != NULL ? publisher->address : NULL; }

void publisher_send(Publisher *publisher, const char *topic, const ProtobufCMessage *event) {
  if (publisher == NULL) return;
  gsize size = protobuf_c_message_get_packed_size(event);
  guint8 *packed = g_malloc(MAX(size, 1));
  protobuf_c_message_pack(event, packed);
  Item *item = g_new(Item, 1);
  *item = (Item){g_strdup(topic), g_strdup(event->descriptor->name), g_bytes_new_take(packed, size), g_get_real_time()};
  g_mutex_lock(&publisher->lock);
  g_queue_push_tail(&publisher->items, item);
  if (g_queue_get_length(&publisher->items) > QUEUE_MAX) {
    item_free(g_queue_pop_head(&publisher->items));
    if (publisher->dropped++ == 0)
      g_warning("more than %d events wait for containerd: the oldest are dropped", QUEUE_MAX);
  }
  g_cond_broadcast(&publisher->changed);
  g_mutex_unlock(&publisher->lock);
}

gboolean publisher_flush(Publisher *publisher, guint timeout_ms) {
  if (publisher == NULL) return TRUE;
  gint64 deadline = g_get_monotonic_time() + timeout_ms * G_TIME_SPAN_MILLISECOND;
  g_mutex_lock(&publisher->lock);
  while (publisher->sending || !g_queue_is_empty(&publisher->items))
    if (!g_cond_wait_until(&publisher->changed, &publisher->lock, deadline)) break;
  gboolean done = !publisher->sending && g_queue_is_empty(&publisher->items);
  g_mutex_unlock(&publisher->lock);
  return done;
}

gboolean publisher_is_heard(Publisher *publisher) {
  autofd int fd = publisher != NULL ? ttrpc_dial(publisher->address, 0, NULL) : -1;
  return fd >= 0;
}
