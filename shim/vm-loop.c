// SPDX-License-Identifier: LGPL-2.1-or-later
#include "shim/vm-loop.h"

#include <errno.h>
#include <fcntl.h>
#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>
#include <sys/prctl.h>

#include "common/error.h"
#include "common/fds.h"
#include "shim/vm-reap.h"

/* libvirt's levels: 3 is "warning". The descriptor stands for a path that may have blanks, which part outputs. */
#define LOG_OUTPUT_FORMAT "3:file:/proc/self/fd/%d"

#define REAP_INTERVAL_MS 10

static gboolean is_main; /* the program's main loop is the loop */
static gboolean is_open;
static GThread *thread;
static int reap_timer = -1;
static int is_ending; /* atomic */

static void say_nothing(void *user_data, virErrorPtr error) {}

static void on_reap(int timer, void *user_data) { vm_reap_orphans(); }

static void on_wake(int timer, void *user_data) { virEventRemoveTimeout(timer); }

static gpointer run(gpointer user_data) {
  while (!g_atomic_int_get(&is_ending)) virEventRunDefaultImpl();
  return NULL;
}

/* Once in a process's life: libvirt has no way back from any of this. */
static gboolean initialise(const char *log_path, GError **error) {
  static gboolean is_done;
  if (is_done) return TRUE;
  autofd int log = open(log_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (log < 0) {
    error_set_errno(error, errno, "cannot open '%s'", log_path);
    return FALSE;
  }
  virSetErrorFunc(NULL, say_nothing);
  g_autofree char *outputs = g_strdup_printf(LOG_OUTPUT_FORMAT, log);
  gboolean is_chosen = g_getenv("LIBVIRT_LOG_OUTPUTS") != NULL;
  if (!is_chosen) g_setenv("LIBVIRT_LOG_OUTPUTS", outputs, TRUE);
  is_done = virInitialize() == 0 && virEventRegisterDefaultImpl() == 0 &&
            (reap_timer = virEventAddTimeout(-1, on_reap, NULL, NULL)) >= 0 && prctl(PR_SET_CHILD_SUBREAPER, 1) == 0;
  if (!is_chosen) g_unsetenv("LIBVIRT_LOG_OUTPUTS");
  if (!is_done)
    g_set_error(error, KATA_ERROR, KATA_ERR_HOST, "cannot initialise libvirt: %s", virGetLastErrorMessage());
  return is_done;
}

gboolean vm_loop_start(const char *log_path, GError **error) {
  if (is_open) {
    g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_STATE,
                "cannot open libvirt's embedded driver: this process has it open already");
    return FALSE;
  }
  if (!initialise(log_path, error)) return FALSE;
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

void vm_loop_set_reaping(gboolean reaping) { virEventUpdateTimeout(reap_timer, reaping ? REAP_INTERVAL_MS : -1); }
