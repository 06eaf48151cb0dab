/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A directory or a file of the host that a guest without a shared directory gets as a copy, and what has changed in it
 * again later. Regular files, directories and links; what else is there is left out. What is removed on the host stays
 * in the guest, since the agent's protocol has no word for it.
 */
#pragma once

#include <glib.h>

#include "common/ttrpc.h"
#include "proto/kata-state.pb-c.h"

typedef struct CopyTree CopyTree;

/* tree_fd: as of share_clone_tree(), taken over. name: below GUEST_SHARE_DIR. */
CopyTree *copy_tree_new(int tree_fd, const char *host_path, const char *name);
void copy_tree_free(CopyTree *copy);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(CopyTree, copy_tree_free)

/* Sends what the guest does not have yet. KATA_ERR_RESOURCE_EXHAUSTED: there is too much of it. */
gboolean copy_tree_sync(CopyTree *copy, TtrpcClient *agent, GError **error);

Kata__V1__CopyState *copy_tree_to_state(const CopyTree *copy);
/* NULL if it is gone on the host: then the guest keeps what it has. */
CopyTree *copy_tree_restore(const Kata__V1__CopyState *state);
