/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent/user.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/task.h"
#include "common/error.h"
#include "common/fds.h"
#include "common/safe-path.h"

/* What the kernel takes (NGROUPS_MAX). */
#define GROUPS_MAX 65536
/* Fields of a line of passwd(5) and group(5). */
enum { PASSWD_UID = 2, PASSWD_GID = 3, PASSWD_FIELDS = 4 };
enum { GROUP_GID = 2, GROUP_MEMBERS = 3, GROUP_FIELDS = 3 };

static gboolean parse_id(const char *text, guint32 *ret_id) {
  guint64 number = 0;
  /* The highest number means "no change" to the kernel. */
  if (!g_ascii_string_to_unsigned(text, 10, 0, G_MAXUINT32 - 1, &number, NULL)) return FALSE;
  *ret_id = (guint32)number;
  return TRUE;
}

/* The fields of the first line that has this name, or this number in the given field; NULL if there is none. */
static char **find_line(const char *text, const char *name, guint n_fields, guint number_field, const guint32 *number) {
  g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
  for (char **line = lines; *line; line++) {
    g_auto(GStrv) fields = g_strsplit(*line, ":", -1);
    guint32 id = 0;
    if (g_strv_length(fields) < n_fields || !parse_id(fields[number_field], &id)) continue;
    if (number ? id == *number : strcmp(fields[0], name) == 0) return g_steal_pointer(&fields);
  }
  return NULL;
}

static gboolean resolve_group(const char *group, const char *name, guint32 *ret_gid, GError **error) {
  if (parse_id(name, ret_gid)) return TRUE;
  g_auto(GStrv) fields = find_line(group, name, GROUP_FIELDS, GROUP_GID, NULL);
  if (fields) return parse_id(fields[GROUP_GID], ret_gid);
  g_autofree char *shown = error_clean_text(name);
  g_set_error(error, KATA_ERROR, KATA_ERR_NOT_FOUND, "group '%s' is not in the container's /etc/group", shown);
  return FALSE;
}

static void add_group(Grpc__User *user, guint32 gid) {
  for (gsize i = 0; i < user->n_additionalgids; i++)
    if (user->additionalgids[i] == gid) return;
  if (user->n_additionalgids >= GROUPS_MAX) return;
  user->additionalgids = g_renew(guint32, user->additionalgids, user->n_additionalgids + 1);
  user->additionalgids[user->n_additionalgids++] = gid;
}

static void add_memberships(const char *group, const char *name, Grpc__User *user) {
  g_auto(GStrv) lines = g_strsplit(group, "\n", -1);
  for (char **line = lines; *line; line++) {
    g_auto(GStrv) fields = g_strsplit(*line, ":", -1);
    guint32 gid = 0;
    if (g_strv_length(fields) <= GROUP_MEMBERS || !parse_id(fields[GROUP_GID], &gid)) continue;
    g_auto(GStrv) members = g_strsplit(fields[GROUP_MEMBERS], ",", -1);
    if (g_strv_contains((const char *const *)members, name)) add_group(user, gid);
  }
}

/* By name, or by number: then he need not be known. */
static gboolean resolve_user(const char *passwd, const char *group, const char *name, Grpc__User *user,
                             GError **error) {
  guint32 uid = 0;
  gboolean is_number = parse_id(name, &uid);
  g_auto(GStrv) fields = find_line(passwd, name, PASSWD_FIELDS, PASSWD_UID, is_number ? &uid : NULL);
  if (!fields && strcmp(name, "root") == 0) {
    user->uid = user->gid = 0;
    return TRUE;
  }
  if (!fields && !is_number) {
    g_autofree char *shown = error_clean_text(name);
    g_set_error(error, KATA_ERROR, KATA_ERR_NOT_FOUND, "user '%s' is not in the container's /etc/passwd", shown);
    return FALSE;
  }
  user->gid = 0;
  if (is_number)
    user->uid = uid;
  else if (!parse_id(fields[PASSWD_UID], &user->uid))
    return FALSE;
  if (!fields) return TRUE;
  if (!parse_id(fields[PASSWD_GID], &user->gid)) user->gid = 0;
  add_memberships(group, fields[0], user);
  return TRUE;
}

static gboolean has_text(const char *text) { return text && *text; }

static gboolean is_asked(const Grpc__StringUser *asked) {
  return asked && (has_text(asked->uid) || has_text(asked->gid) || asked->n_additionalgids > 0);
}

/* A number beside the name comes from somebody who looked already. */
static gboolean has_own_name(const Grpc__User *user) {
  return user && has_text(user->username) && user->uid == 0 && user->gid == 0;
}

gboolean user_is_named(const Grpc__StringUser *asked, const Grpc__User *user) {
  return is_asked(asked) || has_own_name(user);
}

gboolean user_resolve(const char *passwd, const char *group, const Grpc__StringUser *asked, Grpc__User *user,
                      GError **error) {
  if (!is_asked(asked)) {
    g_auto(GStrv) names = g_strsplit(user->username, ":", 2);
    return resolve_user(passwd, group, names[0], user, error) &&
           (!names[1] || !*names[1] || resolve_group(group, names[1], &user->gid, error));
  }
  if (has_text(asked->uid) && !resolve_user(passwd, group, asked->uid, user, error)) return FALSE;
  if (has_text(asked->gid) && !resolve_group(group, asked->gid, &user->gid, error)) return FALSE;
  for (gsize i = 0; i < asked->n_additionalgids; i++) {
    guint32 gid = 0;
    if (!resolve_group(group, asked->additionalgids[i], &gid, error)) return FALSE;
    add_group(user, gid);
  }
  return TRUE;
}

