// SPDX-License-Identifier: LGPL-2.1-or-later
#include "shim/checkpoint.h"

#include <errno.h>
#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/error.h"
#include "common/protobuf-json.h"
#include "common/safe-path.h"
#include "lib/domain-xml-disk.h"
#include "lib/vm-config.h"
#include "shim/disk-image.h"
#include "shim/store.h"

#define VERSION 1
#define DOCUMENT "checkpoint.json"
#define MACHINE "machine"
#define DOCUMENT_LIMIT (64u << 20)

static char *disk_path(const char *directory, guint port) {
  g_autofree char *name = g_strdup_printf("disk-%u", port);
  return g_build_filename(directory, name, NULL);
}

/* ---- what can be saved ---- */

static gboolean has_network(const Sandbox *sandbox) {
  if (sandbox->net == NULL) return FALSE;
  Kata__V1__NetworkState *state = net_to_state(sandbox->net);
  gboolean has_links = state != NULL && state->n_links > 0;
  if (state != NULL) protobuf_c_message_free_unpacked(&state->base, NULL);
  return has_links;
}

static const char *find_exec(Container *container) {
  g_autoptr(GPtrArray) processes = container_get_processes(container);
  for (guint i = 0; i < processes->len; i++)
    if (processes->pdata[i] != container->init && process_get_status(processes->pdata[i]) == PROCESS_RUNNING)
      return process_get_exec_id(processes->pdata[i]);
  return NULL;
}

static gboolean check_possible(Sandbox *sandbox, Container *container, GError **error) {
  const char *exec_id = find_exec(container);
  const char *reason = NULL;
  if (sandbox->share != NULL)
    reason =
        "its files are on virtio-fs, and QEMU cannot save a machine that has a virtio-fs device; set "
        "hypervisor.qemu.shared_fs = \"none\" and give the root file system as a block device or an image";
  else if (sandbox_count_containers(sandbox) != 1)
    reason = "it shares its machine with other containers, and only a machine as a whole can be saved";
  else if (has_network(sandbox))
    reason =
        "it has network interfaces, which another host or namespace would not have; use a network namespace "
        "without any";
  else if (exec_id != NULL)
    reason = "a process that was executed in it still runs; end it first";
  if (reason == NULL) return TRUE;
  g_set_error(error, KATA_ERROR, KATA_ERR_UNSUPPORTED, "cannot checkpoint container '%s': %s%s%s%s",
              container->info->id, reason, exec_id != NULL ? " (" : "", exec_id != NULL ? exec_id : "",
              exec_id != NULL ? ")" : "");
  return FALSE;
}

/* ---- saving ---- */

static gboolean save_machine(Sandbox *sandbox, Container *container, const char *directory, GError **error) {
  g_autofree char *path = g_build_filename(directory, MACHINE, NULL);
  g_autoptr(GPtrArray) targets = g_ptr_array_new_with_free_func(g_free);
  for (guint i = 0; i < container->disks->len; i++)
    g_ptr_array_add(targets, domain_xml_disk_target(((const Kata__V1__DiskState *)container->disks->pdata[i])->port));
  g_ptr_array_add(targets, NULL);
  return vm_save_copy(sandbox->vm, path, (const char *const *)targets->pdata, error);
}

static gboolean save_disks(Sandbox *sandbox, Container *container, const char *directory,
                           Kata__V1__Checkpoint *checkpoint, GError **error) {
  checkpoint->disks = calloc(container->disks->len + 1, sizeof *checkpoint->disks);
  for (guint i = 0; i < container->disks->len; i++) {
    const Kata__V1__DiskState *disk = container->disks->pdata[i];
    const BlockSource *source = disks_get(sandbox->disks, disk->port);
    if (source == NULL || block_source_is_read_only(source)) continue;
    g_autofree char *path = disk_path(directory, disk->port);
    g_autofree char *sha256 = NULL;
    guint64 bytes = 0;
    if (!disk_image_save(block_source_get_node(source), path, &bytes, &sha256, error)) return FALSE;
    Kata__V1__CheckpointDisk *saved = calloc(1, sizeof *saved);
    kata__v1__checkpoint_disk__init(saved);
    saved->port = disk->port;
    saved->bytes = bytes;
    saved->sha256 = strdup(sha256);
    checkpoint->disks[checkpoint->n_disks++] = saved;
  }
  return TRUE;
}

