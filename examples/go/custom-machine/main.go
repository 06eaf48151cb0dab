// SPDX-License-Identifier: 0BSD

// custom-machine BUNDLE: a virtual machine of a size of one's own, whose libvirt domain XML is looked at before and after
// it has started; runs the bundle in it, and gives the container a limit.
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"regexp"

	"libkata/kata"
)

func choose() (*kata.Settings, error) {
	settings, err := kata.NewSettings()
	if err != nil {
		return nil, err
	}
	for key, value := range map[string]int{"default_vcpus": 2, "default_memory": 320} {
		if err := settings.Set("hypervisor.qemu", key, value); err != nil {
			return nil, err
		}
	}
	return settings, nil
}

func runIn(ctx context.Context, sandbox *kata.Sandbox, bundle string) (int, error) {
	if err := sandbox.Start(ctx); err != nil {
		return 0, err
	}
	document, err := sandbox.DomainXML(ctx)
	if err != nil {
		return 0, err
	}
	for _, line := range regexp.MustCompile(`<(?:memory|vcpu)\b.*`).FindAllString(document, -1) {
		fmt.Println(line)
	}
	container, err := sandbox.CreateContainer(ctx, sandbox.ID(), bundle, kata.IO{Stdout: os.Stdout, Stderr: os.Stderr})
	if err != nil {
		return 0, err
	}
	limits := map[string]any{"memory": map[string]int{"limit": 64 << 20}, "pids": map[string]int{"limit": 50}}
	if err := container.Update(ctx, limits); err != nil {
		return 0, err
	}
	if err := container.Start(ctx); err != nil {
		return 0, err
	}
	return container.Wait(ctx)
}

func run(ctx context.Context, bundle string) (int, error) {
	client, err := kata.New(kata.Options{})
	if err != nil {
		return 0, err
	}
	settings, err := choose()
	if err != nil {
		return 0, err
	}
	id := fmt.Sprintf("custom-%d", os.Getpid())
	plan, err := settings.DomainXML(id, client.Root())
	if err != nil {
		return 0, err
	}
	fmt.Printf("planned: %d bytes of domain XML\n", len(plan))
	sandbox, err := client.CreateSandbox(ctx, id, settings, kata.SandboxBound)
	if err != nil {
		return 0, err
	}
	defer sandbox.Delete(ctx, true)
	return runIn(ctx, sandbox, bundle)
}

func main() {
	log.SetFlags(0)
	if len(os.Args) != 2 {
		log.Fatal("usage: custom-machine BUNDLE")
	}
	code, err := run(context.Background(), os.Args[1])
	if err != nil {
		log.Fatal("custom-machine: ", err)
	}
	os.Exit(code)
}
