// SPDX-License-Identifier: 0BSD

// exec-pipes CONTAINER COMMAND [ARGUMENT...]: runs a command in a running container, with this program's input, and tells
// its output from its errors; ends with its exit status.
package main

import (
	"context"
	"fmt"
	"log"
	"os"

	"libkata/kata"
)

// labelled writes a word before each piece.
type labelled string

func (word labelled) Write(piece []byte) (int, error) {
	fmt.Printf("%s: %s", string(word), piece)
	return len(piece), nil
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
		kata.IO{Stdin: os.Stdin, Stdout: labelled("output"), Stderr: labelled("errors")})
	if err != nil {
		return 0, err
	}
	defer process.Delete(ctx)
	if err := process.Start(ctx); err != nil {
		return 0, err
	}
	return process.Wait(ctx)
}

func main() {
	log.SetFlags(0)
	if len(os.Args) < 3 {
		log.Fatal("usage: exec-pipes CONTAINER COMMAND [ARGUMENT...]")
	}
	code, err := run(context.Background(), os.Args[1], os.Args[2:])
	if err != nil {
		log.Fatal("exec-pipes: ", err)
	}
	os.Exit(code)
}
