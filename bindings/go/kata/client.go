// SPDX-License-Identifier: LGPL-2.1-or-later

package kata

// #include <kata/kata.h>
import "C"

import (
	"context"
	"time"
	"unsafe"
)

// Client is where sandboxes live on this host and which program owns them: libkata's context.
type Client struct{ handle *handle }

// Options of a client; what is empty is as the environment says (KATA_ROOT, KATA_CONFIG, KATA_OWNER), else the default.
type Options struct {
	Root         string // the directory of sandboxes, /run/kata
	ConfigFile   string // settings, /etc/kata/kata.conf
	OwnerProgram string // containerd-shim-kata-v2
}

func releaseClient(pointer unsafe.Pointer) { C.kata_context_unref((*C.kata_context)(pointer)) }

// New makes a client. It starts nothing and holds no descriptor.
func New(options Options) (*Client, error) {
	var cerr *C.kata_error
	pointer := C.kata_context_new(0, &cerr)
	if pointer == nil {
		return nil, takeError(cerr)
	}
	client := &Client{newHandle(unsafe.Pointer(pointer), releaseClient)}
	set := func(value string, call func(*C.char) C.int) error {
		if value == "" {
			return nil
		}
		cvalue, free, err := cString(value)
		if err != nil {
			return err
		}
		defer free()
		return takeStatus(call(cvalue), &cerr)
	}
	for _, err := range []error{
		set(options.Root, func(path *C.char) C.int { return C.kata_context_set_root(pointer, path, &cerr) }),
		set(options.ConfigFile, func(path *C.char) C.int { return C.kata_context_set_config_file(pointer, path, &cerr) }),
		set(options.OwnerProgram, func(path *C.char) C.int {
			return C.kata_context_set_owner_program(pointer, path, &cerr)
		}),
	} {
		if err != nil {
			client.Close()
			return nil, err
		}
	}
	return client, nil
}

// Close lets go of the client; its sandboxes stay.
func (c *Client) Close() { c.handle.close() }

func (c *Client) text(call func(*C.kata_context) *C.char) string {
	text, _ := ask(context.Background(), c.handle, func(pointer unsafe.Pointer) (string, error) {
		return C.GoString(call((*C.kata_context)(pointer))), nil
	})
	return text
}

// Root is the directory of sandboxes.
func (c *Client) Root() string {
	return c.text(func(pointer *C.kata_context) *C.char { return (*C.char)(C.kata_context_get_root(pointer)) })
}

// ConfigFile is the settings file.
func (c *Client) ConfigFile() string {
	return c.text(func(pointer *C.kata_context) *C.char { return (*C.char)(C.kata_context_get_config_file(pointer)) })
}

// Check is one line of what the host was looked at for.
type Check struct {
	Name    string `json:"name"`
	OK      bool   `json:"ok"`      // false: no guest can run
	Warning bool   `json:"warning"` // it can, but
	Text    string `json:"text"`    // what was found
	Remedy  string `json:"remedy"`  // what to do, "" if nothing
}

// CheckHost looks whether this host has all that a guest needs; starts nothing.
func (c *Client) CheckHost(ctx context.Context) ([]Check, error) {
	return askJSON[[]Check](ctx, c.handle, func(pointer unsafe.Pointer) (string, error) {
		var cerr *C.kata_error
		text := C.kata_host_check((*C.kata_context)(pointer), 0, &cerr)
		return takeText(text, &cerr)
	})
}

// LoadSettings is what a sandbox would get: the defaults, the settings file, its drop-ins.
func (c *Client) LoadSettings() (*Settings, error) {
	return ask(context.Background(), c.handle, func(pointer unsafe.Pointer) (*Settings, error) {
		var cerr *C.kata_error
		settings := C.kata_context_load_settings((*C.kata_context)(pointer), 0, &cerr)
		if settings == nil {
			return nil, takeError(cerr)
		}
		return &Settings{newHandle(unsafe.Pointer(settings), releaseSettings)}, nil
	})
}

// GuestFile is the guest's kernel or initrd.
type GuestFile struct {
	Path     string    `json:"path"`
	Exists   bool      `json:"exists"`
	Bytes    int64     `json:"bytes"`
	Modified time.Time `json:"modified"`
	Version  string    `json:"version"` // of the kernel, as far as the file tells
}

