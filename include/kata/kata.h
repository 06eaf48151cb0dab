/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* libkata: containers that each run in their own lightweight virtual machine. This header brings all others. */
#ifndef KATA_KATA_H
#define KATA_KATA_H

#include <kata/agent.h>
#include <kata/container.h>
#include <kata/context.h>
#include <kata/domain.h>
#include <kata/error.h>
#include <kata/process.h>
#include <kata/sandbox.h>
#include <kata/settings.h>
#include <kata/version.h>

#endif
