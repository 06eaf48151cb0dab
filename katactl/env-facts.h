/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What "katactl env" shows beside the settings: versions, files of the guest, the host. */
#pragma once

#include <json-c/json.h>

#include "app.h"

/* Each returns an object that is the caller's. settings: the list of kata_settings_describe(). */
json_object *env_facts_versions(json_object *settings);
json_object *env_facts_guest(json_object *settings);
/* NULL with error set if the host cannot be looked at. */
json_object *env_facts_host(App *app, GError **error);

/* A setting of [hypervisor.qemu]; the text is the list's. */
const char *env_facts_setting(json_object *settings, const char *key);
