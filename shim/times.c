// SPDX-License-Identifier: LGPL-2.1-or-later
#include "shim/times.h"

#include <stdlib.h>

Google__Protobuf__Timestamp time_to_message(gint64 real_time_us) {
  Google__Protobuf__Timestamp message = GOOGLE__PROTOBUF__TIMESTAMP__INIT;
  message.seconds = real_time_us / G_USEC_PER_SEC;
  message.nanos = (gint32)(real_time_us % G_USEC_PER_SEC) * 1000;
  return message;
}

Google__Protobuf__Timestamp time_never(void) {
  Google__Protobuf__Timestamp message = GOOGLE__PROTOBUF__TIMESTAMP__INIT;
  message.seconds = -62135596800;
  return message;
}

Google__Protobuf__Timestamp *time_new_message(gint64 real_time_us) {
  if (real_time_us == 0) return NULL;
  Google__Protobuf__Timestamp *message = malloc(sizeof *message);
  *message = time_to_message(real_time_us);
  return message;
}

gint64 time_from_message(const Google__Protobuf__Timestamp *message) {
  return message == NULL ? 0 : message->seconds * G_USEC_PER_SEC + message->nanos / 1000;
}
