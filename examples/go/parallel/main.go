// SPDX-License-Identifier: 0BSD

// parallel N BUNDLE: runs a bundle N times at once, each in a virtual machine of its own; a goroutine for each, on one
// client. Ends with 0 if all containers did.
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"strconv"

	"libkata/kata"
)

func run(ctx context.Context, client *kata.Client, id, bundle string) error {
	sandbox, err := client.CreateSandbox(ctx, id, nil, kata.SandboxBound)
	if err != nil {
		return err
	}
	defer sandbox.Delete(ctx, true)
	code, err := sandbox.Run(ctx, id, bundle, kata.IO{Stdout: os.Stdout, Stderr: os.Stderr})
	if err == nil && code != 0 {
		err = fmt.Errorf("ended with %d", code)
	}
	return err
}

func main() {
	log.SetFlags(0)
	if len(os.Args) != 3 {
		log.Fatal("usage: parallel N BUNDLE")
	}
	count, err := strconv.Atoi(os.Args[1])
	if err != nil {
		log.Fatal("parallel: ", err)
	}
	client, err := kata.New(kata.Options{})
	if err != nil {
		log.Fatal("parallel: ", err)
	}
	results := make(chan error)
	for i := 0; i < count; i++ {
		go func(id string) { results <- run(context.Background(), client, id, os.Args[2]) }(
			fmt.Sprintf("parallel-%d-%d", os.Getpid(), i))
	}
	good := 0
	for i := 0; i < count; i++ {
		if err := <-results; err != nil {
			log.Print("parallel: ", err)
		} else {
			good++
		}
	}
	log.Printf("%d of %d ended well", good, count)
	if good != count {
		os.Exit(1)
	}
}
