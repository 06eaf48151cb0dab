/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What every public call begins and ends with. */
#pragma once

#include <glib.h>
#include <stdint.h>

#include "kata/error.h"

/* A NULL handle and an unknown flag are errors of the caller. what names the handle. */
gboolean api_check(const void *handle, const char *what, uint32_t flags, uint32_t known_flags, GError **error);
gboolean api_check_argument(const void *argument, const char *name, GError **error);

/* Gives the caller his error: the first line is the message, the rest the detail. err: may be NULL. */
int api_fail(kata_error **err, const GError *error);
void *api_fail_null(kata_error **err, const GError *error);

/* JSON as the caller gets it; json is released. */
struct json_object;
char *api_take_json(struct json_object *json);

/* The code with this name; KATA_ERR_NONE if there is none. */
kata_error_code api_code_from_name(const char *name);
