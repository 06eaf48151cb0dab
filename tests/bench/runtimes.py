# SPDX-License-Identifier: LGPL-2.1-or-later
"""Container runtimes without a guest: crun and runc on this host, and crun under the agent on this host."""
import json
import os
import shutil
import subprocess
import sys
import time

import kata_cli

NAMES = ("crun", "runc")


def on_host(runtime, bundle):
    """Seconds of a run of the same bundle; None where the runtime does not run here."""
    if shutil.which(runtime) is None:
        return None
    place = ("{ mountpoint -q /sys/fs/cgroup && umount -R -l /sys/fs/cgroup; mount -t cgroup2 cgroup2 /sys/fs/cgroup; } "
             f">/dev/null 2>&1; exec {runtime} --root {bundle}/state run --bundle {bundle} bench-{os.getpid()}")
    begin = time.monotonic()
    done = subprocess.run(["unshare", "-m", "--propagation", "private", "sh", "-c", place], stdin=subprocess.DEVNULL,
                          stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False)
    if done.returncode == 0:
        return time.monotonic() - begin
    print(f"{runtime} runs no container here: {done.stderr.strip()[-200:]}", file=sys.stderr)
    return None


def measure_agent():
    """The agent on this host: its figures, and its exec beside crun's own."""
    program = os.path.join(kata_cli.BUILD, "tests/bench/measure-agent")
    done = subprocess.run([program], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False)
    if done.returncode == 77:
        return None
    done.check_returncode()
    return json.loads(done.stdout)
