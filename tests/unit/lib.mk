# SPDX-License-Identifier: LGPL-2.1-or-later
if HAVE_CMOCKA
LIB_TESTS = tests/unit/test-agent-client tests/unit/test-settings tests/unit/test-vm-config tests/unit/test-vm-size tests/unit/test-owner-client tests/unit/test-api tests/unit/test-arguments tests/unit/test-oci-documents
check_PROGRAMS += $(LIB_TESTS) tests/unit/fake-owner
TESTS += $(LIB_TESTS)

LIB_TEST_LIBS = lib/libcore.la $(TEST_LIBS)
tests_unit_test_agent_client_SOURCES = tests/unit/test-agent-client.c $(TTRPC_FIXTURE)
tests_unit_test_agent_client_LDADD = $(LIB_TEST_LIBS)
tests_unit_test_oci_documents_SOURCES = tests/unit/test-oci-documents.c
tests_unit_test_oci_documents_LDADD = $(LIB_TEST_LIBS)
tests_unit_test_settings_SOURCES = tests/unit/test-settings.c
tests_unit_test_settings_LDADD = $(LIB_TEST_LIBS)
tests_unit_test_vm_config_SOURCES = tests/unit/test-vm-config.c
tests_unit_test_vm_config_LDADD = $(LIB_TEST_LIBS)
tests_unit_test_vm_size_SOURCES = tests/unit/test-vm-size.c
tests_unit_test_vm_size_LDADD = $(LIB_TEST_LIBS)
tests_unit_test_owner_client_SOURCES = tests/unit/test-owner-client.c
tests_unit_test_owner_client_LDADD = $(LIB_TEST_LIBS)
tests_unit_fake_owner_SOURCES = tests/unit/fake-owner.c
tests_unit_fake_owner_LDADD = $(LIB_TEST_LIBS)
tests_unit_test_api_SOURCES = tests/unit/test-api.c
tests_unit_test_api_LDADD = lib/libkata.la $(CMOCKA_LIBS)
tests_unit_test_arguments_SOURCES = tests/unit/test-arguments.c
tests_unit_test_arguments_LDADD = lib/libkata.la $(CMOCKA_LIBS)
endif
