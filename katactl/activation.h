/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a service manager hands to a program it starts: descriptors (sd_listen_fds(3)) and a socket to report to
 * (sd_notify(3)). Neither reaches into a guest. */
#pragma once

#include <glib.h>
#include <sys/types.h>

/* Refuses descriptors that the container was to inherit: preserve_fds, and those of LISTEN_FDS if they are meant for
 * this process. */
gboolean activation_check_descriptors(int preserve_fds, GError **error);

/* Tells the service manager, if there is one (NOTIFY_SOCKET), that the container runs and which process stands for it.
 * The container cannot tell it itself. */
void activation_notify_ready(pid_t pid);
