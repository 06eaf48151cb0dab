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
 * for others that do the same, unless lock is that of template_lock_work(), else -1. */
char *template_build(kata_settings *settings, int lock, gboolean *ret_is_new, GError **error);

/* Sizes and kernels that somebody uses at the same time; some 30 MiB each. */
#define TEMPLATES_MAX 8u

/* Where those of the settings' directory are made: one at a time, under a lock. wait: for another who has it, which is
 * an error else. The lock is held until the descriptor is closed, at the latest with the process. */
char *template_work_directory(const kata_settings *settings);
gboolean template_make_work_directory(const kata_settings *settings, GError **error);
int template_lock_work(const kata_settings *settings, gboolean wait, GError **error);

/* What is on record, until the host is started again, of making a template, or of starting from it, in vain. */
typedef struct {
  guint count;
  gint64 at; /* the last one: seconds since 1970 */
  char *why;
} TemplateFailure;
typedef void (*TemplateFailureFunc)(const kata_settings *settings, const char *key, const TemplateFailure *failure,
                                    gpointer user_data);
void template_note_failure(const kata_settings *settings, const char *key, const char *why);
void template_forget_failure(const kata_settings *settings, const char *key);
void template_for_each_failure(const kata_settings *settings, TemplateFailureFunc func, gpointer user_data);

/* Whether one that nobody has asked for is to be made: it is not there, has not failed lately nor too often, displaces
 * none that is in use, memory and disk are plentiful, and nobody makes one at this moment. was_bad: there was one,
 * until a guest could not start from it. */
gboolean template_is_worth_while(const kata_settings *settings, const char *key, gboolean was_bad, guint64 guest_mib);

/* "containerd-shim-kata-v2 -template create|list|remove|background"; returns the exit status. */
int action_template(const ShimOptions *options);