static gboolean write_document(const char *directory, const Kata__V1__Checkpoint *checkpoint, GError **error) {
  g_autofree char *path = g_build_filename(directory, DOCUMENT, NULL);
  struct json_object *json = protobuf_to_json(&checkpoint->base, PROTOBUF_JSON_PROTO);
  gboolean is_written =
      safe_write_file(path, json_object_to_json_string_ext(json, JSON_C_TO_STRING_PLAIN), -1, 0600, TRUE, error);
  json_object_put(json);
  return is_written;
}

/* While the guest stands still, so that its memory and its disks are of one moment. */
static gboolean save_still(Sandbox *sandbox, Container *container, const char *directory, GError **error) {
  Kata__V1__Checkpoint *checkpoint = calloc(1, sizeof *checkpoint);
  kata__v1__checkpoint__init(checkpoint);
  checkpoint->version = VERSION;
  checkpoint->directory = strdup(sandbox->dir);
  checkpoint->sandbox = store_describe(sandbox);
  /* Last: whoever finds it finds the rest whole. */
  gboolean is_saved = save_machine(sandbox, container, directory, error) &&
                      save_disks(sandbox, container, directory, checkpoint, error) &&
                      write_document(directory, checkpoint, error);
  protobuf_c_message_free_unpacked(&checkpoint->base, NULL);
  return is_saved;
}

static gboolean save_suspended(Sandbox *sandbox, Container *container, const char *directory, gboolean leave_running,
                               GError **error) {
  if (sandbox->vm == NULL) {
    g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_STATE, "the guest of sandbox '%s' has ended", sandbox->id);
    return FALSE;
  }
  if (!vm_suspend(sandbox->vm, error)) return FALSE;
  gboolean is_saved = save_still(sandbox, container, directory, error);
  if (is_saved && !leave_running) return TRUE;
  g_autoptr(GError) why = NULL;
  if (vm_resume(sandbox->vm, &why)) return is_saved;
  g_warning("%s", why->message);
  if (is_saved) g_propagate_error(error, g_steal_pointer(&why));
  return FALSE;
}

gboolean checkpoint_save(Sandbox *sandbox, Container *container, const char *directory, gboolean leave_running,
                         GError **error) {
  if (!safe_path_check(directory, "image directory", error) || !sandbox_check_running(sandbox, error) ||
      !check_possible(sandbox, container, error))
    return FALSE;
  g_autofree char *document = g_build_filename(directory, DOCUMENT, NULL);
  if (g_mkdir_with_parents(directory, 0700) < 0 || (unlink(document) < 0 && errno != ENOENT)) {
    error_set_errno(error, errno, "cannot write a checkpoint to '%s'", directory);
    return FALSE;
  }
  g_mutex_lock(&sandbox->resizing);
  gboolean is_saved = save_suspended(sandbox, container, directory, leave_running, error);
  g_mutex_unlock(&sandbox->resizing);
  if (!is_saved) g_prefix_error(error, "cannot checkpoint container '%s': ", container->info->id);
  return is_saved;
}

/* ---- reading ---- */

static gboolean check_document(const Kata__V1__Checkpoint *checkpoint, const char *path, GError **error) {
  const Kata__V1__SandboxState *state = checkpoint->sandbox;
  if (checkpoint->version != VERSION) {
    g_set_error(error, KATA_ERROR, KATA_ERR_UNSUPPORTED, "'%s' has version %u, this program knows %d", path,
                checkpoint->version, VERSION);
    return FALSE;
  }
  gboolean makes_sense = state != NULL && state->n_containers == 1 && state->containers[0]->info != NULL &&
                         state->containers[0]->init != NULL && g_path_is_absolute(checkpoint->directory);
  for (size_t i = 0; makes_sense && i < state->containers[0]->n_disks; i++)
    makes_sense = state->containers[0]->disks[i]->port < VM_CONFIG_PORTS_MAX;
  if (!makes_sense)
    g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT, "'%s' is damaged: parts are missing", path);
  return makes_sense;
}

