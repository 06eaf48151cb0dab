# SPDX-License-Identifier: LGPL-2.1-or-later
EXTRA_DIST += tests/unit/every-type.proto tests/unit/old-style.proto tests/data/agent-requests.txt tests/data/runtime-calls.txt \
	tests/data/oci-everything.json tests/data/agent-protocol.txt

if HAVE_CMOCKA
COMMON_TESTS = \
	tests/unit/test-agent-protocol tests/unit/test-direct-volume tests/unit/test-error tests/unit/test-ids tests/unit/test-log tests/unit/test-mount-point \
	tests/unit/test-mount-table \
	tests/unit/test-oci tests/unit/test-oci-crun \
	tests/unit/test-protobuf-json tests/unit/test-safe-path tests/unit/test-spawn
check_PROGRAMS += $(COMMON_TESTS)
TESTS += $(COMMON_TESTS)

tests_unit_test_agent_protocol_SOURCES = tests/unit/test-agent-protocol.c
tests_unit_test_agent_protocol_LDADD = $(TEST_LIBS)
tests_unit_test_direct_volume_SOURCES = tests/unit/test-direct-volume.c
tests_unit_test_direct_volume_LDADD = $(TEST_LIBS)
tests_unit_test_error_SOURCES = tests/unit/test-error.c
tests_unit_test_error_LDADD = $(TEST_LIBS)
tests_unit_test_ids_SOURCES = tests/unit/test-ids.c
tests_unit_test_ids_LDADD = $(TEST_LIBS)
tests_unit_test_log_SOURCES = tests/unit/test-log.c
tests_unit_test_log_LDADD = $(TEST_LIBS)
tests_unit_test_mount_point_SOURCES = tests/unit/test-mount-point.c
tests_unit_test_mount_point_LDADD = $(TEST_LIBS)
tests_unit_test_mount_table_SOURCES = tests/unit/test-mount-table.c
tests_unit_test_mount_table_LDADD = $(TEST_LIBS)
tests_unit_test_oci_SOURCES = tests/unit/test-oci.c
tests_unit_test_oci_LDADD = $(TEST_LIBS)
tests_unit_test_oci_crun_SOURCES = tests/unit/test-oci-crun.c
tests_unit_test_oci_crun_LDADD = $(TEST_LIBS)
tests_unit_test_protobuf_json_SOURCES = tests/unit/test-protobuf-json.c
tests_unit_test_protobuf_json_LDADD = tests/unit/libtestproto.la $(TEST_LIBS)
tests_unit_test_safe_path_SOURCES = tests/unit/test-safe-path.c
tests_unit_test_safe_path_LDADD = $(TEST_LIBS)
tests_unit_test_spawn_SOURCES = tests/unit/test-spawn.c
tests_unit_test_spawn_LDADD = $(TEST_LIBS)

# Against Google's implementation of the JSON mapping.
check_PROGRAMS += tests/unit/json-convert
tests_unit_json_convert_SOURCES = tests/unit/json-convert.c
tests_unit_json_convert_LDADD = tests/unit/libtestproto.la $(TEST_LIBS)
tests/unit/json-convert.$(OBJEXT): $(TEST_PROTO_C)
dist_check_SCRIPTS += tests/unit/test-json-mapping.py
TESTS += tests/unit/test-json-mapping.py

check_LTLIBRARIES += tests/unit/libtestproto.la
TEST_PROTO_C = tests/unit/every-type.pb-c.c tests/unit/old-style.pb-c.c
CLEANFILES += $(TEST_PROTO_C) $(TEST_PROTO_C:.c=.h)
nodist_tests_unit_libtestproto_la_SOURCES = $(TEST_PROTO_C)
tests_unit_libtestproto_la_CFLAGS = -std=gnu11 $(PROTOBUF_CFLAGS) $(SAN_CFLAGS)
tests_unit_libtestproto_la_LIBADD = $(PROTOBUF_LIBS)
tests/unit/every-type.pb-c.c: tests/unit/every-type.proto
	@$(MKDIR_P) tests/unit
	$(AM_V_GEN)$(PROTOC_C) --proto_path=$(srcdir) --c_out=. $<
tests/unit/old-style.pb-c.c: tests/unit/old-style.proto
	@$(MKDIR_P) tests/unit
	$(AM_V_GEN)$(PROTOC_C) --proto_path=$(srcdir) --c_out=. $<
tests/unit/test-protobuf-json.$(OBJEXT): $(TEST_PROTO_C)
endif
