# SPDX-License-Identifier: LGPL-2.1-or-later
PROTO_FILES = \
	proto/google-protobuf.proto proto/google-rpc.proto proto/ttrpc.proto \
	proto/types.proto proto/health.proto proto/oci.proto proto/agent.proto \
	proto/shim-types.proto proto/shim-task.proto proto/shim-task-v3.proto proto/shim-sandbox.proto \
	proto/shim-options.proto proto/shim-events.proto proto/shim-publish.proto proto/shim-bootstrap.proto \
	proto/shim-runc-options.proto proto/shim-info.proto proto/cri-sandbox.proto proto/cgroups-v1.proto proto/cgroups-v2.proto proto/kata-guest.proto proto/kata-v1.proto proto/kata-state.proto
PROTO_C = $(PROTO_FILES:.proto=.pb-c.c)
PROTO_H = $(PROTO_FILES:.proto=.pb-c.h)

EXTRA_DIST += $(PROTO_FILES)
BUILT_SOURCES += $(PROTO_H)
CLEANFILES += $(PROTO_C) $(PROTO_H)

noinst_LTLIBRARIES += proto/libproto.la
nodist_proto_libproto_la_SOURCES = \
	proto/google-protobuf.pb-c.c proto/google-rpc.pb-c.c proto/ttrpc.pb-c.c \
	proto/types.pb-c.c proto/health.pb-c.c proto/oci.pb-c.c proto/agent.pb-c.c \
	proto/shim-types.pb-c.c proto/shim-task.pb-c.c proto/shim-task-v3.pb-c.c proto/shim-sandbox.pb-c.c \
	proto/shim-options.pb-c.c proto/shim-events.pb-c.c proto/shim-publish.pb-c.c proto/shim-bootstrap.pb-c.c \
	proto/shim-runc-options.pb-c.c proto/shim-info.pb-c.c proto/cri-sandbox.pb-c.c proto/cgroups-v1.pb-c.c proto/cgroups-v2.pb-c.c proto/kata-guest.pb-c.c proto/kata-v1.pb-c.c \
	proto/kata-state.pb-c.c
# Generated code is not held to our warnings.
proto_libproto_la_CFLAGS = -std=gnu11 $(SMALL_CFLAGS) $(PROTOBUF_CFLAGS) $(SAN_CFLAGS)
proto_libproto_la_CPPFLAGS = -Ulinux -I$(top_builddir)/proto
proto_libproto_la_LIBADD = $(PROTOBUF_LIBS)

SUFFIXES = .proto .pb-c.c .pb-c.h
%.pb-c.c: %.proto
	@$(MKDIR_P) proto
	$(AM_V_GEN)$(PROTOC_C) --proto_path=$(srcdir)/proto --c_out=proto $<
%.pb-c.h: %.pb-c.c
	@:
