// SPDX-License-Identifier: LGPL-2.1-or-later
#include "kata/domain.h"

#include "common/ids.h"
#include "lib/api.h"
#include "lib/domain-xml.h"
#include "lib/net-cards.h"
#include "lib/paths.h"
#include "lib/settings.h"

static VmConfig *make_config(const kata_settings *settings, const char *sandbox_id, const char *root, GError **error) {
  if (!api_check_argument(sandbox_id, "sandbox_id", error) || !api_check_argument(root, "root", error) ||
      !id_check(sandbox_id, "sandbox", error) || !paths_check_root(root, error))
    return NULL;
  Accelerator accelerator = settings_get_accelerator(settings);
  AgentChannel channel = settings_get_channel(settings);
  g_autofree char *plain_root = g_canonicalize_filename(root, "/");
  g_autofree char *directory = paths_sandbox_dir(plain_root, sandbox_id);
  return vm_config_new(settings, sandbox_id, directory, accelerator == ACCELERATOR_AUTO ? ACCELERATOR_KVM : accelerator,
                       channel == CHANNEL_AUTO ? CHANNEL_VSOCK : channel, error);
}

char *kata_domain_xml(const kata_settings *settings, const char *sandbox_id, const char *root, uint32_t flags,
                      kata_error **err) {
  g_autoptr(GError) error = NULL;
  g_autoptr(VmConfig) config = NULL;
  char *xml = NULL;
  if (!api_check(settings, "settings", flags, 0, &error) ||
      (config = make_config(settings, sandbox_id, root, &error)) == NULL ||
      (xml = domain_xml_build(config, &error)) == NULL)
    return api_fail_null(err, error);
  return xml;
}

static void size_for(VmConfig *config, const kata_settings *settings, const OciSpec *spec) {
  VmSize base = {config->vcpus, config->memory_mib}, limit = vm_config_get_limit(settings);
  VmDemand demand = vm_demand_of_spec(spec);
  gsize n_demands = settings_get_bool(settings, "runtime", "static_sandbox_resource_mgmt") ? 1 : 0;
  VmSize size = vm_size_sum(&base, &demand, n_demands, &limit);
  vm_config_set_size(config, settings, &size);
}

static char *build_for_bundle(VmConfig *config, const kata_settings *settings, const char *bundle, GError **error) {
  if (!api_check_argument(bundle, "bundle", error)) return NULL;
  g_autoptr(OciSpec) spec = oci_spec_load(bundle, error);
  if (spec == NULL) return NULL;
  size_for(config, settings, spec);
  return net_cards_plan(config, settings, spec, error) ? domain_xml_build(config, error) : NULL;
}

char *kata_domain_xml_for_bundle(const kata_settings *settings, const char *sandbox_id, const char *root,
                                 const char *bundle, uint32_t flags, kata_error **err) {
  g_autoptr(GError) error = NULL;
  g_autoptr(VmConfig) config = NULL;
  char *xml = NULL;
  if (!api_check(settings, "settings", flags, 0, &error) ||
      (config = make_config(settings, sandbox_id, root, &error)) == NULL ||
      (xml = build_for_bundle(config, settings, bundle, &error)) == NULL)
    return api_fail_null(err, error);
  return xml;
}
