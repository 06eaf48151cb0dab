// SPDX-License-Identifier: 0BSD

// run-container BUNDLE: runs an OCI bundle's container in a virtual machine of its own, with the caller's streams, and
// ends with its exit status.
package main

import (
	"context"
	"fmt"
	"os"

	"libkata/kata"
)

func run(ctx context.Context, bundle string) (int, error) {
	client, err := kata.New(kata.Options{})
	if err != nil {
		return 125, err
	}
	id := fmt.Sprintf("example-%d", os.Getpid())
	sandbox, err := client.CreateSandbox(ctx, id, nil, kata.SandboxBound)
	if err != nil {
		return 125, err
	}
	defer sandbox.Delete(ctx, true)
	code, err := sandbox.Run(ctx, id, bundle, kata.IO{Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr})
	if err != nil {
		return 125, err
	}
	return code, nil
}

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: run-container BUNDLE")
		os.Exit(125)
	}
	code, err := run(context.Background(), os.Args[1])
	if err != nil {
		fmt.Fprintln(os.Stderr, "run-container:", err)
	}
	os.Exit(code)
}
