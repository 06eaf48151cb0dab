// SPDX-License-Identifier: LGPL-2.1-or-later
#include <json-c/json.h>

#include "kata/oci.h"
#include "lib/api.h"

/* What holds for containers in our guests: crun runs them on a kernel with cgroup v2, seccomp and no Linux security
 * module beside capabilities. Of mount options those that have an effect: not "remount", nor the recursive ones for
 * times, which crun 1.8 mistakes. */
static const char features[] =
    "{"
    "'ociVersionMin':'1.0.0','ociVersionMax':'1.2.0',"
    "'hooks':['prestart','createRuntime','createContainer','startContainer','poststart','poststop'],"
    "'mountOptions':['async','atime','bind','defaults','dev','diratime','dirsync','exec','lazytime','mand','noatime',"
    "'nodev','nodiratime','noexec','nolazytime','nomand','norelatime','nostrictatime','nosuid','private','rbind',"
    "'rdev','relatime','rexec','rnodev','rnoexec','rnosuid','ro','rprivate','rro','rrw','rshared','rslave','rsuid',"
    "'runbindable','rw','shared','slave','strictatime','suid','sync','tmpcopyup','unbindable'],"
    "'linux':{"
    "'namespaces':['cgroup','ipc','mount','network','pid','user','uts'],"
    "'capabilities':['CAP_CHOWN','CAP_DAC_OVERRIDE','CAP_DAC_READ_SEARCH','CAP_FOWNER','CAP_FSETID','CAP_KILL',"
    "'CAP_SETGID','CAP_SETUID','CAP_SETPCAP','CAP_LINUX_IMMUTABLE','CAP_NET_BIND_SERVICE','CAP_NET_BROADCAST',"
    "'CAP_NET_ADMIN','CAP_NET_RAW','CAP_IPC_LOCK','CAP_IPC_OWNER','CAP_SYS_MODULE','CAP_SYS_RAWIO','CAP_SYS_CHROOT',"
    "'CAP_SYS_PTRACE','CAP_SYS_PACCT','CAP_SYS_ADMIN','CAP_SYS_BOOT','CAP_SYS_NICE','CAP_SYS_RESOURCE','CAP_SYS_TIME',"
    "'CAP_SYS_TTY_CONFIG','CAP_MKNOD','CAP_LEASE','CAP_AUDIT_WRITE','CAP_AUDIT_CONTROL','CAP_SETFCAP',"
    "'CAP_MAC_OVERRIDE','CAP_MAC_ADMIN','CAP_SYSLOG','CAP_WAKE_ALARM','CAP_BLOCK_SUSPEND','CAP_AUDIT_READ',"
    "'CAP_PERFMON','CAP_BPF','CAP_CHECKPOINT_RESTORE'],"
    "'cgroup':{'v1':true,'v2':true,'systemd':true,'systemdUser':false,'rdma':false},"
    "'seccomp':{'enabled':true,"
    "'actions':['SCMP_ACT_ALLOW','SCMP_ACT_ERRNO','SCMP_ACT_KILL','SCMP_ACT_KILL_PROCESS','SCMP_ACT_KILL_THREAD',"
    "'SCMP_ACT_LOG','SCMP_ACT_TRACE','SCMP_ACT_TRAP'],"
    "'operators':['SCMP_CMP_EQ','SCMP_CMP_GE','SCMP_CMP_GT','SCMP_CMP_LE','SCMP_CMP_LT','SCMP_CMP_MASKED_EQ',"
    "'SCMP_CMP_NE'],"
    "'archs':['SCMP_ARCH_X86','SCMP_ARCH_X86_64','SCMP_ARCH_X32']},"
    "'apparmor':{'enabled':false},'selinux':{'enabled':false},"
    "'intelRdt':{'enabled':false},'mountExtensions':{'idmap':{'enabled':false}},'netDevices':{'enabled':false}},"
    "'annotations':{'org.opencontainers.runc.checkpoint.enabled':'true'},"
    "'potentiallyUnsafeConfigAnnotations':['io.katacontainers.']"
    "}";

char *kata_oci_features(uint32_t flags, kata_error **err) {
  g_autoptr(GError) error = NULL;
  if (!api_check(features, "document", flags, 0, &error)) return api_fail_null(err, error);
  g_autofree char *text = g_strdelimit(g_strdup(features), "'", '"');
  struct json_object *document = json_tokener_parse(text);
  const int style = JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED | JSON_C_TO_STRING_NOSLASHESCAPE;
  char *printed = g_strdup(json_object_to_json_string_ext(document, style));
  json_object_put(document);
  return printed;
}
