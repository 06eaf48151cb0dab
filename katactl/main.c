// SPDX-License-Identifier: LGPL-2.1-or-later
/* katactl: runc's command line for containers that run in virtual machines of their own. */
#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "commands.h"
#include "common/error.h"

#define PROGRAM "katactl"
#define NAME_WIDTH 22 /* above the longest name of a command */

static const Option no_options[] = {OPTIONS_END};

/* A name of two words is a command below a command. */
static const Command commands[] = {
    {"agent call", "ADDRESS METHOD [JSON|-] | --sandbox ID METHOD [JSON|-]", "make one call to an agent",
     agent_call_options, OPTIONS_ANYWHERE, 1, 3, cmd_agent_call},
    {"agent methods", "", "list the calls of the agent protocol", agent_methods_options, OPTIONS_ANYWHERE, 0, 0,
     cmd_agent_methods},
    {"bench", "", "measure what guests cost on this host", bench_options, OPTIONS_ANYWHERE, 0, 0, cmd_bench},
    {"boot-chart", "ID", "draw where the time of a guest's start went, as SVG", no_options, OPTIONS_ANYWHERE, 1, 1,
     cmd_boot_chart},
    {"check", "", "tell whether this host can run guests", no_options, OPTIONS_ANYWHERE, 0, 0, cmd_check},
    {"checkpoint", "ID", "save a container with its whole guest as files", checkpoint_options, OPTIONS_ANYWHERE, 1, 1,
     cmd_checkpoint},
    {"config check", "[FILE]", "tell whether a settings file is right", no_options, OPTIONS_ANYWHERE, 0, 1,
     cmd_config_check},
    {"create", "ID", "create a container from a bundle", create_options, OPTIONS_ANYWHERE, 1, 1, cmd_create},
    {"delete", "ID", "delete a container that has ended", delete_options, OPTIONS_ANYWHERE, 1, 1, cmd_delete},
    {"direct-volume add", "", "leave a block device for guests to mount as a volume", direct_volume_add_options,
     OPTIONS_ANYWHERE, 0, 0, cmd_direct_volume_add},
    {"direct-volume list", "", "list what has been left for guests", no_options, OPTIONS_ANYWHERE, 0, 0,
     cmd_direct_volume_list},
    {"direct-volume remove", "", "take back what was left for guests", direct_volume_options, OPTIONS_ANYWHERE, 0, 0,
     cmd_direct_volume_remove},
    {"direct-volume resize", "", "let the guest's file system on a volume grow", direct_volume_resize_options,
     OPTIONS_ANYWHERE, 0, 0, cmd_direct_volume_resize},
    {"direct-volume stats", "", "show how full a volume is, as JSON", direct_volume_options, OPTIONS_ANYWHERE, 0, 0,
     cmd_direct_volume_stats},
    {"env", "", "show versions, host and settings, and where each is from", env_options, OPTIONS_ANYWHERE, 0, 0,
     cmd_env},
    {"events", "ID", "show statistics and out-of-memory events of a container", events_options, OPTIONS_ANYWHERE, 1, 1,
     cmd_events},
    {"exec", "ID COMMAND [ARGUMENT...] | --process FILE ID", "run another process in a container", exec_options,
     OPTIONS_BEFORE_OPERANDS, 1, -1, cmd_exec},
    {"features", "", "show what the runtime can do, as JSON", no_options, OPTIONS_ANYWHERE, 0, 0, cmd_features},
    {"kata-overhead", "ID", "show what a guest costs the host beyond its containers", no_options, OPTIONS_ANYWHERE, 1,
     1, cmd_kata_overhead},
    {"kill", "ID [SIGNAL]", "send a signal to a container (default: SIGTERM)", kill_options, OPTIONS_BEFORE_OPERANDS, 1,
     2, cmd_kill},
    {"list", "", "list the containers", list_options, OPTIONS_ANYWHERE, 0, 0, cmd_list},
    {"network add-if", "ID FILE|-", "connect a running guest to an interface of its network namespace", no_options,
     OPTIONS_ANYWHERE, 2, 2, cmd_network_add_if},
    {"network del-if", "ID FILE|-", "take an interface from a running guest", no_options, OPTIONS_ANYWHERE, 2, 2,
     cmd_network_del_if},
    {"network list-ifs", "ID", "list a running guest's interfaces, as JSON", no_options, OPTIONS_ANYWHERE, 1, 1,
     cmd_network_list_ifs},
    {"network list-routes", "ID", "list a running guest's routes, as JSON", no_options, OPTIONS_ANYWHERE, 1, 1,
     cmd_network_list_routes},
    {"network update-routes", "ID FILE|-", "replace a running guest's routes", no_options, OPTIONS_ANYWHERE, 2, 2,
     cmd_network_update_routes},
    {"pause", "ID", "freeze all processes of a container", no_options, OPTIONS_ANYWHERE, 1, 1, cmd_pause},
    {"pool create", "", "let as many guests stand by as the settings say", no_options, OPTIONS_ANYWHERE, 0, 0,
     cmd_pool_create},
    {"pool list", "", "list the guests that stand by", no_options, OPTIONS_ANYWHERE, 0, 0, cmd_pool_list},
    {"pool remove", "", "end all guests that stand by", no_options, OPTIONS_ANYWHERE, 0, 0, cmd_pool_remove},
    {"ps", "ID [PS OPTION...]", "show the processes of a container", ps_options, OPTIONS_BEFORE_OPERANDS, 1, -1,
     cmd_ps},
    {"restore", "ID", "make a container from a checkpoint", restore_options, OPTIONS_ANYWHERE, 1, 1, cmd_restore},
    {"resume", "ID", "let a paused container go on", no_options, OPTIONS_ANYWHERE, 1, 1, cmd_resume},
    {"run", "ID", "create and start a container, and stay until it ends", run_options, OPTIONS_ANYWHERE, 1, 1, cmd_run},
    {"spec", "", "write a config.json to begin with", spec_options, OPTIONS_ANYWHERE, 0, 0, cmd_spec},
    {"start", "ID", "start a created container", no_options, OPTIONS_ANYWHERE, 1, 1, cmd_start},
    {"state", "ID", "show the state of a container, as JSON", no_options, OPTIONS_ANYWHERE, 1, 1, cmd_state},
    {"template create", "", "boot a guest and save it, so that others start from there", no_options, OPTIONS_ANYWHERE,
     0, 0, cmd_template_create},
    {"template list", "", "list the saved guests", no_options, OPTIONS_ANYWHERE, 0, 0, cmd_template_list},
    {"template remove", "", "remove all saved guests", no_options, OPTIONS_ANYWHERE, 0, 0, cmd_template_remove},
    {"update", "ID", "change the limits of a container", update_options, OPTIONS_ANYWHERE, 1, 1, cmd_update},
    {"version", "", "show the version", no_options, OPTIONS_ANYWHERE, 0, 0, cmd_version},
    {"xml", "ID | --bundle DIR [ID]", "show the libvirt domain XML of a guest", xml_options, OPTIONS_ANYWHERE, 0, 1,
     cmd_xml},
};

