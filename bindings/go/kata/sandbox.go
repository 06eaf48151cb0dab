// SPDX-License-Identifier: LGPL-2.1-or-later

package kata

// #include <kata/kata.h>
import "C"

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"time"
	"unsafe"
)

// Sandbox is a handle to a virtual machine that holds containers. The machine lives in a process of its own; Close leaves
// it as it is.
type Sandbox struct {
	handle *handle
	id     string
}

// SandboxStatus is where a sandbox is in its life.
type SandboxStatus int

// The states of a sandbox.
const (
	SandboxCreated SandboxStatus = C.KATA_SANDBOX_CREATED // there is an owner, no virtual machine yet
	SandboxRunning SandboxStatus = C.KATA_SANDBOX_RUNNING // the guest answers
	SandboxStopped SandboxStatus = C.KATA_SANDBOX_STOPPED // the virtual machine has ended
	SandboxPaused  SandboxStatus = C.KATA_SANDBOX_PAUSED  // the virtual machine stands still
)

// String is the state as a word.
func (s SandboxStatus) String() string {
	switch s {
	case SandboxCreated:
		return "created"
	case SandboxRunning:
		return "running"
	case SandboxStopped:
		return "stopped"
	case SandboxPaused:
		return "paused"
	}
	return "unknown"
}

func releaseSandbox(pointer unsafe.Pointer) { C.kata_sandbox_unref((*C.kata_sandbox)(pointer)) }

func newSandbox(pointer *C.kata_sandbox, cerr *C.kata_error) (*Sandbox, error) {
	if pointer == nil {
		return nil, takeError(cerr)
	}
	return &Sandbox{newHandle(unsafe.Pointer(pointer), releaseSandbox), C.GoString(C.kata_sandbox_get_id(pointer))}, nil
}

// Close lets go of the handle.
func (s *Sandbox) Close() { s.handle.close() }

// ID is the sandbox's id.
func (s *Sandbox) ID() string { return s.id }

// do makes a call that gives 0 or -1.
func (s *Sandbox) do(ctx context.Context, call func(*C.kata_sandbox, **C.kata_error) C.int) error {
	return tell(ctx, s.handle, func(pointer unsafe.Pointer) error {
		var cerr *C.kata_error
		return takeStatus(call((*C.kata_sandbox)(pointer), &cerr), &cerr)
	})
}

// SetNetns chooses the network namespace whose interfaces the guest is connected to; before the start.
func (s *Sandbox) SetNetns(ctx context.Context, path string) error {
	return tell(ctx, s.handle, func(pointer unsafe.Pointer) error {
		cpath, free, err := cString(path)
		if err != nil {
			return err
		}
		defer free()
		var cerr *C.kata_error
		result := C.kata_sandbox_set_netns((*C.kata_sandbox)(pointer), cpath, 0, &cerr)
		return takeStatus(result, &cerr)
	})
}

// Start boots the virtual machine; the first container would do it, too.
func (s *Sandbox) Start(ctx context.Context) error {
	return s.do(ctx, func(pointer *C.kata_sandbox, cerr **C.kata_error) C.int {
		return C.kata_sandbox_start(pointer, 0, cerr)
	})
}

// Stop ends the virtual machine. grace: how long the guest may take by itself before it is killed; 0: it is killed at once.
func (s *Sandbox) Stop(ctx context.Context, grace time.Duration) error {
	if grace < 0 {
		return &Error{Code: CodeInvalidArgument, Message: "grace " + grace.String() + " is negative"}
	}
	var limit C.uint32_t
	if grace > 0 {
		limit = clampMilliseconds(grace)
	}
	return s.do(ctx, func(pointer *C.kata_sandbox, cerr **C.kata_error) C.int {
		return C.kata_sandbox_stop(pointer, limit, 0, cerr)
	})
}

// Delete removes all that is on the host of the sandbox. force: stop it first if it runs.
func (s *Sandbox) Delete(ctx context.Context, force bool) error {
	return s.do(ctx, func(pointer *C.kata_sandbox, cerr **C.kata_error) C.int {
		var flags C.uint32_t
		if force {
			flags = C.KATA_SANDBOX_DELETE_FORCE
		}
		return C.kata_sandbox_delete(pointer, flags, cerr)
	})
}

