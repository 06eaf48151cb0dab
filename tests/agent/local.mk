# SPDX-License-Identifier: LGPL-2.1-or-later
# The real agent as an ordinary process, with the real crun; needs root.
if HAVE_CMOCKA
AGENT_TESTS = tests/agent/test-lifecycle tests/agent/test-streams tests/agent/test-requests \
	tests/agent/test-contracts tests/agent/test-document tests/agent/test-sandbox tests/agent/test-soak tests/agent/test-guest-service tests/agent/test-network
AGENT_TESTS += tests/agent/test-states tests/agent/test-peers tests/agent/test-held
AGENT_TESTS += tests/agent/test-storage tests/agent/test-volumes
check_PROGRAMS += $(AGENT_TESTS)
TESTS += $(AGENT_TESTS)

AGENT_HARNESS = tests/agent/harness.c tests/agent/harness.h
AGENT_RECORDED = tests/agent/recorded.c tests/agent/recorded.h
AGENT_DOCUMENT = tests/agent/document.c tests/agent/document.h

tests_agent_test_lifecycle_SOURCES = tests/agent/test-lifecycle.c $(AGENT_HARNESS)
tests_agent_test_lifecycle_LDADD = $(TEST_LIBS)
tests_agent_test_lifecycle_DEPENDENCIES = agent/kata-agent common/libcommon.la
tests_agent_test_streams_SOURCES = tests/agent/test-streams.c $(AGENT_HARNESS)
tests_agent_test_streams_LDADD = $(TEST_LIBS)
tests_agent_test_streams_DEPENDENCIES = agent/kata-agent common/libcommon.la
tests_agent_test_requests_SOURCES = tests/agent/test-requests.c $(AGENT_RECORDED) $(AGENT_HARNESS)
tests_agent_test_requests_LDADD = $(TEST_LIBS)
tests_agent_test_requests_DEPENDENCIES = agent/kata-agent common/libcommon.la
tests_agent_test_contracts_SOURCES = tests/agent/test-contracts.c $(AGENT_DOCUMENT) $(AGENT_HARNESS)
tests_agent_test_contracts_LDADD = $(TEST_LIBS)
tests_agent_test_contracts_DEPENDENCIES = agent/kata-agent common/libcommon.la
tests_agent_test_sandbox_SOURCES = tests/agent/test-sandbox.c $(AGENT_DOCUMENT) $(AGENT_HARNESS)
tests_agent_test_sandbox_LDADD = $(TEST_LIBS)
tests_agent_test_sandbox_DEPENDENCIES = agent/kata-agent common/libcommon.la
tests_agent_test_soak_SOURCES = tests/agent/test-soak.c $(AGENT_HARNESS)
tests_agent_test_soak_LDADD = $(TEST_LIBS)
tests_agent_test_soak_DEPENDENCIES = agent/kata-agent common/libcommon.la
tests_agent_test_document_SOURCES = tests/agent/test-document.c $(AGENT_DOCUMENT) $(AGENT_HARNESS)
tests_agent_test_document_LDADD = $(TEST_LIBS)
tests_agent_test_document_DEPENDENCIES = agent/kata-agent common/libcommon.la
tests_agent_test_guest_service_SOURCES = tests/agent/test-guest-service.c $(AGENT_HARNESS)
tests_agent_test_guest_service_LDADD = $(TEST_LIBS)
tests_agent_test_guest_service_DEPENDENCIES = agent/kata-agent common/libcommon.la
tests_agent_test_network_SOURCES = tests/agent/test-network.c $(AGENT_HARNESS)
tests_agent_test_network_LDADD = $(TEST_LIBS)
tests_agent_test_network_DEPENDENCIES = agent/kata-agent common/libcommon.la
tests_agent_test_storage_SOURCES = tests/agent/test-storage.c $(AGENT_HARNESS)
tests_agent_test_storage_LDADD = $(TEST_LIBS)
tests_agent_test_storage_DEPENDENCIES = agent/kata-agent common/libcommon.la

tests_agent_test_volumes_SOURCES = tests/agent/test-volumes.c $(AGENT_HARNESS)
tests_agent_test_volumes_LDADD = $(TEST_LIBS)
tests_agent_test_volumes_DEPENDENCIES = agent/kata-agent common/libcommon.la
tests_agent_test_states_SOURCES = tests/agent/test-states.c $(AGENT_HARNESS) $(TTRPC_FIXTURE)
tests_agent_test_states_LDADD = $(TEST_LIBS)
tests_agent_test_states_DEPENDENCIES = agent/kata-agent common/libcommon.la
tests_agent_test_held_SOURCES = tests/agent/test-held.c $(AGENT_DOCUMENT) $(AGENT_HARNESS)
tests_agent_test_held_LDADD = $(TEST_LIBS)
tests_agent_test_held_DEPENDENCIES = agent/kata-agent common/libcommon.la
tests_agent_test_peers_SOURCES = tests/agent/test-peers.c $(AGENT_HARNESS) $(TTRPC_FIXTURE)
tests_agent_test_peers_LDADD = $(TEST_LIBS)
tests_agent_test_peers_DEPENDENCIES = agent/kata-agent common/libcommon.la

# Driven by the scripts below.
check_PROGRAMS += tests/agent/guest-containers
tests_agent_guest_containers_SOURCES = tests/agent/guest-containers.c $(AGENT_HARNESS)
tests_agent_guest_containers_LDADD = $(TEST_LIBS)
check_PROGRAMS += tests/agent/guest-sandbox
tests_agent_guest_sandbox_SOURCES = tests/agent/guest-sandbox.c $(AGENT_DOCUMENT) $(AGENT_HARNESS)
tests_agent_guest_sandbox_LDADD = $(TEST_LIBS)
check_PROGRAMS += tests/agent/guest-requests
tests_agent_guest_requests_SOURCES = tests/agent/guest-requests.c $(AGENT_RECORDED) $(AGENT_HARNESS)
tests_agent_guest_requests_LDADD = $(TEST_LIBS)
check_PROGRAMS += tests/agent/guest-network
tests_agent_guest_network_SOURCES = tests/agent/guest-network.c $(AGENT_HARNESS)
tests_agent_guest_network_LDADD = $(TEST_LIBS)
dist_check_SCRIPTS += tests/agent/test-in-guest.sh tests/agent/test-sandbox-in-guest.sh
EXTRA_DIST += tests/agent/guest-share.sh
TESTS += tests/agent/test-in-guest.sh tests/agent/test-sandbox-in-guest.sh
dist_check_SCRIPTS += tests/agent/test-requests-in-guest.sh
TESTS += tests/agent/test-requests-in-guest.sh
dist_check_SCRIPTS += tests/agent/test-network-in-guest.sh
TESTS += tests/agent/test-network-in-guest.sh
check_PROGRAMS += tests/agent/guest-storage
tests_agent_guest_storage_SOURCES = tests/agent/guest-storage.c $(AGENT_HARNESS)
tests_agent_guest_storage_LDADD = $(TEST_LIBS)
dist_check_SCRIPTS += tests/agent/test-storage-in-guest.sh
TESTS += tests/agent/test-storage-in-guest.sh
endif
