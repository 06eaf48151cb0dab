# SPDX-License-Identifier: LGPL-2.1-or-later
# Units for systemd.
EXTRA_DIST += systemd/kata-pool.service.in
CLEANFILES += systemd/kata-pool.service
if WITH_SYSTEMD_UNITS
nodist_systemdsystemunit_DATA = systemd/kata-pool.service
endif
systemd/kata-pool.service: systemd/kata-pool.service.in Makefile
	$(AM_V_GEN)$(MKDIR_P) systemd && sed 's,[@]bindir@,$(bindir),g' $(srcdir)/systemd/kata-pool.service.in >$@.new && mv $@.new $@
check_DATA += systemd/kata-pool.service
