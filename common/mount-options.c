// SPDX-License-Identifier: LGPL-2.1-or-later
#include "mount-options.h"

#include <string.h>
#include <sys/mount.h>

#include "error.h"

static const struct {
  const char *word;
  unsigned long set;
  unsigned long clear;
} option_words[] = {
    {"defaults", 0, 0},
    {"ro", MS_RDONLY, 0},
    {"rw", 0, MS_RDONLY},
    {"nosuid", MS_NOSUID, 0},
    {"suid", 0, MS_NOSUID},
    {"nodev", MS_NODEV, 0},
    {"dev", 0, MS_NODEV},
    {"noexec", MS_NOEXEC, 0},
    {"exec", 0, MS_NOEXEC},
    {"sync", MS_SYNCHRONOUS, 0},
    {"async", 0, MS_SYNCHRONOUS},
    {"dirsync", MS_DIRSYNC, 0},
    {"remount", MS_REMOUNT, 0},
    {"mand", MS_MANDLOCK, 0},
    {"nomand", 0, MS_MANDLOCK},
    {"noatime", MS_NOATIME, 0},
    {"atime", 0, MS_NOATIME},
    {"nodiratime", MS_NODIRATIME, 0},
    {"diratime", 0, MS_NODIRATIME},
    {"relatime", MS_RELATIME, 0},
    {"norelatime", 0, MS_RELATIME},
    {"strictatime", MS_STRICTATIME, 0},
    {"nostrictatime", 0, MS_STRICTATIME},
    {"bind", MS_BIND, 0},
    {"rbind", MS_BIND | MS_REC, 0},
};

static const struct {
  const char *word;
  unsigned long flags;
} propagation_words[] = {
    {"private", MS_PRIVATE},       {"rprivate", MS_PRIVATE | MS_REC},
    {"shared", MS_SHARED},         {"rshared", MS_SHARED | MS_REC},
    {"slave", MS_SLAVE},           {"rslave", MS_SLAVE | MS_REC},
    {"unbindable", MS_UNBINDABLE}, {"runbindable", MS_UNBINDABLE | MS_REC},
};

static unsigned long propagation_of(const char *word) {
  for (gsize i = 0; i < G_N_ELEMENTS(propagation_words); i++)
    if (strcmp(word, propagation_words[i].word) == 0) return propagation_words[i].flags;
  return 0;
}

static gboolean take_flag(const char *word, unsigned long *flags) {
  for (gsize i = 0; i < G_N_ELEMENTS(option_words); i++)
    if (strcmp(word, option_words[i].word) == 0) {
      *flags = (*flags | option_words[i].set) & ~option_words[i].clear;
      return TRUE;
    }
  return propagation_of(word) != 0;
}

gboolean mount_options_parse(char *const *options, gsize n_options, unsigned long *ret_flags, char **ret_data,
                             GError **error) {
  unsigned long flags = 0;
  g_autoptr(GString) data = g_string_new(NULL);
  for (gsize i = 0; i < n_options; i++) {
    if (strcmp(options[i], "loop") == 0) {
      g_set_error(error, KATA_ERROR, KATA_ERR_UNSUPPORTED, "mount option 'loop' is not supported");
      return FALSE;
    }
    if (take_flag(options[i], &flags) || !*options[i]) continue;
    g_string_append_printf(data, "%s%s", data->len > 0 ? "," : "", options[i]);
  }
  *ret_flags = flags;
  *ret_data = data->len > 0 ? g_strdup(data->str) : NULL;
  return TRUE;
}

unsigned long mount_get_propagation(char *const *options, gsize n_options) {
  unsigned long flags = 0;
  for (gsize i = 0; i < n_options; i++)
    if (propagation_of(options[i])) flags = propagation_of(options[i]);
  return flags;
}
