/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Containers as documents describe them. */
#pragma once

#include "tests/agent/harness.h"

/* harness_spec() with members of a config.json in place of its own: of an object in members only those it has. */
Grpc__Spec *harness_document(const char *script, const char *members);
