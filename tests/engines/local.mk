# SPDX-License-Identifier: LGPL-2.1-or-later
# Engines that call katactl as their runtime; each test starts and stops its own, and skips if it is not installed.
ENGINE_TESTS = \
	tests/engines/test-buildah.py \
	tests/engines/test-cni.py \
	tests/engines/test-conmon.py \
	tests/engines/test-containerd-kata.py \
	tests/engines/test-containerd.py \
	tests/engines/test-cri.py \
	tests/engines/test-cri-killed.py \
	tests/engines/test-docker.py \
	tests/engines/test-docker-networks.py \
	tests/engines/test-killed.py \
	tests/engines/test-networks.py \
	tests/engines/test-podman.py \
	tests/engines/test-systemd.py \
	tests/engines/test-volumes.py
dist_check_SCRIPTS += $(ENGINE_TESTS)
EXTRA_DIST += tests/engines/engines.py tests/engines/containerd.py tests/engines/ttrpc.py \
	tests/engines/cri.py tests/engines/websocket.py tests/engines/systemd.py

# What takes minutes by its number of guests: a target of its own, with the bundles that crun runs as well.
.PHONY: check-engines
ENGINES_TESTS = $(ENGINE_TESTS) $(OCI_TESTS)
check-engines: $(BUILT_SOURCES)
	@$(MKDIR_P) tests/engines tests/oci
	$(MAKE) $(AM_MAKEFLAGS) check TESTS='$(ENGINES_TESTS)' TEST_SUITE_LOG=test-suite-engines.log
