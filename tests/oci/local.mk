# SPDX-License-Identifier: LGPL-2.1-or-later
# The same bundles under crun and under katactl; needs root, crun, qemu and the guest image ("make guest").
dist_check_SCRIPTS += tests/oci/test-agreement.py
TESTS += tests/oci/test-agreement.py
EXTRA_DIST += tests/oci/engines.py tests/oci/cases.py tests/oci/more_cases.py tests/oci/differences.py