Kata__V1__Checkpoint *checkpoint_load(const char *directory, GError **error) {
  g_autofree char *path = g_build_filename(directory, DOCUMENT, NULL);
  g_autofree char *text = safe_read_file(path, DOCUMENT_LIMIT, NULL, error);
  struct json_object *json = text != NULL ? json_tokener_parse(text) : NULL;
  Kata__V1__Checkpoint *checkpoint =
      json != NULL ? (Kata__V1__Checkpoint *)protobuf_from_json(json, &kata__v1__checkpoint__descriptor,
                                                                PROTOBUF_JSON_PROTO, path, error)
                   : NULL;
  if (text != NULL && json == NULL)
    g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT, "'%s' is damaged: it is not JSON", path);
  if (json != NULL) json_object_put(json);
  if (checkpoint == NULL || check_document(checkpoint, path, error)) return checkpoint;
  protobuf_c_message_free_unpacked(&checkpoint->base, NULL);
  return NULL;
}

gboolean checkpoint_check(const Kata__V1__Checkpoint *checkpoint, Sandbox *sandbox, GError **error) {
  const Kata__V1__SandboxState *state = checkpoint->sandbox;
  const char *reason = NULL;
  if (strcmp(settings_get_string(sandbox->settings, "hypervisor.qemu", "shared_fs"), "none") != 0)
    reason = "it needs the setting hypervisor.qemu.shared_fs = \"none\", as when it was saved";
  else if (state->uses_kvm != (sandbox->accelerator == ACCELERATOR_KVM))
    reason = state->uses_kvm ? "it was saved with KVM, which is not used here" : "it was saved without KVM";
  else if (state->uses_vsock != (sandbox->channel == CHANNEL_VSOCK))
    reason = state->uses_vsock ? "its agent is reached by vsock, which is not used here"
                               : "its agent is reached by a serial port, which is not used here";
  if (reason == NULL) return TRUE;
  g_set_error(error, KATA_ERROR, KATA_ERR_UNSUPPORTED, "cannot restore the checkpoint: %s", reason);
  return FALSE;
}

/* ---- restoring ---- */

/* What the machine has below its sandbox's directory is below another one's now. */
static char *move_paths(const char *xml, const char *from, const char *to, guint32 old_cid, guint32 new_cid) {
  g_autofree char *old = g_markup_printf_escaped("%s/", from);
  g_autofree char *new = g_markup_printf_escaped("%s/", to);
  GString *text = g_string_new(xml);
  g_string_replace(text, old, new, 0);
  g_autofree char *old_address = g_strdup_printf("<cid auto='no' address='%u'/>", old_cid);
  g_autofree char *new_address = g_strdup_printf("<cid auto='no' address='%u'/>", new_cid);
  if (old_cid != 0) g_string_replace(text, old_address, new_address, 0);
  return g_string_free(text, FALSE);
}

gboolean checkpoint_restore_disks(const Restoring *restoring, Disks *disks, GError **error) {
  for (size_t i = 0; i < restoring->checkpoint->n_disks; i++) {
    const Kata__V1__CheckpointDisk *saved = restoring->checkpoint->disks[i];
    const BlockSource *source = disks_get(disks, saved->port);
    g_autofree char *path = disk_path(restoring->directory, saved->port);
    if (source != NULL && disk_image_restore(path, block_source_get_node(source), saved->bytes, saved->sha256, error))
      continue;
    if (source == NULL)
      g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT, "there is no disk for port %u", saved->port);
    g_prefix_error(error, "cannot restore the checkpoint: ");
    return FALSE;
  }
  return TRUE;
}

gboolean checkpoint_restore_machine(Sandbox *sandbox, GError **error) {
  Restoring *restoring = sandbox->restoring;
  if (has_network(sandbox)) {
    g_set_error(
        error, KATA_ERROR, KATA_ERR_UNSUPPORTED,
        "cannot restore the checkpoint: the network namespace has interfaces, and the machine that was saved has "
        "none");
    return FALSE;
  }
  g_autofree char *path = g_build_filename(restoring->directory, MACHINE, NULL);
  g_autofree char *saved_xml = vm_read_saved_xml(sandbox->vm, path, error);
  if (saved_xml == NULL || !restoring->prepare_disks(restoring, sandbox->disks, error)) return FALSE;
  sandbox->domain_xml = move_paths(saved_xml, restoring->checkpoint->directory, sandbox->dir,
                                   restoring->checkpoint->sandbox->vsock_cid, sandbox->vsock_cid);
  return vm_restore(sandbox->vm, path, VM_CONFIG_NAME, sandbox->domain_xml, error) && vm_resume(sandbox->vm, error);
}
