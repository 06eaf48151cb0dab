// SPDX-License-Identifier: LGPL-2.1-or-later
#include <json-c/json.h>
#include <string.h>
#include <unistd.h>

#include "kata/oci.h"
#include "lib/api.h"

/* The document of the OCI runtime specification's example, with runc's values. */
static const char base[] =
    "{'ociVersion':'1.2.0',"
    "'process':{'terminal':true,'user':{'uid':0,'gid':0},'args':['sh'],"
    "'env':['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin','TERM=xterm'],'cwd':'/',"
    "'capabilities':{'bounding':['CAP_AUDIT_WRITE','CAP_KILL','CAP_NET_BIND_SERVICE'],"
    "'effective':['CAP_AUDIT_WRITE','CAP_KILL','CAP_NET_BIND_SERVICE'],"
    "'permitted':['CAP_AUDIT_WRITE','CAP_KILL','CAP_NET_BIND_SERVICE']},"
    "'rlimits':[{'type':'RLIMIT_NOFILE','hard':1024,'soft':1024}],'noNewPrivileges':true},"
    "'root':{'path':'rootfs','readonly':true},'hostname':'kata',"
    "'mounts':["
    "{'destination':'/proc','type':'proc','source':'proc'},"
    "{'destination':'/"
    "dev','type':'tmpfs','source':'tmpfs','options':['nosuid','strictatime','mode=755','size=65536k']},"
    "{'destination':'/dev/pts','type':'devpts','source':'devpts',"
    "'options':['nosuid','noexec','newinstance','ptmxmode=0666','mode=0620','gid=5']},"
    "{'destination':'/dev/shm','type':'tmpfs','source':'shm',"
    "'options':['nosuid','noexec','nodev','mode=1777','size=65536k']},"
    "{'destination':'/dev/mqueue','type':'mqueue','source':'mqueue','options':['nosuid','noexec','nodev']},"
    "{'destination':'/sys','type':'sysfs','source':'sysfs','options':['nosuid','noexec','nodev','ro']},"
    "{'destination':'/sys/fs/cgroup','type':'cgroup','source':'cgroup',"
    "'options':['nosuid','noexec','nodev','relatime','ro']}],"
    "'linux':{'resources':{'devices':[{'allow':false,'access':'rwm'}]},"
    "'namespaces':[{'type':'pid'},{'type':'network'},{'type':'ipc'},{'type':'uts'},{'type':'mount'},{'type':'cgroup'}],"
    "'maskedPaths':['/proc/acpi','/proc/asound','/proc/kcore','/proc/keys','/proc/latency_stats','/proc/timer_list',"
    "'/proc/timer_stats','/proc/sched_debug','/sys/firmware','/proc/scsi'],"
    "'readonlyPaths':['/proc/bus','/proc/fs','/proc/irq','/proc/sys','/proc/sysrq-trigger']}}";

static json_object *get(json_object *object, const char *key) {
  json_object *value = NULL;
  json_object_object_get_ex(object, key, &value);
  return value;
}

static const char *get_text(json_object *object, const char *key) { return json_object_get_string(get(object, key)); }

static void add_mapping(json_object *lin, const char *key, guint id) {
  json_object *mapping = json_object_new_object(), *list = json_object_new_array();
  json_object_object_add(mapping, "containerID", json_object_new_int(0));
  json_object_object_add(mapping, "hostID", json_object_new_int64(id));
  json_object_object_add(mapping, "size", json_object_new_int(1));
  json_object_array_add(list, mapping);
  json_object_object_add(lin, key, list);
}

/* A user who may map only himself has neither a network to set up nor the terminal's group, nor limits to set. */
static void make_rootless(json_object *spec, guint uid, guint gid) {
  json_object *lin = get(spec, "linux"), *kept = json_object_new_array(), *user = json_object_new_object();
  json_object *namespaces = get(lin, "namespaces"), *mounts = get(spec, "mounts");
  for (gsize i = 0; i < json_object_array_length(namespaces); i++) {
    json_object *entry = json_object_array_get_idx(namespaces, i);
    if (strcmp(get_text(entry, "type"), "network") != 0) json_object_array_add(kept, json_object_get(entry));
  }
  json_object_object_add(user, "type", json_object_new_string("user"));
  json_object_array_add(kept, user);
  json_object_object_add(lin, "namespaces", kept);
  json_object_object_del(lin, "resources");
  add_mapping(lin, "uidMappings", uid);
  add_mapping(lin, "gidMappings", gid);
  for (gsize i = 0; i < json_object_array_length(mounts); i++) {
    json_object *mount = json_object_array_get_idx(mounts, i), *options = get(mount, "options");
    if (strcmp(get_text(mount, "destination"), "/dev/pts") == 0)
      json_object_array_del_idx(options, json_object_array_length(options) - 1, 1);
  }
}

char *kata_oci_spec(uint32_t flags, kata_error **err) {
  g_autoptr(GError) error = NULL;
  if (!api_check(base, "document", flags, KATA_OCI_SPEC_ROOTLESS, &error)) return api_fail_null(err, error);
  g_autofree char *text = g_strdelimit(g_strdup(base), "'", '"');
  json_object *spec = json_tokener_parse(text);
  if ((flags & KATA_OCI_SPEC_ROOTLESS) != 0) make_rootless(spec, geteuid(), getegid());
  const int style =
      JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_PRETTY_TAB | JSON_C_TO_STRING_SPACED | JSON_C_TO_STRING_NOSLASHESCAPE;
  char *printed = g_strconcat(json_object_to_json_string_ext(spec, style), "\n", NULL);
  json_object_put(spec);
  return printed;
}
