# SPDX-License-Identifier: LGPL-2.1-or-later
# katactl as its callers see it; all but the first three need root, qemu and the guest image ("make guest").
CLI_TESTS = \
	tests/cli/test-offline.py \
	tests/cli/test-settings.py \
	tests/cli/test-completion.py tests/cli/test-docs.py tests/cli/test-docs-build.py \
	tests/cli/test-lifecycle.py \
	tests/cli/test-exec.py \
	tests/cli/test-hooks.py \
	tests/cli/test-host-process.py \
	tests/cli/test-monitor.py \
	tests/cli/test-terminal.py \
	tests/cli/test-watch.py \
	tests/cli/test-size.py \
	tests/cli/test-storage.py \
	tests/cli/test-mount-options.py \
	tests/cli/test-propagation.py \
	tests/cli/test-checkpoint.py \
	tests/cli/test-bench.py \
	tests/cli/test-template.py tests/cli/test-pool.py tests/cli/test-unit-file.sh \
	tests/cli/test-states.py tests/cli/test-api-states.py tests/cli/test-as-runc.py tests/cli/test-recorded.py \
	tests/cli/test-streams.py \
	tests/cli/test-bad-luck.py \
	tests/cli/test-agent-killed.py \
	tests/cli/test-killed-starting.py \
	tests/cli/test-killed-running.py \
	tests/cli/test-take-over.py \
	tests/cli/test-agent.py \
	tests/cli/test-vsock.py \
	tests/cli/test-network.py tests/cli/test-network-hotplug.py \
	tests/cli/test-pod.py \
	tests/cli/test-crio-calls.py tests/cli/test-sandbox-calls.py
dist_check_SCRIPTS += $(CLI_TESTS)
TESTS += $(CLI_TESTS)
EXTRA_DIST += tests/cli/documents.py tests/cli/kata_cli.py tests/cli/network.py tests/cli/storage.py

# Seven topics in three languages, most in guests of their own; also a target of its own.
EXAMPLES_TESTS = tests/cli/test-example.py
dist_check_SCRIPTS += $(EXAMPLES_TESTS)
TESTS += $(EXAMPLES_TESTS)
.PHONY: check-examples
check-examples: $(BUILT_SOURCES)
	$(MAKE) $(AM_MAKEFLAGS) check TESTS='$(EXAMPLES_TESTS)' TEST_SUITE_LOG=test-suite-examples.log

# systemd, as far as it makes scopes.
check_PROGRAMS += tests/cli/fake-systemd
tests_cli_fake_systemd_SOURCES = tests/cli/fake-systemd.c
tests_cli_fake_systemd_CFLAGS = $(AM_CFLAGS) $(GIO_CFLAGS)
tests_cli_fake_systemd_LDADD = $(GIO_LIBS)

# A peer on the guest's own vsock.
check_PROGRAMS += tests/cli/vsock-talk
tests_cli_vsock_talk_SOURCES = tests/cli/vsock-talk.c

# Asks from an address of the guest's, or of its network namespace's.
check_PROGRAMS += tests/cli/socket-talk
tests_cli_socket_talk_SOURCES = tests/cli/socket-talk.c

# The first program of guests whose agent is to be killed; without libraries, as the guest has none but the agent's.
if !SANITIZERS
check_PROGRAMS += tests/vm/die-at
endif
tests_vm_die_at_SOURCES = tests/vm/die-at.c
tests_vm_die_at_LDFLAGS = -all-static
