# SPDX-License-Identifier: LGPL-2.1-or-later
# Parts of the owner that need no guest.
if HAVE_CMOCKA
owner_tests = tests/unit/test-agent-link tests/unit/test-boot-slot tests/unit/test-shim-console tests/unit/test-shim-options tests/unit/test-guest-spec tests/unit/test-stream tests/unit/test-timeline \
	tests/unit/test-hooks tests/unit/test-events tests/unit/test-cgroup tests/unit/test-host-watch tests/unit/test-annotations tests/unit/test-metrics tests/unit/test-rootfs \
	tests/unit/test-rootfs-layers
check_PROGRAMS += $(owner_tests)
TESTS += $(owner_tests)

tests_unit_test_agent_link_SOURCES = tests/unit/test-agent-link.c shim/agent-link.c $(TTRPC_FIXTURE)
tests_unit_test_agent_link_LDADD = lib/libcore.la $(TEST_LIBS)
tests_unit_test_shim_console_SOURCES = tests/unit/test-shim-console.c shim/console.c
tests_unit_test_shim_console_LDADD = $(TEST_LIBS)
tests_unit_test_shim_options_SOURCES = tests/unit/test-shim-options.c shim/options.c
tests_unit_test_shim_options_LDADD = $(TEST_LIBS)
tests_unit_test_guest_spec_SOURCES = tests/unit/test-guest-spec.c shim/guest-spec.c shim/rootfs-layers.c
tests_unit_test_guest_spec_LDADD = $(TEST_LIBS)
tests_unit_test_stream_SOURCES = tests/unit/test-stream.c shim/stream.c
tests_unit_test_stream_LDADD = $(TEST_LIBS)
tests_unit_test_boot_slot_SOURCES = tests/unit/test-boot-slot.c shim/boot-slot.c
tests_unit_test_boot_slot_LDADD = $(TEST_LIBS)
tests_unit_test_timeline_SOURCES = tests/unit/test-timeline.c shim/timeline.c
tests_unit_test_timeline_LDADD = $(TEST_LIBS)
tests_unit_test_hooks_SOURCES = tests/unit/test-hooks.c shim/hooks.c
tests_unit_test_hooks_LDADD = $(TEST_LIBS)
tests_unit_test_events_SOURCES = tests/unit/test-events.c shim/events.c shim/times.c
tests_unit_test_events_LDADD = $(TEST_LIBS)
tests_unit_test_cgroup_SOURCES = tests/unit/test-cgroup.c shim/cgroup.c shim/cgroup-limits.c shim/cgroup-systemd.c
tests_unit_test_cgroup_CFLAGS = $(AM_CFLAGS) $(GIO_CFLAGS)
tests_unit_test_cgroup_LDADD = $(TEST_LIBS) $(GIO_LIBS)
tests_unit_test_host_watch_SOURCES = tests/unit/test-host-watch.c shim/host-watch.c
tests_unit_test_host_watch_LDADD = $(TEST_LIBS)
tests_unit_test_annotations_SOURCES = tests/unit/test-annotations.c
tests_unit_test_annotations_LDADD = lib/libcore.la $(TEST_LIBS)
tests_unit_test_metrics_SOURCES = tests/unit/test-metrics.c shim/metrics.c
tests_unit_test_metrics_LDADD = $(TEST_LIBS)
tests_unit_test_rootfs_SOURCES = tests/unit/test-rootfs.c shim/rootfs.c
tests_unit_test_rootfs_LDADD = $(TEST_LIBS)
tests_unit_test_rootfs_layers_SOURCES = tests/unit/test-rootfs-layers.c shim/rootfs-layers.c
tests_unit_test_rootfs_layers_LDADD = $(TEST_LIBS)
endif
