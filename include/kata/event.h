/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Events: what happens to the containers of a sandbox, one after the other, for programs with a loop of their own. */
#ifndef KATA_EVENT_H
#define KATA_EVENT_H

#include <kata/error.h>
#include <kata/sandbox.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * kata_events: a row of events, and a descriptor that tells when there is one. It holds a connection to the sandbox's
 * owner; no thread.
 * Thread rule: one thread at a time; not to be used after fork(). Since: 0.1
 */
typedef struct kata_events kata_events;

/**
 * kata_events_open: events of a sandbox's containers.
 * @after: the number of the last event that is known already; 0: from the oldest one that is remembered (at least the
 * last 256 of the sandbox).
 * @flags: 0.
 * Returns: events to be released with kata_events_unref(), or NULL. Errors: KATA_ERR_NOT_FOUND. Since: 0.1
 */
kata_events *kata_events_open(kata_sandbox *sandbox, uint64_t after, uint32_t flags, kata_error **err);

/** kata_events_ref: one more holder. Returns @events. Since: 0.1 */
kata_events *kata_events_ref(kata_events *events);

/** kata_events_unref: one holder less; the last one closes. @events: may be NULL. Since: 0.1 */
void kata_events_unref(kata_events *events);

/**
 * kata_events_get_fd: for poll(2): readable (POLLIN) when kata_events_next() should be called; it may then still have
 * nothing to tell.
 * Returns: a descriptor owned by @events, the same for its whole life; -1 for NULL. Not to be read, written or closed.
 * Since: 0.1
 */
int kata_events_get_fd(const kata_events *events);

/** KATA_EVENTS_NEXT_DONT_WAIT: KATA_ERR_TIMEOUT at once if there is no event. Since: 0.1 */
#define KATA_EVENTS_NEXT_DONT_WAIT (1u << 0)

/**
 * kata_events_next: waits for the next event. When the owner is replaced meanwhile, goes on with the new one.
 * @timeout_ms: in milliseconds; 0: no limit.
 * @flags: 0 or KATA_EVENTS_NEXT_DONT_WAIT.
 * Returns: JSON, an object with number (rises from event to event), type ("start", "exit", "oom": a process was killed
 * for want of memory, "pause", "resume"), container (its id), time (RFC 3339) and, of "exit", exit_status; to be
 * released with kata_free(). NULL on error.
 * Errors: KATA_ERR_TIMEOUT; KATA_ERR_NOT_FOUND when the sandbox was deleted. Since: 0.1
 */
char *kata_events_next(kata_events *events, uint32_t timeout_ms, uint32_t flags, kata_error **err);

#ifdef __cplusplus
}
#endif

#endif
