// SPDX-License-Identifier: LGPL-2.1-or-later
#include "log.h"

#include <errno.h>
#include <glib-unix.h>
#include <json-c/json.h>
#include <poll.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* A log reader that does not read holds a line up for this long, then loses it. */
#define LOG_WRITE_PATIENCE_MS 1000

typedef struct {
  int fd;           /* -1: none */
  gboolean is_late; /* the reader: waited for once, and not again until he reads */
} Sink;

static struct {
  GMutex lock;
  gboolean is_writer_set;
  Sink sink, copy;
  LogFormat format;
  GLogLevelFlags level;
  gboolean tells_places;
  gsize queue_max; /* 0: whoever logs waits for the reader */
  GString *queue;  /* what the reader has not taken yet */
  pid_t queue_owner;
  guint queue_source;
  guint64 lines_lost;
} target = {.sink = {STDERR_FILENO}, .copy = {-1}, .format = LOG_FORMAT_TEXT, .level = G_LOG_LEVEL_WARNING};

static char *format_time(gint64 time_us) {
  time_t seconds = time_us / G_USEC_PER_SEC;
  struct tm parts;
  gmtime_r(&seconds, &parts);
  char text[64];
  strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &parts);
  return g_strdup_printf("%s.%06dZ", text, (int)(time_us % G_USEC_PER_SEC));
}

static void append_escaped(GString *line, gunichar character) {
  static const char letters[] = "abtnvfr"; /* \a is 7 */
  if (character == '"' || character == '\\') {
    g_string_append_printf(line, "\\%c", (char)character);
  } else if (character >= 7 && character <= 13) {
    g_string_append_printf(line, "\\%c", letters[character - 7]);
  } else if (character < 0x80) {
    g_string_append_printf(line, "\\x%02x", (guint)character);
  } else {
    g_string_append_printf(line, character > 0xffff ? "\\U%08x" : "\\u%04x", (guint)character);
  }
}

static gboolean is_printable(gunichar character) {
  GUnicodeType type = g_unichar_type(character);
  return g_unichar_isprint(character) && type != G_UNICODE_LINE_SEPARATOR && type != G_UNICODE_PARAGRAPH_SEPARATOR;
}

/* As logrus does it: a word of harmless characters stands bare, all else is quoted by Go's rules. */
static void append_text_value(GString *line, const char *value) {
  const char *harmless = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._/@^+";
  if (value[strspn(value, harmless)] == '\0') {
    g_string_append(line, value);
    return;
  }
  g_string_append_c(line, '"');
  while (*value != '\0') {
    gunichar character = g_utf8_get_char_validated(value, -1);
    if (character == (gunichar)-1 || character == (gunichar)-2) {
      g_string_append_printf(line, "\\x%02x", (guchar)*value++);
      continue;
    }
    if (character == '"' || character == '\\' || !is_printable(character)) {
      append_escaped(line, character);
    } else {
      g_string_append_unichar(line, character);
    }
    value = g_utf8_next_char(value);
  }
  g_string_append_c(line, '"');
}

static const char *base_name(const char *path) {
  const char *slash = strrchr(path, '/');
  return slash != NULL ? slash + 1 : path;
}

static char *format_text(const char *level, const char *message, const char *stamp, const LogPlace *place) {
  GString *line = g_string_new(NULL);
  g_string_append_printf(line, "time=\"%s\" level=%s msg=", stamp, level);
  append_text_value(line, message);
  if (place != NULL)
    g_string_append_printf(line, " func=\"%s()\" file=\"%s:%s\"", place->function, base_name(place->file), place->line);
  g_string_append_c(line, '\n');
  return g_string_free(line, FALSE);
}

static void add_place(struct json_object *object, const LogPlace *place) {
  g_autofree char *text = g_strdup_printf("%s:%s", place->file, place->line);
  json_object_object_add(object, "file", json_object_new_string(text));
  json_object_object_add(object, "func", json_object_new_string(place->function));
}

