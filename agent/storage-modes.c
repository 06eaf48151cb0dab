/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent/storage-modes.h"

#include <string.h>
#include <sys/mount.h>

#include "agent/mount.h"
#include "common/mount-point.h"

static const struct {
  unsigned long flag;
  const char *word;
  const char *contrary; /* NULL: nothing is */
} modes[] = {
    {MS_RDONLY, "ro", NULL},
    {MS_NOSUID, "nosuid", "suid"},
    {MS_NODEV, "nodev", "dev"},
    {MS_NOEXEC, "noexec", "exec"},
};

static void add_option(Grpc__Mount *mount, const char *word) {
  mount->options = g_renew(char *, mount->options, mount->n_options + 1);
  mount->options[mount->n_options++] = g_strdup(word);
}

static void apply_to_mount(const Grpc__Storage *storage, Grpc__Mount *mount) {
  unsigned long flags = 0;
  g_autofree char *data = NULL;
  if (!mount_parse_options(storage->options, storage->n_options, &flags, &data, NULL)) return;
  for (gsize i = 0; i < G_N_ELEMENTS(modes); i++)
    if ((flags & modes[i].flag) && !(modes[i].contrary && mount_has_option(mount, modes[i].contrary)))
      add_option(mount, modes[i].word);
}

void storage_modes_apply(const StorageTable *table, OciSpec *spec) {
  for (gsize i = 0; i < spec->n_mounts; i++) {
    Grpc__Mount *mount = spec->mounts[i];
    const Grpc__Storage *storage = strcmp(mount->type, "bind") == 0 ? storage_table_find(table, mount->source) : NULL;
    if (storage) apply_to_mount(storage, mount);
  }
}
