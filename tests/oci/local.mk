# SPDX-License-Identifier: LGPL-2.1-or-later
# The same bundles under crun and under katactl; needs root, crun, runc, qemu and the guest image ("make guest").
OCI_TESTS = tests/oci/test-agreement.py
dist_check_SCRIPTS += $(OCI_TESTS)
EXTRA_DIST += tests/oci/engines.py tests/oci/cases.py tests/oci/more_cases.py tests/oci/differences.py
