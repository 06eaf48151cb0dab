# SPDX-License-Identifier: LGPL-2.1-or-later
# Built from the public headers alone, as a user would.
EXAMPLES = examples/run-container
noinst_PROGRAMS += $(EXAMPLES)
examples_run_container_SOURCES = examples/run-container.c
examples_run_container_CFLAGS = -std=c99 $(WARN_CFLAGS) $(SAN_CFLAGS)
examples_run_container_CPPFLAGS = -D_POSIX_C_SOURCE=200809L -I$(top_srcdir)/include -I$(top_builddir)/include
examples_run_container_LDADD = lib/libkata.la
