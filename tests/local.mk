# SPDX-License-Identifier: LGPL-2.1-or-later
# TEST_LIBS: what a unit test of internal functions links.
TEST_LIBS = common/libcommon.la $(CMOCKA_LIBS) $(GLIB_LIBS) $(JSON_LIBS) $(PROTOBUF_LIBS)

SOURCE_CHECKS = scripts/check-layers.py scripts/check-agent-table.py scripts/check-licenses.py scripts/check-parity.py \
	scripts/check-versions.py
dist_check_SCRIPTS += $(SOURCE_CHECKS) tests/fail-on-report.sh
TESTS += $(SOURCE_CHECKS)

# A test that hangs fails, and the others get their turn.
TEST_LIMIT = timeout -k 10 900
if SANITIZERS
WATCHED = $(top_srcdir)/tests/fail-on-report.sh
endif
LOG_COMPILER = $(WATCHED) $(TEST_LIMIT)
SH_LOG_COMPILER = $(WATCHED) $(TEST_LIMIT)
PY_LOG_COMPILER = $(WATCHED) $(TEST_LIMIT)

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
include tests/bench/local.mk
include tests/cli/local.mk
include tests/bindings/local.mk
include tests/oci/local.mk
include tests/engines/local.mk
include tests/fuzz/local.mk
include tests/packages/local.mk

# ---- the tests that need no guest, in harder conditions ----
LIGHT_TESTS = $(filter tests/unit/% tests/golden/% tests/fuzz/%, $(TESTS))
# valgrind 3.19 knows none of open_tree(2), mount_setattr(2), pidfd_open(2) and pidfd_getfd(2), without which these can do
# nothing.
UNKNOWN_TO_VALGRIND = tests/unit/test-host-watch tests/unit/test-share tests/unit/test-stream tests/unit/test-vm \
	tests/fuzz/replay-agent-service
# A helper process that ends by _exit(2) leaves what its parent still holds, which memcheck takes for lost.
HELPERS_UNDER_VALGRIND = tests/unit/test-agent-iptables tests/unit/test-agent-task
NOT_UNDER_VALGRIND = $(UNKNOWN_TO_VALGRIND) $(HELPERS_UNDER_VALGRIND)
VALGRIND_TESTS = $(filter-out %.sh %.py $(NOT_UNDER_VALGRIND), $(LIGHT_TESTS))

NOT_UNDER_SANITIZERS = tests/fuzz/under-sanitizers.sh
# The agent has its real crun there, as an ordinary process.
SANITIZED_AGENT_TESTS = test-lifecycle test-streams test-requests test-guest-service
# Real guests; katactl, libkata and the owner with its libvirt have sanitizers.
SANITIZED_CLI_TESTS = test-lifecycle.py test-exec.py
SANITIZERS_TESTS = $(filter-out $(NOT_UNDER_SANITIZERS), $(LIGHT_TESTS)) \
	$(filter $(SANITIZED_AGENT_TESTS:%=tests/agent/%) $(SANITIZED_CLI_TESTS:%=tests/cli/%), $(TESTS))

.PHONY: check-light check-valgrind check-soak check-sanitizers
check-light: $(BUILT_SOURCES)
	$(MAKE) $(AM_MAKEFLAGS) check TESTS='$(filter-out $(NOT_UNDER_SANITIZERS), $(LIGHT_TESTS))' TEST_SUITE_LOG=test-suite-light.log

check-valgrind: $(BUILT_SOURCES)
	$(MAKE) $(AM_MAKEFLAGS) check TESTS='$(VALGRIND_TESTS)' TEST_SUITE_LOG=test-suite-valgrind.log \
	  LOG_COMPILER='$(TEST_LIMIT) $(LIBTOOL) --quiet --mode=execute valgrind' \
	  LOG_FLAGS='--quiet --leak-check=full --errors-for-leak-kinds=definite --error-exitcode=1'

# More containers and execs than "make check" has time for.
SOAK_TESTS = tests/agent/test-soak
check-soak: $(BUILT_SOURCES)
	KATA_TEST_CONTAINERS=1000 KATA_TEST_EXECS=10000 $(MAKE) $(AM_MAKEFLAGS) check TESTS='$(SOAK_TESTS)' \
	  TEST_SUITE_LOG=test-suite-soak.log TEST_LIMIT='timeout -k 10 3600'

# A build of its own below this one.
check-sanitizers:
	@$(MKDIR_P) sanitizers
	@ln -sfn ../guest sanitizers/guest
	cd sanitizers && { test -f Makefile || '$(abs_top_srcdir)/configure' --quiet --enable-sanitizers \
	  --prefix='$(prefix)' --sysconfdir='$(sysconfdir)' --localstatedir='$(localstatedir)' \
	  $(SANITIZERS_CONFIGURE_FLAGS); } && $(MAKE) $(AM_MAKEFLAGS) check TESTS='$(SANITIZERS_TESTS)'

distclean-local: distclean-sanitizers
distclean-sanitizers:
	rm -rf sanitizers
.PHONY: distclean-sanitizers
