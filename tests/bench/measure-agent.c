/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The agent as an ordinary process, by itself: calls, output and executed processes, the latter in turn with crun's own
 * "exec" in the same container. Prints JSON.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Last: it needs the ones before. */
#include <cmocka.h>

#include "common/spawn.h"
#include "proto/health.pb-c.h"
#include "tests/agent/harness.h"

#define BOX "bench"
#define CRUN_ROOT "--root=/run/kata-agent/crun" /* the agent's */
#define CALLERS 30
#define ROUNDS 40
#define PHASE_US (2 * G_USEC_PER_SEC)
#define OUTPUT_MIB 512

static double seconds_since(gint64 begin) { return (double)(g_get_monotonic_time() - begin) / G_USEC_PER_SEC; }

static void must(const ProtobufCServiceDescriptor *service, const char *method, const ProtobufCMessage *request) {
  g_autoptr(GError) error = NULL;
  if (ttrpc_client_invoke(harness_client(), service, method, request, HARNESS_CALL_MS, NULL, &error)) return;
  fprintf(stderr, "measure-agent: %s: %s\n", method, error->message);
  exit(EXIT_FAILURE);
}

static gpointer check_for_a_while(gpointer unused) {
  Grpc__CheckRequest request = GRPC__CHECK_REQUEST__INIT;
  gsize n_calls = 0;
  for (gint64 begin = g_get_monotonic_time(); g_get_monotonic_time() - begin < PHASE_US; n_calls++)
    must(&grpc__health__descriptor, "Check", &request.base);
  return GSIZE_TO_POINTER(n_calls);
}

static double measure_checks(int n_callers) {
  GThread *threads[CALLERS];
  gsize n_calls = 0;
  gint64 begin = g_get_monotonic_time();
  for (int i = 0; i < n_callers; i++) threads[i] = g_thread_new("check", check_for_a_while, NULL);
  for (int i = 0; i < n_callers; i++) n_calls += GPOINTER_TO_SIZE(g_thread_join(threads[i]));
  return (double)n_calls / seconds_since(begin);
}

static gpointer wait_for_it(gpointer exec_id) { return GINT_TO_POINTER(harness_wait(BOX, exec_id)); }

/* Calls of one caller while thirty others wait for a process. */
static double measure_checks_beside_waits(void) {
  GThread *threads[CALLERS];
  harness_exec(BOX, "waited", "read x");
  for (int i = 0; i < CALLERS; i++) threads[i] = g_thread_new("wait", wait_for_it, (gpointer) "waited");
  double rate = measure_checks(1);
  harness_close_stdin(BOX, "waited");
  for (int i = 0; i < CALLERS; i++) g_thread_join(threads[i]);
  return rate;
}

static double measure_output(void) {
  g_autofree char *script = g_strdup_printf("dd if=/dev/zero bs=1M count=%d 2>/dev/null", OUTPUT_MIB);
  harness_exec(BOX, "output", script);
  gint64 begin = g_get_monotonic_time();
  gsize total = 0, size = 0;
  do {
    g_autoptr(GBytes) bytes = harness_read(BOX, "output", 1u << 20);
    size = g_bytes_get_size(bytes);
    total += size;
  } while (size > 0);
  double rate = (double)total / (1u << 20) / seconds_since(begin);
  harness_wait(BOX, "output");
  return rate;
}

static double exec_by_agent(int number) {
  g_autofree char *id = g_strdup_printf("e%d", number);
  gint64 begin = g_get_monotonic_time();
  harness_exec(BOX, id, "exit 0");
  harness_wait(BOX, id);
  return seconds_since(begin);
}

static double exec_by_crun(void) {
  static const char *const argv[] = {"crun", CRUN_ROOT, "exec", BOX, "sh", "-c", "exit 0", NULL};
  SpawnOptions options = SPAWN_OPTIONS_INIT;
  options.argv = argv;
  g_autoptr(GError) error = NULL;
  g_autofree char *said = NULL;
  int status = -1;
  gint64 begin = g_get_monotonic_time();
  if (!spawn_run(&options, NULL, 4096, HARNESS_CALL_MS, NULL, NULL, &said, &status, &error) || status != 0) {
    fprintf(stderr, "measure-agent: crun exec: %s\n", error ? error->message : said);
    exit(EXIT_FAILURE);
  }
  return seconds_since(begin);
}

static void print_samples(const char *name, const double *samples) {
  printf("\"%s\": [", name);
  for (int i = 0; i < ROUNDS; i++) printf("%s%.6f", i > 0 ? ", " : "", samples[i]);
  printf("]");
}

static int measure(void) {
  double by_agent[ROUNDS], by_crun[ROUNDS];
  harness_start();
  harness_create(BOX, "exec sleep 100000");
  harness_start_container(BOX);
  printf("{\"checks_per_s\": %.0f, ", measure_checks(1));
  printf("\"checks_per_s_by_30\": %.0f, ", measure_checks(CALLERS));
  printf("\"checks_per_s_beside_30_waits\": %.0f, ", measure_checks_beside_waits());
  printf("\"stdout_mib_per_s\": %.0f, ", measure_output());
  for (int i = 0; i < ROUNDS; i++) {
    by_agent[i] = exec_by_agent(i);
    by_crun[i] = exec_by_crun();
  }
  print_samples("exec_s", by_agent);
  printf(", ");
  print_samples("crun_exec_s", by_crun);
  printf("}\n");
  harness_remove(BOX);
  harness_stop();
  return 0;
}

int main(void) { return harness_run(measure); }