// Status is where the sandbox is in its life.
func (s *Sandbox) Status(ctx context.Context) (SandboxStatus, error) {
	return ask(ctx, s.handle, func(pointer unsafe.Pointer) (SandboxStatus, error) {
		var cerr *C.kata_error
		status := C.kata_sandbox_get_status((*C.kata_sandbox)(pointer), &cerr)
		return SandboxStatus(status), takeStatus(status, &cerr)
	})
}

// Wait waits until the virtual machine has ended.
func (s *Sandbox) Wait(ctx context.Context) error {
	return tell(ctx, s.handle, func(pointer unsafe.Pointer) error {
		return await(ctx, func(milliseconds C.uint32_t) error {
			var cerr *C.kata_error
			return takeStatus(C.kata_sandbox_wait((*C.kata_sandbox)(pointer), milliseconds, 0, &cerr), &cerr)
		})
	})
}

// Pause stops the virtual machine's processors: nothing runs in the guest until Resume.
func (s *Sandbox) Pause(ctx context.Context) error {
	return s.do(ctx, func(pointer *C.kata_sandbox, cerr **C.kata_error) C.int {
		return C.kata_sandbox_pause(pointer, 0, cerr)
	})
}

// Resume lets it go on.
func (s *Sandbox) Resume(ctx context.Context) error {
	return s.do(ctx, func(pointer *C.kata_sandbox, cerr **C.kata_error) C.int {
		return C.kata_sandbox_resume(pointer, 0, cerr)
	})
}

// Resize lets a running virtual machine grow; 0 is as it is. It needs static_sandbox_resource_mgmt = false.
func (s *Sandbox) Resize(ctx context.Context, vcpus uint32, memoryMiB uint64) error {
	return s.do(ctx, func(pointer *C.kata_sandbox, cerr **C.kata_error) C.int {
		return C.kata_sandbox_resize(pointer, C.uint32_t(vcpus), C.uint64_t(memoryMiB), 0, cerr)
	})
}

// HostProcess is a process of the host that a sandbox needs.
type HostProcess struct {
	Name          string `json:"name"` // hypervisor, virtiofsd, owner
	Pid           int    `json:"pid"`
	CPUUS         uint64 `json:"cpu_us"` // microseconds it has used
	ResidentBytes uint64 `json:"resident_bytes"`
}

// SandboxStats is the virtual machine's size, and what it costs the host.
type SandboxStats struct {
	VCPUs      uint32        `json:"vcpus"`
	MemoryMiB  uint64        `json:"memory_mib"`
	Containers int           `json:"containers"`
	Processes  []HostProcess `json:"processes"`
}

// Stats is the virtual machine's size, and what it costs the host.
func (s *Sandbox) Stats(ctx context.Context) (SandboxStats, error) {
	return askJSON[SandboxStats](ctx, s.handle, func(pointer unsafe.Pointer) (string, error) {
		var cerr *C.kata_error
		text := C.kata_sandbox_get_stats((*C.kata_sandbox)(pointer), 0, &cerr)
		return takeText(text, &cerr)
	})
}

// Console is what the guest writes to its console, from the oldest that is kept, until the virtual machine ends.
func (s *Sandbox) Console(ctx context.Context) (io.ReadCloser, error) {
	reader, writer, err := os.Pipe()
	if err != nil {
		return nil, &Error{Code: CodeIO, Message: "cannot make a pipe for the console: " + err.Error()}
	}
	_, err = askAndSettle(ctx, s.handle, func(pointer unsafe.Pointer) (struct{}, error) {
		var cerr *C.kata_error
		result := C.kata_sandbox_attach_console((*C.kata_sandbox)(pointer), C.int(writer.Fd()), 0, &cerr)
		return struct{}{}, takeStatus(result, &cerr)
	}, func(struct{}, error, bool) { writer.Close() })
	if err != nil {
		reader.Close()
		return nil, err
	}
	return reader, nil
}

