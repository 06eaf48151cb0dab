/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Errors of libkata: a code for programs, a text for people. */
#ifndef KATA_ERROR_H
#define KATA_ERROR_H

#ifdef __cplusplus
extern "C" {
#endif

/**
 * kata_error_code: what kind of failure it was.
 *
 * Values never change; new ones are added at the end.
 * Since: 0.1
 */
typedef enum kata_error_code {
  KATA_ERR_NONE = 0,
  KATA_ERR_INTERNAL = 1,            /* a fault of libkata itself */
  KATA_ERR_INVALID_ARGUMENT = 2,    /* a bad argument, flag, id, bundle or document */
  KATA_ERR_NOT_FOUND = 3,           /* no such sandbox, container, process or file */
  KATA_ERR_ALREADY_EXISTS = 4,      /* the id is in use */
  KATA_ERR_INVALID_STATE = 5,       /* right call, wrong moment */
  KATA_ERR_PERMISSION_DENIED = 6,   /* the host refused */
  KATA_ERR_UNSUPPORTED = 7,         /* not built in, or not possible here */
  KATA_ERR_TIMEOUT = 8,             /* it took longer than allowed */
  KATA_ERR_UNAVAILABLE = 9,         /* the peer is gone: owner, guest or agent */
  KATA_ERR_RESOURCE_EXHAUSTED = 10, /* a limit was reached: size, disk, memory */
  KATA_ERR_IO = 11,                 /* a system call failed */
  KATA_ERR_CONFIG = 12,             /* a settings file or key is wrong */
  KATA_ERR_HOST = 13,               /* the host lacks something a guest needs */
  KATA_ERR_GUEST = 14,              /* the guest did not come up, or died */
  KATA_ERR_CANCELLED = 15           /* given up at the caller's wish */
} kata_error_code;

/**
 * kata_error: an error. Opaque; made by libkata, freed by the caller with kata_error_free().
 * Thread rule: it never changes; any thread may read it until it is freed. Since: 0.1
 */
typedef struct kata_error kata_error;

/**
 * kata_error_get_code: the kind of failure.
 * @err: an error, or NULL (then KATA_ERR_NONE is returned). Since: 0.1
 */
kata_error_code kata_error_get_code(const kata_error *err);

/**
 * kata_error_get_message: one line saying what was tried, on what, and why it failed.
 * Starts in lower case and has no full stop, so that it can stand after "PROGRAM: ".
 * @err: an error, or NULL (then "no error" is returned).
 * Returns: text owned by @err. Since: 0.1
 */
const char *kata_error_get_message(const kata_error *err);

/**
 * kata_error_get_detail: what others said: libvirt's, QEMU's or the agent's own words, the
 * last lines of the guest's console; may be several lines.
 * @err: an error, or NULL.
 * Returns: text owned by @err, "" when there is none. Since: 0.1
 */
const char *kata_error_get_detail(const kata_error *err);

/**
 * kata_error_code_name: the code as a word, such as "not-found".
 * @code: any value.
 * Returns: static text; "unknown" for a value this library does not know. Since: 0.1
 */
const char *kata_error_code_name(kata_error_code code);

/**
 * kata_error_free: releases an error.
 * @err: an error, or NULL. Since: 0.1
 */
void kata_error_free(kata_error *err);

#ifdef __cplusplus
}
#endif

#endif
