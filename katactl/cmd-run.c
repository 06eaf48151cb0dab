// SPDX-License-Identifier: LGPL-2.1-or-later
#include "commands.h"
#include "launch.h"

static LaunchOptions launch = {.start = TRUE};

const Option run_options[] = {
    {"bundle", 'b', OPTION_TEXT, &launch.bundle, "DIR", "directory with config.json (default: the current one)"},
    {"console-socket", 0, OPTION_TEXT, &launch.console_socket, "PATH", "unix socket that gets the terminal's master"},
    {"pidfd-socket", 0, OPTION_TEXT, &launch.pidfd_socket, "PATH", "unix socket that gets a pidfd of the process"},
    {"pid-file", 0, OPTION_TEXT, &launch.pid_file, "FILE", "where to write the process's id on the host"},
    {"detach", 'd', OPTION_FLAG, &launch.detach, NULL, "leave it running and return"},
    {"keep", 0, OPTION_FLAG, &launch.keep, NULL, "do not delete the container when it has ended"},
    {"no-subreaper", 0, OPTION_FLAG, NULL, NULL, "accepted: katactl never is one"},
    {"no-pivot", 0, OPTION_FLAG, NULL, NULL, "accepted: the guest's root can always be pivoted"},
    {"no-new-keyring", 0, OPTION_FLAG, NULL, NULL, "accepted: the guest has keyrings of its own"},
    {"preserve-fds", 0, OPTION_NUMBER, &launch.preserve_fds, "N", "only 0: descriptors cannot be passed into a guest"},
    OPTIONS_END};

int cmd_run(App *app, char **operands, GError **error) {
  launch.id = operands[0];
  int status = launch_container(app, &launch, error);
  if (*error != NULL) g_prefix_error(error, "katactl run failed: ");
  return status;
}
