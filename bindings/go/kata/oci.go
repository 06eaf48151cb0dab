// SPDX-License-Identifier: LGPL-2.1-or-later

package kata

// #include <kata/kata.h>
import "C"

// SpecFlags for OCISpec.
type SpecFlags uint32

// SpecRootless is for a user without rights on the host.
const SpecRootless SpecFlags = C.KATA_OCI_SPEC_ROOTLESS

// OCIFeatures is what containers in guests can have, as the OCI runtime specification's "Features Structure" has it; JSON.
func OCIFeatures() (string, error) {
	var cerr *C.kata_error
	text := C.kata_oci_features(0, &cerr)
	return takeText(text, &cerr)
}

// OCISpec is a config.json to begin with: a shell on a terminal, in the read-only root file system "rootfs".
func OCISpec(flags SpecFlags) (string, error) {
	var cerr *C.kata_error
	text := C.kata_oci_spec(C.uint32_t(flags), &cerr)
	return takeText(text, &cerr)
}
