# SPDX-License-Identifier: LGPL-2.1-or-later
GOLDEN_DOMAINS = debug escapes kvm-serial-4cpu kvm-vsock-1cpu kvm-vsock-no-share nics-queues nics-tcg-serial tcg-disk-thread tcg-kernel-params \
	tcg-serial-1cpu tcg-serial-no-ports tcg-serial-no-share tcg-spare-vcpus tcg-vsock-4cpu
EXTRA_DIST += $(GOLDEN_DOMAINS:%=tests/golden/%.conf) $(GOLDEN_DOMAINS:%=tests/golden/%.xml)

if HAVE_CMOCKA
check_PROGRAMS += tests/golden/domain-xml
TESTS += tests/golden/domain-xml
tests_golden_domain_xml_SOURCES = tests/golden/domain-xml.c
tests_golden_domain_xml_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_golden_domain_xml_LDADD = lib/libcore.la $(CMOCKA_LIBS) $(GLIB_LIBS)
endif

check_PROGRAMS += tests/golden/define
dist_check_SCRIPTS += tests/golden/define.sh
TESTS += tests/golden/define.sh
tests_golden_define_SOURCES = tests/golden/define.c
tests_golden_define_CFLAGS = $(AM_CFLAGS) $(VIRT_CFLAGS)
tests_golden_define_LDADD = $(VIRT_LIBS) $(GLIB_LIBS)
if SANITIZERS
tests_golden_define_SOURCES += $(FORK_GUARD)
tests_golden_define_LDFLAGS = $(FORK_GUARD_LINK)
endif
