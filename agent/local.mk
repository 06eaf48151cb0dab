# SPDX-License-Identifier: LGPL-2.1-or-later
# The guest's PID 1; it runs from the guest image. On the host it lies where kata-mkguest takes it from.
pkglibexec_PROGRAMS += agent/kata-agent
agent_kata_agent_SOURCES = agent/main.c
agent_kata_agent_LDADD = agent/libagent.la

# All but main(), so that unit tests can link it.
noinst_LTLIBRARIES += agent/libagent.la
agent_libagent_la_SOURCES = \
	agent/attributes.c agent/attributes.h \
	agent/cgroup.c agent/cgroup.h \
	agent/config.c agent/config.h \
	agent/container-build.c agent/container-private.h agent/container-remove.c agent/container-run.c \
	agent/container.c agent/container.h \
	agent/cover-mount.c agent/cover-mount.h \
	agent/cpuset.c agent/cpuset.h \
	agent/copy-file.c agent/copy-file.h \
	agent/crun.c agent/crun.h \
	agent/device-kind.c agent/device-kind.h agent/device-spec.c agent/device-spec.h \
	agent/debug-console.c agent/debug-console.h \
	agent/device.c agent/device.h \
	agent/entropy.c agent/entropy.h \
	agent/guest-hooks.c agent/guest-hooks.h \
	agent/init.c agent/init.h \
	agent/iptables.c agent/iptables.h \
	agent/log-port.c agent/log-port.h \
	agent/metrics.c agent/metrics.h \
	agent/modules.c agent/modules.h \
	agent/mount.c agent/mount.h \
	agent/net-down.c agent/net-down.h \
	agent/net-interface.c agent/net-interface.h \
	agent/net-link.c agent/net-link.h \
	agent/net-localhost.c agent/net-localhost.h \
	agent/net-neighbor.c agent/net-neighbor.h \
	agent/net-report.c agent/net-report.h \
	agent/net-route.c agent/net-route.h \
	agent/net-route-update.c agent/net-route-update.h \
	agent/net-text.c agent/net-text.h \
	agent/net-wait.c agent/net-wait.h \
	agent/netlink.c agent/netlink.h \
	agent/namespaces.c agent/namespaces.h \
	agent/online.c agent/online.h \
	agent/oom.c agent/oom.h \
	agent/power.c agent/power.h \
	agent/preparation.c agent/preparation.h \
	agent/process.c agent/process.h \
	agent/process-list.c agent/process-list.h \
	agent/reap.c agent/reap.h \
	agent/rpc-container.c agent/rpc-guest.c agent/rpc-machine.c agent/rpc-network.c agent/rpc-process.c \
	agent/rpc-sandbox.c agent/rpc-storage.c agent/rpc-stream.c agent/rpc.c agent/rpc.h \
	agent/sandbox.c agent/sandbox.h \
	agent/service.c agent/service.h \
	agent/shared-mount.c agent/shared-mount.h \
	agent/spec.c agent/spec.h agent/spec-resources.c agent/spec-resources.h \
	agent/stats.c agent/stats.h \
	agent/storage-block.c agent/storage-group.c agent/storage-memory.c agent/storage-modes.c agent/storage-modes.h agent/storage-overlay.c \
	agent/storage-place.c agent/storage-private.h agent/storage-sync.c \
	agent/storage-watch.c agent/storage-watch.h agent/storage.c agent/storage.h \
	agent/stream.c agent/stream.h \
	agent/task.c agent/task.h \
	agent/termination-log.c agent/termination-log.h \
	agent/uevent.c agent/uevent.h \
	agent/volume.c agent/volume.h \
	agent/user.c agent/user.h
agent_libagent_la_CFLAGS = $(AM_CFLAGS) $(MNL_CFLAGS)
agent_libagent_la_LIBADD = common/libcommon.la $(MNL_LIBS)
