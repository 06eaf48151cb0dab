/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Turns at booting. Without KVM a guest's boot is nothing but computing: twenty at once on two CPUs starve each other
 * until some give up, while two after the other take no longer in all. So only as many guests boot at a time as there
 * are CPUs.
 */
#pragma once

#include <glib.h>

typedef gboolean (*BootSlotCancelled)(gpointer data);

/* Waits for a turn, which lasts until the descriptor is closed, at the latest with the process. -1: cancelled, waited
 * for too long, or there is no place for the slots; a boot goes on without one then. directory: shared by all owners.
 */
int boot_slot_take(const char *directory, guint n_slots, guint patience_ms, BootSlotCancelled is_cancelled,
                   gpointer data);
