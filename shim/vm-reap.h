/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Reaps every QEMU that has ended and that this process, as a subreaper, has inherited; touches no other child. */
void vm_reap_orphans(void);
