/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What this host can do for a guest. */
#pragma once

#include <glib.h>

#include "lib/settings.h"

/* The first 64 KiB of a file, or NULL. GLib 2.74 reads files through descriptors that a child of the caller's, started
 * in that moment, would inherit. */
char *host_read_head(const char *path);

/* /dev/kvm opens read-write and the CPU has vmx or svm: with the flag missing a stock kernel hangs under KVM. */
gboolean host_has_kvm(void);
gboolean host_has_vhost_vsock(void);

/* Replaces "auto" by what this host has. Forcing what is not there is KATA_ERR_HOST. */
gboolean host_resolve_accelerator(Accelerator wanted, Accelerator *ret, GError **error);
gboolean host_resolve_channel(AgentChannel wanted, AgentChannel *ret, GError **error);

/* One finding of "katactl check". */
typedef struct {
  const char *name; /* static: "accelerator", "hypervisor" */
  gboolean ok;      /* FALSE: a guest cannot be run */
  gboolean warning; /* it can, but */
  char *text;       /* what was found */
  char *remedy;     /* what to do, or NULL */
} HostFinding;

void host_finding_free(HostFinding *finding);

/* Everything a guest with these settings needs; owned array of HostFinding. */
GPtrArray *host_check(const kata_settings *settings);
/* The same for callers. */
struct json_object;
struct json_object *host_check_to_json(const kata_settings *settings);
