// SPDX-License-Identifier: LGPL-2.1-or-later
#include "kata/domain.h"

#include "common/ids.h"
#include "lib/api.h"
#include "lib/domain-xml.h"
#include "lib/paths.h"
#include "lib/settings.h"

static char *build(const kata_settings *settings, const char *sandbox_id, const char *root, GError **error) {
  if (!api_check_argument(sandbox_id, "sandbox_id", error) || !api_check_argument(root, "root", error) ||
      !id_check(sandbox_id, "sandbox", error) || !paths_check_root(root, error))
    return NULL;
  Accelerator accelerator = settings_get_accelerator(settings);
  AgentChannel channel = settings_get_channel(settings);
  g_autofree char *plain_root = g_canonicalize_filename(root, "/");
  g_autofree char *directory = paths_sandbox_dir(plain_root, sandbox_id);
  g_autoptr(VmConfig) config =
      vm_config_new(settings, sandbox_id, directory, accelerator == ACCELERATOR_AUTO ? ACCELERATOR_KVM : accelerator,
                    channel == CHANNEL_AUTO ? CHANNEL_VSOCK : channel, error);
  return config != NULL ? domain_xml_build(config, error) : NULL;
}

char *kata_domain_xml(const kata_settings *settings, const char *sandbox_id, const char *root, uint32_t flags,
                      kata_error **err) {
  g_autoptr(GError) error = NULL;
  char *xml = NULL;
  if (!api_check(settings, "settings", flags, 0, &error) || (xml = build(settings, sandbox_id, root, &error)) == NULL)
    return api_fail_null(err, error);
  return xml;
}
