// SPDX-License-Identifier: LGPL-2.1-or-later

package kata

// #include <kata/kata.h>
import "C"

import (
	"context"
	"encoding/json"
	"syscall"
	"time"
	"unsafe"
)

// Container is a handle to one container.
type Container struct {
	handle        *handle
	id, sandboxID string
	streams       *streams
}

// ContainerStatus is one of the OCI runtime specification's states.
type ContainerStatus int

// The states of a container.
const (
	ContainerCreated ContainerStatus = C.KATA_CONTAINER_CREATED
	ContainerRunning ContainerStatus = C.KATA_CONTAINER_RUNNING
	ContainerStopped ContainerStatus = C.KATA_CONTAINER_STOPPED
	ContainerPaused  ContainerStatus = C.KATA_CONTAINER_PAUSED
)

// String is the state as the specification calls it.
func (s ContainerStatus) String() string {
	switch s {
	case ContainerCreated:
		return "created"
	case ContainerRunning:
		return "running"
	case ContainerStopped:
		return "stopped"
	case ContainerPaused:
		return "paused"
	}
	return "unknown"
}

func releaseContainer(pointer unsafe.Pointer) { C.kata_container_unref((*C.kata_container)(pointer)) }

func newContainer(pointer *C.kata_container, cerr *C.kata_error, streams *streams) (*Container, error) {
	if pointer == nil {
		return nil, takeError(cerr)
	}
	return &Container{newHandle(unsafe.Pointer(pointer), releaseContainer), C.GoString(C.kata_container_get_id(pointer)),
		C.GoString(C.kata_container_get_sandbox_id(pointer)), streams}, nil
}

// Close lets go of the handle; the container stays.
func (c *Container) Close() { c.handle.close() }

// ID is the container's id.
func (c *Container) ID() string { return c.id }

// SandboxID is the id of the sandbox it runs in.
func (c *Container) SandboxID() string { return c.sandboxID }

func (c *Container) do(ctx context.Context, call func(*C.kata_container, **C.kata_error) C.int) error {
	return tell(ctx, c.handle, func(pointer unsafe.Pointer) error {
		var cerr *C.kata_error
		return takeStatus(call((*C.kata_container)(pointer), &cerr), &cerr)
	})
}

type containerText func(*C.kata_container, **C.kata_error) *C.char

func (c *Container) text(call containerText) func(unsafe.Pointer) (string, error) {
	return func(pointer unsafe.Pointer) (string, error) {
		var cerr *C.kata_error
		text := call((*C.kata_container)(pointer), &cerr)
		return takeText(text, &cerr)
	}
}

// Start lets the container's process run.
func (c *Container) Start(ctx context.Context) error {
	return c.do(ctx, func(pointer *C.kata_container, cerr **C.kata_error) C.int {
		return C.kata_container_start(pointer, 0, cerr)
	})
}

// Kill sends a signal to its first process.
func (c *Container) Kill(ctx context.Context, signal syscall.Signal) error {
	return c.do(ctx, func(pointer *C.kata_container, cerr **C.kata_error) C.int {
		return C.kata_container_kill(pointer, C.int(signal), 0, cerr)
	})
}

// KillAll sends a signal to every process of the container.
func (c *Container) KillAll(ctx context.Context, signal syscall.Signal) error {
	return c.do(ctx, func(pointer *C.kata_container, cerr **C.kata_error) C.int {
		return C.kata_container_kill(pointer, C.int(signal), C.KATA_KILL_ALL, cerr)
	})
}

// Wait waits for its end, and until its output has been copied: its exit code, 128 plus the signal's number if one killed
// it. An error of IO's writers comes back beside the code.
func (c *Container) Wait(ctx context.Context) (int, error) {
	code, err := ask(ctx, c.handle, func(pointer unsafe.Pointer) (int, error) {
		var status C.int
		err := await(ctx, func(milliseconds C.uint32_t) error {
			var cerr *C.kata_error
			return takeStatus(C.kata_container_wait((*C.kata_container)(pointer), milliseconds, &status, &cerr), &cerr)
		})
		return int(status), err
	})
	if err == nil {
		err = c.streams.wait(ctx)
	}
	return code, err
}

