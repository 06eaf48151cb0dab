/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Templates: guests that have booted, whose agent is ready and that nothing else has happened to, saved to files
 * (vm_save()) from which other guests start. One for each configuration; its file's name, the key, is made of all that
 * a guest can be told apart by. Nothing of a sandbox is in it.
 */
#pragma once

#include "lib/paths.h"
#include "lib/vm-config.h"
#include "shim/options.h"
#include "shim/sandbox.h"

/* The setting says so, the agent is reached over a virtio-serial port, and it is no checkpoint that starts. */
gboolean template_is_wanted(const Sandbox *sandbox);

/* The machine that the template for it has, with all that is plugged in later; *ret_key names it. NULL with
 * KATA_ERR_UNSUPPORTED: it has more than can be plugged in. */
VmConfig *template_make_config(Sandbox *sandbox, char **ret_key, GError **error);

/* Whether a file's name is that of a template. */
gboolean template_is_key(const char *name);

/* The file of a key, whether it is there or not. */
char *template_path(const kata_settings *settings, const char *key);

/* Takes a template away that has turned out to be of no use. */
void template_discard(const kata_settings *settings, const char *key);

/* After a start that found no template: has one made in the background, once the guest's start is over, by a process
 * that outlives this one. */
void template_follow_start(Sandbox *sandbox);

/* In a process of its own: boots a guest and saves it. Returns its key; *ret_is_new: whether it was not there. Waits
 * for others that do the same. */
char *template_build(kata_settings *settings, gboolean *ret_is_new, GError **error);

/* What an attempt to make it left on record, so that not each start tries again. */
#define TEMPLATE_WORK_DIR PATHS_DEFAULT_ROOT "/t"
#define TEMPLATE_FAILED ".failed"
char *template_failure_path(const char *key);

/* "containerd-shim-kata-v2 -template create|list|remove|background"; returns the exit status. */
int action_template(const ShimOptions *options);
