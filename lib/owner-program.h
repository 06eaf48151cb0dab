/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the owner program does beside owning a sandbox: it is called with a flag and a word, and answers with JSON. */
#pragma once

#include <json-c/json.h>

#include "lib/context.h"

/* "OWNER FLAG WORD", with the settings of the context's file and those of overrides (or NULL) over them. It dies with
 * the calling thread. The answer, which is the caller's, is of this type. */
struct json_object *owner_program_ask(const kata_context *ctx, const kata_settings *overrides, const char *flag,
                                      const char *word, json_type type, GError **error);

/* From what it wrote to its standard error, whose last line may be "code=NAME"; status: waitpid(2)'s. */
void owner_program_set_error(const char *program, const char *words, int status, GError **error);
