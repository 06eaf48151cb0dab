// SPDX-License-Identifier: 0BSD

// tiny-engine LAYOUT DIRECTORY: a container engine in small. Pulls the first image of an OCI image layout apart into a
// bundle below DIRECTORY, which must not exist, and runs it in a virtual machine of its own. Files that a layer takes away
// from those below it (whiteouts) it does not take away.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"libkata/kata"
)

type object = map[string]any

type descriptor struct{ Digest string }

func (d descriptor) path(layout string) string {
	algorithm, digest, _ := strings.Cut(d.Digest, ":")
	return filepath.Join(layout, "blobs", algorithm, filepath.Base(digest))
}

func readJSON(path string, into any) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	return json.Unmarshal(text, into)
}

func makeBundle(layout, bundle string) error {
	var index struct{ Manifests []descriptor }
	var manifest struct {
		Config descriptor
		Layers []descriptor
	}
	var image struct {
		Config struct {
			Entrypoint, Cmd, Env []string
			WorkingDir           string
		}
	}
	if err := readJSON(filepath.Join(layout, "index.json"), &index); err != nil {
		return err
	}
	if len(index.Manifests) == 0 {
		return fmt.Errorf("%s has no image", layout)
	}
	if err := readJSON(index.Manifests[0].path(layout), &manifest); err != nil {
		return err
	}
	if err := readJSON(manifest.Config.path(layout), &image); err != nil {
		return err
	}
	rootfs := filepath.Join(bundle, "rootfs")
	if err := os.MkdirAll(rootfs, 0o755); err != nil {
		return err
	}
	for _, layer := range manifest.Layers {
		tar := exec.Command("tar", "-x", "-C", rootfs, "--exclude=.wh.*", "-f", layer.path(layout))
		if output, err := tar.CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w: %s", layer.Digest, err, output)
		}
	}
	config, err := json.Marshal(object{"ociVersion": "1.0.2", "root": object{"path": "rootfs"},
		"process": object{"args": append(image.Config.Entrypoint, image.Config.Cmd...), "env": image.Config.Env,
			"cwd": filepath.Join("/", image.Config.WorkingDir), "user": object{"uid": 0, "gid": 0}},
		"mounts": []object{{"destination": "/proc", "type": "proc", "source": "proc"},
			{"destination": "/dev", "type": "tmpfs", "source": "tmpfs"}},
		"linux": object{"namespaces": []object{{"type": "pid"}, {"type": "mount"}, {"type": "network"}}}})
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(bundle, "config.json"), config, 0o644)
}

func run(ctx context.Context, bundle string) (int, error) {
	client, err := kata.New(kata.Options{})
	if err != nil {
		return 0, err
	}
	id := fmt.Sprintf("tiny-%d", os.Getpid())
	sandbox, err := client.CreateSandbox(ctx, id, nil, kata.SandboxBound)
	if err != nil {
		return 0, err
	}
	defer sandbox.Delete(ctx, true)
	return sandbox.Run(ctx, id, bundle, kata.IO{Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr})
}

func main() {
	log.SetFlags(0)
	if len(os.Args) != 3 {
		log.Fatal("usage: tiny-engine LAYOUT DIRECTORY")
	}
	if err := makeBundle(os.Args[1], os.Args[2]); err != nil {
		log.Fatal("tiny-engine: ", err)
	}
	code, err := run(context.Background(), os.Args[2])
	if err != nil {
		log.Fatal("tiny-engine: ", err)
	}
	os.Exit(code)
}
