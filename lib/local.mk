# SPDX-License-Identifier: LGPL-2.1-or-later
# The internal half: what the owner links too.
noinst_LTLIBRARIES += lib/libcore.la
lib_libcore_la_SOURCES = \
	lib/agent.c lib/agent-calls.c lib/agent-calls.h lib/agent-messages.c lib/agent-methods.c lib/agent-methods.h \
	lib/annotations.c lib/annotations.h \
	lib/api.h lib/error.c \
	lib/container.c lib/container.h \
	lib/container-find.c lib/container-find.h \
	lib/container-state.c lib/container-watch.c \
	lib/context.c lib/context.h \
	lib/describe.c \
	lib/direct-volume.c \
	lib/domain.c \
	lib/domain-xml.c lib/domain-xml.h \
	lib/domain-xml-devices.c lib/domain-xml-devices.h \
	lib/disk-options.c lib/disk-options.h \
	lib/domain-xml-disk.c lib/domain-xml-disk.h \
	lib/domain-xml-writer.c lib/domain-xml-writer.h \
	lib/events.c \
	lib/host.c lib/host-api.c lib/host-check.c lib/host.h \
	lib/net-cards.c lib/net-cards.h \
	lib/oci-features.c lib/oci-spec.c \
	lib/owner-client.c lib/owner-client.h \
	lib/owner-program.c lib/owner-program.h \
	lib/owner-start.c lib/owner-start.h \
	lib/paths.c lib/paths.h \
	lib/pool.c \
	lib/process.c \
	lib/sandbox.c lib/sandbox-agent.c lib/sandbox-machine.c lib/sandbox-network.c lib/sandbox.h \
	lib/settings.c lib/settings-api.c lib/settings-describe.c lib/settings.h \
	lib/settings-file.c lib/settings-file.h \
	lib/settings-table.c lib/settings-table.h \
	lib/settings-upstream.c lib/settings-upstream.h \
	lib/settings-value.c lib/settings-value.h \
	lib/task.c lib/task.h \
	lib/template.c \
	lib/version.c \
	lib/vm-config.c lib/vm-config.h \
	lib/vm-size.c lib/vm-size.h
lib_libcore_la_CFLAGS = $(AM_CFLAGS) $(XML_CFLAGS)
lib_libcore_la_CPPFLAGS = $(AM_CPPFLAGS) \
	-DKATA_CACHEDIR='"$(localstatedir)/cache/kata"' -DKATA_GUESTDIR='"$(guestdir)"' \
	-DKATA_SYSCONFDIR='"$(sysconfdir)/kata"' \
	-DKATA_OWNER_PATH='"$(bindir)/containerd-shim-kata-v2"' \
	-DKATA_QEMU_PATH='"$(QEMU_PATH)"' \
	-DKATA_VIRTIOFSD_PATH='"$(VIRTIOFSD_PATH)"' \
	-DKATA_FIRMWARE_PATH='"/usr/share/qemu/qboot.rom"' \
	-DKATA_VIRT_LIBDIR='"$(VIRT_LIBDIR)"'
lib_libcore_la_LIBADD = common/libcommon.la $(XML_LIBS)

# Only what libkata.syms names is seen from outside. nodelete: libxml2 leaves thread-local data behind, whose
# destructor would be gone after dlclose(3).
lib_LTLIBRARIES += lib/libkata.la
lib_libkata_la_SOURCES =
lib_libkata_la_LIBADD = lib/libcore.la
lib_libkata_la_LDFLAGS = $(AM_LDFLAGS) $(SMALL_LDFLAGS) -version-info 0:0:0 \
	-Wl,--version-script=$(srcdir)/lib/libkata.syms -Wl,-z,defs -Wl,-z,nodelete -Wl,-Bsymbolic-functions
lib_libkata_la_DEPENDENCIES = lib/libcore.la lib/libkata.syms

katadir = $(includedir)/kata
kata_HEADERS = \
	include/kata/agent.h include/kata/container.h include/kata/context.h include/kata/direct-volume.h include/kata/domain.h \
	include/kata/error.h include/kata/event.h include/kata/kata.h include/kata/oci.h include/kata/pool.h include/kata/process.h \
	include/kata/sandbox.h include/kata/settings.h include/kata/template.h
nodist_kata_HEADERS = include/kata/version.h
EXTRA_DIST += lib/libkata.syms
