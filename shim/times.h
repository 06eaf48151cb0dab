/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Moments: microseconds since 1970 here, google.protobuf.Timestamp on the wire. */
#pragma once

#include <glib.h>

#include "proto/google-protobuf.pb-c.h"

Google__Protobuf__Timestamp time_to_message(gint64 real_time_us);
/* The moment Go programs take for "never": the year 1. */
Google__Protobuf__Timestamp time_never(void);
/* Allocated with malloc(), so that a message may own it; NULL for 0. */
Google__Protobuf__Timestamp *time_new_message(gint64 real_time_us);
/* 0 for NULL. */
gint64 time_from_message(const Google__Protobuf__Timestamp *message);
