/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The directory tree a guest sees through virtio-fs, and the virtiofsd that serves it.
 * Mounts are made in the owner's own mount namespace, so none is left on the host,
 * however the owner ends.
 */
#pragma once

#include <glib.h>
#include <sys/types.h>

/* At the owner's start, before any thread: a mount namespace of its own that sees the host's new mounts and
 * shows the host none of its own. hide_kvm: /dev/kvm is out of sight (design.md 6: libvirt would
 * probe it again and again where its QEMU user may not open it). */
gboolean share_enter_namespace(gboolean hide_kvm, GError **error);

/* The same choice made anew in that namespace, before QEMU is started. */
gboolean share_change_kvm(gboolean hide_kvm, GError **error);

/* A descriptor of the namespace this process was in before that, or before it joined one; -1: it has done neither. */
int share_get_outer_namespace(void);

/* The same namespace as process pid (QEMU, started by an earlier owner). */
gboolean share_join_namespace(pid_t pid, GError **error);

typedef struct Share Share;

/* directory: PATHS_SHARE of the sandbox; made, and a mount point of shared propagation, empty and read-only for the
 * guest but for the trees that share_add() shows. An earlier owner's, in the same namespace, is taken as it is. */
Share *share_new(const char *directory, GError **error);
void share_free(Share *share);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Share, share_free)

/* Starts virtiofsd, listening on socket_path, which QEMU's user may open. It outlives the owner and ends with QEMU. */
gboolean share_start_daemon(Share *share, const char *virtiofsd, const char *socket_path, const char *const *extra_args,
                            GError **error);
/* Takes over the one an earlier owner started. */
gboolean share_adopt_daemon(Share *share, pid_t pid, GError **error);
pid_t share_get_daemon_pid(const Share *share);
int share_get_daemon_pidfd(const Share *share);
/* Kills it and takes the tree's mounts away, since nobody sees them any more: the directory can be removed then.
 * The share is of no use after it. */
void share_stop_daemon(Share *share);
/* What virtiofsd had to say (the first 16 KiB); NULL if nothing. */
char *share_dup_daemon_log(const Share *share);

/* A detached copy of the mount tree, or single file, at path as process peer sees it (its mount namespace and root may
 * be others); peer 0: as the owner sees it. Mounts made in the original later do not show in the copy. Returns a
 * descriptor for move_mount(2) or -1. */
int share_clone_tree(pid_t peer, const char *path, GError **error);
/* The same without the mounts below it. */
int share_clone_mount(pid_t peer, const char *path, GError **error);

enum {
  SHARE_FLAT = 1 << 0,         /* without what is mounted below now */
  SHARE_TOP_PRIVATE = 1 << 1,  /* only what is mounted below now follows */
  SHARE_ROOT_PRIVATE = 1 << 2, /* likewise where path is of the same mount as "/" */
};

/* A copy in which the kernel mounts and unmounts what is mounted and unmounted in the original later, as far as that is
 * shared, and not the other way round. how: SHARE_ constants. */
int share_clone_slave(pid_t peer, const char *path, unsigned how, GError **error);

/* Opens a regular file for reading as process peer sees it; -1 with an error. */
int share_open_file(pid_t peer, const char *path, GError **error);

/* Reads a regular file as process peer sees it; more than limit bytes are KATA_ERR_RESOURCE_EXHAUSTED. The text ends
 * with a NUL that ret_length (may be NULL) does not count. */
char *share_read_file(pid_t peer, const char *path, gsize limit, gsize *ret_length, GError **error);

/* An empty directory for the guest to mount something at; it may be there. */
gboolean share_make_place(Share *share, const char *name, GError **error);

/* Shows the tree (or single file) to the guest as NAME below the share; consumes tree_fd. */
gboolean share_add(Share *share, const char *name, int tree_fd, gboolean read_only, GError **error);

/* Takes it away again; no such name: success. */
void share_remove(Share *share, const char *name);

/* From now on share_catch_up() makes the tree NAME like slave_fd, a copy by share_clone_slave(), which it consumes;
 * share_remove() ends that. A later owner, in the same namespace, goes on with it. */
gboolean share_follow(Share *share, const char *name, int slave_fd, gboolean read_only, GError **error);
/* Whether there is a tree like that. */
gboolean share_follows(const Share *share);
/* Mounts and unmounts. What was unmounted, as NAME/PATH. What is mounted upon a tree's own top is shown beside it, as
 * NAME,top, and the guest is to see that in its place: to covers, by NAME, is added that, or "" if it is gone again. The
 * first time all that there are. */
GPtrArray *share_catch_up(Share *share, GHashTable *covers);
