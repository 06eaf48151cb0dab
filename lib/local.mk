# SPDX-License-Identifier: LGPL-2.1-or-later
# The internal half: what the owner links too.
noinst_LTLIBRARIES += lib/libcore.la
lib_libcore_la_SOURCES = \
	lib/domain-xml.c lib/domain-xml.h \
	lib/domain-xml-devices.c lib/domain-xml-devices.h \
	lib/domain-xml-writer.c lib/domain-xml-writer.h \
	lib/host.c lib/host-check.c lib/host.h \
	lib/paths.c lib/paths.h \
	lib/sandbox.c \
	lib/settings.c lib/settings.h \
	lib/settings-file.c lib/settings-file.h \
	lib/settings-table.c lib/settings-table.h \
	lib/settings-value.c lib/settings-value.h \
	lib/vm-config.c lib/vm-config.h
lib_libcore_la_CFLAGS = $(AM_CFLAGS) $(XML_CFLAGS)
lib_libcore_la_CPPFLAGS = $(AM_CPPFLAGS) \
	-DKATA_DATADIR='"$(datadir)/kata"' \
	-DKATA_SYSCONFDIR='"$(sysconfdir)/kata"' \
	-DKATA_OWNER_PATH='"$(bindir)/containerd-shim-kata-v2"' \
	-DKATA_QEMU_PATH='"$(QEMU_PATH)"' \
	-DKATA_VIRTIOFSD_PATH='"$(VIRTIOFSD_PATH)"' \
	-DKATA_FIRMWARE_PATH='"/usr/share/qemu/qboot.rom"' \
	-DKATA_VIRT_LIBDIR='"$(VIRT_LIBDIR)"'
lib_libcore_la_LIBADD = common/libcommon.la $(XML_LIBS)
