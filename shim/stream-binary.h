/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Streams of the form binary:///PROGRAM?NAME=VALUE: a program that takes a process's output (containerd shim v2,
 * "Stdio"). binary-v2:// is the same with a program that has to write a byte once it is ready. */
#pragma once

#include <glib.h>

#include "shim/stream.h"

gboolean stream_is_binary(const char *uri);

/* Starts the program and waits until it is ready. Its descriptor 3 is the end of *ret_out, 4 of *ret_err, and it ends
 * by itself at their end. id: the container's, or the exec's. */
gboolean stream_binary_open(const char *uri, const char *id, const char *namespace_, Stream **ret_out, Stream **ret_err,
                            GError **error);
