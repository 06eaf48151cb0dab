/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A disk's content in a sparse file, and back. */
#pragma once

#include <glib.h>

/* Copies the device to a new file; its size and the SHA-256 of its content come back. */
gboolean disk_image_save(const char *device, const char *file, guint64 *ret_bytes, char **ret_sha256, GError **error);

/* Makes the device's content that of the file. KATA_ERR_INVALID_ARGUMENT: the file's is not what its digest says, and
 * the device has nothing anybody should use. The device may be larger. */
gboolean disk_image_restore(const char *file, const char *device, guint64 bytes, const char *sha256, GError **error);
