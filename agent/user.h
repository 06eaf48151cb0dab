/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Users and groups by name, as the container's own /etc/passwd and /etc/group have them. */
#pragma once

#include "agent/reap.h"
#include "common/oci.h"
#include "proto/agent.pb-c.h"

/* The longest passwd or group file that is read. */
#define USER_FILE_MAX (1u << 20)

/* Does it name somebody? asked may be NULL. */
gboolean user_is_named(const Grpc__StringUser *asked, const Grpc__User *user);

/* Fills in the numbers of user for the names in asked, or else for its own Username, which may be "user:group"; numbers
 * are taken as they are. Whoever is named also gets the groups that have him as a member. */
gboolean user_resolve(const char *passwd, const char *group, const Grpc__StringUser *asked, Grpc__User *user,
                      GError **error);

/* error: NULL, or why it failed. */
typedef void (*UserFunc)(const GError *error, gpointer user_data);

/* The same with the files of the container whose root is the directory root_path; such links as are in it stay in it.
 * A helper process reads them. Nobody named: nothing is read. process's User is made if there is none; it and asked
 * stay until func is called: once, now or later. */
void user_start(Reaper *reaper, const char *root_path, const Grpc__StringUser *asked, OciProcess *process,
                UserFunc func, gpointer user_data);
