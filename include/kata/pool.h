/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The pool: guests that stand by, which sandboxes to come take over at once. */
#ifndef KATA_POOL_H
#define KATA_POOL_H

#include <kata/context.h>
#include <kata/error.h>
#include <kata/settings.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * kata_pool_fill: lets as many guests stand by as the setting factory.vm_cache_number says, and ends those of another
 * configuration. Each starts from a template (kata_template_create()), which is made if there is none. When a sandbox
 * has taken one over, another is made in the background. Takes as long as the starts of the guests it makes.
 * @ctx: the context, whose owner program does it.
 * @settings: set over those of the context's settings file, or NULL.
 * @flags: 0.
 * @ret_made: how many it has made; may be NULL.
 * @ret_ready: how many stand by now; may be NULL.
 * Returns: 0 or -1; after an error those made before it stand by.
 * Errors: KATA_ERR_CONFIG when the settings allow no guest to stand by; then none does any more;
 * KATA_ERR_RESOURCE_EXHAUSTED when less than a quarter of the host's
 * memory would be left; those of kata_template_create(). Since: 0.1
 */
int kata_pool_fill(kata_context *ctx, const kata_settings *settings, uint32_t flags, uint32_t *ret_made,
                   uint32_t *ret_ready, kata_error **err);

/**
 * kata_pool_list: the guests that stand by, of the pool that belongs to the setting factory.template_path.
 * @ctx: the context.
 * @settings: as for kata_pool_fill().
 * @flags: 0.
 * Returns: JSON, an array of {"name", "template": the key of the one it is from, "pid": QEMU's process, "made_at": RFC
 * 3339}, to be released with kata_free(), or NULL. Errors: KATA_ERR_CONFIG. Since: 0.1
 */
char *kata_pool_list(kata_context *ctx, const kata_settings *settings, uint32_t flags, kata_error **err);

/**
 * kata_pool_empty: ends all guests that stand by; those that sandboxes have taken are theirs. As long as the setting
 * is not 0, the start of the next sandbox has others made.
 * @ctx: the context.
 * @settings: as for kata_pool_fill().
 * @flags: 0.
 * @ret_removed: how many; may be NULL.
 * Returns: 0 or -1. Errors: KATA_ERR_CONFIG, KATA_ERR_PERMISSION_DENIED. Since: 0.1
 */
int kata_pool_empty(kata_context *ctx, const kata_settings *settings, uint32_t flags, uint32_t *ret_removed,
                    kata_error **err);

#ifdef __cplusplus
}
#endif

#endif
