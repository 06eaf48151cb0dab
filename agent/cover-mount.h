/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the host has mounted upon a volume's own top while its container runs: it is put over the volume in the
 * container's mounts, as the kernel does with a slave of the host's, and taken away again.
 */
#pragma once

#include "agent/container.h"

/* For Container.covers. */
GHashTable *covers_new(void);

/* source: of a mount in the container's document. cover: a directory of the share, or empty: none any more. A cover
 * that is there already is exchanged. */
void cover_mount_start(Container *container, const char *source, const char *cover, ContainerFunc func,
                       gpointer user_data);
