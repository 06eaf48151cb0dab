// SPDX-License-Identifier: LGPL-2.1-or-later

package kata

// #include <kata/kata.h>
import "C"

import (
	"bytes"
	"context"
	"io"
	"strings"
	"syscall"
	"unsafe"
)

// Process is a handle to one process in a container, beside its first.
type Process struct {
	handle  *handle
	id      string
	streams *streams
}

func releaseProcess(pointer unsafe.Pointer) { C.kata_process_unref((*C.kata_process)(pointer)) }

func newProcess(pointer *C.kata_process, cerr *C.kata_error, streams *streams) (*Process, error) {
	if pointer == nil {
		return nil, takeError(cerr)
	}
	return &Process{newHandle(unsafe.Pointer(pointer), releaseProcess), C.GoString(C.kata_process_get_id(pointer)),
		streams}, nil
}

// Command is what Exec and Run run: config.json's process with these changes.
type Command struct {
	Args []string
	Env  []string // NAME=VALUE, added to the container's
	Dir  string   // "": the container's
	User *User    // nil: the container's
	ID   string   // the exec id; "": one is made up
	// Process, if not nil, is the OCI process object to use in place of config.json's.
	Process map[string]any
}

// User is whom a process runs as.
type User struct {
	UID            uint32   `json:"uid"`
	GID            uint32   `json:"gid"`
	AdditionalGIDs []uint32 `json:"additionalGids,omitempty"`
}

// document is the OCI process object of a command.
func (command *Command) document(template map[string]any, terminal bool) ([]byte, error) {
	object := make(map[string]any, len(template)+4)
	for name, value := range template {
		object[name] = value
	}
	object["args"], object["terminal"] = command.Args, terminal
	if command.Dir != "" {
		object["cwd"] = command.Dir
	}
	if command.User != nil {
		object["user"] = command.User
	}
	object["env"] = mergeEnv(object["env"], command.Env)
	return marshal("process", object)
}

func mergeEnv(before any, added []string) []string {
	replaced := make(map[string]bool)
	for _, entry := range added {
		name, _, _ := strings.Cut(entry, "=")
		replaced[name] = true
	}
	merged := []string{}
	entries, _ := before.([]any)
	for _, entry := range entries {
		text, _ := entry.(string)
		if name, _, _ := strings.Cut(text, "="); !replaced[name] {
			merged = append(merged, text)
		}
	}
	return append(merged, added...)
}

// Exec registers a process in the container; its Start runs it. One that is registered after the context's end is
// forgotten.
func (c *Container) Exec(ctx context.Context, command Command, io IO) (*Process, error) {
	template := command.Process
	if template == nil {
		var err error
		if template, err = c.ProcessTemplate(ctx); err != nil {
			return nil, err
		}
	}
	document, err := command.document(template, io.Terminal)
	if err != nil {
		return nil, err
	}
	streams, err := openStreams(io)
	if err != nil {
		return nil, err
	}
	return askAndSettle(ctx, c.handle, func(pointer unsafe.Pointer) (*Process, error) {
		cid, free, err := cString(command.ID)
		if err != nil {
			return nil, err
		}
		defer free()
		if command.ID == "" {
			cid = nil // the library makes one up
		}
		cdocument, free := cDocument(document)
		defer free()
		var cerr *C.kata_error
		made := C.kata_container_exec((*C.kata_container)(pointer), cid, cdocument, &streams.io, 0, &cerr)
		return newProcess(made, cerr, streams)
	}, settle(streams, (*Process).discard))
}

// OpenProcess is a handle to a process that Exec registered, from any program.
func (c *Container) OpenProcess(ctx context.Context, execID string) (*Process, error) {
	return askHandle(ctx, c.handle, func(pointer unsafe.Pointer) (*Process, error) {
		cid, free, err := cString(execID)
		if err != nil {
			return nil, err
		}
		defer free()
		var cerr *C.kata_error
		opened := C.kata_process_open((*C.kata_container)(pointer), cid, 0, &cerr)
		return newProcess(opened, cerr, nil)
	})
}

