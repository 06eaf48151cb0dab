/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The last words of a container, as Kubernetes has them: a file it mounts into it. */
#pragma once

#include <glib.h>

#include "common/oci.h"

#define TERMINATION_LOG_MAX 4096

/* The file, as this guest has it; NULL: the document names none. */
char *termination_log_find(const OciSpec *spec);
/* The first TERMINATION_LOG_MAX bytes, made valid UTF-8; empty if there is no such file. */
char *termination_log_read(const char *path);
