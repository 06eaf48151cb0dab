// SPDX-License-Identifier: LGPL-2.1-or-later
#include "kata/version.h"

const char *kata_version(void) { return KATA_VERSION; }
