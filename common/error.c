// SPDX-License-Identifier: LGPL-2.1-or-later
#include "error.h"

#include <errno.h>
#include <string.h>

#include "ttrpc.h"

GQuark kata_error_domain(void) { return g_quark_from_static_string("kata-error-quark"); }

kata_error_code error_code_from_errno(int errnum) {
  switch (errnum) {
    case ENOENT:
    case ESRCH:
    case ENODEV:
    case ENXIO:
      return KATA_ERR_NOT_FOUND;
    case EEXIST:
      return KATA_ERR_ALREADY_EXISTS;
    case EACCES:
    case EPERM:
    case EROFS:
      return KATA_ERR_PERMISSION_DENIED;
    case EINVAL:
    case ENAMETOOLONG:
    case ENOTDIR:
    case EISDIR:
    case ELOOP:
      return KATA_ERR_INVALID_ARGUMENT;
    case ETIMEDOUT:
    case ETIME:
      return KATA_ERR_TIMEOUT;
    case ENOSPC:
    case EDQUOT:
    case ENOMEM:
    case EMFILE:
    case ENFILE:
      return KATA_ERR_RESOURCE_EXHAUSTED;
    case EPIPE:
    case ECONNRESET:
    case ECONNREFUSED:
    case ENOTCONN:
      return KATA_ERR_UNAVAILABLE;
    case ENOSYS:
    case EOPNOTSUPP:
      return KATA_ERR_UNSUPPORTED;
    default:
      return KATA_ERR_IO;
  }
}

void error_set_errno(GError **error, int errnum, const char *format, ...) {
  va_list args;
  va_start(args, format);
  g_autofree char *text = g_strdup_vprintf(format, args);
  va_end(args);
  g_set_error(error, KATA_ERROR, error_code_from_errno(errnum), "%s: %s", text, g_strerror(errnum));
}

void error_append_detail(GError *error, const char *detail) {
  if (error == NULL || detail == NULL || *detail == '\0') return;
  char *joined = g_strconcat(error->message, "\n", detail, NULL);
  g_free(error->message);
  error->message = joined;
}

char *error_clean_text(const char *text) {
  GString *clean = g_string_new(NULL);
  gsize length = text != NULL ? strnlen(text, ERROR_TEXT_MAX + 1) : 0;
  gboolean is_cut = length > ERROR_TEXT_MAX;
  const char *end = text + (is_cut ? ERROR_TEXT_MAX : length);
  for (const char *at = text; at < end;) {
    gunichar character = g_utf8_get_char_validated(at, end - at);
    /* A character that the cut split is not an error of the text. */
    if (is_cut && character == (gunichar)-2) break;
    if (character == (gunichar)-1 || character == (gunichar)-2 || character == 0 || g_unichar_iscntrl(character)) {
      g_string_append_printf(clean, "\\x%02x", (guchar)*at++);
    } else {
      g_string_append_unichar(clean, character);
      at = g_utf8_next_char(at);
    }
  }
  if (is_cut) g_string_append(clean, "...");
  return g_string_free(clean, FALSE);
}

kata_error_code error_get_code(const GError *error) {
  if (error == NULL) return KATA_ERR_NONE;
  if (error->domain == KATA_ERROR) return (kata_error_code)error->code;
  if (error->domain == G_FILE_ERROR) {
    switch (error->code) {
      case G_FILE_ERROR_NOENT:
        return KATA_ERR_NOT_FOUND;
      case G_FILE_ERROR_EXIST:
        return KATA_ERR_ALREADY_EXISTS;
      case G_FILE_ERROR_ACCES:
      case G_FILE_ERROR_PERM:
      case G_FILE_ERROR_ROFS:
        return KATA_ERR_PERMISSION_DENIED;
      case G_FILE_ERROR_NOSPC:
      case G_FILE_ERROR_NOMEM:
        return KATA_ERR_RESOURCE_EXHAUSTED;
      default:
        return KATA_ERR_IO;
    }
  }
  return KATA_ERR_INTERNAL;
}

int error_to_rpc_code(const GError *error) {
  switch (error_get_code(error)) {
    case KATA_ERR_NONE:
      return TTRPC_OK;
    case KATA_ERR_INVALID_ARGUMENT:
    case KATA_ERR_CONFIG:
      return TTRPC_INVALID_ARGUMENT;
    case KATA_ERR_NOT_FOUND:
      return TTRPC_NOT_FOUND;
    case KATA_ERR_ALREADY_EXISTS:
      return TTRPC_ALREADY_EXISTS;
    case KATA_ERR_INVALID_STATE:
    case KATA_ERR_HOST:
      return TTRPC_FAILED_PRECONDITION;
    case KATA_ERR_PERMISSION_DENIED:
      return TTRPC_PERMISSION_DENIED;
    case KATA_ERR_UNSUPPORTED:
      return TTRPC_UNIMPLEMENTED;
    case KATA_ERR_TIMEOUT:
      return TTRPC_DEADLINE_EXCEEDED;
    case KATA_ERR_UNAVAILABLE:
      return TTRPC_UNAVAILABLE;
    case KATA_ERR_RESOURCE_EXHAUSTED:
      return TTRPC_RESOURCE_EXHAUSTED;
    case KATA_ERR_CANCELLED:
      return TTRPC_CANCELLED;
    case KATA_ERR_GUEST:
      return TTRPC_ABORTED;
    case KATA_ERR_IO:
      return TTRPC_UNKNOWN;
    case KATA_ERR_INTERNAL:
      break;
  }
  return TTRPC_INTERNAL;
}

kata_error_code error_code_from_rpc(int rpc_code) {
  switch (rpc_code) {
    case TTRPC_OK:
      return KATA_ERR_NONE;
    case TTRPC_CANCELLED:
      return KATA_ERR_CANCELLED;
    case TTRPC_INVALID_ARGUMENT:
    case TTRPC_OUT_OF_RANGE:
      return KATA_ERR_INVALID_ARGUMENT;
    case TTRPC_DEADLINE_EXCEEDED:
      return KATA_ERR_TIMEOUT;
    case TTRPC_NOT_FOUND:
      return KATA_ERR_NOT_FOUND;
    case TTRPC_ALREADY_EXISTS:
      return KATA_ERR_ALREADY_EXISTS;
    case TTRPC_PERMISSION_DENIED:
    case TTRPC_UNAUTHENTICATED:
      return KATA_ERR_PERMISSION_DENIED;
    case TTRPC_RESOURCE_EXHAUSTED:
      return KATA_ERR_RESOURCE_EXHAUSTED;
    case TTRPC_FAILED_PRECONDITION:
      return KATA_ERR_INVALID_STATE;
    case TTRPC_ABORTED:
      return KATA_ERR_GUEST;
    case TTRPC_UNIMPLEMENTED:
      return KATA_ERR_UNSUPPORTED;
    case TTRPC_UNAVAILABLE:
      return KATA_ERR_UNAVAILABLE;
    case TTRPC_UNKNOWN:
      return KATA_ERR_IO;
    default:
      return KATA_ERR_INTERNAL;
  }
}
