# SPDX-License-Identifier: LGPL-2.1-or-later
if HAVE_CMOCKA
SHIM_TESTS = tests/unit/test-save-image tests/unit/test-net tests/unit/test-share tests/unit/test-vm
check_PROGRAMS += $(SHIM_TESTS)
TESTS += $(SHIM_TESTS)

SHIM_TEST_LIBS = shim/libshimvm.la $(TEST_LIBS)
tests_unit_test_net_SOURCES = tests/unit/test-net.c
tests_unit_test_net_LDADD = shim/libshimvm.la lib/libcore.la $(TEST_LIBS) $(MNL_LIBS)
tests_unit_test_save_image_SOURCES = tests/unit/test-save-image.c
tests_unit_test_save_image_LDADD = $(SHIM_TEST_LIBS)
tests_unit_test_share_SOURCES = tests/unit/test-share.c tests/unit/shim-fixture.h
tests_unit_test_share_LDADD = $(SHIM_TEST_LIBS)
tests_unit_test_vm_SOURCES = tests/unit/test-vm.c tests/unit/shim-fixture.h
tests_unit_test_vm_LDADD = $(SHIM_TEST_LIBS)
if SANITIZERS
tests_unit_test_vm_SOURCES += $(FORK_GUARD)
tests_unit_test_vm_LDFLAGS = $(FORK_GUARD_LINK)
endif
endif
