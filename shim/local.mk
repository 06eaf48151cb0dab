# SPDX-License-Identifier: LGPL-2.1-or-later
bin_PROGRAMS += shim/containerd-shim-kata-v2
shim_containerd_shim_kata_v2_SOURCES = \
	shim/main.c shim/options.c shim/options.h \
	shim/start.c shim/start.h shim/start-input.c shim/start-input.h shim/containerd.c shim/containerd.h shim/delete.c shim/serve.c shim/serve.h \
	shim/service.c shim/service.h shim/task-service.c shim/task-service.h shim/task-container.c shim/task-exec.c shim/task-update.c shim/sandbox-service.c shim/sandbox-pod.c shim/sandbox-pod.h shim/owner-service.c shim/owner-machine.c \
	shim/sandbox.c shim/sandbox.h shim/sandbox-dir.c shim/sandbox-dir.h \
	shim/boot-slot.c shim/boot-slot.h \
	shim/console.c shim/console.h shim/host-watch.c shim/host-watch.h shim/orphan.c shim/orphan.h \
	shim/publisher.c shim/publisher.h shim/rootfs.c shim/rootfs.h shim/rootfs-layers.c shim/rootfs-layers.h shim/task-events.c shim/task-events.h \
	shim/metrics.c shim/metrics.h \
	shim/launch.c shim/launch.h shim/timeline.c shim/timeline.h \
	shim/block.c shim/block.h shim/checkpoint.c shim/checkpoint.h shim/disk-image.c shim/disk-image.h shim/copy-tree.c shim/copy-tree.h shim/volumes.c shim/volumes.h shim/volumes-disks.c shim/volumes-follow.c shim/volumes-plan.c shim/volumes-private.h \
	shim/container.c shim/container.h shim/container-create.c shim/container-create.h shim/container-delete.c shim/container-delete.h \
	shim/process.c shim/process.h shim/stream.c shim/stream.h shim/stream-binary.c shim/stream-binary.h \
	shim/sandbox-network.c shim/sandbox-network.h shim/net-guest.c \
	shim/net-fingerprint.c shim/net-follow.c shim/net-follow.h shim/net-plug.c shim/net-plug.h \
	shim/hooks.c shim/hooks.h shim/events.c shim/events.h shim/resize.c shim/resize.h shim/cgroup.c shim/cgroup.h \
	shim/cgroup-limits.c shim/cgroup-limits.h shim/cgroup-systemd.c shim/cgroup-systemd.h shim/limits.c shim/limits.h shim/guest-spec.c shim/guest-spec.h shim/agent-link.c shim/agent-link.h \
	shim/agent-forward.c \
	shim/launch-private.h shim/launch-template.c \
	shim/launch-standby.c \
	shim/template.c shim/template.h shim/template-action.c shim/template-build.c shim/template-record.c \
	shim/spare-memory.c shim/spare-memory.h \
	shim/pool.c shim/pool.h shim/pool-action.c shim/pool-fill.c shim/warm-up.c shim/warm-up.h shim/background.c shim/background.h \
	shim/store.c shim/store.h shim/times.c shim/times.h
shim_containerd_shim_kata_v2_CPPFLAGS = $(AM_CPPFLAGS) \
	-DKATA_CACHEDIR='"$(localstatedir)/cache/kata"' -DKATA_SYSCONFDIR='"$(sysconfdir)/kata"'
shim_containerd_shim_kata_v2_CFLAGS = $(AM_CFLAGS) $(GIO_CFLAGS)
shim_containerd_shim_kata_v2_LDADD = $(GIO_LIBS) shim/libshimvm.la lib/libcore.la $(VIRT_LIBS)
if SANITIZERS
# What forks while it has threads. XCClinker: libtool does not know the flags. With libubsan apart from libasan reports
# would not go where they are told to.
FORK_GUARD = shim/fork-guard.c
FORK_GUARD_LINK = $(AM_LDFLAGS) -XCClinker -static-libasan -XCClinker -static-libubsan
shim_containerd_shim_kata_v2_SOURCES += $(FORK_GUARD)
shim_containerd_shim_kata_v2_LDFLAGS = $(FORK_GUARD_LINK)
endif
# The machine and its share: a library of their own so that the unit tests link just these.
noinst_LTLIBRARIES += shim/libshimvm.la
shim_libshimvm_la_SOURCES = \
	shim/block-source.c shim/block-source.h \
	shim/net.c shim/net.h shim/net-private.h \
	shim/net-bpf.c shim/net-bpf.h \
	shim/net-dns.c shim/net-dns.h \
	shim/net-localhost.c shim/net-localhost.h \
	shim/net-namespace.c shim/net-namespace.h \
	shim/net-netlink.c shim/net-netlink.h \
	shim/net-scan.c shim/net-scan.h \
	shim/net-tc.c shim/net-tc.h \
	shim/share.c shim/share.h \
	shim/share-daemon.c shim/share-private.h \
	shim/share-follow.c \
	shim/share-tree.c \
	shim/save-image.c shim/save-image.h shim/save-pages.c \
	shim/vm.c shim/vm.h \
	shim/vm-device.c shim/vm-private.h shim/vm-save.c \
	shim/vm-loop.c shim/vm-loop.h \
	shim/vm-kill.c shim/vm-reap.c shim/vm-reap.h \
	shim/vm-root.c shim/vm-root.h \
	shim/vm-strays.c shim/vm-user.h
shim_libshimvm_la_CFLAGS = $(AM_CFLAGS) $(VIRT_CFLAGS) $(ZLIB_CFLAGS) $(MNL_CFLAGS) $(BLKID_CFLAGS)
shim_libshimvm_la_LIBADD = common/libcommon.la $(VIRT_LIBS) $(ZLIB_LIBS) $(MNL_LIBS) $(BLKID_LIBS)
