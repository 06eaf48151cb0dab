// SPDX-License-Identifier: LGPL-2.1-or-later
#include "shim/containerd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/error.h"
#include "common/fds.h"
#include "common/ids.h"
#include "common/log.h"
#include "common/oci.h"
#include "common/pod.h"
#include "common/safe-path.h"

#define OOM_SCORE_MAX 1000

/* ---- the sandbox ---- */

gboolean containerd_has_document(const char *bundle) {
  g_autofree char *path = g_build_filename(bundle, "config.json", NULL);
  return access(path, F_OK) == 0 || errno != ENOENT;
}

char *containerd_find_sandbox(const char *bundle, const char *id, gboolean *ret_must_exist, GError **error) {
  *ret_must_exist = FALSE;
  if (!containerd_has_document(bundle)) return g_strdup(id);
  g_autoptr(OciSpec) spec = oci_spec_load(bundle, error);
  PodPlace place;
  if (spec == NULL || !pod_read_place(spec, &place, error)) return NULL;
  const char *group = oci_spec_get_annotation(spec, "io.containerd.runc.v2.group");
  if (group == NULL || *group == '\0') group = place.sandbox_id;
  if (group == NULL && place.role == POD_NONE) group = oci_spec_get_annotation(spec, "io.kubernetes.cri.sandbox-id");
  if (group == NULL || *group == '\0') group = id;
  if (!id_check(group, "sandbox", error)) {
    g_prefix_error(error, "config.json: annotations: ");
    return NULL;
  }
  *ret_must_exist = place.role == POD_CONTAINER && group == place.sandbox_id && strcmp(group, id) != 0;
  return g_strdup(group);
}

gboolean containerd_note_owner(const char *bundle, const char *address, pid_t owner, GError **error) {
  g_autofree char *address_path = g_build_filename(bundle, "address", NULL);
  g_autofree char *pid_path = g_build_filename(bundle, "shim.pid", NULL);
  g_autofree char *pid = g_strdup_printf("%d", (int)owner);
  return safe_write_file(address_path, address, -1, 0644, FALSE, error) &&
         safe_write_file(pid_path, pid, -1, 0644, FALSE, error);
}

/* ---- the owner's process ---- */

/* One more than containerd's: of the two, the sandbox is given up first. */
static void adjust_oom_score(void) {
  g_autofree char *text = safe_read_file("/proc/self/oom_score_adj", 32, NULL, NULL);
  gint64 score = text != NULL ? g_ascii_strtoll(text, NULL, 10) : OOM_SCORE_MAX;
  if (score >= OOM_SCORE_MAX) return;
  g_autofree char *more = g_strdup_printf("%" G_GINT64_FORMAT, score + 1);
  autofd int file = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
  if (file < 0 || !fd_write_all(file, more, strlen(more)))
    g_message("cannot set oom_score_adj to %s: %s", more, g_strerror(errno));
}

void containerd_adjust_owner(void) {
  adjust_oom_score();
  const char *wanted = getenv("SCHED_CORE");
  if (wanted == NULL || strcmp(wanted, "1") != 0) return;
  /* Whatever it starts inherits the cookie. */
  if (prctl(PR_SCHED_CORE, PR_SCHED_CORE_CREATE, 0, PR_SCHED_CORE_SCOPE_THREAD_GROUP, 0) < 0)
    g_warning("cannot set core scheduling up, as SCHED_CORE asks: %s", g_strerror(errno));
}

void containerd_open_log(const char *bundle) {
  g_autofree char *path = g_build_filename(bundle, "log", NULL);
  /* For both: opening waits for nobody, and a containerd that restarts finds the lines that came meanwhile. */
  autofd int fifo = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
  struct stat status;
  if (fifo >= 0 && fstat(fifo, &status) == 0 && S_ISFIFO(status.st_mode)) log_copy_to(fd_steal(&fifo));
}
