# SPDX-License-Identifier: LGPL-2.1-or-later
dist_man_MANS += man/kata-agent.8 man/containerd-shim-kata-v2.8
dist_man_MANS += man/libkata.3 man/kata.conf.5 man/kata-annotations.7 man/kata-security.7
dist_man_MANS += man/kata-mkguest.8

# katactl(1), and a page for each command.
dist_man_MANS += man/katactl.1
COMMAND_PAGES = man/katactl-agent.1 man/katactl-bench.1 man/katactl-boot-chart.1 man/katactl-check.1 man/katactl-checkpoint.1 man/katactl-config.1 man/katactl-create.1 \
	man/katactl-delete.1 man/katactl-direct-volume.1 man/katactl-env.1 man/katactl-events.1 man/katactl-exec.1 man/katactl-features.1 man/katactl-kata-overhead.1 \
	man/katactl-kill.1 man/katactl-list.1 man/katactl-network.1 man/katactl-pause.1 man/katactl-pool.1 man/katactl-ps.1 man/katactl-restore.1 \
	man/katactl-resume.1 man/katactl-run.1 man/katactl-spec.1 man/katactl-start.1 man/katactl-state.1 \
	man/katactl-template.1 man/katactl-update.1 man/katactl-version.1 man/katactl-xml.1
dist_man_MANS += $(COMMAND_PAGES)

# A page for each object of the library, made from the comments of its header.
API_PAGES = man/kata_agent.3 man/kata_container.3 man/kata_context.3 man/kata_direct_volume.3 man/kata_domain.3 man/kata_error.3 man/kata_events.3 \
	man/kata_oci.3 man/kata_pool.3 man/kata_process.3 man/kata_sandbox.3 man/kata_settings.3 man/kata_template.3 man/kata_version.3
man_MANS = $(API_PAGES)
EXTRA_DIST += scripts/make-api-pages.py
CLEANFILES += $(API_PAGES) man/api-pages.stamp
man/api-pages.stamp: scripts/make-api-pages.py include/kata/version.h $(kata_HEADERS)
	$(AM_V_GEN)$(MKDIR_P) man && python3 $(srcdir)/scripts/make-api-pages.py $(srcdir)/include/kata include/kata/version.h man && touch $@
$(API_PAGES): man/api-pages.stamp
	@test -f $@ || { rm -f $<; $(MAKE) $(AM_MAKEFLAGS) $<; }

# Each call leads to its object's page.
install-data-hook: install-call-pages
install-call-pages: $(API_PAGES)
	cd man && for page in *.3; do sed -n 's/^\.SS "\(kata_[a-z_]*\)()"$$/\1/p' $$page | while read -r call; do \
	  test -f $$call.3 || echo ".so man3/$$page" >'$(DESTDIR)$(man3dir)'/$$call.3; done; done
uninstall-hook: uninstall-call-pages
uninstall-call-pages:
	cd '$(DESTDIR)$(man3dir)' && grep -l '^\.so man3/kata_' kata_*.3 2>/dev/null | xargs -r rm -f
.PHONY: install-call-pages uninstall-call-pages
