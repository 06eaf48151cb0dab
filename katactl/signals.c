// SPDX-License-Identifier: LGPL-2.1-or-later
#include "signals.h"

#include <stdlib.h>
#include <string.h>

#include "common/error.h"

/* The guest is Linux on x86 or a machine with the same numbers, whatever this was compiled for. */
static const char *const names[] = {
    "EXIT", "HUP",  "INT",  "QUIT", "ILL",    "TRAP",   "ABRT",  "BUS",  "FPE",  "KILL", "USR1",
    "SEGV", "USR2", "PIPE", "ALRM", "TERM",   "STKFLT", "CHLD",  "CONT", "STOP", "TSTP", "TTIN",
    "TTOU", "URG",  "XCPU", "XFSZ", "VTALRM", "PROF",   "WINCH", "IO",   "PWR",  "SYS",
};
static const struct {
  const char *name;
  int number;
} aliases[] = {{"IOT", 6}, {"CLD", 17}, {"POLL", 29}};

#define RT_FIRST 34 /* what the C library calls SIGRTMIN */
#define RT_LAST 64

static int parse_realtime(const char *name) {
  int base = 0, direction = 0;
  if (g_str_has_prefix(name, "RTMIN")) {
    base = RT_FIRST;
    direction = 1;
  } else if (g_str_has_prefix(name, "RTMAX")) {
    base = RT_LAST;
    direction = -1;
  } else {
    return -1;
  }
  const char *offset = name + strlen("RTMIN");
  if (*offset == '\0') return base;
  if (*offset != (direction > 0 ? '+' : '-') || !g_ascii_isdigit(offset[1])) return -1;
  char *end = NULL;
  long distance = strtol(offset + 1, &end, 10);
  if (*end != '\0' || distance > RT_LAST - RT_FIRST) return -1;
  return base + direction * (int)distance;
}

static int parse_name(const char *text) {
  g_autofree char *upper = g_ascii_strup(text, -1);
  const char *name = g_str_has_prefix(upper, "SIG") ? upper + 3 : upper;
  for (gsize i = 1; i < G_N_ELEMENTS(names); i++) {
    if (strcmp(name, names[i]) == 0) return (int)i;
  }
  for (gsize i = 0; i < G_N_ELEMENTS(aliases); i++) {
    if (strcmp(name, aliases[i].name) == 0) return aliases[i].number;
  }
  return parse_realtime(name);
}

gboolean signals_parse(const char *text, int *ret_number, GError **error) {
  int number = -1;
  if (g_ascii_isdigit(text[0])) {
    char *end = NULL;
    long value = strtol(text, &end, 10);
    if (*end == '\0' && value <= RT_LAST) number = (int)value;
  } else {
    number = parse_name(text);
  }
  if (number < 0) {
    g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT, "unknown signal \"%s\"", text);
    return FALSE;
  }
  *ret_number = number;
  return TRUE;
}

void signals_get_forwarded(gboolean job_control, sigset_t *ret_set) {
  static const int kept[] = {SIGKILL, SIGSTOP, SIGCHLD, SIGSEGV, SIGBUS,  SIGFPE,
                             SIGILL,  SIGTRAP, SIGABRT, SIGSYS,  SIGPIPE, SIGURG};
  static const int terminal[] = {SIGTSTP, SIGTTIN, SIGTTOU};
  sigfillset(ret_set); /* leaves out the C library's own */
  for (gsize i = 0; i < G_N_ELEMENTS(kept); i++) sigdelset(ret_set, kept[i]);
  for (gsize i = 0; i < G_N_ELEMENTS(terminal) && !job_control; i++) sigdelset(ret_set, terminal[i]);
}
