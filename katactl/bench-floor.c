// SPDX-License-Identifier: LGPL-2.1-or-later
#include "bench-floor.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/error.h"
#include "common/fds.h"
#include "common/spawn.h"

#define PATIENCE_MS 120000
#define CONSOLE_LIMIT (1u << 20)
/* The agent's word on the console. */
#define READY "kata-agent: ready, process 1 began at "

typedef struct {
  char *emulator, *kernel, *initrd, *firmware, *cmdline, *memory;
  gboolean has_kvm;
} Machine;

static void machine_clear(Machine *machine) {
  g_free(machine->emulator);
  g_free(machine->kernel);
  g_free(machine->initrd);
  g_free(machine->firmware);
  g_free(machine->cmdline);
  g_free(machine->memory);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Machine, machine_clear)

/* ---- what katactl would start ---- */

static char *find_element(const char *xml, const char *name) {
  g_autofree char *pattern = g_strdup_printf("<%s(?: [^>]*)?>([^<]*)</%s>", name, name);
  g_autoptr(GRegex) regex = g_regex_new(pattern, 0, 0, NULL);
  g_autoptr(GMatchInfo) match = NULL;
  if (!g_regex_match(regex, xml, 0, &match)) return NULL;
  GString *text = g_string_new(NULL);
  g_autofree char *raw = g_match_info_fetch(match, 1);
  g_string_append(text, raw);
  g_string_replace(text, "&quot;", "\"", 0);
  g_string_replace(text, "&lt;", "<", 0);
  g_string_replace(text, "&gt;", ">", 0);
  g_string_replace(text, "&amp;", "&", 0);
  return g_string_free(text, FALSE);
}

static gboolean describe(const BenchPlace *place, Machine *machine, GError **error) {
  const char *const words[] = {"xml", "--bundle", place->short_run, "floor", NULL};
  g_autofree char *xml = NULL;
  if (!bench_place_run(place, BENCH_COLD, words, &xml, NULL, error)) return FALSE;
  machine->emulator = find_element(xml, "emulator");
  machine->kernel = find_element(xml, "kernel");
  machine->initrd = find_element(xml, "initrd");
  machine->firmware = find_element(xml, "loader");
  machine->cmdline = find_element(xml, "cmdline");
  machine->memory = find_element(xml, "memory");
  machine->has_kvm = strstr(xml, "<domain type=\"kvm\"") != NULL || strstr(xml, "<domain type='kvm'") != NULL;
  if (machine->emulator != NULL && machine->kernel != NULL && machine->initrd != NULL && machine->cmdline != NULL &&
      machine->memory != NULL)
    return TRUE;
  g_set_error(error, KATA_ERROR, KATA_ERR_INTERNAL, "the domain XML of a guest has no kernel");
  return FALSE;
}

static GPtrArray *make_command(const Machine *machine) {
  GPtrArray *argv = g_ptr_array_new();
  const char *const words[] = {machine->emulator,
                               "-machine",
                               "q35,usb=off,vmport=off,smm=off",
                               "-accel",
                               machine->has_kvm ? "kvm" : "tcg",
                               "-cpu",
                               machine->has_kvm ? "host" : "max",
                               "-m",
                               machine->memory,
                               "-display",
                               "none",
                               "-nodefaults",
                               "-no-user-config",
                               "-no-hpet",
                               "-kernel",
                               machine->kernel,
                               "-initrd",
                               machine->initrd,
                               "-append",
                               machine->cmdline,
                               "-serial",
                               "stdio",
                               "-device",
                               "virtio-serial-pci",
                               "-chardev",
                               "null,id=agent",
                               "-device",
                               "virtserialport,chardev=agent,name=kata.agent.0"};
  for (gsize i = 0; i < G_N_ELEMENTS(words); i++) g_ptr_array_add(argv, (gpointer)words[i]);
  if (machine->firmware != NULL) {
    g_ptr_array_add(argv, (gpointer) "-bios");
    g_ptr_array_add(argv, machine->firmware);
  }
  g_ptr_array_add(argv, NULL);
  return argv;
}

/* ---- its console ---- */

/* Seconds of the guest's clock between its first process and the agent's word; FALSE: not there yet. */
static gboolean find_ready(const GString *console, double *ret_s) {
  const char *at = strstr(console->str, READY), *now = at != NULL ? strstr(at, " s, now ") : NULL;
  if (now == NULL || strchr(now, '\n') == NULL) return FALSE;
  *ret_s = g_ascii_strtod(now + strlen(" s, now "), NULL) - g_ascii_strtod(at + strlen(READY), NULL);
  return TRUE;
}

static gboolean wait_ready(int fd, double *ret_s, GError **error) {
  g_autoptr(GString) console = g_string_new(NULL);
  gint64 begin = g_get_monotonic_time();
  while (console->len < CONSOLE_LIMIT) {
    char buffer[4096];
    struct pollfd waiting = {fd, POLLIN, 0};
    gint64 left = PATIENCE_MS - (g_get_monotonic_time() - begin) / 1000;
    ssize_t got = left > 0 && poll(&waiting, 1, (int)left) > 0 ? read(fd, buffer, sizeof buffer) : -1;
    if (got <= 0) break;
    g_string_append_len(console, buffer, got);
    double in_guest;
    if (!find_ready(console, &in_guest)) continue;
    *ret_s = (double)(g_get_monotonic_time() - begin) / G_USEC_PER_SEC - in_guest;
    return TRUE;
  }
  g_set_error(error, KATA_ERROR, KATA_ERR_HOST,
              "QEMU alone did not get as far as the guest's agent; its console ends: %s",
              console->str + (console->len > 200 ? console->len - 200 : 0));
  return FALSE;
}

gboolean bench_floor(const BenchPlace *place, double *ret_s, GError **error) {
  g_auto(Machine) machine = {0};
  int ends[2];
  if (!describe(place, &machine, error)) return FALSE;
  if (pipe2(ends, O_CLOEXEC) < 0) {
    error_set_errno(error, errno, "cannot make a pipe");
    return FALSE;
  }
  autofd int reader = ends[0], writer = ends[1];
  g_autoptr(GPtrArray) argv = make_command(&machine);
  SpawnOptions options = SPAWN_OPTIONS_INIT;
  options.argv = (const char *const *)argv->pdata;
  options.stdout_fd = writer;
  options.die_with_parent = TRUE;
  pid_t pid = spawn_start(&options, NULL, error);
  fd_clear(&writer);
  gboolean done = pid > 0 && wait_ready(reader, ret_s, error);
  if (pid > 0) {
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
  }
  return done;
}
