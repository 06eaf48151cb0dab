/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where the time of a sandbox's start went, as a picture. */
#pragma once

#include <glib.h>
#include <json-c/json.h>

/* steps: kata_sandbox_get_boot_timeline(). Returns an SVG document: a bar for each step that has ended, placed and long
 * as its time was, in the order given. */
char *boot_chart_draw(const char *title, json_object *steps);
