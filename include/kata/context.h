/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The context: where sandboxes live on this host and which program owns them. */
#ifndef KATA_CONTEXT_H
#define KATA_CONTEXT_H

#include <kata/error.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * kata_context: a root directory of sandboxes and how to start new ones.
 *
 * Thread rule for the whole object: any thread may use it, several at once; the set functions
 * before it is shared. It holds no descriptor, thread or process, so it may be used after fork().
 * Since: 0.1
 */
typedef struct kata_context kata_context;

/**
 * kata_context_new: makes a context with the defaults: root /run/kata, settings from
 * /etc/kata/kata.conf and /etc/kata/conf.d, the owner program libkata was built with.
 * The environment variables KATA_ROOT, KATA_CONFIG and KATA_OWNER stand in for the defaults, but
 * not in a program that runs with more rights than its user (secure_getenv(3)).
 * @flags: 0.
 * @err: where to store an error, or NULL.
 * Returns: a context to be released with kata_context_unref(), or NULL.
 * Errors: KATA_ERR_INVALID_ARGUMENT for a variable that is no absolute path. Since: 0.1
 */
kata_context *kata_context_new(uint32_t flags, kata_error **err);

/** kata_context_ref: one more holder. Returns @ctx. Since: 0.1 */
kata_context *kata_context_ref(kata_context *ctx);

/** kata_context_unref: one holder less; the last one frees. @ctx: may be NULL. Since: 0.1 */
void kata_context_unref(kata_context *ctx);

/**
 * kata_context_set_root: keeps sandboxes below another directory; contexts with different
 * roots see nothing of each other.
 * @path: absolute, not "/", at most 48 bytes (unix socket paths hold 107 bytes, sun_path of
 * unix(7), and the sockets of a sandbox, libvirt's among them, lie up to 57 bytes below the root); copied.
 * Returns: 0, or -1 with KATA_ERR_INVALID_ARGUMENT. Since: 0.1
 */
int kata_context_set_root(kata_context *ctx, const char *path, kata_error **err);

/** kata_context_get_root: the root directory. Returns: text owned by @ctx. Since: 0.1 */
const char *kata_context_get_root(const kata_context *ctx);

/**
 * kata_context_set_config_file: reads settings from this file instead of the default one.
 * @path: absolute; copied. It is read, with the *.conf files of conf.d beside it, when a sandbox is created, and must
 * be there then.
 * Returns: 0, or -1 with KATA_ERR_INVALID_ARGUMENT. Since: 0.1
 */
int kata_context_set_config_file(kata_context *ctx, const char *path, kata_error **err);

/** kata_context_get_config_file: the settings file. Returns: text owned by @ctx. Since: 0.1 */
const char *kata_context_get_config_file(const kata_context *ctx);

/**
 * kata_context_set_owner_program: starts sandboxes with this program instead of the built-in
 * containerd-shim-kata-v2.
 * @path: absolute; copied.
 * Returns: 0, or -1 with KATA_ERR_INVALID_ARGUMENT. Since: 0.1
 */
int kata_context_set_owner_program(kata_context *ctx, const char *path, kata_error **err);

/**
 * kata_host_check: looks whether this host has all that a guest with the context's settings needs: hypervisor,
 * accelerator, guest image, file sharing, rights. Starts nothing.
 * @flags: 0.
 * Returns: JSON, an array of {"name", "ok", "warning", "text", "remedy"}: ok false: no guest can run; warning true: it
 * can, but; text: what was found; remedy: what to do, "" if nothing. To be released with kata_free(). NULL on error.
 * Errors: KATA_ERR_CONFIG, KATA_ERR_INVALID_ARGUMENT. Since: 0.1
 */
char *kata_host_check(kata_context *ctx, uint32_t flags, kata_error **err);

/** kata_free: releases text that libkata returned. @memory: may be NULL. Since: 0.1 */
void kata_free(void *memory);

/** kata_strv_free: releases a NULL-terminated array of texts. @array: may be NULL. Since: 0.1 */
void kata_strv_free(char **array);

#ifdef __cplusplus
}
#endif

#endif
