/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Settings that a pod brings along: annotations io.katacontainers.config.{hypervisor,runtime,agent}.KEY. */
#pragma once

#include "common/oci.h"
#include "lib/settings.h"

/* Sets what the annotations say. A key of the hypervisor must match one of the setting enable_annotations; one that
 * must not be set, that is not known, or whose value is wrong, is an error that names it. Looks at the file that a program's annotation names. */
gboolean annotations_apply(kata_settings *settings, const OciSpec *spec, GError **error);
