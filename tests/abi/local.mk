# SPDX-License-Identifier: LGPL-2.1-or-later
dist_check_SCRIPTS += tests/abi/headers.sh tests/abi/symbols.py tests/abi/pages.py
TESTS += tests/abi/headers.sh tests/abi/symbols.py tests/abi/pages.py

# The leak checker of a sanitizer counts memory in its own way.
if !SANITIZERS
check_PROGRAMS += tests/abi/dlopen
TESTS += tests/abi/dlopen.sh tests/abi/abidiff.sh tests/abi/katactl.py tests/abi/size.sh
endif
dist_check_SCRIPTS += tests/abi/size.sh tests/abi/abidiff.sh tests/abi/katactl.py tests/abi/promises.sh
EXTRA_DIST += tests/abi/libkata.abi.xz

# With the owner of the unit tests. A library with sanitizers cannot be loaded into Python.
if HAVE_CMOCKA
check_PROGRAMS += tests/abi/promises
TESTS += tests/abi/promises.sh
if !SANITIZERS
TESTS += tests/abi/arguments.py
endif
endif
dist_check_SCRIPTS += tests/abi/arguments.py
tests_abi_promises_SOURCES = tests/abi/promises.c
tests_abi_promises_LDADD = lib/libkata.la -lpthread
dist_check_SCRIPTS += tests/abi/dlopen.sh
tests_abi_dlopen_SOURCES = tests/abi/dlopen.c
tests_abi_dlopen_LDADD = -ldl -lpthread

check_PROGRAMS += tests/abi/print-settings
dist_check_SCRIPTS += tests/abi/settings-page.sh
TESTS += tests/abi/settings-page.sh
tests_abi_print_settings_SOURCES = tests/abi/print-settings.c
tests_abi_print_settings_CPPFLAGS = $(lib_libcore_la_CPPFLAGS)
tests_abi_print_settings_LDADD = lib/libcore.la $(GLIB_LIBS)

dist_check_SCRIPTS += tests/abi/values.py
TESTS += tests/abi/values.py