/* As runc, for which both are topics of its help. */
#define EXIT_NO_COMMAND 3

static struct {
  const char *root;
  const char *log;
  const char *log_format;
  const char *rootless;
  const char *kata_config;
  gboolean show_config_paths;
  gboolean debug;
  gboolean version;
} global;

static const Option global_options[] = {
    {"root", 0, OPTION_TEXT, &global.root, "DIR", "where containers live (default: $KATA_ROOT or /run/kata)"},
    {"log", 0, OPTION_TEXT, &global.log, "FILE", "where errors are logged (default: standard error)"},
    {"log-format", 0, OPTION_TEXT, &global.log_format, "text|json", "form of the log (default: text)"},
    {"debug", 0, OPTION_FLAG, &global.debug, NULL, "log more"},
    {"systemd-cgroup", 0, OPTION_FLAG, NULL, NULL, "accepted: a cgroupsPath tells its form itself"},
    {"rootless", 0, OPTION_TEXT, &global.rootless, "auto|true|false", "accepted: guests need root on the host"},
    {"cgroup-manager", 0, OPTION_TEXT, NULL, "NAME", "accepted"},
    {"criu", 0, OPTION_TEXT, NULL, "PATH", "accepted"},
    {"kata-config", 0, OPTION_TEXT, &global.kata_config, "FILE",
     "settings of guests (default: $KATA_CONFIG or kata.conf(5))"},
    {"kata-show-default-config-paths", 0, OPTION_FLAG, &global.show_config_paths, NULL,
     "show where settings are read from, and end"},
    {"version", 'v', OPTION_FLAG, &global.version, NULL, "show the version"},
    OPTIONS_END};

