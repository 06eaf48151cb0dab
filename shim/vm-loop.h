/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* libvirt's event loop, which lives in GLib's default main context, and libvirt's voice: nothing of it may reach our
 * stderr. */
#pragma once

#include <glib.h>

/* Before a connection is opened. log_path: where libvirt's warnings go; the first caller's stays for
 * the process's life, as libvirt reads it once. LIBVIRT_LOG_OUTPUTS in the environment goes first. */
gboolean vm_loop_start(const char *log_path, GError **error);

/* The program runs the default main context itself: no thread is made for it. Before vm_loop_start(). */
void vm_loop_use_main(void);

/* After the last connection is closed: ends the thread. */
void vm_loop_stop(void);

/* While QEMUs come and go at libvirt's hands: those that have ended are reaped (vm-reap.h). Calls do not nest. */
void vm_loop_set_reaping(gboolean reaping);
