// SPDX-License-Identifier: LGPL-2.1-or-later
#include <stdio.h>
#include <string.h>

#include "common/error.h"
#include "kata/version.h"
#include "shim/cgroup-systemd.h"
#include "shim/options.h"
#include "shim/pool.h"
#include "shim/start.h"
#include "shim/template.h"
#include "shim/vm.h"

int main(int argc, char **argv) {
  g_auto(ShimOptions) options = {0};
  g_autoptr(GError) error = NULL;
  if (!shim_options_parse(&options, argc, argv, &error)) return action_report(&options, error);
  if (options.help) {
    fputs(shim_options_help(), stdout);
    return 0;
  }
  if (options.version) {
    g_autofree char *libvirt = vm_get_library_version();
    printf("containerd-shim-kata-v2:\n  Version:  %s\n  Revision: %s\n  Libvirt:  %s\n", KATA_VERSION, KATA_VERSION,
           libvirt);
    return 0;
  }
  cgroup_systemd_remember_bus();
  vm_hide_bus();
  if (options.info) return action_info(&options);
  if (options.warm_cache) return action_warm_cache(&options);
  if (options.template_ != NULL) return action_template(&options);
  if (options.pool != NULL) return action_pool(&options);
  if (g_strcmp0(options.action, "start") == 0) return action_start(&options);
  if (g_strcmp0(options.action, "delete") == 0) return action_delete(&options);
  g_set_error(&error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT, "the action '%s' is neither 'start' nor 'delete'",
              options.action != NULL ? options.action : "");
  return action_report(&options, error);
}
