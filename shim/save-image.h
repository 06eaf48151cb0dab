/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The file a machine is saved to: libvirt's, with a seal at its end that tells whether it is whole and whose it is. */
#pragma once

#include <glib.h>

/* Who can load it: other versions of QEMU or libvirt refuse it, or crash. As virConnectGetVersion() and virGetVersion()
 * count: 7002022 is 7.2.22. */
typedef struct {
  guint64 qemu_version;
  guint64 libvirt_version;
} SaveImageMaker;

/* Copies the file in_path, as virDomainSave() writes it (format "raw"), to the new file out_path (mode 0600) and seals
 * it. Pages of the guest's memory that are nothing but zeros are left out: QEMU would look at each and so make the host
 * give it memory. Where the format is not the one known, everything is copied. Synced to disk. */
gboolean save_image_seal(const char *in_path, const char *out_path, const SaveImageMaker *maker, GError **error);

/* Reads the seal only. KATA_ERR_INVALID_ARGUMENT: it is no such file, or is cut short. */
gboolean save_image_read_maker(const char *path, SaveImageMaker *ret_maker, GError **error);

/* Reads all of it. KATA_ERR_INVALID_ARGUMENT: it is damaged. */
gboolean save_image_check(const char *path, GError **error);

/* The image as virDomainSave() wrote it, in memory, without pages of zeros: what save_image_seal() does.
 * NULL: not of the known format. write: gets the parts one after the other; FALSE ends it. */
typedef gboolean (*SaveImageWrite)(const void *data, gsize length, gpointer user_data);
typedef enum { SAVE_PAGES_DONE, SAVE_PAGES_UNKNOWN, SAVE_PAGES_FAILED } SavePagesResult;
SavePagesResult save_pages_drop_zeros(const guint8 *data, gsize length, SaveImageWrite write, gpointer user_data);
