# SPDX-License-Identifier: LGPL-2.1-or-later
# Packages for Debian and for rpm. Not part of "make check": the test builds the tree anew and gets a root from Debian's
# archive.
PACKAGES_TESTS = tests/packages/test-packages.sh tests/packages/test-rpm.sh tests/packages/test-spec.sh \
	tests/packages/test-python-3.9.sh tests/packages/test-distcheck.sh
dist_check_SCRIPTS += $(PACKAGES_TESTS)
EXTRA_DIST += debian/changelog debian/clean debian/control debian/copyright debian/not-installed debian/rules debian/source/format \
	debian/golang-libkata-dev.docs debian/golang-libkata-dev.install \
	debian/kata-guest.dirs debian/kata-guest.docs debian/kata-guest.install debian/kata-guest.postinst \
	debian/kata-guest.postrm debian/kata-guest.triggers \
	debian/katactl.dirs debian/katactl.docs debian/katactl.install debian/katactl.postinst debian/katactl.postrm \
	debian/libkata-dev.docs debian/libkata-dev.examples debian/libkata-dev.install \
	debian/libkata0.install debian/libkata0.symbols debian/python3-kata.docs \
	debian/tests/control debian/tests/run-container
# With its version filled in: "rpmbuild -ta" looks for it in the tarball.
EXTRA_DIST += libkata.spec

.PHONY: check-packages rpm
check-packages: all
	@$(MKDIR_P) tests/packages
	$(MAKE) $(AM_MAKEFLAGS) check TESTS='$(PACKAGES_TESTS)' TEST_SUITE_LOG=test-suite-packages.log \
	  TEST_LIMIT='timeout -k 10 1800'

# RPMBUILDFLAGS=--nodeps where rpm does not know what is installed.
rpm: dist
	rpmbuild --define '_topdir $(abs_top_builddir)/rpm' $(RPMBUILDFLAGS) -ta '$(distdir).tar.xz'

distclean-local: distclean-packages
distclean-packages:
	rm -rf packages rpm dist.lock
.PHONY: distclean-packages
