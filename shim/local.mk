# SPDX-License-Identifier: LGPL-2.1-or-later
# The machine and its share: a library of their own so that the unit tests link just these.
noinst_LTLIBRARIES += shim/libshimvm.la
shim_libshimvm_la_SOURCES = \
	shim/share.c shim/share.h \
	shim/share-daemon.c shim/share-private.h \
	shim/share-tree.c \
	shim/vm.c shim/vm.h \
	shim/vm-loop.c shim/vm-loop.h \
	shim/vm-root.c shim/vm-root.h \
	shim/vm-strays.c shim/vm-user.h
shim_libshimvm_la_CFLAGS = $(AM_CFLAGS) $(VIRT_CFLAGS)
shim_libshimvm_la_LIBADD = common/libcommon.la $(VIRT_LIBS)