static char *format_json(const char *level, const char *message, const char *stamp, const LogPlace *place) {
  g_autofree char *valid = g_utf8_make_valid(message, -1);
  struct json_object *object = json_object_new_object();
  if (place != NULL) add_place(object, place);
  json_object_object_add(object, "level", json_object_new_string(level));
  json_object_object_add(object, "msg", json_object_new_string(valid));
  json_object_object_add(object, "time", json_object_new_string(stamp));
  char *line = g_strdup_printf(
      "%s\n", json_object_to_json_string_ext(object, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
  json_object_put(object);
  return line;
}

char *log_format_line(LogFormat format, const char *level, const char *message, gint64 time_us, const LogPlace *place) {
  g_autofree char *stamp = format_time(time_us);
  return format == LOG_FORMAT_JSON ? format_json(level, message, stamp, place)
                                   : format_text(level, message, stamp, place);
}

/* Nothing can be done about a log that cannot be written, so nothing is reported. */
static void write_line(Sink *sink, const char *line) {
  gsize length = sink->fd >= 0 ? strlen(line) : 0;
  while (length > 0) {
    ssize_t written = write(sink->fd, line, length);
    if (written >= 0) {
      line += written;
      length -= written;
    } else if (errno == EAGAIN) {
      struct pollfd wait = {.fd = sink->fd, .events = POLLOUT};
      int patience_ms = sink->is_late ? 0 : LOG_WRITE_PATIENCE_MS;
      sink->is_late = poll(&wait, 1, patience_ms) == 0;
      if (sink->is_late) return;
    } else if (errno != EINTR) {
      return;
    }
  }
}

/* ---- a queue for a reader who is slow ---- */

static gboolean flush_later(int fd, GIOCondition condition, gpointer user_data);

/* As much as the reader takes now. */
static void flush_queue(void) {
  while (target.queue->len > 0) {
    ssize_t written = write(target.sink.fd, target.queue->str, target.queue->len);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0 && errno == EAGAIN) {
      if (target.queue_source == 0) target.queue_source = g_unix_fd_add(target.sink.fd, G_IO_OUT, flush_later, NULL);
      return;
    }
    if (written < 0) g_string_truncate(target.queue, 0);
    if (written > 0) g_string_erase(target.queue, 0, written);
  }
}

static void queue_line(const char *line) {
  if (target.lines_lost > 0 && target.queue->len == 0) {
    g_autofree char *message =
        g_strdup_printf("%" G_GUINT64_FORMAT " lines were lost: the log was not read", target.lines_lost);
    g_autofree char *lost = log_format_line(target.format, "warning", message, g_get_real_time(), NULL);
    g_string_append(target.queue, lost);
    target.lines_lost = 0;
  }
  if (target.queue->len + strlen(line) > target.queue_max)
    target.lines_lost++;
  else
    g_string_append(target.queue, line);
  flush_queue();
}

static gboolean flush_later(int fd, GIOCondition condition, gpointer user_data) {
  g_mutex_lock(&target.lock);
  flush_queue();
  gboolean is_done = target.queue->len == 0;
  if (is_done) target.queue_source = 0;
  g_mutex_unlock(&target.lock);
  return is_done ? G_SOURCE_REMOVE : G_SOURCE_CONTINUE;
}

/* A child has a copy of what its parent will write. */
static void forget_parents_queue(void) {
  if (target.queue_owner == getpid()) return;
  target.queue_owner = getpid();
  target.queue_source = 0;
  g_string_truncate(target.queue, 0);
}

void log_set_queue(gsize max) {
  g_mutex_lock(&target.lock);
  target.queue_max = max;
  target.queue_owner = getpid();
  if (!target.queue) target.queue = g_string_new(NULL);
  g_mutex_unlock(&target.lock);
}

static void write_message(const char *level, const char *message, const LogPlace *place) {
  int saved_errno = errno;
  g_mutex_lock(&target.lock);
  g_autofree char *line =
      log_format_line(target.format, level, message, g_get_real_time(), target.tells_places ? place : NULL);
  if (target.queue_max > 0) {
    forget_parents_queue();
    queue_line(line);
  } else {
    write_line(&target.sink, line);
  }
  write_line(&target.copy, line);
  g_mutex_unlock(&target.lock);
  errno = saved_errno;
}

static const char *level_name(GLogLevelFlags level) {
  if (level & G_LOG_LEVEL_ERROR) return "fatal";
  if (level & G_LOG_LEVEL_CRITICAL) return "error";
  if (level & G_LOG_LEVEL_WARNING) return "warning";
  if (level & (G_LOG_LEVEL_MESSAGE | G_LOG_LEVEL_INFO)) return "info";
  return "debug";
}

static gboolean is_wanted(GLogLevelFlags level) {
  g_mutex_lock(&target.lock);
  /* GLib's graver levels have the lower bits. */
  gboolean wanted = (level & G_LOG_LEVEL_MASK) <= target.level;
  g_mutex_unlock(&target.lock);
  return wanted;
}

/* FALSE: the program was built without G_LOG_USE_STRUCTURED. */
static gboolean find_place(const GLogField *fields, gsize n_fields, LogPlace *ret) {
  for (gsize i = 0; i < n_fields; i++) {
    if (strcmp(fields[i].key, "CODE_FILE") == 0) ret->file = fields[i].value;
    if (strcmp(fields[i].key, "CODE_LINE") == 0) ret->line = fields[i].value;
    if (strcmp(fields[i].key, "CODE_FUNC") == 0) ret->function = fields[i].value;
  }
  return ret->file != NULL && ret->line != NULL && ret->function != NULL;
}

static GLogWriterOutput write_log(GLogLevelFlags level, const GLogField *fields, gsize n_fields, gpointer user_data) {
  if (!is_wanted(level)) return G_LOG_WRITER_HANDLED;
  LogPlace place = {NULL};
  gboolean has_place = find_place(fields, n_fields, &place);
  for (gsize i = 0; i < n_fields; i++) {
    if (strcmp(fields[i].key, "MESSAGE") != 0) continue;
    g_autofree char *copy = fields[i].length >= 0 ? g_strndup(fields[i].value, fields[i].length) : NULL;
    write_message(level_name(level), copy != NULL ? copy : fields[i].value, has_place ? &place : NULL);
  }
  return G_LOG_WRITER_HANDLED;
}

void log_open(int fd, LogFormat format, GLogLevelFlags level) {
  g_mutex_lock(&target.lock);
  if (target.sink.fd != fd && target.queue_source) g_source_remove(target.queue_source);
  if (target.sink.fd != fd) target.queue_source = 0;
  target.sink = (Sink){.fd = fd};
  target.format = format;
  target.level = level;
  gboolean must_set = !target.is_writer_set;
  target.is_writer_set = TRUE;
  g_mutex_unlock(&target.lock);
  /* GLib aborts when the writer is set a second time. */
  if (must_set) g_log_set_writer_func(write_log, NULL, NULL);
}

void log_copy_to(int fd) {
  g_mutex_lock(&target.lock);
  target.copy = (Sink){.fd = fd};
  g_mutex_unlock(&target.lock);
}

void log_tell_places(gboolean tells) {
  g_mutex_lock(&target.lock);
  target.tells_places = tells;
  g_mutex_unlock(&target.lock);
}

void log_error_at(const char *message, const LogPlace *place) { write_message("error", message, place); }
