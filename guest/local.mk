# SPDX-License-Identifier: LGPL-2.1-or-later
# The guest image is not part of "make all": it needs a kernel package from the network once.
EXTRA_DIST += guest/mkguest
guestdir = $(datadir)/kata

.PHONY: guest clean-guest distclean-guest
guest: agent/kata-agent$(EXEEXT)
	$(srcdir)/guest/mkguest --output guest --agent agent/kata-agent$(EXEEXT) --crun '$(CRUN_PATH)' $(MKGUESTFLAGS)

install-data-local:
	@if test -f guest/vmlinuz && test -f guest/initrd.img; then \
	  echo " $(MKDIR_P) '$(DESTDIR)$(guestdir)'"; $(MKDIR_P) '$(DESTDIR)$(guestdir)' && \
	  echo " $(INSTALL_DATA) guest/vmlinuz guest/initrd.img '$(DESTDIR)$(guestdir)'" && \
	  $(INSTALL_DATA) guest/vmlinuz guest/initrd.img '$(DESTDIR)$(guestdir)'; \
	else echo " no guest image to install: run 'make guest' first"; fi

uninstall-local:
	rm -f '$(DESTDIR)$(guestdir)/vmlinuz' '$(DESTDIR)$(guestdir)/initrd.img'

clean-local: clean-guest
clean-guest:
	rm -f guest/vmlinuz guest/initrd.img

distclean-local: distclean-guest
distclean-guest:
	rm -rf guest/cache
