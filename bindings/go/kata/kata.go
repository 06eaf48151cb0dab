// SPDX-License-Identifier: LGPL-2.1-or-later

// Package kata is libkata for Go: containers that each run in their own lightweight virtual machine.
//
//	client, err := kata.New(kata.Options{})
//	sandbox, err := client.CreateSandbox(ctx, "demo", nil, 0)
//	defer sandbox.Delete(ctx, true)
//	container, err := sandbox.CreateContainer(ctx, "web", "/path/to/bundle", kata.IO{Stdout: os.Stdout})
//	err = container.Start(ctx)
//	result, err := container.Run(ctx, kata.Command{Args: []string{"ls", "/"}}, nil)
//
// Errors are of type *Error and tell with errors.Is what kind they are: errors.Is(err, kata.ErrNotFound).
//
// Any number of goroutines may call at once. A call whose context is done returns the context's error at once; what the
// call had begun in the sandbox still comes to its end. A handle that is closed, or forgotten, leaves what it stands for
// as it is.
package kata

/*
#cgo pkg-config: libkata
#include <stdlib.h>
#include <kata/kata.h>
*/
import "C"

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"runtime"
	"strings"
	"sync"
	"time"
	"unsafe"
)

// How long a wait in the library takes at most before it looks whether its context is done.
const slice = time.Second

// Version is the version of libkata at run time, such as "0.1.0".
func Version() string { return C.GoString(C.kata_version()) }

// HasFeature tells whether the library at run time knows something, such as "events"; kata_has_feature() lists the names.
func HasFeature(name string) bool {
	cname, free, err := cString(name)
	if err != nil {
		return false
	}
	defer free()
	return C.kata_has_feature(cname) != 0
}

// HeaderVersion is the version of the headers this program was built with.
const HeaderVersion = C.KATA_VERSION

// handle is something of libkata that is held until close, or until nobody knows it any more.
type handle struct {
	mutex   sync.Mutex
	pointer unsafe.Pointer
	users   int
	closed  bool
	release func(unsafe.Pointer)
}

func newHandle(pointer unsafe.Pointer, release func(unsafe.Pointer)) *handle {
	h := &handle{pointer: pointer, release: release}
	runtime.SetFinalizer(h, (*handle).close)
	return h
}

// close lets go once the calls that have begun have come to their end.
func (h *handle) close() {
	h.mutex.Lock()
	defer h.mutex.Unlock()
	h.closed = true
	h.letGo()
}

func (h *handle) letGo() {
	if h.closed && h.users == 0 && h.pointer != nil {
		h.release(h.pointer)
		h.pointer = nil
	}
}

func (h *handle) begin() (unsafe.Pointer, error) {
	h.mutex.Lock()
	defer h.mutex.Unlock()
	if h.closed {
		return nil, &Error{Code: CodeInvalidArgument, Message: "the handle has been closed"}
	}
	h.users++
	return h.pointer, nil
}

func (h *handle) end() {
	h.mutex.Lock()
	defer h.mutex.Unlock()
	h.users--
	h.letGo()
}

type answer[T any] struct {
	value T
	err   error
}

// ask calls f with the handle's pointer, in a goroutine of its own where the context may end before.
func ask[T any](ctx context.Context, h *handle, f func(unsafe.Pointer) (T, error)) (T, error) {
	return askAndSettle(ctx, h, f, func(T, error, bool) {})
}

// askHandle is ask for a handle, which is let go of where the context has ended before.
func askHandle[T closer](ctx context.Context, h *handle, f func(unsafe.Pointer) (T, error)) (T, error) {
	return askAndSettle(ctx, h, f, closeLate[T])
}

// askAndSettle is ask, and tells settle once what became of it, as inTime does, also where f is not called at all.
func askAndSettle[T any](ctx context.Context, h *handle, f func(unsafe.Pointer) (T, error),
	settle func(value T, err error, isLate bool)) (T, error) {
	var none T
	var pointer unsafe.Pointer
	err := ctx.Err()
	if err == nil {
		pointer, err = h.begin()
	}
	if err != nil {
		settle(none, err, false)
		return none, err
	}
	return inTime(ctx, func() (T, error) {
		defer h.end()
		return f(pointer)
	}, settle)
}

// inTime calls f, and gives up on it when the context ends. settle is told what f gave: before inTime returns the same,
// or late, when f has come to its end behind the caller, who knows nothing of it.
func inTime[T any](ctx context.Context, f func() (T, error), settle func(value T, err error, isLate bool)) (T, error) {
	if ctx.Done() == nil {
		value, err := f()
		settle(value, err, false)
		return value, err
	}
	answers := make(chan answer[T], 1)
	go func() {
		value, err := f()
		answers <- answer[T]{value, err}
	}()
	select {
	case got := <-answers:
		settle(got.value, got.err, false)
		return got.value, got.err
	case <-ctx.Done():
		go func() {
			got := <-answers
			settle(got.value, got.err, true)
		}()
		var none T
		return none, ctx.Err()
	}
}

