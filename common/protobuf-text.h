/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Changes of a message's strings. They are the message's own, unless they are protobuf-c's shared empty one. */
#pragma once

#include <glib.h>
#include <protobuf-c/protobuf-c.h>

/* Takes a copy. value NULL: the empty string. */
void protobuf_set_string(char **field, const char *value);

/* The same at the end of a repeated field. */
void protobuf_append_string(char ***list, size_t *n_list, const char *value);
