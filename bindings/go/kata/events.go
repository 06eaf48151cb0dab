// SPDX-License-Identifier: LGPL-2.1-or-later

package kata

// #include <kata/kata.h>
import "C"

import (
	"context"
	"time"
	"unsafe"
)

// Event is something that happened to a container.
type Event struct {
	Number      uint64    `json:"number"`    // rises from event to event
	Type        string    `json:"type"`      // start, exit, oom, pause, resume
	ContainerID string    `json:"container"` // whose
	Time        time.Time `json:"time"`
	ExitStatus  int       `json:"exit_status"` // of exit
}

// Events is a row of events of a sandbox's containers. For one goroutine at a time.
type Events struct{ handle *handle }

func releaseEvents(pointer unsafe.Pointer) { C.kata_events_unref((*C.kata_events)(pointer)) }

// Watch is events from the oldest that is remembered, or behind number after.
func (s *Sandbox) Watch(ctx context.Context, after uint64) (*Events, error) {
	return askHandle(ctx, s.handle, func(pointer unsafe.Pointer) (*Events, error) {
		var cerr *C.kata_error
		opened := C.kata_events_open((*C.kata_sandbox)(pointer), C.uint64_t(after), 0, &cerr)
		if opened == nil {
			return nil, takeError(cerr)
		}
		return &Events{newHandle(unsafe.Pointer(opened), releaseEvents)}, nil
	})
}

// Close ends the connection to the owner.
func (e *Events) Close() { e.handle.close() }

// Fd is readable when Next(ctx, false) should be called; it may then still have nothing to tell.
func (e *Events) Fd() int {
	fd, _ := ask(context.Background(), e.handle, func(pointer unsafe.Pointer) (int, error) {
		return int(C.kata_events_get_fd((*C.kata_events)(pointer))), nil
	})
	return fd
}

// Next waits for the next event; without wait it gives ErrTimeout if there is none. ErrNotFound: the sandbox was deleted.
func (e *Events) Next(ctx context.Context, wait bool) (Event, error) {
	// Here and not in another goroutine: a wait that goes on behind the caller would take his next event.
	if err := ctx.Err(); err != nil {
		return Event{}, err
	}
	pointer, err := e.handle.begin()
	if err != nil {
		return Event{}, err
	}
	defer e.handle.end()
	var text string
	call := func(milliseconds, flags C.uint32_t) (err error) {
		var cerr *C.kata_error
		next := C.kata_events_next((*C.kata_events)(pointer), milliseconds, flags, &cerr)
		text, err = takeText(next, &cerr)
		return err
	}
	if wait {
		err = awaitSlices(ctx, 50*time.Millisecond, func(milliseconds C.uint32_t) error { return call(milliseconds, 0) })
	} else {
		err = call(0, C.KATA_EVENTS_NEXT_DONT_WAIT)
	}
	return parseJSON[Event](text, err)
}
