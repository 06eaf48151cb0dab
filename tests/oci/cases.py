# SPDX-License-Identifier: LGPL-2.1-or-later
"""What both engines are asked. A check is a line of shell in a container whose config.json a bundle describes; an exec is
a process object for the container that runs all of them. Each check and each exec is a case."""
import os

from engines import CAPABILITIES, merge

ALL_CAPS = ["CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_KILL", "CAP_SETGID", "CAP_SETUID", "CAP_NET_RAW",
            "CAP_NET_BIND_SERVICE", "CAP_SYS_CHROOT"]


def caps(*names):
    return {"capabilities": {part: list(names) for part in ("bounding", "effective", "permitted", "inheritable",
                                                            "ambient")}}


def user(uid, gid, **more):
    return {"user": {"uid": uid, "gid": gid, **more}}


def rlimits(*limits):
    return {"rlimits": [{"type": f"RLIMIT_{name}", "soft": soft, "hard": hard} for name, soft, hard in limits]}


CAP_LINES = "grep -E '^Cap(Inh|Prm|Eff|Bnd|Amb)' /proc/self/status"
# Without the two signals the C library keeps for itself, 32 and 33: programs it starts for make(1) ignore them, which a
# runtime on the host passes on.
SIGNALS = "while read name value; do case $name in SigBlk:|SigIgn:) echo $name $((0x$value & 0x7ffffffe7fffffff)); esac; done"
PRIVS = "grep -E 'NoNewPrivs|^Seccomp:' /proc/self/status"
MOUNT = "awk -v at={0} '$5 == at {{ print $6, $0 ~ / shared:/ ? \"shared\" : $0 ~ / master:/ ? \"slave\" : \"private\" }}' /proc/self/mountinfo"

