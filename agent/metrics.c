/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent/metrics.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/safe-path.h"

#define PROC_FILE_MAX (1u << 20)
#define KIB 1024

typedef struct {
  const MetricsSource *source;
  GString *text;
} Output;

static void begin(Output *output, const char *name, const char *type, const char *help) {
  g_string_append_printf(output->text, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

/* A label's value may not end its own quotes. Prometheus knows these escapes and no others. */
static char *escape(const char *value) {
  g_autofree char *valid = g_utf8_make_valid(value, -1);
  g_autoptr(GString) text = g_string_new(NULL);
  for (const char *at = valid; *at; at++) {
    if (*at == '\\' || *at == '"') g_string_append_c(text, '\\');
    g_string_append_c(text, *at);
  }
  return g_string_free(g_steal_pointer(&text), FALSE);
}

static void add_item(Output *output, const char *name, const char *label, const char *value, const char *item,
                     const char *number) {
  g_autofree char *safe_item = escape(item);
  g_string_append(output->text, name);
  if (label) {
    g_autofree char *safe_value = escape(value);
    g_string_append_printf(output->text, "{%s=\"%s\",item=\"%s\"}", label, safe_value, safe_item);
  } else {
    g_string_append_printf(output->text, "{item=\"%s\"}", safe_item);
  }
  g_string_append_printf(output->text, " %s\n", number);
}

static void add_number(Output *output, const char *name, const char *type, const char *help, double number) {
  char buffer[G_ASCII_DTOSTR_BUF_SIZE];
  begin(output, name, type, help);
  g_string_append_printf(output->text, "%s %s\n", name, g_ascii_dtostr(buffer, sizeof buffer, number));
}

static gboolean is_number(const char *text) { return *text && text[strspn(text, "0123456789.")] == '\0'; }

/* The line's words, without empty ones. */
static char **split_words(const char *line) {
  g_auto(GStrv) words = g_strsplit_set(line, " \t", -1);
  g_autoptr(GPtrArray) kept = g_ptr_array_new();
  for (char **word = words; *word; word++)
    if (**word) g_ptr_array_add(kept, g_strdup(*word));
  g_ptr_array_add(kept, NULL);
  return (char **)g_ptr_array_free(g_steal_pointer(&kept), FALSE);
}

/* ---- files of one shape ---- */

/* "Name:  number [kB]", or "name number". only: the names between blanks that count; NULL: all with a number. */
static void add_pairs(Output *output, const char *path, const char *name, const char *help, const char *only) {
  g_autofree char *text = output->source->read(path, output->source->user_data);
  if (!text) return;
  begin(output, name, "gauge", help);
  g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
  for (char **line = lines; *line; line++) {
    g_auto(GStrv) words = split_words(*line);
    if (!words[0] || !words[1] || !is_number(words[1])) continue;
    g_autofree char *item = g_ascii_strdown(words[0], -1);
    gsize length = strlen(item);
    if (length > 1 && item[length - 1] == ':') item[length - 1] = '\0';
    g_strdelimit(item, "()", '_');
    g_autofree char *word = g_strconcat(" ", item, " ", NULL);
    if (only && !strstr(only, word)) continue;
    gboolean is_kib = g_strcmp0(words[2], "kB") == 0;
    g_autofree char *number =
        is_kib ? g_strdup_printf("%" G_GUINT64_FORMAT, g_ascii_strtoull(words[1], NULL, 10) * KIB) : g_strdup(words[1]);
    add_item(output, name, NULL, NULL, item, number);
  }
}

/* Lines of numbers after a label. items: their names in order, NULL-terminated; skipped is how many words come before
 * the label. */
static void add_columns(Output *output, const char *path, const char *name, const char *label, const char *help,
                        guint skipped, const char *label_prefix, const char *const *items) {
  g_autofree char *text = output->source->read(path, output->source->user_data);
  if (!text) return;
  begin(output, name, "gauge", help);
  g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
  for (char **line = lines; *line; line++) {
    g_auto(GStrv) words = split_words(*line);
    guint n_words = g_strv_length(words);
    if (n_words < skipped + 2 || (label_prefix && !g_str_has_prefix(words[skipped], label_prefix))) continue;
    char *value = words[skipped];
    gsize length = strlen(value);
    if (value[length - 1] == ':') value[length - 1] = '\0';
    for (guint i = 0; items[i] && skipped + 1 + i < n_words; i++)
      if (is_number(words[skipped + 1 + i])) add_item(output, name, label, value, items[i], words[skipped + 1 + i]);
  }
}

/* ---- the guest ---- */

static void add_load(Output *output) {
  static const char *const items[] = {"load1", "load5", "load15"};
  g_autofree char *text = output->source->read("/proc/loadavg", output->source->user_data);
  g_auto(GStrv) words = text ? split_words(text) : NULL;
  if (!words || g_strv_length(words) < 4) return;
  begin(output, "kata_guest_load", "gauge", "Load of the guest.");
  for (guint i = 0; i < G_N_ELEMENTS(items); i++)
    if (is_number(words[i])) add_item(output, "kata_guest_load", NULL, NULL, items[i], words[i]);
  char *slash = strchr(words[3], '/');
  if (!slash) return;
  *slash = '\0';
  begin(output, "kata_guest_tasks", "gauge", "Tasks of the guest: those that run and all.");
  add_item(output, "kata_guest_tasks", NULL, NULL, "cur", words[3]);
  add_item(output, "kata_guest_tasks", NULL, NULL, "max", slash + 1);
}

static void add_guest(Output *output) {
  static const char *const cpu[] = {"user",    "nice",  "system", "idle",       "iowait", "irq",
                                    "softirq", "steal", "guest",  "guest_nice", NULL};
  static const char *const disk[] = {"reads",
                                     "merged",
                                     "sectors_read",
                                     "time_reading",
                                     "writes",
                                     "writes_merged",
                                     "sectors_written",
                                     "time_writing",
                                     "in_progress",
                                     "time_in_progress",
                                     "weighted_time_in_progress",
                                     "discards",
                                     "discards_merged",
                                     "sectors_discarded",
                                     "time_discarding",
                                     "flushes",
                                     "time_flushing",
                                     NULL};
  static const char *const net[] = {
      "recv_bytes",      "recv_packets",   "recv_errs",    "recv_drop",       "recv_fifo", "recv_frame",
      "recv_compressed", "recv_multicast", "sent_bytes",   "sent_packets",    "sent_errs", "sent_drop",
      "sent_fifo",       "sent_colls",     "sent_carrier", "sent_compressed", NULL};
  add_columns(output, "/proc/stat", "kata_guest_cpu_time", "cpu", "CPU time of the guest, in ticks.", 0, "cpu", cpu);
  add_columns(output, "/proc/diskstats", "kata_guest_diskstat", "disk", "Disks of the guest.", 2, NULL, disk);
  add_load(output);
  add_pairs(output, "/proc/meminfo", "kata_guest_meminfo", "Memory of the guest, in bytes where that is its unit.",
            NULL);
  add_columns(output, "/proc/net/dev", "kata_guest_netdev_stat", "interface", "Network interfaces of the guest.", 0,
              NULL, net);
  add_pairs(output, "/proc/vmstat", "kata_guest_vm_stat", "Virtual memory of the guest.", NULL);
}

/* ---- the agent ---- */

/* Fields of /proc/self/stat after the name, counted from the state. */
enum {
  STAT_UTIME = 11,
  STAT_STIME,
  STAT_CUTIME,
  STAT_CSTIME,
  STAT_THREADS = 17,
  STAT_START = 19,
  STAT_VSIZE,
  STAT_RSS
};

static void add_process_stat(Output *output) {
  static const struct {
    const char *item;
    guint field;
  } times[] = {{"utime", STAT_UTIME}, {"stime", STAT_STIME}, {"cutime", STAT_CUTIME}, {"cstime", STAT_CSTIME}};
  const MetricsSource *source = output->source;
  g_autofree char *text = source->read("/proc/self/stat", source->user_data);
  const char *after = text ? strrchr(text, ')') : NULL;
  g_auto(GStrv) fields = after ? split_words(after + 1) : NULL;
  if (!fields || g_strv_length(fields) <= STAT_RSS) return;
  begin(output, "kata_agent_proc_stat", "gauge", "CPU time of the agent and its children, in ticks.");
  for (guint i = 0; i < G_N_ELEMENTS(times); i++)
    add_item(output, "kata_agent_proc_stat", NULL, NULL, times[i].item, fields[times[i].field]);
  double ticks = g_ascii_strtod(fields[STAT_UTIME], NULL) + g_ascii_strtod(fields[STAT_STIME], NULL);
  double resident = g_ascii_strtod(fields[STAT_RSS], NULL) * (double)source->page_size;
  double virtual = g_ascii_strtod(fields[STAT_VSIZE], NULL);
  add_number(output, "kata_agent_process_cpu_seconds_total", "counter", "CPU time of the agent in seconds.",
             ticks / source->ticks);
  add_number(output, "kata_agent_process_start_time_seconds", "gauge", "When the agent began, in seconds since 1970.",
             (double)source->boot_s + g_ascii_strtod(fields[STAT_START], NULL) / source->ticks);
  add_number(output, "kata_agent_process_resident_memory_bytes", "gauge", "Resident memory of the agent.", resident);
  add_number(output, "kata_agent_process_virtual_memory_bytes", "gauge", "Virtual memory of the agent.", virtual);
  add_number(output, "kata_agent_threads", "gauge", "Threads of the agent.",
             g_ascii_strtod(fields[STAT_THREADS], NULL));
  add_number(output, "kata_agent_total_rss", "gauge", "Resident memory of the agent in bytes.", resident);
  add_number(output, "kata_agent_total_time", "gauge", "CPU time of the agent in ticks.", ticks);
  add_number(output, "kata_agent_total_vm", "gauge", "Virtual memory of the agent in bytes.", virtual);
}

static void add_max_fds(Output *output) {
  g_autofree char *text = output->source->read("/proc/self/limits", output->source->user_data);
  const char *line = text ? strstr(text, "Max open files") : NULL;
  if (line)
    add_number(output, "kata_agent_process_max_fds", "gauge", "Files the agent may have open.",
               g_ascii_strtod(line + strlen("Max open files"), NULL));
}

static void add_agent(Output *output) {
  static const char status_items[] =
      " hugetlbpages nonvoluntary_ctxt_switches rssanon rssfile rssshmem vmdata vmexe vmhwm vmlck vmlib vmpeak vmpin "
      "vmpte vmrss vmsize vmstk vmswap voluntary_ctxt_switches ";
  add_number(output, "kata_agent_scrape_count", "counter", "How often the agent was asked.",
             (double)output->source->scrapes);
  add_pairs(output, "/proc/self/io", "kata_agent_io_stat", "What the agent read and wrote.", NULL);
  add_process_stat(output);
  add_pairs(output, "/proc/self/status", "kata_agent_proc_status", "Status of the agent.", status_items);
  add_max_fds(output);
  add_number(output, "kata_agent_process_open_fds", "gauge", "Files the agent has open.", output->source->open_fds);
}

char *metrics_format(const MetricsSource *source) {
  Output output = {source, g_string_new(NULL)};
  add_agent(&output);
  add_guest(&output);
  return g_string_free(output.text, FALSE);
}

static char *read_file(const char *path, gpointer user_data) { return safe_read_file(path, PROC_FILE_MAX, NULL, NULL); }

static guint count_fds(void) {
  guint count = 0;
  g_autoptr(GDir) fds = g_dir_open("/proc/self/fd", 0, NULL);
  while (fds && g_dir_read_name(fds)) count++;
  /* One is the directory's own. */
  return count > 0 ? count - 1 : 0;
}

char *metrics_collect(void) {
  static guint64 scrapes;
  struct timespec now = {0}, since_boot = {0};
  clock_gettime(CLOCK_REALTIME, &now);
  clock_gettime(CLOCK_BOOTTIME, &since_boot);
  MetricsSource source = {.read = read_file,
                          .scrapes = ++scrapes,
                          .ticks = (guint)sysconf(_SC_CLK_TCK),
                          .page_size = (guint64)sysconf(_SC_PAGESIZE),
                          .boot_s = now.tv_sec - since_boot.tv_sec,
                          .open_fds = count_fds()};
  return metrics_format(&source);
}
