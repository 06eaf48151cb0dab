// SPDX-License-Identifier: LGPL-2.1-or-later

package kata

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"
)

type made struct{ closed chan struct{} }

func (m *made) Close() { close(m.closed) }

func soon(t *testing.T, what <-chan struct{}) {
	t.Helper()
	select {
	case <-what:
	case <-time.After(10 * time.Second):
		t.Fatal("it did not come")
	}
}

func nothing() (h *handle, released chan struct{}) {
	released = make(chan struct{})
	return newHandle(unsafe.Pointer(&struct{ byte }{}), func(unsafe.Pointer) { close(released) }), released
}

// A call that gives a handle after the end of its context lets go of it, and only then of the one it was called on.
func TestLateHandle(t *testing.T) {
	h, released := nothing()
	ctx, cancel := context.WithCancel(context.Background())
	late, goOn := &made{make(chan struct{})}, make(chan struct{})
	_, err := askHandle(ctx, h, func(unsafe.Pointer) (*made, error) {
		cancel()
		<-goOn
		return late, nil
	})
	if err != context.Canceled {
		t.Fatal(err)
	}
	h.close()
	select {
	case <-released:
		t.Fatal("released while it was used")
	default:
	}
	close(goOn)
	soon(t, late.closed)
	soon(t, released)
}

// What a call was to settle is settled also if there was no call.
func TestSettled(t *testing.T) {
	h, _ := nothing()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	settled := 0
	use := func(ctx context.Context) error {
		_, err := askAndSettle(ctx, h, func(unsafe.Pointer) (int, error) {
			t.Fatal("called")
			return 0, nil
		}, func(_ int, err error, isLate bool) {
			if err == nil || isLate {
				t.Fatal(err, isLate)
			}
			settled++
		})
		return err
	}
	if err := use(ctx); err != context.Canceled {
		t.Fatal(err)
	}
	h.close()
	if err := use(context.Background()); !errors.Is(err, ErrInvalidArgument) {
		t.Fatal(err)
	}
	if settled != 2 {
		t.Fatal(settled)
	}
}

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, io.ErrShortWrite }

// The owner's descriptors are its own: the caller's file may be closed, and stays as it was.
func TestStreams(t *testing.T) {
	file, other, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	waiting, theirInput := io.Pipe()
	defer theirInput.Close()
	var output bytes.Buffer
	s, err := openStreams(IO{Stdin: waiting, Stdout: &output, Stderr: other})
	if err != nil {
		t.Fatal(err)
	}
	if err := other.SetDeadline(time.Now().Add(time.Hour)); err != nil {
		t.Fatal("the file has become a blocking one: ", err)
	}
	other.Close()
	if _, err := syscall.Write(int(s.io.stderr_fd), []byte("still open")); err != nil {
		t.Fatal(err)
	}
	s.given(true)
	got, err := io.ReadAll(file)
	if err != nil || string(got) != "still open" {
		t.Fatal(string(got), err)
	}
	if err := s.wait(context.Background()); err != nil {
		t.Fatal(err)
	}
	if _, err := s.input.Write([]byte("x")); !errors.Is(err, os.ErrClosed) {
		t.Fatal("the pipe to a process that has ended is still open: ", err)
	}
}

func TestBrokenWriter(t *testing.T) {
	s, err := openStreams(IO{Stdin: strings.NewReader(""), Stdout: broken{}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := syscall.Write(int(s.io.stdout_fd), []byte("lost")); err != nil {
		t.Fatal(err)
	}
	s.given(true)
	if err := s.wait(context.Background()); err != io.ErrShortWrite {
		t.Fatal(err)
	}
}

func TestClosedFile(t *testing.T) {
	file, other, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	file.Close()
	other.Close()
	if _, err := openStreams(IO{Stdout: other}); !errors.Is(err, ErrInvalidArgument) {
		t.Fatal(err)
	}
}

func TestConnectWithoutTime(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := ConnectAgent(ctx, "unix:///nowhere"); err != context.Canceled {
		t.Fatal(err)
	}
	ctx, cancel = context.WithTimeout(context.Background(), time.Hour)
	time.AfterFunc(50*time.Millisecond, cancel)
	if _, err := ConnectAgent(ctx, "unix:///nowhere"); err != context.Canceled {
		t.Fatal(err)
	}
}
