# SPDX-License-Identifier: LGPL-2.1-or-later
# Not run by "make check": timed figures belong in no test.
check_PROGRAMS += tests/bench/measure-run tests/bench/measure-client tests/bench/tcp-talk
tests_bench_tcp_talk_SOURCES = tests/bench/tcp-talk.c
tests_bench_measure_client_SOURCES = tests/bench/measure-client.c
tests_bench_measure_client_LDADD = lib/libkata.la
tests_bench_measure_run_SOURCES = tests/bench/measure-run.c
tests_bench_measure_run_LDADD = lib/libkata.la
if HAVE_CMOCKA
MEASURE_AGENT = tests/bench/measure-agent
check_PROGRAMS += $(MEASURE_AGENT)
tests_bench_measure_agent_SOURCES = tests/bench/measure-agent.c $(AGENT_HARNESS)
tests_bench_measure_agent_LDADD = $(TEST_LIBS)
tests_bench_measure_agent_DEPENDENCIES = agent/kata-agent common/libcommon.la
endif
BENCH_MODULES = tests/bench/figures.py tests/bench/files.py tests/bench/hand_guest.py tests/bench/memory.py \
	tests/bench/running.py tests/bench/runtimes.py tests/bench/starts.py tests/bench/wire.py
EXTRA_DIST += tests/bench/bench.py $(BENCH_MODULES) \
	tests/bench/bench-containerd.py tests/bench/bench-cri.py tests/bench/bench-podman.py tests/bench/bench-pods.py

.PHONY: bench
bench: all tests/bench/measure-run tests/bench/measure-client tests/bench/tcp-talk $(MEASURE_AGENT)
	top_srcdir='$(top_srcdir)' top_builddir='$(abs_top_builddir)' python3 $(srcdir)/tests/bench/bench.py
	top_srcdir='$(top_srcdir)' top_builddir='$(abs_top_builddir)' python3 $(srcdir)/tests/bench/bench-podman.py
	top_srcdir='$(top_srcdir)' top_builddir='$(abs_top_builddir)' python3 $(srcdir)/tests/bench/bench-containerd.py
	top_srcdir='$(top_srcdir)' top_builddir='$(abs_top_builddir)' /usr/bin/python3 $(srcdir)/tests/bench/bench-cri.py
	top_srcdir='$(top_srcdir)' top_builddir='$(abs_top_builddir)' /usr/bin/python3 $(srcdir)/tests/bench/bench-pods.py
