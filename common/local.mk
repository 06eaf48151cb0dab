# SPDX-License-Identifier: LGPL-2.1-or-later
noinst_LTLIBRARIES += common/libcommon.la
common_libcommon_la_SOURCES = \
	common/direct-volume.c common/direct-volume.h \
	common/error.c common/error.h \
	common/fds.c common/fds.h \
	common/ids.c common/ids.h \
	common/json-text.c common/json-text.h \
	common/log.c common/log.h \
	common/loopback.c common/loopback.h \
	common/mount-options.c common/mount-options.h common/mount-point.c common/mount-point.h common/mount-table.c common/mount-table.h common/pod.c common/pod.h \
	common/oci.c common/oci.h common/oci-check.c common/oci-check.h \
	common/protobuf-json-names.c common/protobuf-json-names.h \
	common/protobuf-json-read.c common/protobuf-json-write.c common/protobuf-json.h \
	common/protobuf-text.c common/protobuf-text.h \
	common/safe-path.c common/safe-path-remove.c common/safe-path.h \
	common/spawn.c common/spawn.h common/spawn-child.c common/spawn-child.h common/spawn-run.c \
	common/ttrpc.h common/ttrpc-connection.h \
	common/ttrpc-address.c common/ttrpc-call.c common/ttrpc-client.c common/ttrpc-connection.c common/ttrpc-server.c \
	common/ttrpc-frame.c common/ttrpc-frame.h common/ttrpc-message.c common/ttrpc-message.h \
	common/ttrpc-resync.c common/ttrpc-resync.h
common_libcommon_la_LIBADD = proto/libproto.la $(GLIB_LIBS) $(JSON_LIBS) $(PROTOBUF_LIBS)
