# SPDX-License-Identifier: LGPL-2.1-or-later
# ---- the guest image, with QEMU alone ----
check_PROGRAMS += tests/vm/agent-call
tests_vm_agent_call_SOURCES = tests/vm/agent-call.c
tests_vm_agent_call_LDADD = common/libcommon.la

GUEST_TESTS = tests/vm/test-kernel-config.sh tests/vm/test-guest-image.sh tests/vm/test-guest-boot.sh tests/vm/test-guest-fatal.sh
EXTRA_DIST += tests/vm/guest.sh
dist_check_SCRIPTS += $(GUEST_TESTS)
TESTS += $(GUEST_TESTS)
