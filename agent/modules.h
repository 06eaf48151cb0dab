/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Kernel modules of the guest. The image has a list of them, their
 * dependencies and aliases (guest/mkguest writes it); nothing is loaded that
 * no device and no mount asks for. The kernel asks through /sbin/modprobe,
 * which is this program.
 */
#pragma once

#include <glib.h>

#define MODULES_DIRECTORY "/lib/modules"

typedef struct ModuleList ModuleList;

/* Reads DIRECTORY/modules.list. */
ModuleList *modules_open(const char *directory, GError **error);
void modules_free(ModuleList *list);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ModuleList, modules_free)

/* The modules of a name or an alias, in the order they must be loaded; NULL if the list has none. */
GPtrArray *modules_resolve(const ModuleList *list, const char *name);

/* Loads a module and what it needs. A name or alias the list does not have is an error NOT_FOUND. */
gboolean modules_load(ModuleList *list, const char *name, GError **error);
/* parameters: of the module itself, between blanks. */
gboolean modules_load_with(ModuleList *list, const char *name, const char *parameters, GError **error);

/* Loads what the devices of a bus ("pci", "virtio") need; failures are warnings. */
void modules_load_for_bus(ModuleList *list, const char *bus);

/* This program as modprobe, however it was found: the exit status. */
int modules_modprobe(int argc, char **argv);
