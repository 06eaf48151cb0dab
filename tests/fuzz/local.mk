# SPDX-License-Identifier: LGPL-2.1-or-later
# A fuzz target NAME is tests/fuzz/fuzz-NAME.c with LLVMFuzzerTestOneInput() and a corpus in tests/fuzz/corpus/NAME/.
# To add one: its source and corpus, the name in FUZZ_TARGETS, and two lines for replay-NAME. If it needs
# more of the tree than common/ and proto/, add those sources to FUZZ_EXTRA_FILES and their library to LDADD.
#   make check        replays every corpus, as compiled normally and with sanitizers
#   make fuzz-NAME    builds with clang and libFuzzer and runs for FUZZ_SECONDS; finds go to tests/fuzz/new/NAME/
FUZZ_TARGETS = ttrpc-frame oci settings agent-request agent-service agent-json
FUZZ_EXTRA_FILES = lib/context.c lib/error.c lib/paths.c lib/agent-methods.c \
	$(filter lib/settings%.c,$(lib_libcore_la_SOURCES)) $(filter agent/%.c,$(agent_libagent_la_SOURCES))

FUZZ_REPLAYS = $(FUZZ_TARGETS:%=tests/fuzz/replay-%)
FUZZ_REPLAY_LIBS = common/libcommon.la $(GLIB_LIBS) $(JSON_LIBS) $(PROTOBUF_LIBS)
check_PROGRAMS += tests/fuzz/replay-ttrpc-frame tests/fuzz/replay-oci tests/fuzz/replay-settings \
	tests/fuzz/replay-agent-request tests/fuzz/replay-agent-service tests/fuzz/replay-agent-json
TESTS += tests/fuzz/replay-ttrpc-frame tests/fuzz/replay-oci tests/fuzz/replay-settings \
	tests/fuzz/replay-agent-request tests/fuzz/replay-agent-service tests/fuzz/replay-agent-json

tests_fuzz_replay_ttrpc_frame_SOURCES = tests/fuzz/fuzz-ttrpc-frame.c tests/fuzz/replay.c
tests_fuzz_replay_ttrpc_frame_LDADD = $(FUZZ_REPLAY_LIBS)
tests_fuzz_replay_oci_SOURCES = tests/fuzz/fuzz-oci.c tests/fuzz/replay.c
tests_fuzz_replay_oci_LDADD = $(FUZZ_REPLAY_LIBS)
tests_fuzz_replay_settings_SOURCES = tests/fuzz/fuzz-settings.c tests/fuzz/replay.c
tests_fuzz_replay_settings_LDADD = lib/libcore.la $(FUZZ_REPLAY_LIBS)
tests_fuzz_replay_agent_request_SOURCES = tests/fuzz/fuzz-agent-request.c tests/fuzz/replay.c
tests_fuzz_replay_agent_request_LDADD = agent/libagent.la $(FUZZ_REPLAY_LIBS)
tests_fuzz_replay_agent_service_SOURCES = tests/fuzz/fuzz-agent-service.c tests/fuzz/replay.c
tests_fuzz_replay_agent_service_LDADD = agent/libagent.la $(FUZZ_REPLAY_LIBS)
tests_fuzz_replay_agent_json_SOURCES = tests/fuzz/fuzz-agent-json.c tests/fuzz/replay.c
tests_fuzz_replay_agent_json_LDADD = lib/libcore.la $(FUZZ_REPLAY_LIBS)

EXTRA_DIST += tests/fuzz/corpus

dist_check_SCRIPTS += tests/fuzz/under-sanitizers.sh
if !SANITIZERS
TESTS += tests/fuzz/under-sanitizers.sh
endif
.PHONY: print-fuzz-replays
print-fuzz-replays:
	@echo $(FUZZ_REPLAYS)

FUZZ_CC = clang
FUZZ_SECONDS = 120
FUZZ_FLAGS = -g -O1 -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=undefined
FUZZ_COMPILE = $(FUZZ_CC) -std=gnu11 $(FUZZ_FLAGS) -fsanitize=fuzzer-no-link $(DEFS) $(lib_libcore_la_CPPFLAGS) \
	-I$(top_builddir)/proto $(GLIB_CFLAGS) $(JSON_CFLAGS) $(PROTOBUF_CFLAGS) $(MNL_CFLAGS)
FUZZ_OBJECTS = $(patsubst %.c,tests/fuzz/obj/%.o,$(filter %.c,$(common_libcommon_la_SOURCES)) $(PROTO_C) $(FUZZ_EXTRA_FILES))

tests/fuzz/obj/%.o: %.c $(BUILT_SOURCES)
	@$(MKDIR_P) $(@D)
	$(AM_V_CC)$(FUZZ_COMPILE) -c -o $@ $<

$(FUZZ_TARGETS:%=tests/fuzz/fuzz-%): tests/fuzz/fuzz-%: tests/fuzz/obj/tests/fuzz/fuzz-%.o $(FUZZ_OBJECTS)
	$(AM_V_CCLD)$(FUZZ_CC) $(FUZZ_FLAGS) -fsanitize=fuzzer -o $@ $^ $(GLIB_LIBS) $(JSON_LIBS) $(PROTOBUF_LIBS) $(MNL_LIBS)

$(FUZZ_TARGETS:%=fuzz-%): fuzz-%: tests/fuzz/fuzz-%
	$(MKDIR_P) tests/fuzz/new/$*
	cd tests/fuzz/new && ../fuzz-$* -max_total_time=$(FUZZ_SECONDS) -timeout=10 -rss_limit_mb=2048 \
	  $* $(abs_top_srcdir)/tests/fuzz/corpus/$*

.PHONY: $(FUZZ_TARGETS:%=fuzz-%)

clean-local: clean-fuzz
clean-fuzz:
	rm -rf tests/fuzz/obj $(FUZZ_TARGETS:%=tests/fuzz/fuzz-%)