# Processes of one container: NAME: (what differs from a process that runs args, args, standard input).
EXECS = {
    # ---- process ----
    "process: one word": ({}, ["true"], b""),
    "process: arguments as they are": ({}, ["printf", "[%s]", "a b", "", "$HOME", "*", "\"'", "new\nline", "ü€😀"], b""),
    "process: many arguments": ({}, ["sh", "-c", "echo $#"] + [str(i) for i in range(2000)], b""),
    "process: a long argument": ({}, ["sh", "-c", "echo ${#1}", "x", "y" * 100000], b""),
    "process: empty argument first": ({}, ["sh", "-c", "echo \"<$1>\" $#", "x", ""], b""),
    "process: exit 0": ({}, ["sh", "-c", "exit 0"], b""),
    "process: exit 1": ({}, ["false"], b""),
    "process: exit 42": ({}, ["sh", "-c", "exit 42"], b""),
    "process: exit 126 of the shell": ({}, ["sh", "-c", "/etc/passwd"], b""),
    "process: exit 127 of the shell": ({}, ["sh", "-c", "nothing-of-that-name 2>/dev/null"], b""),
    "process: exit 255": ({}, ["sh", "-c", "exit 255"], b""),
    "process: exit 256 wraps": ({}, ["sh", "-c", "exit 256"], b""),
    "process: killed by TERM": ({}, ["sh", "-c", "kill -TERM $$"], b""),
    "process: killed by KILL": ({}, ["sh", "-c", "kill -KILL $$"], b""),
    "process: killed by SEGV": ({}, ["sh", "-c", "kill -SEGV $$"], b""),
    "process: killed by a real-time signal": ({}, ["sh", "-c", "kill -40 $$"], b""),
    "process: no such program": ({}, ["/bin/none"], b""),
    "process: not executable": ({}, ["/etc/passwd"], b""),
    "process: a directory as program": ({}, ["/etc"], b""),
    "process: found by PATH": ({"env": ["PATH=/nowhere:/bin"]}, ["echo", "found"], b""),
    "process: not found by PATH": ({"env": ["PATH=/nowhere"]}, ["echo", "found"], b""),
    "process: relative program": ({"cwd": "/bin"}, ["./echo", "relative"], b""),
    "process: environment": ({"env": ["PATH=/bin", "A=1", "EMPTY=", "SPACE=a b", "EQUALS=a=b", "LINE=a\nb"]},
                             ["sh", "-c", "env | grep -v -E '^(HOME|SHLVL|PWD|_)=' | sort"], b""),
    "process: environment twice": ({"env": ["PATH=/bin", "A=1", "A=2"]}, ["sh", "-c", "echo $A; env | grep -c ^A="], b""),
    "process: HOME of root": ({}, ["sh", "-c", "echo $HOME"], b""),
    "process: HOME of a user": (user(1000, 1000), ["sh", "-c", "echo $HOME"], b""),
    "process: HOME of nobody known": (user(4242, 4242), ["sh", "-c", "echo $HOME"], b""),
    "process: HOME that is given": ({"env": ["PATH=/bin", "HOME=/given"]}, ["sh", "-c", "echo $HOME"], b""),
    "process: working directory": ({"cwd": "/etc"}, ["pwd"], b""),
    "process: working directory through a link": ({"cwd": "/link"}, ["sh", "-c", "pwd -P"], b""),
    "process: standard input": ({}, ["cat"], b"some\ninput"),
    "process: binary input": ({}, ["sha256sum"], bytes(range(256)) * 4096),
    "process: input ends": ({}, ["wc", "-c"], b""),
    "process: input not read": ({}, ["true"], b"x" * 100000),
    "process: much output": ({}, ["sh", "-c", "i=0; while [ $i -lt 20000 ]; do echo line $i; i=$((i+1)); done | sha256sum; "
                                  "seq 50000"], b""),
    "process: both outputs": ({}, ["sh", "-c", "echo out; echo err >&2; echo out; echo err >&2"], b""),
    "process: closed output": ({}, ["sh", "-c", "exec >&-; echo lost; echo $? >&2"], b""),
    "process: descriptors": ({}, ["sh", "-c", "ls /proc/self/fd | grep -v 3 | tr '\\n' ' '"], b""),
    "process: pid of its own": ({}, ["sh", "-c", "[ $$ -gt 1 ] && [ -e /proc/1/exe ] && echo yes"], b""),
    "process: orphan is the container's": ({}, ["sh", "-c", "(sh -c 'sleep 0.5; awk \"/PPid/ { print \\$2 }\" /proc/$$/status > /out/p; mv /out/p /out/parent' &); "
                                                "until [ -e /out/parent ]; do sleep 0.1; done; cat /out/parent"], b""),
    "process: blocked signals": ({}, ["sh", "-c", SIGNALS + " </proc/self/status"], b""),
    "process: nice value": ({}, ["sh", "-c", "cut -d' ' -f19 /proc/self/stat"], b""),
    "process: oom score": ({"oomScoreAdj": 100}, ["cat", "/proc/self/oom_score_adj"], b""),
    "process: no terminal": ({}, ["sh", "-c", "tty; test -t 1; echo $?"], b""),
    "process: umask": ({}, ["sh", "-c", "umask"], b""),
    # ---- user ----
    "user: root": ({}, ["id"], b""),
    "user: uid and gid": (user(1000, 1000), ["id"], b""),
    "user: unknown uid": (user(4242, 4343), ["sh", "-c", "id -u; id -g; id -G"], b""),
    "user: high uid": (user(4294967290, 4294967290), ["sh", "-c", "id -u; id -g"], b""),
    "user: gid only": (user(0, 1000), ["sh", "-c", "id -u; id -g"], b""),
    "user: additional groups": (user(1000, 1000, additionalGids=[5, 2000, 3000]), ["sh", "-c", "id -G"], b""),
    "user: additional groups of root": (user(0, 0, additionalGids=[10, 11]), ["sh", "-c", "id -G"], b""),
    "user: umask": (user(1000, 1000, umask=0o077), ["sh", "-c", "umask; touch /tmp/private; stat -c %a /tmp/private"], b""),
    "user: umask 0": (user(0, 0, umask=0), ["sh", "-c", "umask; touch /tmp/open; stat -c %a /tmp/open"], b""),
    "user: files are his": (user(1000, 2000), ["sh", "-c", "touch /tmp/his && stat -c '%u %g' /tmp/his"], b""),
    "user: what is root's is not his": (user(1000, 1000), ["sh", "-c", "echo x > /etc/passwd; echo $?"], b""),
    "user: not his directory": ({**user(1000, 1000), "cwd": "/secret"}, ["pwd"], b""),
    "user: capabilities go": ({**user(1000, 1000), **caps()}, ["sh", "-c", CAP_LINES], b""),
    "user: no new privileges": ({**user(1000, 1000), "noNewPrivileges": True}, ["sh", "-c", PRIVS], b""),
    "user: new privileges": ({**user(1000, 1000), "noNewPrivileges": False}, ["sh", "-c", PRIVS], b""),
    # ---- capabilities ----
    "capabilities: none": (caps(), ["sh", "-c", CAP_LINES], b""),
    "capabilities: some": (caps(*ALL_CAPS), ["sh", "-c", CAP_LINES], b""),
    "capabilities: of a user": ({**user(1000, 1000), **caps("CAP_NET_BIND_SERVICE", "CAP_KILL")}, ["sh", "-c", CAP_LINES],
                                b""),
    "capabilities: bounding only": ({"capabilities": {"bounding": ["CAP_KILL", "CAP_CHOWN"]}}, ["sh", "-c", CAP_LINES], b""),
    "capabilities: effective of bounding": ({"capabilities": {"bounding": ALL_CAPS, "permitted": ["CAP_KILL", "CAP_CHOWN"],
                                                              "effective": ["CAP_CHOWN"]}}, ["sh", "-c", CAP_LINES], b""),
    "capabilities: without CHOWN": (caps("CAP_KILL"), ["sh", "-c", "touch /tmp/mine; chown 5:5 /tmp/mine; echo $?"], b""),
    "capabilities: with CHOWN": (caps("CAP_CHOWN"), ["sh", "-c", "touch /tmp/mine; chown 5:5 /tmp/mine; echo $?"], b""),
    "capabilities: without DAC_OVERRIDE": (caps("CAP_KILL"), ["sh", "-c", "cat /out/closed; echo $?"], b""),
    "capabilities: with DAC_OVERRIDE": (caps("CAP_DAC_OVERRIDE"), ["sh", "-c", "cat /out/closed; echo $?"], b""),
    "capabilities: without SYS_ADMIN": (caps("CAP_KILL"), ["sh", "-c", "mount -t tmpfs x /mnt; echo $?"], b""),
    "capabilities: without MKNOD": (caps("CAP_KILL"), ["sh", "-c", "mknod /tmp/node c 1 3; echo $?"], b""),
    "capabilities: without NET_ADMIN": (caps("CAP_KILL"), ["sh", "-c", "ip link set lo down; echo $?"], b""),
    "capabilities: without SYS_CHROOT": (caps("CAP_KILL"), ["sh", "-c", "chroot / true; echo $?"], b""),
    # ---- limits ----
    "limits: open files": (rlimits(("NOFILE", 100, 200)), ["sh", "-c", "ulimit -n; ulimit -Hn"], b""),
    "limits: core": (rlimits(("CORE", 0, 0)), ["sh", "-c", "ulimit -c; ulimit -Hc"], b""),
    "limits: file size": (rlimits(("FSIZE", 4096, 8192)), ["sh", "-c", "dd if=/dev/zero of=/tmp/big bs=1k count=100 2>/dev/null; "
                                                           "stat -c %s /tmp/big"], b""),
    "limits: stack": (rlimits(("STACK", 4194304, 8388608)), ["sh", "-c", "ulimit -s; ulimit -Hs"], b""),
    "limits: processor time": (rlimits(("CPU", 100, 200)), ["sh", "-c", "ulimit -t; ulimit -Ht"], b""),
    "limits: address space": (rlimits(("AS", 1 << 30, 1 << 31)), ["sh", "-c", "ulimit -v; ulimit -Hv"], b""),
    "limits: several": (rlimits(("NOFILE", 64, 64), ("DATA", 1 << 28, 1 << 28), ("CORE", 0, 1024)),
                        ["sh", "-c", "grep -E 'open files|data size|core file' /proc/self/limits"], b""),
    "limits: too many open files": (rlimits(("NOFILE", 5, 5)), ["sh", "-c", "exec 3</dev/null 4</dev/null 7</dev/null; echo no"],
                                    b""),
    "limits: unlimited core": (rlimits(("CORE", 18446744073709551615, 18446744073709551615)), ["sh", "-c", "ulimit -c"], b""),
    # ---- what an exec shares with its container ----
    "exec: same host name": ({}, ["hostname"], b""),
    "exec: same pid namespace": ({}, ["sh", "-c", "tr '\\0' ' ' < /proc/1/cmdline"], b""),
    "exec: same files": ({}, ["cat", "/out/from-init"], b""),
    "exec: same namespaces": ({}, ["sh", "-c", "for n in pid mnt ipc uts net; do [ $(readlink /proc/self/ns/$n) = "
                                   "$(readlink /proc/1/ns/$n) ] && echo $n; done"], b""),
    "exec: same root": ({}, ["sh", "-c", "[ $(stat -c %i /) = $(stat -c %i /proc/1/root/) ] && echo same"], b""),
    "exec: no environment of init": ({"env": ["PATH=/bin"]}, ["sh", "-c", "echo \"<$FROM_INIT>\""], b""),
    "exec: can signal init": ({}, ["sh", "-c", "kill -0 1; echo $?"], b""),
    "exec: sees the mounts": ({}, ["sh", "-c", MOUNT.format("/dev/shm")], b""),
    "exec: a second one meanwhile": ({}, ["sh", "-c", "echo x > /tmp/shared; cat /tmp/shared"], b""),
    "exec: shared memory": ({}, ["sh", "-c", "echo in > /dev/shm/f; cat /dev/shm/f; stat -c %a /dev/shm"], b""),
}


