/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The embedded driver's private root directory: what must be in it before libvirt opens it, and what libvirt left. */
#pragma once

#include <glib.h>

/* Makes root_dir with etc/qemu.conf, log/ and cache, a link to cache_dir. */
gboolean vm_root_prepare(const char *root_dir, const char *cache_dir, GError **error);

char *vm_root_log_path(const char *root_dir); /* libvirt's own warnings */

/* The pid libvirt noted for a domain, 0 if it noted none. */
pid_t vm_root_read_pid(const char *root_dir, const char *domain_name);

/* The end of what QEMU itself said, over all domains of this root; NULL if it said nothing. */
char *vm_root_qemu_words(const char *root_dir);

/* While the cache is empty, libvirt's probe takes half a second of CPU time: one process at a time then. Returns a
 * descriptor to close when the probe is over, -1 if the cache is filled or nobody else's probe ended in time. */
int vm_root_lock_cold_cache(const char *cache_dir);