// Delete removes a stopped container: its exit code. force: kill it first if it runs.
func (c *Container) Delete(ctx context.Context, force bool) (int, error) {
	var flags C.uint32_t
	if force {
		flags = C.KATA_CONTAINER_DELETE_FORCE
	}
	return c.delete(ctx, flags)
}

// DeleteWithSandbox is Delete that also removes the sandbox, if this was its last container.
func (c *Container) DeleteWithSandbox(ctx context.Context) (int, error) {
	return c.delete(ctx, C.KATA_CONTAINER_DELETE_FORCE|C.KATA_CONTAINER_DELETE_SANDBOX)
}

func (c *Container) delete(ctx context.Context, flags C.uint32_t) (int, error) {
	return ask(ctx, c.handle, func(pointer unsafe.Pointer) (int, error) {
		var cerr *C.kata_error
		var status C.int
		err := takeStatus(C.kata_container_delete((*C.kata_container)(pointer), flags, &status, &cerr), &cerr)
		return int(status), err
	})
}

// Status is the container's state.
func (c *Container) Status(ctx context.Context) (ContainerStatus, error) {
	return ask(ctx, c.handle, func(pointer unsafe.Pointer) (ContainerStatus, error) {
		var cerr *C.kata_error
		status := C.kata_container_get_status((*C.kata_container)(pointer), &cerr)
		return ContainerStatus(status), takeStatus(status, &cerr)
	})
}

// State is the OCI runtime specification's state document, and what runc adds to it.
type State struct {
	OCIVersion  string            `json:"ociVersion"`
	ID          string            `json:"id"`
	Status      string            `json:"status"`
	Pid         int               `json:"pid"`
	Bundle      string            `json:"bundle"`
	Rootfs      string            `json:"rootfs"`
	Created     time.Time         `json:"created"`
	Annotations map[string]string `json:"annotations"`
	Owner       string            `json:"owner"`
}

// State is the container's state document.
func (c *Container) State(ctx context.Context) (State, error) {
	return askJSON[State](ctx, c.handle, c.text(func(pointer *C.kata_container, cerr **C.kata_error) *C.char {
		return C.kata_container_get_state(pointer, 0, cerr)
	}))
}

// ProcessTemplate is config.json's process object.
func (c *Container) ProcessTemplate(ctx context.Context) (map[string]any, error) {
	return askJSON[map[string]any](ctx, c.handle, c.text(func(pointer *C.kata_container, cerr **C.kata_error) *C.char {
		return C.kata_container_get_process_template(pointer, 0, cerr)
	}))
}

// Checkpoint saves it with its whole guest, memory and disks, as files in a directory; it has ended then.
func (c *Container) Checkpoint(ctx context.Context, directory string) error {
	return c.checkpoint(ctx, directory, 0)
}

// CheckpointRunning is Checkpoint for a container that shall go on.
func (c *Container) CheckpointRunning(ctx context.Context, directory string) error {
	return c.checkpoint(ctx, directory, C.KATA_CHECKPOINT_LEAVE_RUNNING)
}

func (c *Container) checkpoint(ctx context.Context, directory string, flags C.uint32_t) error {
	return tell(ctx, c.handle, func(pointer unsafe.Pointer) error {
		cdirectory, free, err := cString(directory)
		if err != nil {
			return err
		}
		defer free()
		var cerr *C.kata_error
		result := C.kata_container_checkpoint((*C.kata_container)(pointer), cdirectory, flags, &cerr)
		return takeStatus(result, &cerr)
	})
}

// Pause freezes its processes.
func (c *Container) Pause(ctx context.Context) error {
	return c.do(ctx, func(pointer *C.kata_container, cerr **C.kata_error) C.int {
		return C.kata_container_pause(pointer, 0, cerr)
	})
}