// DomainXML is the libvirt domain XML the guest was started from.
func (s *Sandbox) DomainXML(ctx context.Context) (string, error) {
	return ask(ctx, s.handle, func(pointer unsafe.Pointer) (string, error) {
		var cerr *C.kata_error
		text := C.kata_sandbox_get_domain_xml((*C.kata_sandbox)(pointer), 0, &cerr)
		return takeText(text, &cerr)
	})
}

// BootStep is one step of a start; times since the owner was asked to start.
type BootStep struct {
	Name    string `json:"name"`
	BeginUS uint64 `json:"begin_us"`
	EndUS   uint64 `json:"end_us"`
}

// BootTimeline is what each step of the start took.
func (s *Sandbox) BootTimeline(ctx context.Context) ([]BootStep, error) {
	return askJSON[[]BootStep](ctx, s.handle, func(pointer unsafe.Pointer) (string, error) {
		var cerr *C.kata_error
		text := C.kata_sandbox_get_boot_timeline((*C.kata_sandbox)(pointer), 0, &cerr)
		return takeText(text, &cerr)
	})
}

// CallAgent makes one call to the agent in the guest, past all that the library knows; for diagnosis. request: what JSON
// makes the message of, or nil.
func (s *Sandbox) CallAgent(ctx context.Context, method string, request any) (json.RawMessage, error) {
	return ask(ctx, s.handle, func(pointer unsafe.Pointer) (json.RawMessage, error) {
		return callAgent(method, request, func(cmethod, crequest *C.char, reply **C.char, cerr **C.kata_error) C.int {
			return C.kata_sandbox_call_agent((*C.kata_sandbox)(pointer), cmethod, crequest, milliseconds(ctx), 0, reply, cerr)
		})
	})
}

// Interface is one of the guest's, or of its network namespace.
type Interface struct {
	Device      string      `json:"device,omitempty"`
	Name        string      `json:"name,omitempty"`
	IPAddresses []IPAddress `json:"IPAddresses,omitempty"`
	MTU         uint64      `json:"mtu,omitempty,string"`
	HwAddr      string      `json:"hwAddr,omitempty"`
}

// IPAddress is one of an interface; Family is "v4" or "v6", Mask the length of the prefix.
type IPAddress struct {
	Family  string `json:"family,omitempty"`
	Address string `json:"address"`
	Mask    string `json:"mask"`
}

// Route is one of the guest's; no Dest is the default route.
type Route struct {
	Dest    string `json:"dest,omitempty"`
	Gateway string `json:"gateway,omitempty"`
	Device  string `json:"device,omitempty"`
	Source  string `json:"source,omitempty"`
	Scope   uint32 `json:"scope,omitempty"`
	Family  string `json:"family,omitempty"`
	Flags   uint32 `json:"flags,omitempty"`
	MTU     uint32 `json:"mtu,omitempty"`
}

// AddInterface connects the guest to an interface of its network namespace, found by its Device, else Name, else HwAddr;
// what is empty it gets as the interface has it.
func (s *Sandbox) AddInterface(ctx context.Context, added Interface) error {
	text, err := marshal("interface", added)
	if err != nil {
		return err
	}
	return s.do(ctx, func(pointer *C.kata_sandbox, cerr **C.kata_error) C.int {
		ctext, free := cDocument(text)
		defer free()
		return C.kata_sandbox_add_interface(pointer, ctext, 0, cerr)
	})
}

// RemoveInterface takes an interface from the guest, until it is added again.
func (s *Sandbox) RemoveInterface(ctx context.Context, removed Interface) error {
	text, err := marshal("interface", removed)
	if err != nil {
		return err
	}
	return s.do(ctx, func(pointer *C.kata_sandbox, cerr **C.kata_error) C.int {
		ctext, free := cDocument(text)
		defer free()
		return C.kata_sandbox_remove_interface(pointer, ctext, 0, cerr)
	})
}

// Interfaces are those the guest has.
func (s *Sandbox) Interfaces(ctx context.Context) ([]Interface, error) {
	return askJSON[[]Interface](ctx, s.handle, func(pointer unsafe.Pointer) (string, error) {
		var cerr *C.kata_error
		text := C.kata_sandbox_list_interfaces((*C.kata_sandbox)(pointer), 0, &cerr)
		return takeText(text, &cerr)
	})
}

