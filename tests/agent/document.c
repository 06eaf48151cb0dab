/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/agent/document.h"

#include <json-c/json.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Last: it needs the ones before. */
#include <cmocka.h>

#include "common/oci.h"

Grpc__Spec *harness_document(const char *script, const char *members) {
  g_autoptr(Grpc__Spec) spec = harness_spec(script);
  g_autoptr(GError) error = NULL;
  g_autofree char *own = oci_spec_to_json(spec);
  struct json_object *whole = json_tokener_parse(own);
  struct json_object *more = json_tokener_parse(members);
  assert_non_null(whole);
  if (!more) fail_msg("not JSON: %s", members);
  json_object_object_foreach(more, name, value) {
    struct json_object *place = json_object_object_get(whole, name);
    if (place && json_object_is_type(place, json_type_object)) {
      json_object_object_foreach(value, inner_name, inner) {
        json_object_object_add(place, inner_name, json_object_get(inner));
      }
    } else {
      json_object_object_add(whole, name, json_object_get(value));
    }
  }
  const char *text = json_object_to_json_string(whole);
  OciSpec *merged = oci_spec_parse(text, strlen(text), "config.json", &error);
  if (!merged) fail_msg("%s", error->message);
  json_object_put(whole);
  json_object_put(more);
  return merged;
}
