# SPDX-License-Identifier: LGPL-2.1-or-later
# Built from the public headers alone, as a user would. Each has a twin in Python and one in Go.
EXAMPLES = examples/run-container examples/exec-pipes examples/terminal examples/parallel examples/events \
	examples/custom-machine examples/tiny-engine
noinst_PROGRAMS += $(EXAMPLES)
EXAMPLES_CFLAGS = -std=c99 $(WARN_CFLAGS) $(SAN_CFLAGS)
EXAMPLES_CPPFLAGS = -D_DEFAULT_SOURCE -D_POSIX_C_SOURCE=200809L -I$(top_srcdir)/include -I$(top_builddir)/include

examples_run_container_SOURCES = examples/run-container.c
examples_run_container_CFLAGS = $(EXAMPLES_CFLAGS)
examples_run_container_CPPFLAGS = $(EXAMPLES_CPPFLAGS)
examples_run_container_LDADD = lib/libkata.la
examples_exec_pipes_SOURCES = examples/exec-pipes.c
examples_exec_pipes_CFLAGS = $(EXAMPLES_CFLAGS)
examples_exec_pipes_CPPFLAGS = $(EXAMPLES_CPPFLAGS)
examples_exec_pipes_LDADD = lib/libkata.la
examples_terminal_SOURCES = examples/terminal.c
examples_terminal_CFLAGS = $(EXAMPLES_CFLAGS)
examples_terminal_CPPFLAGS = $(EXAMPLES_CPPFLAGS)
examples_terminal_LDADD = lib/libkata.la -lpthread
examples_parallel_SOURCES = examples/parallel.c
examples_parallel_CFLAGS = $(EXAMPLES_CFLAGS)
examples_parallel_CPPFLAGS = $(EXAMPLES_CPPFLAGS)
examples_parallel_LDADD = lib/libkata.la -lpthread
examples_events_SOURCES = examples/events.c
examples_events_CFLAGS = $(EXAMPLES_CFLAGS)
examples_events_CPPFLAGS = $(EXAMPLES_CPPFLAGS)
examples_events_LDADD = lib/libkata.la
examples_custom_machine_SOURCES = examples/custom-machine.c
examples_custom_machine_CFLAGS = $(EXAMPLES_CFLAGS)
examples_custom_machine_CPPFLAGS = $(EXAMPLES_CPPFLAGS)
examples_custom_machine_LDADD = lib/libkata.la
examples_tiny_engine_SOURCES = examples/tiny-engine.c
examples_tiny_engine_CFLAGS = $(EXAMPLES_CFLAGS) $(JSON_CFLAGS)
examples_tiny_engine_CPPFLAGS = $(EXAMPLES_CPPFLAGS)
examples_tiny_engine_LDADD = lib/libkata.la $(JSON_LIBS)

EXAMPLES_GO = run-container exec-pipes terminal parallel events custom-machine tiny-engine
EXTRA_DIST += examples/run_container.py examples/exec_pipes.py examples/terminal.py examples/parallel.py \
	examples/events.py examples/custom_machine.py examples/tiny_engine.py \
	examples/go/go.mod $(EXAMPLES_GO:%=examples/go/%/main.go)
if HAVE_GO
if !SANITIZERS
check_DATA += examples/go.built
CLEANFILES += examples/go.built $(EXAMPLES_GO:%=examples/built-go/%)
endif
endif
examples/go.built: lib/libkata.la $(FILES_OF_GO) $(EXAMPLES_GO:%=examples/go/%/main.go)
	$(AM_V_GEN)$(MKDIR_P) examples/built-go && cd $(srcdir)/examples/go && $(GO_ENVIRONMENT) $(GO) vet ./... && \
	  $(GO_ENVIRONMENT) $(GO) build -o '$(abs_top_builddir)/examples/built-go/' ./... && touch '$(abs_top_builddir)/$@'