// Routes are the guest's.
func (s *Sandbox) Routes(ctx context.Context) ([]Route, error) {
	return askJSON[[]Route](ctx, s.handle, func(pointer unsafe.Pointer) (string, error) {
		var cerr *C.kata_error
		text := C.kata_sandbox_list_routes((*C.kata_sandbox)(pointer), 0, &cerr)
		return takeText(text, &cerr)
	})
}

// UpdateRoutes replaces the guest's routes, until those of its network namespace change; it returns the new ones.
func (s *Sandbox) UpdateRoutes(ctx context.Context, routes []Route) ([]Route, error) {
	list, err := marshal("routes", routes)
	if err != nil {
		return nil, err
	}
	return askJSON[[]Route](ctx, s.handle, func(pointer unsafe.Pointer) (string, error) {
		var cerr *C.kata_error
		clist, free := cDocument(list)
		defer free()
		text := C.kata_sandbox_update_routes((*C.kata_sandbox)(pointer), clist, 0, &cerr)
		return takeText(text, &cerr)
	})
}

// CreateContainer makes a container from an OCI bundle; its Start lets its process run.
func (s *Sandbox) CreateContainer(ctx context.Context, id, bundle string, streams IO) (*Container, error) {
	return s.createContainer(ctx, id, bundle, "", streams, 0, (*Container).Close)
}

// CreateBoundContainer is CreateContainer for one that is removed when the process streams.HostPid ends.
func (s *Sandbox) CreateBoundContainer(ctx context.Context, id, bundle string, streams IO) (*Container, error) {
	return s.createContainer(ctx, id, bundle, "", streams, C.KATA_CONTAINER_CREATE_BOUND, (*Container).Close)
}

// RestoreContainer makes a container from what Container.Checkpoint saved in a directory, in a sandbox that has not been
// started; otherwise as CreateContainer.
func (s *Sandbox) RestoreContainer(ctx context.Context, id, bundle, directory string, streams IO) (*Container, error) {
	return s.createContainer(ctx, id, bundle, directory, streams, 0, (*Container).Close)
}

// checkpoint: a directory, or nothing. forget: for a container that is there after the context's end only.
func (s *Sandbox) createContainer(ctx context.Context, id, bundle, checkpoint string, want IO, flags C.uint32_t,
	forget func(*Container)) (*Container, error) {
	streams, err := openStreams(want)
	if err != nil {
		return nil, err
	}
	return askAndSettle(ctx, s.handle, func(pointer unsafe.Pointer) (*Container, error) {
		texts, free, err := cStrings(id, bundle, checkpoint)
		if err != nil {
			return nil, err
		}
		defer free()
		var cerr *C.kata_error
		var made *C.kata_container
		if checkpoint == "" {
			made = C.kata_container_create((*C.kata_sandbox)(pointer), texts[0], texts[1], &streams.io, flags, &cerr)
		} else {
			made = C.kata_container_restore((*C.kata_sandbox)(pointer), texts[0], texts[1], texts[2], &streams.io, flags, &cerr)
		}
		return newContainer(made, cerr, streams)
	}, settle(streams, forget))
}

// Run runs a bundle as a container of this sandbox to its end, and deletes it, also where the context ends before.
func (s *Sandbox) Run(ctx context.Context, id, bundle string, streams IO) (exitCode int, err error) {
	container, err := s.createContainer(ctx, id, bundle, "", streams, 0, func(late *Container) { _ = late.discard() })
	if err != nil {
		return -1, err
	}
	defer func() {
		if problem := container.discard(); err == nil {
			err = problem
		}
	}()
	if err := container.Start(ctx); err != nil {
		return -1, err
	}
	return container.Wait(ctx)
}

// discard deletes it, whatever has become of the caller's context, and lets go of the handle.
func (c *Container) discard() error {
	defer c.Close()
	if _, err := c.Delete(context.Background(), true); !errors.Is(err, ErrNotFound) {
		return err
	}
	return nil
}