type closer interface{ Close() }

// closeLate settles a handle: the one that nobody waits for any more is let go of.
func closeLate[T closer](made T, err error, isLate bool) {
	if isLate && err == nil {
		made.Close()
	}
}

// tell is ask for a call that gives nothing but an error.
func tell(ctx context.Context, h *handle, f func(unsafe.Pointer) error) error {
	_, err := ask(ctx, h, func(pointer unsafe.Pointer) (struct{}, error) { return struct{}{}, f(pointer) })
	return err
}

// askJSON is ask for a call that gives JSON.
func askJSON[T any](ctx context.Context, h *handle, f func(unsafe.Pointer) (string, error)) (T, error) {
	return ask(ctx, h, func(pointer unsafe.Pointer) (T, error) {
		return parseJSON[T](f(pointer))
	})
}

func parseJSON[T any](text string, err error) (T, error) {
	var value T
	if err == nil {
		if err = json.Unmarshal([]byte(text), &value); err != nil {
			err = &Error{Code: CodeInternal, Message: "what libkata gives is not what is expected: " + err.Error()}
		}
	}
	return value, err
}

// marshal is JSON of what a caller gave.
func marshal(what string, value any) ([]byte, error) {
	document, err := json.Marshal(value)
	if err != nil {
		err = &Error{Code: CodeInvalidArgument, Message: what + ": " + err.Error()}
	}
	return document, err
}

// await repeats a wait of the library, which takes milliseconds, until it ends or the context does.
func await(ctx context.Context, wait func(C.uint32_t) error) error {
	return awaitSlices(ctx, slice, wait)
}

func awaitSlices(ctx context.Context, slice time.Duration, wait func(C.uint32_t) error) error {
	if ctx.Done() == nil {
		return wait(0)
	}
	for {
		err := wait(C.uint32_t(slice / time.Millisecond))
		if !errors.Is(err, ErrTimeout) {
			return err
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
}

// milliseconds is what is left of a context; 0, without limit, if it has no deadline.
func milliseconds(ctx context.Context) C.uint32_t {
	deadline, ok := ctx.Deadline()
	if !ok {
		return 0
	}
	return clampMilliseconds(time.Until(deadline))
}

// clampMilliseconds is at least one, since 0 has a meaning of its own.
func clampMilliseconds(duration time.Duration) C.uint32_t {
	count := duration / time.Millisecond
	if count < 1 {
		count = 1
	}
	if count > math.MaxUint32 {
		count = math.MaxUint32
	}
	return C.uint32_t(count)
}

// cString is text for C, and how to release it. One with a NUL character is none: C would see another text.
func cString(text string) (*C.char, func(), error) {
	if strings.IndexByte(text, 0) >= 0 {
		return nil, nil, &Error{Code: CodeInvalidArgument, Message: fmt.Sprintf("%q holds a NUL character", text)}
	}
	pointer, free := cDocument([]byte(text))
	return pointer, free, nil
}

// cStrings is cString for some texts at once.
func cStrings(texts ...string) ([]*C.char, func(), error) {
	pointers := make([]*C.char, 0, len(texts))
	free := func() {
		for _, pointer := range pointers {
			C.free(unsafe.Pointer(pointer))
		}
	}
	for _, text := range texts {
		pointer, _, err := cString(text)
		if err != nil {
			free()
			return nil, nil, err
		}
		pointers = append(pointers, pointer)
	}
	return pointers, free, nil
}

// cDocument is cString for JSON, which has no NUL character.
func cDocument(document []byte) (*C.char, func()) {
	pointer := C.CString(string(document))
	return pointer, func() { C.free(unsafe.Pointer(pointer)) }
}

// takeText is a text that the caller is to release.
func takeText(text *C.char, cerr **C.kata_error) (string, error) {
	if text == nil {
		return "", takeError(*cerr)
	}
	defer C.kata_free(unsafe.Pointer(text))
	return C.GoString(text), nil
}

func takeList(array **C.char, cerr **C.kata_error) ([]string, error) {
	if array == nil {
		return nil, takeError(*cerr)
	}
	defer C.kata_strv_free(array)
	texts := []string{}
	for at := array; *at != nil; at = (**C.char)(unsafe.Add(unsafe.Pointer(at), unsafe.Sizeof(*at))) {
		texts = append(texts, C.GoString(*at))
	}
	return texts, nil
}

// takeStatus is what a call that gives 0 or -1 has to say. A pointer to the error, since in takeStatus(call(&cerr), cerr)
// Go may read cerr before the call.
func takeStatus(result C.int, cerr **C.kata_error) error {
	if result >= 0 {
		return nil
	}
	return takeError(*cerr)
}