// Result is what a process left.
type Result struct {
	ExitCode       int
	Stdout, Stderr []byte
}

// Run runs a command in the container to its end. When the context ends before, the command is killed.
func (c *Container) Run(ctx context.Context, command Command, stdin io.Reader) (Result, error) {
	var out, errs bytes.Buffer
	process, err := c.Exec(ctx, command, IO{Stdin: stdin, Stdout: &out, Stderr: &errs})
	if err != nil {
		return Result{}, err
	}
	// To its end, so that discard does not come before it.
	if err = process.Start(context.Background()); err == nil {
		var code int
		if code, err = process.Wait(ctx); err == nil {
			_, err = process.Delete(ctx)
			process.Close()
			return Result{code, out.Bytes(), errs.Bytes()}, err
		}
	}
	process.discard()
	return Result{}, err
}

// discard kills it, forgets it and lets go of the handle, whatever has become of the caller's context.
func (p *Process) discard() {
	defer p.Close()
	ctx := context.Background()
	if err := p.Kill(ctx, syscall.SIGKILL); err == nil {
		_, _ = p.wait(ctx)
	}
	_, _ = p.Delete(ctx)
}

// Close lets go of the handle; the process goes on.
func (p *Process) Close() { p.handle.close() }

// ID is the exec id.
func (p *Process) ID() string { return p.id }

func (p *Process) do(ctx context.Context, call func(*C.kata_process, **C.kata_error) C.int) error {
	return tell(ctx, p.handle, func(pointer unsafe.Pointer) error {
		var cerr *C.kata_error
		return takeStatus(call((*C.kata_process)(pointer), &cerr), &cerr)
	})
}

// Start runs it.
func (p *Process) Start(ctx context.Context) error {
	return p.do(ctx, func(pointer *C.kata_process, cerr **C.kata_error) C.int {
		return C.kata_process_start(pointer, 0, cerr)
	})
}

// Kill sends a signal.
func (p *Process) Kill(ctx context.Context, signal syscall.Signal) error {
	return p.do(ctx, func(pointer *C.kata_process, cerr **C.kata_error) C.int {
		return C.kata_process_kill(pointer, C.int(signal), 0, cerr)
	})
}

// Wait waits for its end, and until its output has been copied: its exit code, 128 plus the signal's number if one killed
// it. An error of IO's writers comes back beside the code. Processes that it left behind and that hold its output open
// are waited for, too, as long as the context lasts; IO with files is not copied.
func (p *Process) Wait(ctx context.Context) (int, error) {
	code, err := p.wait(ctx)
	if err == nil {
		err = p.streams.wait(ctx)
	}
	return code, err
}

func (p *Process) wait(ctx context.Context) (int, error) {
	return ask(ctx, p.handle, func(pointer unsafe.Pointer) (int, error) {
		var status C.int
		err := await(ctx, func(milliseconds C.uint32_t) error {
			var cerr *C.kata_error
			return takeStatus(C.kata_process_wait((*C.kata_process)(pointer), milliseconds, &status, &cerr), &cerr)
		})
		return int(status), err
	})
}

// Delete forgets an ended process: its exit code.
func (p *Process) Delete(ctx context.Context) (int, error) {
	return ask(ctx, p.handle, func(pointer unsafe.Pointer) (int, error) {
		var cerr *C.kata_error
		var status C.int
		err := takeStatus(C.kata_process_delete((*C.kata_process)(pointer), 0, &status, &cerr), &cerr)
		return int(status), err
	})
}

// Resize sets the size of its terminal.
func (p *Process) Resize(ctx context.Context, columns, rows uint32) error {
	return p.do(ctx, func(pointer *C.kata_process, cerr **C.kata_error) C.int {
		return C.kata_process_resize(pointer, C.uint32_t(columns), C.uint32_t(rows), cerr)
	})
}

// CloseStdin lets it read end of file after what it was sent.
func (p *Process) CloseStdin(ctx context.Context) error {
	return p.do(ctx, func(pointer *C.kata_process, cerr **C.kata_error) C.int {
		return C.kata_process_close_stdin(pointer, cerr)
	})
}
