# SPDX-License-Identifier: LGPL-2.1-or-later

if HAVE_CMOCKA
AGENT_UNITS = tests/unit/test-agent-config tests/unit/test-agent-cpuset tests/unit/test-agent-debug \
	tests/unit/test-agent-device tests/unit/test-agent-device-spec tests/unit/test-agent-init \
	tests/unit/test-agent-iptables tests/unit/test-agent-net-text \
	tests/unit/test-agent-process-list tests/unit/test-agent-reap tests/unit/test-agent-spec \
	tests/unit/test-agent-stats tests/unit/test-agent-stream tests/unit/test-agent-task tests/unit/test-agent-uevent \
	tests/unit/test-agent-user tests/unit/test-agent-oom tests/unit/test-agent-online tests/unit/test-agent-metrics \
	tests/unit/test-agent-entropy
check_PROGRAMS += $(AGENT_UNITS)
TESTS += $(AGENT_UNITS)
AGENT_TEST_LIBS = agent/libagent.la $(TEST_LIBS)
tests_unit_test_agent_init_SOURCES = tests/unit/test-agent-init.c
tests_unit_test_agent_init_LDADD = $(AGENT_TEST_LIBS)
tests_unit_test_agent_iptables_SOURCES = tests/unit/test-agent-iptables.c
tests_unit_test_agent_iptables_LDADD = $(AGENT_TEST_LIBS)
tests_unit_test_agent_net_text_SOURCES = tests/unit/test-agent-net-text.c
tests_unit_test_agent_net_text_LDADD = $(AGENT_TEST_LIBS)
tests_unit_test_agent_process_list_SOURCES = tests/unit/test-agent-process-list.c
tests_unit_test_agent_process_list_LDADD = $(AGENT_TEST_LIBS)
tests_unit_test_agent_cpuset_SOURCES = tests/unit/test-agent-cpuset.c
tests_unit_test_agent_cpuset_LDADD = $(AGENT_TEST_LIBS)
tests_unit_test_agent_user_SOURCES = tests/unit/test-agent-user.c
tests_unit_test_agent_user_LDADD = $(AGENT_TEST_LIBS)
tests_unit_test_agent_metrics_SOURCES = tests/unit/test-agent-metrics.c
tests_unit_test_agent_metrics_LDADD = $(AGENT_TEST_LIBS)
tests_unit_test_agent_entropy_SOURCES = tests/unit/test-agent-entropy.c
tests_unit_test_agent_entropy_LDADD = $(AGENT_TEST_LIBS)
tests_unit_test_agent_entropy_LDFLAGS = -Wl,--wrap=ioctl -Wl,--wrap=write
tests_unit_test_agent_online_SOURCES = tests/unit/test-agent-online.c
tests_unit_test_agent_online_LDADD = $(AGENT_TEST_LIBS)
tests_unit_test_agent_oom_SOURCES = tests/unit/test-agent-oom.c
tests_unit_test_agent_oom_LDADD = $(AGENT_TEST_LIBS)
tests_unit_test_agent_config_SOURCES = tests/unit/test-agent-config.c
tests_unit_test_agent_config_LDADD = $(AGENT_TEST_LIBS)
tests_unit_test_agent_debug_SOURCES = tests/unit/test-agent-debug.c
tests_unit_test_agent_debug_LDADD = $(AGENT_TEST_LIBS)
tests_unit_test_agent_reap_SOURCES = tests/unit/test-agent-reap.c
tests_unit_test_agent_reap_LDADD = $(AGENT_TEST_LIBS)
tests_unit_test_agent_spec_SOURCES = tests/unit/test-agent-spec.c
tests_unit_test_agent_spec_LDADD = $(AGENT_TEST_LIBS)
tests_unit_test_agent_stats_SOURCES = tests/unit/test-agent-stats.c
tests_unit_test_agent_stats_LDADD = $(AGENT_TEST_LIBS)
tests_unit_test_agent_stream_SOURCES = tests/unit/test-agent-stream.c
tests_unit_test_agent_stream_LDADD = $(AGENT_TEST_LIBS)
tests_unit_test_agent_device_spec_SOURCES = tests/unit/test-agent-device-spec.c
tests_unit_test_agent_device_spec_LDADD = $(AGENT_TEST_LIBS)
tests_unit_test_agent_device_SOURCES = tests/unit/test-agent-device.c
tests_unit_test_agent_device_LDADD = $(AGENT_TEST_LIBS)
tests_unit_test_agent_task_SOURCES = tests/unit/test-agent-task.c
tests_unit_test_agent_task_LDADD = $(AGENT_TEST_LIBS)
tests_unit_test_agent_uevent_SOURCES = tests/unit/test-agent-uevent.c
tests_unit_test_agent_uevent_LDADD = $(AGENT_TEST_LIBS)
endif
