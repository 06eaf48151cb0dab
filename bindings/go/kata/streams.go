// SPDX-License-Identifier: LGPL-2.1-or-later

package kata

// #include <kata/kata.h>
import "C"

import (
	"context"
	"io"
	"os"
	"sync"
	"syscall"
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
	theirs []int      // descriptors that the owner gets its own copies of
	ours   []*os.File // ends of pipes
	input  *os.File   // of ours, the one to the process
	start  []func()
	copies sync.WaitGroup // of its output
	done   chan struct{}
	failed sync.Once
	err    error // of the first writer that failed; to be read after done
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

// share makes a descriptor for the owner of a file, which may be closed while the call still goes on behind the end of its
// context. The file does not become a blocking one by it.
func (s *streams) share(file *os.File, fd *C.int) error {
	var number uintptr
	var errno syscall.Errno
	connection, err := file.SyscallConn()
	if err == nil {
		err = connection.Control(func(from uintptr) {
			number, _, errno = syscall.Syscall(syscall.SYS_FCNTL, from, syscall.F_DUPFD_CLOEXEC, 0)
		})
	}
	if err != nil {
		return &Error{Code: CodeInvalidArgument, Message: "a stream of the process: " + err.Error()}
	}
	if errno != 0 {
		return &Error{Code: CodeIO, Message: "cannot share a stream with the process: " + errno.Error()}
	}
	*fd = C.int(number)
	s.theirs = append(s.theirs, int(number))
	return nil
}

// pipe is a pipe of which one end is the owner's.
func (s *streams) pipe(isInput bool, fd *C.int) (ours *os.File, err error) {
	reader, writer, err := os.Pipe()
	if err != nil {
		return nil, &Error{Code: CodeIO, Message: "cannot make a pipe to the process: " + err.Error()}
	}
	ours, theirs := reader, writer
	if isInput {
		ours, theirs = writer, reader
	}
	s.ours = append(s.ours, ours)
	defer theirs.Close()
	return ours, s.share(theirs, fd)
}

func (s *streams) reader(from io.Reader, fd *C.int) (err error) {
	switch source := from.(type) {
	case nil:
		return nil
	case *os.File:
		return s.share(source, fd)
	}
	if s.input, err = s.pipe(true, fd); err != nil {
		return err
	}
	s.start = append(s.start, func() {
		// That the process reads no more is its own affair.
		_, _ = io.Copy(s.input, from)
		_ = s.input.Close()
	})
	return nil
}

func (s *streams) writer(to io.Writer, fd *C.int) error {
	switch target := to.(type) {
	case nil:
		return nil
	case *os.File:
		return s.share(target, fd)
	}
	reader, err := s.pipe(false, fd)
	if err != nil {
		return err
	}
	s.copies.Add(1)
	s.start = append(s.start, func() {
		defer s.copies.Done()
		if _, err := io.Copy(to, reader); err != nil {
			s.failed.Do(func() { s.err = err })
		}
		_ = reader.Close()
	})
	return nil
}

// given closes the owner's ends, and begins to copy if the owner has taken them.
func (s *streams) given(taken bool) {
	for _, fd := range s.theirs {
		_ = syscall.Close(fd)
	}
	s.theirs = nil
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

// settle is for askAndSettle that makes something with these streams: one that nobody waits for any more gets an end of
// file, and forget.
func settle[T any](s *streams, forget func(T)) func(T, error, bool) {
	return func(made T, err error, isLate bool) {
		s.given(err == nil && !isLate)
		if err == nil && isLate {
			forget(made)
		}
	}
}

// wait waits until all output of a process that has ended has been copied: the first error of a writer.
func (s *streams) wait(ctx context.Context) error {
	if s == nil {
		return nil
	}
	if s.input != nil {
		_ = s.input.Close() // what its reader still gives has nobody to go to
	}
	select {
	case <-s.done:
		return s.err
	case <-ctx.Done():
		return ctx.Err()
	}
}
