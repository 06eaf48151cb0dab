/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What an OCI process says of its scheduling and crun does not know: ioPriority, scheduler, execCPUAffinity;
 * and an oomScoreAdj of 0. */
#pragma once

#include <sys/types.h>

#include "common/oci.h"

/* Names and numbers that do not exist are refused. */
gboolean attributes_check(const OciProcess *process, GError **error);

/* Gives pid, and so what it will start, those attributes. is_exec: execCPUAffinity is only for those. process was
 * checked. One that has ended already has them all. */
gboolean attributes_apply(const OciProcess *process, pid_t pid, gboolean is_exec, GError **error);
