/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Root file systems of several layers, each an image or a device, that containerd (2.2 and later) leaves for the guest
 * to join: one mount for each layer and at the end an overlay, in which "{{ mount 0 }}" stands for where the mount of
 * that number is, "{{ overlay 1 3 }}" for those of three.
 */
#pragma once

#include <glib.h>

#include "proto/shim-types.pb-c.h"

/* Types of mounts that containerd is told to leave to us; all others it carries out by itself. */
#define ROOTFS_LAYERS_TYPES "erofs,format/overlay,format/mkdir/overlay,format/bind"

typedef struct {
  guint first_share; /* the share of mount 0; the others follow it. The caller's to set. */
  guint n_mounts;    /* without the one that joins them */
  GArray *lowers;    /* guint, numbers of mounts; the topmost first */
  gint upper;        /* what is written goes to this one, -1: to memory that ends with the container */
  char *upperdir;    /* directories of the upper one, as "upper"; NULL without one */
  char *workdir;
  char **options; /* of the overlay: all others */
} RootfsLayers;

void rootfs_layers_free(RootfsLayers *layers);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(RootfsLayers, rootfs_layers_free)

/* Whether the mounts are of this form. */
gboolean rootfs_layers_match(Containerd__Types__Mount *const *mounts, gsize n_mounts);

/* Mounts that are. KATA_ERR_INVALID_ARGUMENT for what makes no sense, KATA_ERR_UNSUPPORTED for what a guest cannot do.
 * Pure. */
RootfsLayers *rootfs_layers_parse(Containerd__Types__Mount *const *mounts, gsize n_mounts, GError **error);
