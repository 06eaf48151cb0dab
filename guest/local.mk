# SPDX-License-Identifier: LGPL-2.1-or-later
# The guest image is not part of "make all": it needs a kernel package from the network once.
EXTRA_DIST += guest/mkguest guest/kernel/mkkernel guest/kernel/check-config guest/kernel/fragment guest/kernel/needs

# mkguest for a host without this tree. One word at a time, so that what it becomes can still be read.
sbin_SCRIPTS += guest/kata-mkguest
CLEANFILES += guest/kata-mkguest
guest/kata-mkguest: guest/mkguest Makefile
	@$(MKDIR_P) guest
	$(AM_V_GEN)sed -e 's,^PROGRAM=.*,PROGRAM=kata-mkguest,' -e 's,^DEFAULT_OUTPUT=.*,DEFAULT_OUTPUT=$(guestdir),' \
	  -e 's,^DEFAULT_AGENT=.*,DEFAULT_AGENT=$(pkglibexecdir)/kata-agent,' \
	  -e 's,^DEFAULT_CACHE=.*,DEFAULT_CACHE=$(localstatedir)/cache/kata/guest,' \
	  -e '/^# "make install" writes/d' '$(srcdir)/guest/mkguest' >$@.new && chmod 755 $@.new && mv $@.new $@

.PHONY: guest clean-guest distclean-guest
guest: agent/kata-agent$(EXEEXT)
	kernel=; if test -f guest/kernel/vmlinux; then kernel='--kernel guest/kernel/vmlinux'; fi; \
	$(srcdir)/guest/mkguest --output guest --agent agent/kata-agent$(EXEEXT) --crun '$(CRUN_PATH)' $$kernel $(MKGUESTFLAGS)

# The small kernel, which "make guest" takes from then on instead of Debian's; ten minutes on two processors.
.PHONY: guest-kernel
guest-kernel:
	$(srcdir)/guest/kernel/mkkernel --output guest/kernel $(MKKERNELFLAGS)

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
	rm -rf guest/cache guest/kernel
