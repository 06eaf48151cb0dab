/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a bundle's annotations change in the settings of a guest of its own, kata-annotations(7). */
#pragma once

#include <glib.h>

#include "app.h"
#include "common/oci.h"

/* The settings with what the annotations of the bundle, whose config.json spec is, ask for; to be released with
 * kata_settings_unref(). NULL without an error: there is no such annotation. */
kata_settings *guest_settings_load(App *app, const OciSpec *spec, const char *bundle, GError **error);