// Description is all that a new sandbox would meet.
type Description struct {
	Versions map[string]string // of libkata, owner, libvirt, hypervisor, virtio_fs_daemon
	Guest    struct{ Kernel, Initrd GuestFile }
	Host     struct {
		Kernel, Machine, System string
		CPUs                    int   `json:"cpus"`
		MemoryMiB               int64 `json:"memory_mib"`
		Checks                  []Check
	}
	Root       string
	ConfigFile string `json:"config_file"`
	Settings   []Setting
	Ignored    []IgnoredSetting
}

// Describe tells all that a new sandbox would meet. settings: those of the sandbox; nil for what LoadSettings gives.
func (c *Client) Describe(ctx context.Context, settings *Settings) (Description, error) {
	return askWith(ctx, c, settings, func(pointer *C.kata_context, values *C.kata_settings) (Description, error) {
		var cerr *C.kata_error
		text := C.kata_context_describe(pointer, values, 0, &cerr)
		return parseJSON[Description](takeText(text, &cerr))
	})
}

// SandboxFlags for CreateSandbox.
type SandboxFlags uint32

// SandboxBound removes the sandbox when it has no container and the calling process has ended.
const SandboxBound SandboxFlags = C.KATA_SANDBOX_CREATE_BOUND

// CreateSandbox starts a sandbox's owner; the virtual machine starts with Start or with the first container. settings
// are set over those of the settings file; nil for none.
func (c *Client) CreateSandbox(ctx context.Context, id string, settings *Settings, flags SandboxFlags) (*Sandbox, error) {
	return askHandle(ctx, c.handle, func(pointer unsafe.Pointer) (*Sandbox, error) {
		csettings, end, err := settings.use()
		if err != nil {
			return nil, err
		}
		defer end()
		cid, free, err := cString(id)
		if err != nil {
			return nil, err
		}
		defer free()
		var cerr *C.kata_error
		made := C.kata_sandbox_create((*C.kata_context)(pointer), cid, csettings, C.uint32_t(flags), &cerr)
		return newSandbox(made, cerr)
	})
}

// OpenSandbox is a handle to a sandbox that exists.
func (c *Client) OpenSandbox(ctx context.Context, id string) (*Sandbox, error) {
	return askHandle(ctx, c.handle, func(pointer unsafe.Pointer) (*Sandbox, error) {
		cid, free, err := cString(id)
		if err != nil {
			return nil, err
		}
		defer free()
		var cerr *C.kata_error
		opened := C.kata_sandbox_open((*C.kata_context)(pointer), cid, 0, &cerr)
		return newSandbox(opened, cerr)
	})
}

// Sandboxes are the ids of all sandboxes.
func (c *Client) Sandboxes(ctx context.Context) ([]string, error) {
	return ask(ctx, c.handle, func(pointer unsafe.Pointer) ([]string, error) {
		var cerr *C.kata_error
		list := C.kata_sandbox_list((*C.kata_context)(pointer), 0, &cerr)
		return takeList(list, &cerr)
	})
}

// FindSandbox is the id of the sandbox whose guest is connected to a network namespace.
func (c *Client) FindSandbox(ctx context.Context, netns string) (string, error) {
	return ask(ctx, c.handle, func(pointer unsafe.Pointer) (string, error) {
		cpath, free, err := cString(netns)
		if err != nil {
			return "", err
		}
		defer free()
		var cerr *C.kata_error
		text := C.kata_sandbox_find_netns((*C.kata_context)(pointer), cpath, 0, &cerr)
		return takeText(text, &cerr)
	})
}

// OpenContainer is a handle to a container that exists.
func (c *Client) OpenContainer(ctx context.Context, id string) (*Container, error) {
	return askHandle(ctx, c.handle, func(pointer unsafe.Pointer) (*Container, error) {
		cid, free, err := cString(id)
		if err != nil {
			return nil, err
		}
		defer free()
		var cerr *C.kata_error
		opened := C.kata_container_open((*C.kata_context)(pointer), cid, 0, &cerr)
		return newContainer(opened, cerr, nil)
	})
}

// Containers are the ids of all containers.
func (c *Client) Containers(ctx context.Context) ([]string, error) {
	return ask(ctx, c.handle, func(pointer unsafe.Pointer) ([]string, error) {
		var cerr *C.kata_error
		list := C.kata_container_list((*C.kata_context)(pointer), 0, &cerr)
		return takeList(list, &cerr)
	})
}
