/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Options as mount(8) has them. */
#pragma once

#include <glib.h>

/* mount(2) takes one page of data, its NUL included. */
#define MOUNT_DATA_MAX 4095

/* Words of mount(8) that are flags go to *ret_flags, the others, joined by commas, to *ret_data (NULL: none), however
 * long. Those that say how mounts propagate count for mount_get_propagation() alone. "loop" is refused. */
gboolean mount_options_parse(char *const *options, gsize n_options, unsigned long *ret_flags, char **ret_data,
                             GError **error);
/* MS_SHARED, MS_SLAVE, MS_PRIVATE or MS_UNBINDABLE, with MS_REC or without; 0: nothing is said of it. */
unsigned long mount_get_propagation(char *const *options, gsize n_options);
