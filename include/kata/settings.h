/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Settings: what a sandbox's virtual machine is made of. */
#ifndef KATA_SETTINGS_H
#define KATA_SETTINGS_H

#include <kata/context.h>
#include <kata/error.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * kata_settings: values by section and key, each known to kata.conf(5).
 *
 * Sections and keys are those of upstream's configuration.toml ("hypervisor.qemu",
 * "default_vcpus"); kata.conf(5) lists those understood, with type, range and default.
 * Thread rule: one thread at a time. Since: 0.1
 */
typedef struct kata_settings kata_settings;

/**
 * kata_settings_new: every key at its default.
 * @flags: 0.
 * Returns: settings to be released with kata_settings_unref(), or NULL. Since: 0.1
 */
kata_settings *kata_settings_new(uint32_t flags, kata_error **err);

/** kata_settings_ref: one more holder. Returns @settings. Since: 0.1 */
kata_settings *kata_settings_ref(kata_settings *settings);

/** kata_settings_unref: one holder less. @settings: may be NULL. Since: 0.1 */
void kata_settings_unref(kata_settings *settings);

/**
 * kata_settings_load_file: takes over what a file says; keys it does not name keep their value. Keys of upstream's that
 * have no effect here are no error: kata_settings_describe() tells them. Drop-ins beside the file are not read.
 * @path: the file, of at most 1 MiB.
 * @flags: 0.
 * Returns: 0, or -1 and nothing has changed.
 * Errors: KATA_ERR_CONFIG naming file, line, key and what is allowed; KATA_ERR_NOT_FOUND and
 * KATA_ERR_PERMISSION_DENIED for the file. Since: 0.1
 */
int kata_settings_load_file(kata_settings *settings, const char *path, uint32_t flags, kata_error **err);

/**
 * kata_context_load_settings: what a sandbox of this context would get: the defaults, the settings file, its drop-ins.
 * @flags: 0.
 * Returns: settings to be released with kata_settings_unref(), or NULL.
 * Errors: those of kata_settings_load_file(); a missing file is one only if it was chosen with
 * kata_context_set_config_file() or KATA_CONFIG. Since: 0.1
 */
kata_settings *kata_context_load_settings(const kata_context *ctx, uint32_t flags, kata_error **err);

/**
 * kata_settings_load_annotations: takes over what the annotations io.katacontainers.config.* of a bundle's config.json
 * ask for, as kata-annotations(7) has it. Of section [hypervisor.qemu] they may set the keys that enable_annotations of
 * @settings names: load the file before. kernel_params are added, all else replaces what was there.
 * @bundle: the bundle's directory.
 * @flags: 0.
 * Returns: 0, also if there are no such annotations, or -1 and nothing has changed.
 * Errors: KATA_ERR_CONFIG naming the annotation and what is wrong with it; those of reading config.json:
 * KATA_ERR_NOT_FOUND, KATA_ERR_PERMISSION_DENIED, KATA_ERR_INVALID_ARGUMENT. Since: 0.1
 */
int kata_settings_load_annotations(kata_settings *settings, const char *bundle, uint32_t flags, kata_error **err);

/**
 * kata_settings_set: sets one key.
 * @section: such as "hypervisor.qemu".
 * @key: such as "default_vcpus".
 * @value: as it would stand in kata.conf: 4, true, "text", ["a", "b"]; a text has its quotes.
 * Returns: 0, or -1 and nothing has changed.
 * Errors: KATA_ERR_CONFIG naming the key and what is allowed. Since: 0.1
 */
int kata_settings_set(kata_settings *settings, const char *section, const char *key, const char *value,
                      kata_error **err);

/**
 * kata_settings_get: one key's value, written as in kata.conf.
 * @section, @key: as for kata_settings_set().
 * Returns: text to be released with kata_free(), or NULL. Errors: KATA_ERR_CONFIG for an unknown key. Since: 0.1
 */
char *kata_settings_get(const kata_settings *settings, const char *section, const char *key, kata_error **err);

/**
 * kata_settings_to_text: every key that a file or kata_settings_set() has named, in the form of kata.conf.
 * @settings: may be NULL.
 * Returns: text to be released with kata_free(), "" if none was named. Since: 0.1
 */
char *kata_settings_to_text(const kata_settings *settings);

/**
 * kata_settings_describe: every setting there is, with its value and where that is from.
 * @flags: 0.
 * Returns: JSON, an object with "settings", an array of {"section", "key", "value", "default", "source", "allowed",
 * "meaning"}: source: "default", "FILE:LINE", "annotation NAME", or "caller" for kata_settings_set(); allowed: what the
 * key takes, in words; and with "ignored", an array of {"section", "key", "source", "why"}: keys of upstream's that
 * files name and that have no effect here. Members may be added. To be released with kata_free(). NULL on error.
 * Errors: KATA_ERR_INVALID_ARGUMENT. Since: 0.1
 */
char *kata_settings_describe(const kata_settings *settings, uint32_t flags, kata_error **err);

/**
 * kata_context_describe: all that a new sandbox would meet, for people and for reports of faults. Asks the owner
 * program, the hypervisor and virtiofsd for their versions.
 * @settings: those of the sandbox; NULL: the context's, kata_context_load_settings().
 * @flags: 0.
 * Returns: JSON, an object with "versions" ("libkata", "owner", "libvirt", "hypervisor", "virtio_fs_daemon": what each
 * says of itself, or "unknown: " and why), "guest" ("kernel" and "initrd": "path", "exists", "bytes", "modified", and
 * the kernel's "version"), "host" ("kernel", "machine", "system", "cpus", "memory_mib", and "checks" as
 * kata_host_check()), "root", "config_file", and the members of kata_settings_describe(). Members may be added. To be
 * released with kata_free(). NULL on error. Errors: those of kata_context_load_settings(). Since: 0.1
 */
char *kata_context_describe(kata_context *ctx, const kata_settings *settings, uint32_t flags, kata_error **err);

#ifdef __cplusplus
}
#endif

#endif
