// SPDX-License-Identifier: LGPL-2.1-or-later
#include "shim/vm-loop.h"

#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>

#include "common/error.h"

/* libvirt's levels: 3 is "warning". */
#define LOG_OUTPUT_FORMAT "3:file:%s"

static gboolean is_main; /* the program's main loop is the loop */
static gboolean is_open;
static GThread *thread;
static int is_ending; /* atomic */

static void say_nothing(void *user_data, virErrorPtr error) {}

static void on_wake(int timer, void *user_data) { virEventRemoveTimeout(timer); }

static gpointer run(gpointer user_data) {
  while (!g_atomic_int_get(&is_ending)) virEventRunDefaultImpl();
  return NULL;
}

/* Once in a process's life: libvirt has no way back from any of this. */
static gboolean initialise(const char *log_path) {
  static gboolean is_done;
  if (is_done) return TRUE;
  virSetErrorFunc(NULL, say_nothing);
  g_autofree char *outputs = g_strdup_printf(LOG_OUTPUT_FORMAT, log_path);
  gboolean is_chosen = g_getenv("LIBVIRT_LOG_OUTPUTS") != NULL;
  if (!is_chosen) g_setenv("LIBVIRT_LOG_OUTPUTS", outputs, TRUE);
  is_done = virInitialize() == 0 && virEventRegisterDefaultImpl() == 0;
  if (!is_chosen) g_unsetenv("LIBVIRT_LOG_OUTPUTS");
  return is_done;
}

gboolean vm_loop_start(const char *log_path, GError **error) {
  if (is_open) {
    g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_STATE,
                "cannot open libvirt's embedded driver: this process has it open already");
    return FALSE;
  }
  if (!initialise(log_path)) {
    g_set_error(error, KATA_ERROR, KATA_ERR_HOST, "cannot initialise libvirt: %s", virGetLastErrorMessage());
    return FALSE;
  }
  g_atomic_int_set(&is_ending, FALSE);
  if (!is_main) thread = g_thread_try_new("libvirt", run, NULL, error);
  is_open = is_main || thread != NULL;
  return is_open;
}

void vm_loop_use_main(void) { is_main = TRUE; }

void vm_loop_stop(void) {
  is_open = FALSE;
  if (thread == NULL) return;
  g_atomic_int_set(&is_ending, TRUE);
  virEventAddTimeout(0, on_wake, NULL, NULL);
  g_thread_join(thread);
  thread = NULL;
}