// Resume lets them go on.
func (c *Container) Resume(ctx context.Context) error {
	return c.do(ctx, func(pointer *C.kata_container, cerr **C.kata_error) C.int {
		return C.kata_container_resume(pointer, 0, cerr)
	})
}

// Update changes limits: what JSON makes an OCI linux.resources object of. What it does not name stays.
func (c *Container) Update(ctx context.Context, resources any) error {
	document, err := marshal("resources", resources)
	if err != nil {
		return err
	}
	return c.do(ctx, func(pointer *C.kata_container, cerr **C.kata_error) C.int {
		cdocument, free := cDocument(document)
		defer free()
		return C.kata_container_update(pointer, cdocument, 0, cerr)
	})
}

// Stats are counters of the container's cgroup in the guest: the agent protocol's StatsContainerResponse.
func (c *Container) Stats(ctx context.Context) (json.RawMessage, error) {
	return askJSON[json.RawMessage](ctx, c.handle, c.text(func(pointer *C.kata_container, cerr **C.kata_error) *C.char {
		return C.kata_container_get_stats(pointer, 0, cerr)
	}))
}

// ProcessInfo is a process of a container as its guest has it.
type ProcessInfo struct {
	Pid           int      `json:"pid"`        // the guest's number
	ParentPid     int      `json:"parent_pid"` // the guest's number
	ContainerPid  int      `json:"container_pid"`
	HostPid       int      `json:"host_pid"` // IO.HostPid
	UID           uint32   `json:"uid"`
	GID           uint32   `json:"gid"`
	State         string   `json:"state"` // one letter, as in ps(1)
	Command       string   `json:"command"`
	Arguments     []string `json:"arguments"`
	UserMS        uint64   `json:"user_ms"` // CPU time, milliseconds
	SystemMS      uint64   `json:"system_ms"`
	ResidentBytes uint64   `json:"resident_bytes"`
	ExecID        string   `json:"exec_id"` // of one that Exec made
	IsInit        bool     `json:"is_init"` // the container's first
	Terminal      string   `json:"terminal"`
	StartedAt     int64    `json:"started_at"` // seconds since 1970
	Threads       int      `json:"threads"`
}

// Processes are those of the container.
func (c *Container) Processes(ctx context.Context) ([]ProcessInfo, error) {
	return askJSON[[]ProcessInfo](ctx, c.handle, c.text(func(pointer *C.kata_container, cerr **C.kata_error) *C.char {
		return C.kata_container_get_processes(pointer, 0, cerr)
	}))
}

// NextEvent waits for something to happen to the container. position: 0 for the oldest event that is remembered; moved
// behind the one that is returned.
func (c *Container) NextEvent(ctx context.Context, position *uint64) (Event, error) {
	type found struct {
		event    Event
		position uint64
	}
	after := *position
	got, err := ask(ctx, c.handle, func(pointer unsafe.Pointer) (found, error) {
		at := C.uint64_t(after)
		var text string
		err := await(ctx, func(milliseconds C.uint32_t) (err error) {
			var cerr *C.kata_error
			next := C.kata_container_next_event((*C.kata_container)(pointer), &at, milliseconds, 0, &cerr)
			text, err = takeText(next, &cerr)
			return err
		})
		event, err := parseJSON[Event](text, err)
		event.Number, event.ContainerID = uint64(at), c.id
		return found{event, uint64(at)}, err
	})
	if err == nil {
		*position = got.position
	}
	return got.event, err
}

// Resize sets the size of the container's terminal.
func (c *Container) Resize(ctx context.Context, columns, rows uint32) error {
	return c.do(ctx, func(pointer *C.kata_container, cerr **C.kata_error) C.int {
		return C.kata_container_resize(pointer, C.uint32_t(columns), C.uint32_t(rows), cerr)
	})
}

// CloseStdin lets the container read end of file after what it was sent.
func (c *Container) CloseStdin(ctx context.Context) error {
	return c.do(ctx, func(pointer *C.kata_container, cerr **C.kata_error) C.int {
		return C.kata_container_close_stdin(pointer, cerr)
	})
}
