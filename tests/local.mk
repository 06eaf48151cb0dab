# SPDX-License-Identifier: LGPL-2.1-or-later
# TEST_LIBS: what a unit test of internal functions links.
TEST_LIBS = common/libcommon.la $(CMOCKA_LIBS) $(GLIB_LIBS) $(JSON_LIBS) $(PROTOBUF_LIBS)

dist_check_SCRIPTS += scripts/check-layers.py
TESTS += scripts/check-layers.py

include tests/unit/ttrpc.mk
include tests/unit/common.mk
include tests/unit/lib.mk
include tests/unit/shim.mk
include tests/unit/owner.mk
include tests/unit/agent.mk
include tests/unit/katactl.mk
include tests/golden/local.mk
include tests/abi/local.mk
include tests/agent/local.mk
include tests/vm/local.mk
include tests/cli/local.mk
include tests/fuzz/local.mk
