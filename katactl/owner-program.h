/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the owner program keeps for starts to come: it makes and knows it, katactl asks for it. */
#pragma once

#include "commands.h"

/* "containerd-shim-kata-v2 FLAG WHAT", its output being ours. Returns the exit status. */
int owner_program_run(App *app, const char *flag, const char *what, GError **error);
