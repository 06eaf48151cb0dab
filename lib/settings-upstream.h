/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Keys of upstream's configuration.toml that mean nothing here: understood, and named in a warning. */
#pragma once

typedef struct {
  const char *section;
  const char *key;  /* NULL: every key of the section */
  const char *only; /* the one value that is no error, as it stands in a file; NULL: any */
  const char *why;  /* it has no effect, for people */
} UpstreamKey;

/* NULL: not upstream's, or one of ours. */
const UpstreamKey *upstream_key_find(const char *section, const char *key);
