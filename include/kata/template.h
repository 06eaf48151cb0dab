/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Templates: guests that have booted and were saved, from which the guests of sandboxes start. */
#ifndef KATA_TEMPLATE_H
#define KATA_TEMPLATE_H

#include <kata/context.h>
#include <kata/error.h>
#include <kata/settings.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * kata_template_create: boots a guest, saves it once its agent is ready, and ends it. Sandboxes of the same
 * configuration then start from it unless the setting factory.enable_template is off; with that on the first sandbox
 * has it made in the background, so this is for who does not want to wait for that. Takes as long as a guest's start,
 * and as what others make at the same time.
 * @ctx: the context, whose owner program does it.
 * @settings: set over those of the context's settings file, or NULL; factory.template_path says where it is kept.
 * @flags: 0.
 * @ret_is_new: 0 if there was such a template already, else 1; may be NULL.
 * Returns: the template's key, text to be released with kata_free(), or NULL and nothing is left.
 * Errors: KATA_ERR_CONFIG; KATA_ERR_UNSUPPORTED when the agent's channel is not 'serial' or the configuration cannot be
 * saved; KATA_ERR_PERMISSION_DENIED when others could write to the directory; those of kata_sandbox_start(). Since: 0.1
 */
char *kata_template_create(kata_context *ctx, const kata_settings *settings, uint32_t flags, int *ret_is_new,
                           kata_error **err);

/**
 * kata_template_list: the templates there are, of every configuration.
 * @ctx: the context.
 * @settings: as for kata_template_create().
 * @flags: 0.
 * Returns: JSON, an array of {"key", "bytes": its size, "used_at": when a guest last started from it, or it was made,
 * RFC 3339}, and of {"key", "failed_at", "why"} for those that could not be made or started from, to be released with
 * kata_free(), or NULL. Errors: KATA_ERR_CONFIG. Since: 0.1
 */
char *kata_template_list(kata_context *ctx, const kata_settings *settings, uint32_t flags, kata_error **err);

/**
 * kata_template_remove: removes all templates, and forgets what failed. Guests that started from one go on.
 * @ctx: the context.
 * @settings: as for kata_template_create().
 * @flags: 0.
 * Returns: the keys of those removed, a NULL-terminated array to be released with kata_strv_free(), or NULL.
 * Errors: KATA_ERR_CONFIG, KATA_ERR_PERMISSION_DENIED. Since: 0.1
 */
char **kata_template_remove(kata_context *ctx, const kata_settings *settings, uint32_t flags, kata_error **err);

#ifdef __cplusplus
}
#endif

#endif
