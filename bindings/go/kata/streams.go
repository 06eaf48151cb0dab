// SPDX-License-Identifier: LGPL-2.1-or-later

package kata

// #include <kata/kata.h>
import "C"

import (
	"context"
	"io"
	"os"
	"sync"
)

// IO is where a process's streams lead, as in os/exec: a file is passed on as it is, anything else is copied from and to
// by a goroutine; nil is nothing.
type IO struct {
	Stdin  io.Reader
	Stdout io.Writer
	Stderr io.Writer
	// Terminal: config.json or the process asks for one; Stdin and Stdout are its host's side, Stderr is not used.
	Terminal bool
	// HostPid: a process of the caller's that stands for this one on the host, 0 for none.
	HostPid int
}

// streams are the descriptors of one process, and the copying.
type streams struct {
	io     C.kata_process_io
	theirs []*os.File // ends of pipes that the owner has its own copies of
	ours   []*os.File
	start  []func()
	copies sync.WaitGroup // of its output
	done   chan struct{}
}

func openStreams(want IO) (*streams, error) {
	s := &streams{done: make(chan struct{})}
	s.io = C.kata_process_io{size: C.sizeof_kata_process_io, stdin_fd: -1, stdout_fd: -1, stderr_fd: -1,
		host_pid: C.pid_t(want.HostPid)}
	if want.Terminal {
		s.io.terminal, want.Stderr = 1, nil
	}
	for _, err := range []error{
		s.reader(want.Stdin, &s.io.stdin_fd), s.writer(want.Stdout, &s.io.stdout_fd), s.writer(want.Stderr, &s.io.stderr_fd),
	} {
		if err != nil {
			s.given(false)
			return nil, err
		}
	}
	return s, nil
}

func (s *streams) pipe() (reader, writer *os.File, err error) {
	reader, writer, err = os.Pipe()
	if err != nil {
		err = &Error{Code: CodeIO, Message: "cannot make a pipe to the process: " + err.Error()}
	}
	return reader, writer, err
}

func (s *streams) reader(from io.Reader, fd *C.int) error {
	switch source := from.(type) {
	case nil:
		return nil
	case *os.File:
		*fd = C.int(source.Fd())
		return nil
	}
	reader, writer, err := s.pipe()
	if err != nil {
		return err
	}
	*fd = C.int(reader.Fd())
	s.theirs, s.ours = append(s.theirs, reader), append(s.ours, writer)
	s.start = append(s.start, func() {
		// That the process reads no more is its own affair.
		_, _ = io.Copy(writer, from)
		_ = writer.Close()
	})
	return nil
}

func (s *streams) writer(to io.Writer, fd *C.int) error {
	switch target := to.(type) {
	case nil:
		return nil
	case *os.File:
		*fd = C.int(target.Fd())
		return nil
	}
	reader, writer, err := s.pipe()
	if err != nil {
		return err
	}
	*fd = C.int(writer.Fd())
	s.theirs, s.ours = append(s.theirs, writer), append(s.ours, reader)
	s.copies.Add(1)
	s.start = append(s.start, func() {
		defer s.copies.Done()
		_, _ = io.Copy(to, reader)
		_ = reader.Close()
	})
	return nil
}

// given closes the owner's ends, and begins to copy if the owner has taken them.
func (s *streams) given(taken bool) {
	for _, file := range s.theirs {
		_ = file.Close()
	}
	if !taken {
		for _, file := range s.ours {
			_ = file.Close()
		}
		return
	}
	for _, begin := range s.start {
		go begin()
	}
	go func() {
		s.copies.Wait()
		close(s.done)
	}()
}

// wait waits until all output has been copied.
func (s *streams) wait(ctx context.Context) error {
	if s == nil {
		return nil
	}
	select {
	case <-s.done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
