// SPDX-License-Identifier: 0BSD

// events SANDBOX: tells what happens to the containers of a sandbox, until a line (or the end) comes on standard input or
// the sandbox goes.
package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log"
	"os"

	"libkata/kata"
)

func watch(ctx context.Context, id string) error {
	client, err := kata.New(kata.Options{})
	if err != nil {
		return err
	}
	sandbox, err := client.OpenSandbox(ctx, id)
	if err != nil {
		return err
	}
	events, err := sandbox.Watch(ctx, 0)
	if err != nil {
		return err
	}
	defer events.Close()
	for {
		event, err := events.Next(ctx, true)
		if errors.Is(err, kata.ErrNotFound) || errors.Is(err, context.Canceled) {
			return nil
		}
		if err != nil {
			return err
		}
		fmt.Printf("%+v\n", event)
	}
}

func main() {
	log.SetFlags(0)
	if len(os.Args) != 2 {
		log.Fatal("usage: events SANDBOX")
	}
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		_, _ = bufio.NewReader(os.Stdin).ReadString('\n')
		cancel()
	}()
	if err := watch(ctx, os.Args[1]); err != nil {
		log.Fatal("events: ", err)
	}
}
