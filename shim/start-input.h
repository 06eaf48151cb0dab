/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a caller hands "start" and "-info" on standard input, and what follows from it. */
#pragma once

#include <glib.h>

#include "lib/settings.h"
#include "proto/google-protobuf.pb-c.h"
#include "proto/shim-options.pb-c.h"

typedef struct {
  Google__Protobuf__Any *any;           /* the runtime options as they came, or NULL */
  Runtimeoptions__V1__Options *options; /* what they say, or NULL */
  char *shim_cgroup;                    /* runc's option, or NULL */
  char *ttrpc_address;                  /* containerd 2.3 and later, or NULL */
  gboolean debug;
} StartInput;

/* A google.protobuf.Any of runtimeoptions.v1.Options or containerd.runc.v1.Options, a BootstrapParams (told apart by
 * the id), or nothing. */
gboolean start_input_parse(StartInput *input, const guint8 *data, gsize length, const char *id, GError **error);
/* The same from standard input, unless that is a terminal. */
gboolean start_input_read(StartInput *input, const char *id, GError **error);
void start_input_clear(StartInput *input);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(StartInput, start_input_clear)

/* The same from the options of a call: KATA_ERR_INVALID_ARGUMENT if their type is none of these, or if they are not
 * what it says. */
gboolean start_input_take_options(StartInput *input, const Google__Protobuf__Any *any, GError **error);

/* Defaults < file and its drop-ins < what the caller sent along. The file is the options', else that which
 * KATA_CONF_FILE names in the environment, else the default one, which need not exist. */
kata_settings *start_input_load_settings(const StartInput *input, GError **error);