static void print_help(void) {
  printf(
      "Usage: %s [GLOBAL OPTIONS] COMMAND [OPTIONS] [ARGUMENTS]\n\n"
      "Runs OCI containers, each in a virtual machine of its own.\n\nCommands:\n",
      PROGRAM);
  for (gsize i = 0; i < G_N_ELEMENTS(commands); i++)
    printf("   %-*s %s\n", NAME_WIDTH, commands[i].name, commands[i].help);
  printf("   %-*s %s\n\nGlobal options:\n", NAME_WIDTH, "help", "show this text, or that of a command");
  options_print(global_options, stdout);
}

static void print_command_help(const Command *command) {
  printf("Usage: %s %s [OPTIONS] %s\n\n   %s\n\nOptions:\n", PROGRAM, command->name, command->operands, command->help);
  options_print(command->options, stdout);
}

/* The command that words begin with; *ret_n_words: how many of them name it. */
static const Command *find_command(char **words, gsize *ret_n_words) {
  for (gsize i = 0; i < G_N_ELEMENTS(commands); i++) {
    g_auto(GStrv) names = g_strsplit(commands[i].name, " ", 2);
    gsize n = 0;
    while (names[n] != NULL && words[n] != NULL && strcmp(names[n], words[n]) == 0) n++;
    if (names[n] != NULL) continue;
    *ret_n_words = n;
    return &commands[i];
  }
  return NULL;
}

static gboolean is_below(const Command *command, const char *group) {
  gsize length = strlen(group);
  return strncmp(command->name, group, length) == 0 && command->name[length] == ' ';
}

static gboolean is_group(const char *word) {
  for (gsize i = 0; i < G_N_ELEMENTS(commands); i++)
    if (is_below(&commands[i], word)) return TRUE;
  return FALSE;
}

/* Shows the commands below a command; FALSE if there are none. */
static gboolean print_group_help(const char *group) {
  if (!is_group(group)) return FALSE;
  printf("Usage: %s %s COMMAND [OPTIONS] [ARGUMENTS]\n\nCommands:\n", PROGRAM, group);
  for (gsize i = 0; i < G_N_ELEMENTS(commands); i++)
    if (is_below(&commands[i], group)) printf("   %-*s %s\n", NAME_WIDTH, commands[i].name, commands[i].help);
  return TRUE;
}

static gboolean check_operand_count(const Command *command, char **operands, GError **error) {
  int count = (int)g_strv_length(operands);
  const char *rule = NULL;
  int limit = command->min_operands;
  if (command->min_operands == command->max_operands && count != limit) {
    rule = "exactly";
  } else if (count < limit) {
    rule = "a minimum of";
  } else if (command->max_operands >= 0 && count > command->max_operands) {
    rule = "a maximum of";
    limit = command->max_operands;
  }
  if (rule == NULL) return TRUE;
  g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT, "%s: \"%s\" requires %s %d argument(s)", PROGRAM,
              command->name, rule, limit);
  return FALSE;
}

static gboolean set_up_context(App *app, kata_error **err) {
  if (global.root != NULL) {
    g_autofree char *root = g_canonicalize_filename(global.root, NULL);
    if (kata_context_set_root(app->context, root, err) != 0) return FALSE;
  }
  if (global.kata_config == NULL) return TRUE;
  g_autofree char *file = g_canonicalize_filename(global.kata_config, NULL);
  return kata_context_set_config_file(app->context, file, err) == 0;
}

static gboolean open_context(App *app, GError **error) {
  kata_error *err = NULL;
  app->context = kata_context_new(0, &err);
  app->root_given = global.root != NULL || g_getenv("KATA_ROOT") != NULL;
  if (app->context != NULL && set_up_context(app, &err)) return TRUE;
  app_take_error(err, error);
  return FALSE;
}