/* A container without the file has no names; one that is not a file could keep us for ever. */
static char *read_beneath(int root, const char *path, GError **error) {
  g_autoptr(GError) failure = NULL;
  autofd int fd = safe_open(root, path, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0, &failure);
  if (fd < 0 && error_get_code(failure) == KATA_ERR_NOT_FOUND) return g_strdup("");
  struct stat info = {0};
  if (fd < 0) {
    g_propagate_error(error, g_steal_pointer(&failure));
    return NULL;
  }
  if (fstat(fd, &info) < 0 || !S_ISREG(info.st_mode) || info.st_size > USER_FILE_MAX) {
    g_set_error(error, KATA_ERROR, KATA_ERR_INVALID_ARGUMENT,
                "the container's '/%s' is not a file of at most %u bytes, so that no name can be looked up", path,
                USER_FILE_MAX);
    return NULL;
  }
  g_autofree char *text = g_malloc0(USER_FILE_MAX + 1);
  if (fd_read_all(fd, text, USER_FILE_MAX) < 0) {
    error_set_errno(error, errno, "cannot read the container's '/%s'", path);
    return NULL;
  }
  return g_strdup(text);
}

static Grpc__User *get_user(OciProcess *process) {
  if (process->user) return process->user;
  process->user = g_new(Grpc__User, 1);
  grpc__user__init(process->user);
  return process->user;
}

static gboolean resolve_in(const char *root_path, const Grpc__StringUser *asked, OciProcess *process, GError **error) {
  autofd int root = open(root_path, O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (root < 0) {
    error_set_errno(error, errno, "cannot open the container's root '%s' to look its users up", root_path);
    return FALSE;
  }
  g_autofree char *passwd = read_beneath(root, "etc/passwd", error);
  g_autofree char *group = passwd ? read_beneath(root, "etc/group", error) : NULL;
  return group && user_resolve(passwd, group, asked, get_user(process), error);
}

/* ---- in a helper ---- */

/* The whole task: the container serves the file system its files are in, or may, and never answers. */
#define LOOKUP_TIMEOUT_MS 10000

typedef struct {
  char *root_path;
  const Grpc__StringUser *asked;
  OciProcess *process;
  UserFunc func;
  gpointer user_data;
} Lookup;

/* Says the numbers: user, group, the other groups. */
static gboolean look_up(gpointer data, GString *result, GError **error) {
  const Lookup *lookup = data;
  if (!resolve_in(lookup->root_path, lookup->asked, lookup->process, error)) return FALSE;
  const Grpc__User *user = lookup->process->user;
  g_string_append_printf(result, "%u %u", user->uid, user->gid);
  for (gsize i = 0; i < user->n_additionalgids; i++) g_string_append_printf(result, " %u", user->additionalgids[i]);
  return TRUE;
}

static gboolean take_numbers(OciProcess *process, const char *text) {
  g_auto(GStrv) numbers = g_strsplit(text, " ", -1);
  guint count = g_strv_length(numbers);
  Grpc__User *user = get_user(process);
  if (count < 2 || !parse_id(numbers[0], &user->uid) || !parse_id(numbers[1], &user->gid)) return FALSE;
  g_clear_pointer(&user->additionalgids, g_free);
  user->n_additionalgids = 0;
  user->additionalgids = g_new(guint32, MAX(count - 2, 1));
  for (guint i = 2; i < count; i++)
    if (!parse_id(numbers[i], &user->additionalgids[user->n_additionalgids++])) return FALSE;
  return TRUE;
}

static void looked_up(const char *result, const GError *failure, gpointer user_data) {
  g_autofree Lookup *lookup = user_data;
  g_autofree char *root_path = lookup->root_path;
  g_autoptr(GError) error = failure ? g_error_copy(failure) : NULL;
  if (g_error_matches(error, KATA_ERROR, KATA_ERR_TIMEOUT))
    g_prefix_error(&error, "cannot read the container's /etc/passwd and /etc/group: ");
  else if (!error && !take_numbers(lookup->process, result))
    g_set_error(&error, KATA_ERROR, KATA_ERR_INTERNAL, "the helper process did not say who the user is");
  lookup->func(error, lookup->user_data);
}

void user_start(Reaper *reaper, const char *root_path, const Grpc__StringUser *asked, OciProcess *process,
                UserFunc func, gpointer user_data) {
  if (!user_is_named(asked, process->user)) {
    func(NULL, user_data);
    return;
  }
  Lookup *lookup = g_new(Lookup, 1);
  *lookup = (Lookup){g_strdup(root_path), asked, process, func, user_data};
  TaskRequest task = {.work = look_up, .data = lookup, .timeout_ms = LOOKUP_TIMEOUT_MS};
  task_start(reaper, &task, looked_up, lookup);
}