def bind(name, at, *options, kind="bind"):
    """A bind mount of something of the bundle."""
    return lambda document, path: document["mounts"].append(
        {"destination": at, "type": kind, "source": os.path.join(path, name), "options": list(options) or ["bind"]})


def tmpfs(at, *options):
    return lambda document, path: document["mounts"].append(
        {"destination": at, "type": "tmpfs", "source": "tmpfs", "options": list(options)})


def all_of(*changes):
    def change(document, path):
        for one in changes:
            if callable(one):
                one(document, path)
            else:
                merge(document, one)
    return change


def namespaces(*kinds):
    return {"linux": {"namespaces": [{"type": kind} for kind in kinds]}}


DATA = {"data/file": "of the host\n", "data/sub/deep": "deep\n", "single": "single\n"}

# Containers of their own: NAME: (change of config.json, files of the bundle, {check: shell}).
BUNDLES = {
    "process": ({"process": {**user(1000, 1000, additionalGids=[2000]), **caps("CAP_KILL"), "noNewPrivileges": True,
                             "cwd": "/tmp", "env": ["PATH=/bin", "A=from config"],
                             **rlimits(("NOFILE", 77, 88), ("CORE", 0, 0)), "oomScoreAdj": 7}}, {}, {
        "init is process 1": "tr '\\0' ' ' < /proc/1/cmdline | cut -c1-3",
        "init's user": "id -u; id -g; id -G",
        "init's capabilities": CAP_LINES,
        "init's privileges": PRIVS,
        "init's working directory": "pwd",
        "init's environment": "echo $A; echo $HOME",
        "init's limits": "ulimit -n; ulimit -Hn; ulimit -c",
        "init's oom score": "cat /proc/self/oom_score_adj",
        "init's parent": "grep PPid /proc/1/status",
        "init's signals": SIGNALS + " </proc/1/status",
        "init's session": "cut -d' ' -f5,6 /proc/1/stat",
        "host name": "hostname; cat /proc/sys/kernel/hostname",
        "host name cannot be set": "hostname other; echo $?",
    }),
    "rootfs": ({}, {}, {
        "writable": "echo x > /written && cat /written",
        "modes stay": "touch /out/m; chmod 4751 /out/m; stat -c '%a %u %g' /out/m",
        "owners stay": "touch /out/o; chown 1234:5678 /out/o; stat -c '%u %g' /out/o",
        "times stay": "touch -d '2001-02-03 04:05:06' /out/t; stat -c %Y /out/t",
        "links": "ln -s /nowhere /out/link; readlink /out/link; ln /out/m /out/hard; stat -c %h /out/hard",
        "rename": "mkdir /out/d; mv /out/d /out/e; ls -d /out/e",
        "a fifo": "mkfifo /out/fifo; stat -c %F /out/fifo",
        "a socket": "timeout 1 nc -l -p 0 -s 127.0.0.1 >/dev/null 2>&1; echo ok",
        "sparse": "dd if=/dev/null of=/out/sparse bs=1 seek=1000000 2>/dev/null; stat -c '%s %b' /out/sparse",
        "unlink while open": "exec 5>/out/gone; rm /out/gone; echo x >&5; echo $?; ls /out/gone 2>/dev/null",
        "truncate": "echo 12345 > /out/cut; truncate -s 3 /out/cut; cat /out/cut",
        "append": "echo a > /out/app; echo b >> /out/app; cat /out/app",
        "long name": "touch /out/$(printf %0255d 7) && echo ok; touch /out/$(printf %0256d 7) 2>/dev/null; echo $?",
        "odd names": "touch \"/out/ü ' \\ x\"; ls /out/ü*",
        "deep directories": "p=/out/deep; for i in 1 2 3 4 5 6 7 8 9; do p=$p/d$i; done; mkdir -p $p && ls -d $p",
        "no way out": "ls -d /../../etc/passwd; cd /; cd ..; pwd",
        "root's own type": "stat -c %F /; ls / | tr '\\n' ' '",
    }),
    "read-only rootfs": (all_of({"root": {"readonly": True}}, tmpfs("/tmp", "mode=1777")), {}, {
        "cannot write": "echo x > /written; echo $?",
        "cannot make directories": "mkdir /d; echo $?",
        "cannot remove": "rm /etc/passwd; echo $?",
        "cannot remount": "mount -o remount,rw / 2>/dev/null; echo $?",
        "tmpfs can be written": "echo x > /tmp/x; cat /tmp/x",
        "dev can be written": "echo x > /dev/null; echo $?",
        "root is ro": "awk '$5 == \"/\" { print substr($6, 1, 2) }' /proc/self/mountinfo | tail -n 1",
    }),
    "devices": ({"linux": {"devices": [
        {"path": "/dev/extra", "type": "c", "major": 1, "minor": 3, "fileMode": 0o640, "uid": 1000, "gid": 2000},
        {"path": "/dev/deep/zero", "type": "c", "major": 1, "minor": 5, "fileMode": 0o666, "uid": 0, "gid": 0},
        {"path": "/dev/pipe", "type": "p", "fileMode": 0o600, "uid": 0, "gid": 0}]}}, {}, {
        **{f"default {name}": f"stat -c '%F %a %t:%T %u:%g' /dev/{name}" for name in
           ("null", "zero", "full", "random", "urandom", "tty")},
        "links": "for l in fd stdin stdout stderr ptmx; do echo $l $(readlink /dev/$l); done",
        "given": "stat -c '%F %a %t:%T %u:%g' /dev/extra",
        "given in a directory": "stat -c '%F %a %t:%T' /dev/deep/zero; head -c 3 /dev/deep/zero | wc -c",
        "given fifo": "stat -c '%F %a' /dev/pipe",
        "null takes all": "echo x > /dev/null; echo $?",
        "full takes nothing": "echo x > /dev/full; echo $?",
        "zero gives zeros": "head -c 4 /dev/zero | od -An -tx1",
        "random gives": "head -c 16 /dev/urandom | wc -c",
        "no console": "test -e /dev/console; echo $?",
        "nothing else": "ls /dev | tr '\\n' ' '",
        "pts": "stat -c '%F %a' /dev/pts; ls /dev/pts",
        "shm": MOUNT.format("/dev/shm") + "; stat -c %a /dev/shm",
        "dev": MOUNT.format("/dev"),
    }),
    "mounts": (all_of(
        bind("data", "/m/rw", "rbind", "rw"), bind("data", "/m/ro", "rbind", "ro"), bind("single", "/m/single"),
        bind("single", "/m/single-ro", "bind", "ro"), bind("data", "/m/noexec", "bind", "noexec", "nosuid", "nodev"),
        bind("data/sub", "/m/nested"), bind("data", "/m/deep/er/est"), bind("data", "/m/none", "bind", kind="none"),
        bind("data", "/m/empty-type", "bind", kind=""),
        tmpfs("/t/plain"), tmpfs("/t/mode", "mode=0700", "uid=1000", "gid=1000"), tmpfs("/t/small", "size=64k"),
        tmpfs("/t/ro", "ro"), tmpfs("/t/noexec", "noexec", "nosuid", "nodev"), tmpfs("/t/atime", "noatime"),
        tmpfs("/t/inodes", "nr_inodes=10"), tmpfs("/etc/over"), tmpfs("/t/slave", "rslave"),
        tmpfs("/t/shared", "rshared"), tmpfs("/t/private", "private"), tmpfs("/t/unbindable", "unbindable")), DATA, {
        "bind": "cat /m/rw/file; cat /m/rw/sub/deep",
        "bind, written": "echo changed > /m/rw/new; cat /m/nested/../new 2>/dev/null; cat /m/ro/new",
        "bind, read-only": "echo x > /m/ro/file; echo $?; " + MOUNT.format("/m/ro"),
        "bind, read-only below": "echo x > /m/ro/sub/deep; echo $?",
        "bind of a file": "cat /m/single; stat -c %F /m/single",
        "bind of a file, read-only": "echo x > /m/single-ro; echo $?; cat /m/single-ro",
        "bind with flags": MOUNT.format("/m/noexec") + "; cp /bin/busybox /m/rw/true; chmod 755 /m/rw/true; /m/noexec/true; echo $?",
        "bind of a directory below": "cat /m/nested/deep",
        "bind into new directories": "cat /m/deep/er/est/file; stat -c '%a %u' /m/deep/er",
        "bind without a type": "cat /m/none/file; cat /m/empty-type/file",
        "tmpfs": MOUNT.format("/t/plain") + "; stat -c '%a %u:%g' /t/plain; echo x > /t/plain/x; cat /t/plain/x",
        "tmpfs with mode and owner": "stat -c '%a %u:%g' /t/mode",
        "tmpfs with a size": "dd if=/dev/zero of=/t/small/x bs=1k count=100 2>/dev/null; stat -c %s /t/small/x; df -k /t/small | awk 'END { print $2 }'",
        "tmpfs, read-only": "echo x > /t/ro/x; echo $?; " + MOUNT.format("/t/ro"),
        "tmpfs with flags": MOUNT.format("/t/noexec"),
        "tmpfs without times": MOUNT.format("/t/atime"),
        "tmpfs with few inodes": "for i in 1 2 3 4 5 6 7 8 9 10 11 12; do touch /t/inodes/$i 2>/dev/null || { echo $i; break; }; done",
        "tmpfs over a directory of the rootfs": "ls /etc/over; " + MOUNT.format("/etc/over"),
        "propagation slave": MOUNT.format("/t/slave"),
        "propagation shared": MOUNT.format("/t/shared"),
        "propagation private": MOUNT.format("/t/private"),
        "propagation unbindable": "grep -c ' /t/unbindable .*unbindable' /proc/self/mountinfo",
        "proc": MOUNT.format("/proc"),
        "order": "awk '{ print $5 }' /proc/self/mountinfo | grep -E '^/(m|t)/' | sort | tr '\\n' ' '",
    }),
    # What is mounted below one place, and whether it comes to a second place that shows the same.
    "propagation": (all_of(
        bind("data", "/p/from-host", "rbind", "rshared"), tmpfs("/p/shared", "rshared"), tmpfs("/p/private", "rprivate"),
        tmpfs("/p/slave", "rshared"), tmpfs("/p/flat", "rshared"), {"linux": {"rootfsPropagation": "private"}},
        {"process": {"capabilities": {part: CAPABILITIES + ["CAP_SYS_ADMIN"] for part in
                                      ("bounding", "effective", "permitted")}}}), DATA, {
        name: f"mkdir /p/{place}/in /p/{place}-copy; mount --bind /p/{place} /p/{place}-copy{how}; "
              f"mount -t tmpfs x /p/{place}{below}/in; echo there > /p/{place}{below}/in/file; "
              f"cat /p/{place}/in/file /p/{place}-copy/in/file; umount /p/{place}{below}/in; "
              f"ls /p/{place}/in /p/{place}-copy/in"
        for name, place, how, below in (
            ("shared", "shared", "", ""), ("shared, the other way", "shared", "", "-copy"),
            ("private", "private", "", ""), ("a slave gets", "slave", " && mount --make-rslave /p/slave-copy", ""),
            ("a slave gives nothing", "slave", " && mount --make-rslave /p/slave-copy", "-copy"),
            ("made private", "flat", " && mount --make-rprivate /p/flat-copy", ""),
            ("of the host", "from-host", "", ""))}),
    "volumes": (all_of(bind("data", "/v", "rbind", "rw"), bind("single", "/v1", "bind", "rw"),
                       {"process": user(1000, 1000)}), DATA, {
        "not his": "echo x > /v/file; echo $?",
        "can read": "cat /v/file",
    }),
    "ownership on volumes": (bind("data", "/v", "rbind", "rw"), DATA, {
        "chown": "chown 1000:2000 /v/file && stat -c '%u:%g' /v/file",
        "chmod": "chmod 2640 /v/file && stat -c %a /v/file",
        "hard link": "ln /v/file /v/hard && stat -c %h /v/file",
        "symbolic link": "ln -s file /v/soft && cat /v/soft",
        "rename over": "echo new > /v/tmp; mv /v/tmp /v/sub/deep; cat /v/sub/deep",
        "fsync": "dd if=/dev/zero of=/v/synced bs=4k count=4 conv=fsync 2>/dev/null; stat -c %s /v/synced",
        "sticky and setgid": "mkdir /v/s; chmod 3777 /v/s; stat -c %a /v/s",
        "remove": "rm /v/hard; stat -c %h /v/file; rm -r /v/s; ls /v | tr '\\n' ' '",
        "large file": "dd if=/dev/zero of=/v/big bs=1M count=8 2>/dev/null; sha256sum < /v/big",
        "many files": "mkdir /v/many; i=0; while [ $i -lt 200 ]; do : > /v/many/$i; i=$((i+1)); done; ls /v/many | wc -l",
        "device numbers agree": "[ $(stat -c %d /v) = $(stat -c %d /v/sub) ] && echo same",
    }),
    "masked and read-only paths": ({"linux": {
        "maskedPaths": ["/proc/kcore", "/proc/keys", "/proc/timer_list", "/etc/group", "/out", "/does/not/exist"],
        "readonlyPaths": ["/proc/sys", "/proc/sysrq-trigger", "/etc", "/neither/does/this"]}}, {}, {
        "masked file": "cat /proc/kcore | wc -c; cat /proc/keys | wc -c",
        "masked file of the rootfs": "cat /etc/group | wc -c; stat -c %F /etc/group",
        "masked directory": "ls /out; touch /out/x 2>/dev/null; echo $?",
        "read-only sysctl": "echo 1 > /proc/sys/kernel/panic; echo $?",
        "read-only file": "echo h > /proc/sysrq-trigger; echo $?",
        "read-only directory": "touch /etc/x; echo $?; cat /etc/passwd | wc -l",
        "missing paths": "ls -d /does /neither 2>/dev/null | wc -l",
        "proc is there": "cat /proc/self/comm",
    }),
    "namespaces": ({}, {}, {
        "pid": "ls -d /proc/[0-9]* | wc -l | awk '{ print ($1 < 8) }'",
        "network is empty": "ls /sys/class/net 2>/dev/null; awk 'NR > 2 { print $1 }' /proc/net/dev",
        "loopback": "cat /sys/class/net/lo/operstate 2>/dev/null; ip addr show lo 2>/dev/null | grep -c 'inet 127.0.0.1/8'",
        "ipc is empty": "awk 'END { print NR }' /proc/sysvipc/shm /proc/sysvipc/msg",
        "user": "cat /proc/self/uid_map | tr -s ' '",
        "mount": "grep -c . /proc/self/mountinfo",
        "no cgroups are seen": "ls /sys/fs/cgroup 2>/dev/null | wc -l",
    }),
    "cgroup namespace": (namespaces("pid", "mount", "ipc", "uts", "network", "cgroup"), {}, {
        "root of its own": "cat /proc/self/cgroup | grep ^0::",
        "links": "ls /proc/self/ns | tr '\\n' ' '",
    }),
    "user namespace": (all_of(namespaces("pid", "mount", "ipc", "uts", "network", "user"), {"linux": {
        "uidMappings": [{"containerID": 0, "hostID": 0, "size": 1}, {"containerID": 1, "hostID": 100000, "size": 65535}],
        "gidMappings": [{"containerID": 0, "hostID": 0, "size": 1}, {"containerID": 1, "hostID": 100000, "size": 65535}]}}),
        {}, {
        "maps": "cat /proc/self/uid_map /proc/self/gid_map | tr -s ' '",
        "groups may be set": "cat /proc/self/setgroups",
        "id": "id -u; id -g",
        "files": "touch /tmp/x; stat -c '%u:%g' /tmp/x",
        "not a real root": "mknod /tmp/n c 1 3 2>/dev/null; echo $?",
    }),
    "fewer namespaces": (all_of(namespaces("pid", "mount", "network"), {"hostname": None}), {}, {
        "host name of the place": "[ -n \"$(hostname)\" ] && echo named",
        "pid": "echo $$",
    }),
    "sysctls": ({"linux": {"sysctl": {"net.ipv4.ip_forward": "1", "kernel.shmmax": "123456789", "kernel.msgmax": "4096",
                                      "net.ipv4.ping_group_range": "0 1000"}}}, {}, {
        "network": "cat /proc/sys/net/ipv4/ip_forward",
        "ipc": "cat /proc/sys/kernel/shmmax /proc/sys/kernel/msgmax",
        "range": "cat /proc/sys/net/ipv4/ping_group_range | tr -s '\\t' ' '",
    }),
    "seccomp": ({"linux": {"seccomp": {"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86_64"], "syscalls": [
        {"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 5},
        {"names": ["sync"], "action": "SCMP_ACT_ERRNO"},
        {"names": ["sethostname"], "action": "SCMP_ACT_KILL_PROCESS"}]}}}, {}, {
        "mode": "grep ^Seccomp: /proc/self/status",
        "an error of choice": "mkdir /tmp/d 2>&1",
        "others go on": "touch /tmp/f && echo ok",
        "killed": "sh -c 'hostname x'; echo $?",
    }),
    "personality": ({"linux": {"personality": {"domain": "LINUX32"}}}, {}, {
        "machine": "uname -m | cut -c1",
        "of a child": "sh -c 'uname -m' | cut -c1",
    }),
    "root propagation": (all_of({"linux": {"rootfsPropagation": "private"}}), {}, {
        "private": MOUNT.format("/"),
    }),
    "root propagation shared": (all_of({"linux": {"rootfsPropagation": "shared"}}), {}, {
        "shared": MOUNT.format("/"),
    }),
    "root propagation slave": (all_of({"linux": {"rootfsPropagation": "slave"}}), {}, {
        "slave": "awk '$5 == \"/\"' /proc/self/mountinfo | grep -c shared:",
    }),
}
