/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The agent's log lines for a program on the host that connects, instead of for the console. */
#pragma once

#include <glib.h>

/* Lines go to whoever connects to listener, which is taken over, one at a time; while nobody is there, to the standard
 * error. A reader that does not keep up misses lines. */
void log_port_serve(int listener, GLogLevelFlags level);