static int show_config_paths(GError **error) {
  App app = {0};
  if (!open_context(&app, error)) return EXIT_FAILURE;
  puts(kata_context_get_config_file(app.context));
  kata_context_unref(app.context);
  return EXIT_SUCCESS;
}

static int run_command(const Command *command, char **argv, GError **error) {
  g_autofree char **operands = NULL;
  gboolean help = FALSE;
  if (!options_parse(command->options, command->order, argv, &operands, &help, error) ||
      (!help && !check_operand_count(command, operands, error))) {
    printf("Incorrect Usage.\n\n");
    print_command_help(command);
    return EXIT_FAILURE;
  }
  if (help) {
    print_command_help(command);
    return EXIT_SUCCESS;
  }
  App app = {0};
  int status = open_context(&app, error) ? command->run(&app, operands, error) : EXIT_FAILURE;
  kata_context_unref(app.context);
  return status;
}

static int help_command(char **operands, GError **error) {
  gsize n_words = 0;
  const Command *command = operands[0] != NULL ? find_command(operands, &n_words) : NULL;
  if (operands[0] != NULL && command == NULL) {
    if (operands[1] == NULL && print_group_help(operands[0])) return EXIT_SUCCESS;
    g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT, "no help topic for '%s'", operands[0]);
    return EXIT_NO_COMMAND;
  }
  if (command != NULL) {
    print_command_help(command);
  } else {
    print_help();
  }
  return EXIT_SUCCESS;
}

static gboolean check_rootless(GError **error) {
  static const char *const words[] = {"auto", "1", "t", "T",     "true",  "TRUE",  "True",
                                      "0",    "f", "F", "false", "FALSE", "False", NULL};
  if (global.rootless == NULL || g_strv_contains(words, global.rootless)) return TRUE;
  g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT, "--rootless: '%s' is none of auto, true and false",
              global.rootless);
  return FALSE;
}

static int run(char **argv, GError **error) {
  g_autofree char **operands = NULL;
  gboolean help = FALSE;
  if (!options_parse(global_options, OPTIONS_BEFORE_OPERANDS, argv, &operands, &help, error)) {
    printf("Incorrect Usage.\n\n");
    print_help();
    return EXIT_FAILURE;
  }
  if (!app_open_log(global.log, global.log_format, global.debug, error) || !check_rootless(error)) return EXIT_FAILURE;
  if (global.version) return cmd_version(NULL, NULL, error);
  if (global.show_config_paths) return show_config_paths(error);
  if (help || operands[0] == NULL) return help_command(operands, error);
  if (strcmp(operands[0], "help") == 0 || strcmp(operands[0], "h") == 0) return help_command(operands + 1, error);
  gsize n_words = 0;
  const Command *command = find_command(operands, &n_words);
  if (command != NULL) return run_command(command, operands + n_words, error);
  const char *second = operands[1] != NULL ? operands[1] : "";
  gboolean asks_for_help = *second == '\0' || strcmp(second, "--help") == 0 || strcmp(second, "-h") == 0;
  if (asks_for_help && print_group_help(operands[0])) return EXIT_SUCCESS;
  g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT, "no such command: '%s%s%s' ('%s help' lists them)",
              operands[0], is_group(operands[0]) ? " " : "", is_group(operands[0]) ? second : "", PROGRAM);
  return EXIT_NO_COMMAND;
}

/* Nothing that is opened later may take the place of a standard stream that the caller has closed. */
static void open_missing_streams(void) {
  for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
    if (fcntl(fd, F_GETFD) < 0 && errno == EBADF) open("/dev/null", fd == STDIN_FILENO ? O_RDONLY : O_WRONLY);
  }
}

int main(int argc, char **argv) {
  g_autoptr(GError) error = NULL;
  open_missing_streams();
  setlocale(LC_CTYPE, "C.UTF-8");
  signal(SIGPIPE, SIG_IGN);
  int status = argc > 0 ? run(argv + 1, &error) : EXIT_FAILURE;
  if (fflush(stdout) != 0 && error == NULL) {
    error_set_errno(&error, errno, "cannot write the output");
    status = EXIT_FAILURE;
  }
  if (error != NULL) {
    app_report(error);
    if (status == EXIT_SUCCESS) status = EXIT_FAILURE;
  }
  return status;
}
