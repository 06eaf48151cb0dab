/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Errors inside the project: a GError of domain KATA_ERROR whose code is a
 * kata_error_code. The first line of the message is the message, lines after it
 * are the detail (other programs' words); lib/error.c parts them for callers.
 */
#pragma once

#include <glib.h>

#include "kata/error.h"

#define KATA_ERROR (kata_error_domain())
GQuark kata_error_domain(void);

/* The code that fits an errno best. */
kata_error_code error_code_from_errno(int errnum);

/* Sets an error from errno: the formatted text, then ": " and what errno means. */
void error_set_errno(GError **error, int errnum, const char *format, ...) G_GNUC_PRINTF(3, 4);

/* Adds lines to an error's detail; NULL or empty text adds nothing. */
void error_append_detail(GError *error, const char *detail);

/* Text from outside made fit for a message: control characters and what is not UTF-8 are escaped as \xNN, and it is
 * cut after ERROR_TEXT_MAX bytes. NULL gives "". */
#define ERROR_TEXT_MAX 256
char *error_clean_text(const char *text);

/* The kata_error_code of any GError: domain KATA_ERROR as it is, G_FILE_ERROR by its meaning, others INTERNAL. */
kata_error_code error_get_code(const GError *error);

/* How an error crosses ttRPC (gRPC status codes, common/ttrpc.h), and back. */
int error_to_rpc_code(const GError *error);
kata_error_code error_code_from_rpc(int rpc_code);
