/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a guest runs on, and what a new one would. */
#pragma once

#include <glib.h>
#include <json-c/json.h>

#include "app.h"

/* Adds to a container's state: hypervisor, kernel and image of its guest, "" where it has none; latest_kernel and
 * latest_image as the settings have them; stale_assets, the names of those that differ. */
void guest_assets_add(App *app, json_object *state, const char *sandbox_id);
