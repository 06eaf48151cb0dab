// SPDX-License-Identifier: 0BSD

// terminal CONTAINER [COMMAND [ARGUMENT...]]: an interactive terminal in a running container (default: sh). This program's
// terminal becomes raw, since the guest's has the line discipline, and its size is followed.
package main

import (
	"context"
	"log"
	"os"
	"os/signal"
	"syscall"
	"unsafe"

	"libkata/kata"
)

func ioctl[T any](request uintptr, argument *T) bool {
	_, _, errno := syscall.Syscall(syscall.SYS_IOCTL, os.Stdin.Fd(), request, uintptr(unsafe.Pointer(argument)))
	return errno == 0
}

// raw gives what puts the terminal back.
func raw() func() {
	var before syscall.Termios
	if !ioctl(syscall.TCGETS, &before) {
		return func() {}
	}
	now := before
	now.Iflag &^= syscall.IGNBRK | syscall.BRKINT | syscall.PARMRK | syscall.ISTRIP | syscall.INLCR | syscall.IGNCR |
		syscall.ICRNL | syscall.IXON
	now.Oflag &^= syscall.OPOST
	now.Lflag &^= syscall.ECHO | syscall.ECHONL | syscall.ICANON | syscall.ISIG | syscall.IEXTEN
	ioctl(syscall.TCSETS, &now)
	return func() { ioctl(syscall.TCSETS, &before) }
}

func followSize(ctx context.Context, process *kata.Process) {
	var size struct{ rows, columns, x, y uint16 }
	if ioctl(syscall.TIOCGWINSZ, &size) {
		_ = process.Resize(ctx, uint32(size.columns), uint32(size.rows))
	}
}

func run(ctx context.Context, id string, args []string) (int, error) {
	client, err := kata.New(kata.Options{})
	if err != nil {
		return 0, err
	}
	container, err := client.OpenContainer(ctx, id)
	if err != nil {
		return 0, err
	}
	process, err := container.Exec(ctx, kata.Command{Args: args},
		kata.IO{Stdin: os.Stdin, Stdout: os.Stdout, Terminal: true})
	if err != nil {
		return 0, err
	}
	defer process.Delete(ctx)
	defer raw()()
	if err := process.Start(ctx); err != nil {
		return 0, err
	}
	followSize(ctx, process)
	resized := make(chan os.Signal, 1)
	signal.Notify(resized, syscall.SIGWINCH)
	go func() {
		for range resized {
			followSize(ctx, process)
		}
	}()
	return process.Wait(ctx)
}

func main() {
	log.SetFlags(0)
	if len(os.Args) < 2 {
		log.Fatal("usage: terminal CONTAINER [COMMAND [ARGUMENT...]]")
	}
	args := os.Args[2:]
	if len(args) == 0 {
		args = []string{"sh"}
	}
	code, err := run(context.Background(), os.Args[1], args)
	if err != nil {
		log.Fatal("terminal: ", err)
	}
	os.Exit(code)
}
