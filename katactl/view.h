/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What finds who joins the mount namespace of the process that stands for a container: the container's root file system
 * with its bind mounts, as with a container of the host. Engines do that to copy files in and out; in the host's own
 * namespace they would write to the host. What is mounted only in the guest (tmpfs and the like) is not there.
 */
#pragma once

#include <glib.h>

#include "common/oci.h"

typedef struct View View;

/* Takes hold of all that the bundle names. bundle: absolute. */
View *view_new(const OciSpec *spec, const char *bundle, GError **error);
void view_free(View *view);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(View, view_free)

/* Gives the calling process, which must have a single thread, a mount namespace with the view in it. The process itself
 * goes on seeing the host's files. */
gboolean view_enter(const View *view, GError **error);
