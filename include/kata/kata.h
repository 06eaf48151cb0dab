/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * libkata: containers that each run in their own lightweight virtual machine. This header brings all others.
 *
 * Rules for every call, unless its comment says otherwise:
 * - It returns 0 or a pointer, -1 or NULL on failure; on failure what it would have returned
 *   through a ret_ parameter is untouched.
 * - err, always the last parameter: where to store an error, or NULL. It is written only on
 *   failure, and what was there before is neither read nor freed. The caller frees it with kata_error_free().
 * - flags: 0, or those named; an unknown bit is KATA_ERR_INVALID_ARGUMENT, for every call.
 * - A NULL handle, and NULL for an argument that may not be NULL, is KATA_ERR_INVALID_ARGUMENT and no crash;
 *   releasing NULL does nothing.
 * - Arguments are read during the call and stay the caller's. Text is UTF-8.
 * - Calls that reach a sandbox may also fail with KATA_ERR_NOT_FOUND (the sandbox, container or process that the handle
 *   names was deleted), KATA_ERR_UNAVAILABLE (its owner ended during the call), KATA_ERR_TIMEOUT (it does not answer) and KATA_ERR_PERMISSION_DENIED (it is another user's).
 * - Any thread may call, unless the handle's comment says otherwise. No call changes signal handlers,
 *   the working directory, the environment or another process-wide state, or writes to a stream; what it starts it
 *   also waits for, but for a sandbox's owner, which is nobody's child.
 */
#ifndef KATA_KATA_H
#define KATA_KATA_H

#include <kata/agent.h>
#include <kata/container.h>
#include <kata/context.h>
#include <kata/direct-volume.h>
#include <kata/domain.h>
#include <kata/error.h>
#include <kata/event.h>
#include <kata/oci.h>
#include <kata/pool.h>
#include <kata/process.h>
#include <kata/sandbox.h>
#include <kata/settings.h>
#include <kata/template.h>
#include <kata/version.h>

#endif
