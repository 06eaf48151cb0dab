/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What has lost whoever would have removed it goes by itself: a sandbox that was bound to its maker, once the maker has
 * ended and it has no container; a container that was bound to its host process, once that has ended. A guest whose
 * containers have all ended does no more for a sandbox without a maker: it goes, and what is known of them stays until
 * somebody deletes them, which an engine whose processes were killed may never do.
 */
#pragma once

#include "shim/service.h"

/* From now on the sandbox is bound to process maker; 0: to one that has ended. */
void orphan_bind_sandbox(Owner *owner, pid_t maker);
/* The container is bound to its host process, if it was made so (container->bound). */
void orphan_watch_container(Owner *owner, Container *container);
/* A container has gone: perhaps it was the last one of a sandbox without a maker. */
void orphan_check_sandbox(Owner *owner);
