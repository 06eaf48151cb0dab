// SPDX-License-Identifier: LGPL-2.1-or-later

package kata

// #include <kata/kata.h>
import "C"

// Code is what kind of failure it was.
type Code int

// The codes of libkata; values never change.
const (
	CodeInternal          Code = C.KATA_ERR_INTERNAL           // a fault of libkata itself
	CodeInvalidArgument   Code = C.KATA_ERR_INVALID_ARGUMENT   // a bad argument, flag, id, bundle or document
	CodeNotFound          Code = C.KATA_ERR_NOT_FOUND          // no such sandbox, container, process or file
	CodeAlreadyExists     Code = C.KATA_ERR_ALREADY_EXISTS     // the id is in use
	CodeInvalidState      Code = C.KATA_ERR_INVALID_STATE      // right call, wrong moment
	CodePermissionDenied  Code = C.KATA_ERR_PERMISSION_DENIED  // the host refused
	CodeUnsupported       Code = C.KATA_ERR_UNSUPPORTED        // not built in, or not possible here
	CodeTimeout           Code = C.KATA_ERR_TIMEOUT            // it took longer than allowed
	CodeUnavailable       Code = C.KATA_ERR_UNAVAILABLE        // the peer is gone: owner, guest or agent
	CodeResourceExhausted Code = C.KATA_ERR_RESOURCE_EXHAUSTED // a limit was reached: size, disk, memory
	CodeIO                Code = C.KATA_ERR_IO                 // a system call failed
	CodeConfig            Code = C.KATA_ERR_CONFIG             // a settings file or key is wrong
	CodeHost              Code = C.KATA_ERR_HOST               // the host lacks something a guest needs
	CodeGuest             Code = C.KATA_ERR_GUEST              // the guest did not come up, or died
	CodeCancelled         Code = C.KATA_ERR_CANCELLED          // given up at the caller's wish
)

// String is the code as a word, such as "not-found".
func (code Code) String() string { return C.GoString(C.kata_error_code_name(C.kata_error_code(code))) }

// Error is a failed call.
type Error struct {
	Code    Code
	Message string // one line: what was tried, on what, and why it failed
	Detail  string // what others said: libvirt, QEMU, the agent, the guest's console; "" if nothing
}

// Error is the message, and the detail below it.
func (e *Error) Error() string {
	switch {
	case e.Message == "":
		return e.Code.String()
	case e.Detail == "":
		return e.Message
	}
	return e.Message + "\n" + e.Detail
}

// Is tells whether an error is of the same kind as target.
func (e *Error) Is(target error) bool {
	other, ok := target.(*Error)
	return ok && other.Code == e.Code
}

// For errors.Is.
var (
	ErrInternal          = &Error{Code: CodeInternal}
	ErrInvalidArgument   = &Error{Code: CodeInvalidArgument}
	ErrNotFound          = &Error{Code: CodeNotFound}
	ErrAlreadyExists     = &Error{Code: CodeAlreadyExists}
	ErrInvalidState      = &Error{Code: CodeInvalidState}
	ErrPermissionDenied  = &Error{Code: CodePermissionDenied}
	ErrUnsupported       = &Error{Code: CodeUnsupported}
	ErrTimeout           = &Error{Code: CodeTimeout}
	ErrUnavailable       = &Error{Code: CodeUnavailable}
	ErrResourceExhausted = &Error{Code: CodeResourceExhausted}
	ErrIO                = &Error{Code: CodeIO}
	ErrConfig            = &Error{Code: CodeConfig}
	ErrHost              = &Error{Code: CodeHost}
	ErrGuest             = &Error{Code: CodeGuest}
	ErrCancelled         = &Error{Code: CodeCancelled}
)

// takeError makes an error of libkata's, which is released.
func takeError(cerr *C.kata_error) error {
	defer C.kata_error_free(cerr)
	return &Error{
		Code:    Code(C.kata_error_get_code(cerr)),
		Message: C.GoString(C.kata_error_get_message(cerr)),
		Detail:  C.GoString(C.kata_error_get_detail(cerr)),
	}
}
