// SPDX-License-Identifier: LGPL-2.1-or-later

// The numbered tests of tests/bindings/README.md in Go; see there for what each shows. Without the environment that
// file names they have no guest and are skipped.
package kata_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"libkata/kata"
)

const patience = 150 * time.Second

func id() string                { return os.Getenv("KATA_TEST_ID") }
func bundle(name string) string { return filepath.Join(os.Getenv("KATA_TEST_BUNDLES"), name) }
func newID(name string) string  { return os.Getenv("KATA_TEST_LANGUAGE") + "-" + name }

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func fails(t *testing.T, err error, kind error, word string) {
	t.Helper()
	if !errors.Is(err, kind) || !strings.Contains(err.Error(), word) {
		t.Fatalf("wanted %v about '%s', got: %v", kind, word, err)
	}
}

func same[T comparable](t *testing.T, got, wanted T) {
	t.Helper()
	if got != wanted {
		t.Fatalf("got %v, wanted %v", got, wanted)
	}
}

func contains(t *testing.T, list []string, wanted string) {
	t.Helper()
	for _, entry := range list {
		if entry == wanted {
			return
		}
	}
	t.Fatalf("%v has no %v", list, wanted)
}

// guest is the guest that all languages share.
type guest struct {
	*testing.T
	ctx     context.Context
	client  *kata.Client
	sandbox *kata.Sandbox
	shared  *kata.Container
}

func begin(t *testing.T) *guest {
	if id() == "" {
		t.Skip("no guest: see tests/bindings/README.md")
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	client, err := kata.New(kata.Options{})
	ok(t, err)
	t.Cleanup(client.Close)
	sandbox, err := client.OpenSandbox(ctx, id())
	ok(t, err)
	t.Cleanup(sandbox.Close)
	shared, err := client.OpenContainer(ctx, id())
	ok(t, err)
	t.Cleanup(shared.Close)
	return &guest{t, ctx, client, sandbox, shared}
}

// create makes a container that goes with the test.
func (g *guest) create(name string) *kata.Container {
	g.Helper()
	container, err := g.sandbox.CreateContainer(g.ctx, newID(name), bundle("sleep"), kata.IO{})
	ok(g.T, err)
	g.Cleanup(func() {
		_, err := container.Delete(context.Background(), true)
		ok(g.T, err)
		container.Close()
	})
	return container
}

func (g *guest) start(name string) *kata.Container {
	g.Helper()
	container := g.create(name)
	ok(g.T, container.Start(g.ctx))
	return container
}

func Test010Version(t *testing.T) {
	same(t, kata.Version(), kata.HeaderVersion)
	same(t, kata.HasFeature("events"), true)
	same(t, kata.HasFeature("flying"), false)
	same(t, kata.HasFeature("events\x00b"), false)
	if !regexp.MustCompile(`^\d+\.\d+\.\d+$`).MatchString(kata.Version()) {
		t.Fatal(kata.Version())
	}
}

func Test020Errors(t *testing.T) {
	client, err := kata.New(kata.Options{})
	ok(t, err)
	defer client.Close()
	_, err = client.OpenSandbox(context.Background(), "absent")
	fails(t, err, kata.ErrNotFound, "'absent'")
	if errors.Is(err, kata.ErrInvalidState) {
		t.Fatal("one kind of error is taken for another")
	}
	var found *kata.Error
	if !errors.As(fmt.Errorf("wrapped: %w", err), &found) {
		t.Fatal(err)
	}
	same(t, found.Code, kata.CodeNotFound)
	same(t, found.Code.String(), "not-found")
	same(t, found.Detail, "")
}

func Test030Settings(t *testing.T) {
	settings, err := kata.NewSettings()
	ok(t, err)
	defer settings.Close()
	ok(t, settings.Set("hypervisor.qemu", "default_vcpus", 3))
	value, err := settings.Get("hypervisor.qemu", "default_vcpus")
	ok(t, err)
	same(t, value, "3")
	if !strings.Contains(settings.Text(), "default_vcpus = 3") {
		t.Fatal(settings.Text())
	}
	found, err := settings.Describe()
	ok(t, err)
	sources := map[string]string{}
	for _, setting := range found {
		sources[setting.Section+"."+setting.Key] = setting.Source
	}
	same(t, sources["hypervisor.qemu.default_vcpus"], "caller")
	same(t, sources["runtime.enable_debug"], "default")
	file := filepath.Join(t.TempDir(), "kata.conf")
	ok(t, os.WriteFile(file, []byte("[hypervisor.qemu]\nmsize_9p = 8192\n"), 0o600))
	ok(t, settings.LoadFile(file))
	ignored, err := settings.Ignored()
	ok(t, err)
	same(t, len(ignored), 1)
	same(t, ignored[0].Section+"."+ignored[0].Key, "hypervisor.qemu.msize_9p")
	same(t, ignored[0].Source, file+":2")
	fails(t, settings.Set("hypervisor.qemu", "no_such_key", 1), kata.ErrConfig, "no_such_key")
	fails(t, settings.Set("hypervisor.qemu", "default_memory", -5), kata.ErrConfig, "default_memory")
}

func Test040DomainXML(t *testing.T) {
	settings, err := kata.NewSettings()
	ok(t, err)
	defer settings.Close()
	ok(t, settings.Set("hypervisor.qemu", "default_memory", 333))
	xml, err := settings.DomainXML("pod", "/run/kata")
	ok(t, err)
	if !strings.Contains(xml, "333") {
		t.Fatal(xml)
	}
}

func Test050AgentProtocol(t *testing.T) {
	found := false
	methods := kata.AgentMethods()
	for _, method := range methods {
		found = found || method.Name == "AgentService.CreateContainer" && method.RequestType == "grpc.CreateContainerRequest"
	}
	if !found || len(methods) <= 40 {
		t.Fatal(methods)
	}
	for _, call := range []func(string) (json.RawMessage, error){kata.DescribeMessage, kata.MessageTemplate} {
		text, err := call("grpc.Storage")
		ok(t, err)
		if !json.Valid(text) || !bytes.Contains(text, []byte("mountPoint")) {
			t.Fatal(string(text))
		}
		_, err = call("grpc.Nothing")
		fails(t, err, kata.ErrNotFound, "grpc.Nothing")
	}
}

func Test060HostCheck(t *testing.T) {
	client, err := kata.New(kata.Options{})
	ok(t, err)
	defer client.Close()
	checks, err := client.CheckHost(context.Background())
	ok(t, err)
	if len(checks) <= 3 {
		t.Fatal(checks)
	}
	for _, check := range checks {
		if check.Name == "" || check.Text == "" {
			t.Fatal(check)
		}
	}
	settings, err := kata.NewSettings()
	ok(t, err)
	defer settings.Close()
	ok(t, settings.Set("hypervisor.qemu", "default_vcpus", 3))
	described, err := client.Describe(context.Background(), settings)
	ok(t, err)
	same(t, described.Versions["libkata"], kata.Version())
	same(t, strings.HasPrefix(described.Versions["hypervisor"], "QEMU"), true)
	same(t, described.Root, client.Root())
	same(t, len(described.Host.Checks), len(checks))
	for _, setting := range described.Settings {
		if setting.Key == "default_vcpus" {
			same(t, setting.Value.(float64), 3)
		}
	}
}

func Test070AgentAddresses(t *testing.T) {
	_, err := kata.ConnectAgent(context.Background(), "unix://"+os.Getenv("KATA_ROOT")+"/nobody")
	fails(t, err, kata.ErrUnavailable, "nobody")
	_, err = kata.ConnectAgent(context.Background(), "ftp://here")
	fails(t, err, kata.ErrInvalidArgument, "ftp")
}

func Test080UnknownIDs(t *testing.T) {
	ctx := context.Background()
	client, err := kata.New(kata.Options{})
	ok(t, err)
	_, err = client.OpenSandbox(ctx, "absent")
	fails(t, err, kata.ErrNotFound, "absent")
	_, err = client.OpenContainer(ctx, "absent")
	fails(t, err, kata.ErrNotFound, "absent")
	_, err = client.OpenSandbox(ctx, "a/b")
	fails(t, err, kata.ErrInvalidArgument, "a/b")
	_, err = client.CreateSandbox(ctx, "..", nil, 0)
	fails(t, err, kata.ErrInvalidArgument, "..")
	_, err = client.OpenSandbox(ctx, id()+"\x00b")
	fails(t, err, kata.ErrInvalidArgument, "NUL")
	client.Close()
	_, err = client.OpenSandbox(ctx, "absent")
	fails(t, err, kata.ErrInvalidArgument, "closed")
}

func Test100Sandbox(t *testing.T) {
	g := begin(t)
	list, err := g.client.Sandboxes(g.ctx)
	ok(t, err)
	contains(t, list, id())
	same(t, g.sandbox.ID(), id())
	status, err := g.sandbox.Status(g.ctx)
	ok(t, err)
	same(t, status, kata.SandboxRunning)
	short, cancel := context.WithTimeout(g.ctx, 100*time.Millisecond)
	defer cancel()
	fails(t, g.sandbox.Wait(short), context.DeadlineExceeded, "")
}

func Test110Owner(t *testing.T) {
	g := begin(t)
	xml, err := g.sandbox.DomainXML(g.ctx)
	ok(t, err)
	if !strings.Contains(xml, "<domain") {
		t.Fatal(xml)
	}
	steps, err := g.sandbox.BootTimeline(g.ctx)
	ok(t, err)
	for _, step := range steps {
		if step.Name == "kernel" && step.BeginUS < step.EndUS {
			return
		}
	}
	t.Fatal(steps)
}

func Test120Agent(t *testing.T) {
	g := begin(t)
	reply, err := g.sandbox.CallAgent(g.ctx, "Health.Check", nil)
	ok(t, err)
	var health struct{ Status string }
	ok(t, json.Unmarshal(reply, &health))
	same(t, health.Status, "SERVING")
	_, err = g.sandbox.CallAgent(g.ctx, "AgentService.Nothing", nil)
	fails(t, err, kata.ErrNotFound, "Nothing")
}

func Test130PauseSandbox(t *testing.T) {
	g := begin(t)
	ok(t, g.sandbox.Pause(g.ctx))
	status, err := g.sandbox.Status(g.ctx)
	ok(t, err)
	same(t, status, kata.SandboxPaused)
	fails(t, g.sandbox.Pause(g.ctx), kata.ErrInvalidState, "paused")
	_, err = g.sandbox.CallAgent(g.ctx, "Health.Check", nil)
	fails(t, err, kata.ErrInvalidState, "paused")
	ok(t, g.sandbox.Resume(g.ctx))
	status, err = g.sandbox.Status(g.ctx)
	ok(t, err)
	same(t, status, kata.SandboxRunning)
	fails(t, g.sandbox.Resume(g.ctx), kata.ErrInvalidState, "not paused")
	_, err = g.sandbox.CallAgent(g.ctx, "Health.Check", nil)
	ok(t, err)
}

func Test140Size(t *testing.T) {
	g := begin(t)
	before, err := g.sandbox.Stats(g.ctx)
	ok(t, err)
	same(t, len(before.Processes), 3)
	for _, process := range before.Processes {
		if process.Pid <= 1 || process.ResidentBytes <= 1<<20 {
			t.Fatal(process)
		}
	}
	ok(t, g.sandbox.Resize(g.ctx, 0, before.MemoryMiB+1))
	after, err := g.sandbox.Stats(g.ctx)
	ok(t, err)
	same(t, after.MemoryMiB, before.MemoryMiB+128)
	fails(t, g.sandbox.Resize(g.ctx, 0, 64), kata.ErrInvalidArgument, "shrink")
	fails(t, g.sandbox.Resize(g.ctx, 10000, 0), kata.ErrInvalidArgument, "at most")
}

func Test150Console(t *testing.T) {
	g := begin(t)
	console, err := g.sandbox.Console(g.ctx)
	ok(t, err)
	defer console.Close()
	text := make([]byte, 500)
	n, err := console.Read(text)
	ok(t, err)
	if !strings.Contains(string(text[:n]), "kata-agent") {
		t.Fatal(string(text[:n]))
	}
}

func Test160Network(t *testing.T) {
	g := begin(t)
	interfaces, err := g.sandbox.Interfaces(g.ctx)
	ok(t, err)
	same(t, len(interfaces), 1)
	same(t, interfaces[0].Name, "lo")
	routes, err := g.sandbox.Routes(g.ctx)
	ok(t, err)
	routes, err = g.sandbox.UpdateRoutes(g.ctx, routes)
	ok(t, err)
	same(t, len(routes), 0)
	fails(t, g.sandbox.AddInterface(g.ctx, kata.Interface{Device: "eth9", MTU: 1400}), kata.ErrNotFound, "eth9")
	fails(t, g.sandbox.RemoveInterface(g.ctx, kata.Interface{Device: "eth9"}), kata.ErrNotFound, "eth9")
}

func Test170Cold(t *testing.T) {
	g := begin(t)
	cold, err := g.client.CreateSandbox(g.ctx, newID("cold"), nil, 0)
	ok(t, err)
	defer cold.Close()
	status, err := cold.Status(g.ctx)
	ok(t, err)
	same(t, status, kata.SandboxCreated)
	for _, call := range []func() error{
		func() error { _, err := cold.DomainXML(g.ctx); return err },
		func() error { return cold.Pause(g.ctx) },
		func() error { return cold.Resume(g.ctx) },
		func() error { return cold.Resize(g.ctx, 2, 0) },
		func() error { _, err := cold.Stats(g.ctx); return err },
		func() error { _, err := cold.CallAgent(g.ctx, "Health.Check", nil); return err },
		func() error { return cold.AddInterface(g.ctx, kata.Interface{Device: "eth9"}) },
		func() error { _, err := cold.Interfaces(g.ctx); return err },
		func() error { _, err := cold.Routes(g.ctx); return err },
	} {
		fails(t, call(), kata.ErrInvalidState, "")
	}
	_, err = cold.Console(g.ctx)
	fails(t, err, kata.ErrNotFound, "")
	fails(t, cold.SetNetns(g.ctx, "/nowhere"), kata.ErrNotFound, "/nowhere")
	ok(t, cold.Delete(g.ctx, false))
	fails(t, cold.Start(g.ctx), kata.ErrNotFound, newID("cold"))
	fails(t, cold.Stop(g.ctx, 0), kata.ErrNotFound, newID("cold"))
	fails(t, cold.Wait(g.ctx), kata.ErrNotFound, newID("cold"))
	fails(t, cold.Delete(g.ctx, false), kata.ErrNotFound, newID("cold"))
}

func Test200Streams(t *testing.T) {
	g := begin(t)
	var out, errs bytes.Buffer
	code, err := g.sandbox.Run(g.ctx, newID("talk"), bundle("talk"),
		kata.IO{Stdin: strings.NewReader("from go\n"), Stdout: &out, Stderr: &errs})
	ok(t, err)
	same(t, code, 9)
	same(t, out.String(), "got from go\n")
	same(t, errs.String(), "oops\n")
}

func Test210Life(t *testing.T) {
	g := begin(t)
	life := g.create("life")
	same(t, life.ID(), newID("life"))
	same(t, life.SandboxID(), id())
	status, err := life.Status(g.ctx)
	ok(t, err)
	same(t, status, kata.ContainerCreated)
	ok(t, life.Start(g.ctx))
	state, err := life.State(g.ctx)
	ok(t, err)
	same(t, state.Status, "running")
	list, err := g.client.Containers(g.ctx)
	ok(t, err)
	contains(t, list, newID("life"))
	fails(t, life.Start(g.ctx), kata.ErrInvalidState, "")
	_, err = g.sandbox.CreateContainer(g.ctx, newID("life"), bundle("sleep"), kata.IO{})
	fails(t, err, kata.ErrAlreadyExists, newID("life"))
	ok(t, life.Kill(g.ctx, syscall.SIGKILL))
	_, err = life.Wait(g.ctx)
	ok(t, err)
	status, err = life.Status(g.ctx)
	ok(t, err)
	same(t, status, kata.ContainerStopped)
	_, err = life.Delete(g.ctx, false)
	ok(t, err)
	_, err = g.client.OpenContainer(g.ctx, newID("life"))
	fails(t, err, kata.ErrNotFound, "")
}

func Test220Kill(t *testing.T) {
	g := begin(t)
	kill := g.start("kill")
	ok(t, kill.KillAll(g.ctx, syscall.SIGKILL))
	code, err := kill.Wait(g.ctx)
	ok(t, err)
	same(t, code, 137)
	fails(t, kill.Kill(g.ctx, syscall.SIGTERM), kata.ErrNotFound, "")
	code, err = kill.Delete(g.ctx, false)
	ok(t, err)
	same(t, code, 137)
	_, err = kill.Delete(g.ctx, false)
	fails(t, err, kata.ErrNotFound, "")
}

func Test230Delete(t *testing.T) {
	g := begin(t)
	container := g.start("delete")
	_, err := container.Delete(g.ctx, false)
	fails(t, err, kata.ErrInvalidState, newID("delete"))
	code, err := container.Delete(g.ctx, true)
	ok(t, err)
	same(t, code, 137)
	_, err = g.client.OpenContainer(g.ctx, newID("delete"))
	fails(t, err, kata.ErrNotFound, "")
}

func Test240Timeout(t *testing.T) {
	g := begin(t)
	short, cancel := context.WithTimeout(g.ctx, 100*time.Millisecond)
	defer cancel()
	_, err := g.shared.Wait(short)
	fails(t, err, context.DeadlineExceeded, "")
	cancelled, cancel := context.WithCancel(g.ctx)
	cancel()
	_, err = g.shared.Wait(cancelled)
	fails(t, err, context.Canceled, "")
}

func Test250Pause(t *testing.T) {
	g := begin(t)
	container := g.start("pause")
	ok(t, container.Pause(g.ctx))
	status, err := container.Status(g.ctx)
	ok(t, err)
	same(t, status, kata.ContainerPaused)
	fails(t, container.Pause(g.ctx), kata.ErrInvalidState, "")
	ok(t, container.Resume(g.ctx))
	status, err = container.Status(g.ctx)
	ok(t, err)
	same(t, status, kata.ContainerRunning)
	fails(t, container.Resume(g.ctx), kata.ErrInvalidState, "")
}

func Test260Update(t *testing.T) {
	g := begin(t)
	container := g.start("update")
	ok(t, container.Update(g.ctx, map[string]any{"pids": map[string]int{"limit": 77}}))
	stats, err := container.Stats(g.ctx)
	ok(t, err)
	if !bytes.Contains(stats, []byte("77")) {
		t.Fatal(string(stats))
	}
	err = container.Update(g.ctx, map[string]any{"memory": map[string]string{"limit": "much"}})
	fails(t, err, kata.ErrInvalidArgument, "limit")
}

func Test270Stats(t *testing.T) {
	g := begin(t)
	stats, err := g.shared.Stats(g.ctx)
	ok(t, err)
	if !bytes.Contains(stats, []byte("memory_stats")) {
		t.Fatal(string(stats))
	}
	processes, err := g.shared.Processes(g.ctx)
	ok(t, err)
	for _, process := range processes {
		if process.IsInit {
			same(t, process.Command, "sleep")
			same(t, process.ContainerPid, 1)
			same(t, strings.Join(process.Arguments, " "), "sleep 100000")
			if age := time.Since(time.Unix(process.StartedAt, 0)); age < -time.Minute || age > time.Hour {
				t.Fatal(age)
			}
			if process.ResidentBytes == 0 {
				t.Fatal("no memory")
			}
			return
		}
	}
	t.Fatal(processes)
}

func Test280Events(t *testing.T) {
	g := begin(t)
	container := g.start("events")
	ok(t, container.Pause(g.ctx))
	ok(t, container.Resume(g.ctx))
	ok(t, container.Kill(g.ctx, syscall.SIGKILL))
	var position uint64
	for _, wanted := range []string{"start", "pause", "resume", "exit"} {
		event, err := container.NextEvent(g.ctx, &position)
		ok(t, err)
		same(t, event.Type, wanted)
		same(t, event.ExitStatus, map[bool]int{true: 137}[wanted == "exit"])
	}
}

func Test290Watch(t *testing.T) {
	g := begin(t)
	events, err := g.sandbox.Watch(g.ctx, 0)
	ok(t, err)
	defer events.Close()
	for err == nil {
		_, err = events.Next(g.ctx, false)
	}
	fails(t, err, kata.ErrTimeout, "")
	container := g.create("watch")
	_, err = events.Next(g.ctx, false)
	fails(t, err, kata.ErrTimeout, "")
	ok(t, container.Start(g.ctx))
	var readable syscall.FdSet
	fd := events.Fd()
	readable.Bits[fd/64] |= 1 << (fd % 64)
	n, err := syscall.Select(fd+1, &readable, nil, nil, &syscall.Timeval{Sec: int64(patience / time.Second)})
	ok(t, err)
	same(t, n, 1)
	event, err := events.Next(g.ctx, true)
	ok(t, err)
	same(t, event.Type+" "+event.ContainerID, "start "+newID("watch"))
	ok(t, container.Kill(g.ctx, syscall.SIGKILL))
	event, err = events.Next(g.ctx, true)
	ok(t, err)
	same(t, event.ExitStatus, 137)
}

func Test300Exec(t *testing.T) {
	g := begin(t)
	got, err := g.shared.Run(g.ctx, kata.Command{Args: []string{"sh", "-c", "echo out; echo err >&2; exit 3"}}, nil)
	ok(t, err)
	same(t, fmt.Sprintf("%d %q %q", got.ExitCode, got.Stdout, got.Stderr), `3 "out\n" "err\n"`)
}

func Test310ExecInput(t *testing.T) {
	g := begin(t)
	input := strings.Repeat("x", 200000) + "\n"
	got, err := g.shared.Run(g.ctx, kata.Command{Args: []string{"sh", "-c", "cat; echo $COLOUR; pwd; id -u"},
		Env: []string{"COLOUR=blue"}, Dir: "/tmp", User: &kata.User{UID: 7, GID: 7}}, strings.NewReader(input))
	ok(t, err)
	same(t, got.ExitCode, 0)
	same(t, string(got.Stdout), input+"blue\n/tmp\n7\n")
}

func Test320ExecMissing(t *testing.T) {
	g := begin(t)
	_, err := g.shared.Run(g.ctx, kata.Command{Args: []string{"no-such-program"}}, nil)
	var found *kata.Error
	if !errors.As(err, &found) || !strings.Contains(found.Message, "no-such-program") {
		t.Fatal(err)
	}
}

func Test330ExecKill(t *testing.T) {
	g := begin(t)
	process, err := g.shared.Exec(g.ctx, kata.Command{Args: []string{"sleep", "1000"}, ID: newID("exec")}, kata.IO{})
	ok(t, err)
	defer process.Close()
	ok(t, process.Start(g.ctx))
	again, err := g.shared.OpenProcess(g.ctx, newID("exec"))
	ok(t, err)
	defer again.Close()
	same(t, again.ID(), process.ID())
	ok(t, again.Kill(g.ctx, syscall.SIGKILL))
	code, err := again.Wait(g.ctx)
	ok(t, err)
	same(t, code, 137)
	_, err = process.Delete(g.ctx)
	ok(t, err)
	_, err = process.Wait(g.ctx)
	fails(t, err, kata.ErrNotFound, "")
	short, cancel := context.WithTimeout(g.ctx, 500*time.Millisecond)
	defer cancel()
	_, err = g.shared.Run(short, kata.Command{Args: []string{"sleep", "1000"}}, nil)
	fails(t, err, context.DeadlineExceeded, "")
}

func TestWrongArguments(t *testing.T) {
	g := begin(t)
	fails(t, g.sandbox.Stop(g.ctx, -time.Second), kata.ErrInvalidArgument, "-1s")
	fails(t, g.shared.Update(g.ctx, make(chan int)), kata.ErrInvalidArgument, "resources")
}

// A command goes when its context ends, whether it runs, or was about to be registered.
func TestExecEndsEarly(t *testing.T) {
	g := begin(t)
	template, err := g.shared.ProcessTemplate(g.ctx)
	ok(t, err)
	brief := func(timeout time.Duration, call func(context.Context) error) error {
		ctx, cancel := context.WithTimeout(g.ctx, timeout)
		defer cancel()
		return call(ctx)
	}
	err = brief(time.Second, func(ctx context.Context) error {
		_, err := g.shared.Run(ctx, kata.Command{Args: []string{"sleep", "54321"}}, nil)
		return err
	})
	fails(t, err, context.DeadlineExceeded, "deadline")
	processes, err := g.shared.Processes(g.ctx)
	ok(t, err)
	for _, process := range processes {
		same(t, process.ExecID, "")
	}
	command := kata.Command{Args: []string{"true"}, ID: newID("late"), Process: template}
	late := 0
	for timeout := 20 * time.Microsecond; timeout < 2*time.Millisecond; timeout += timeout / 2 {
		err := brief(timeout, func(ctx context.Context) error {
			process, err := g.shared.Exec(ctx, command, kata.IO{Stdin: strings.NewReader("")})
			if err == nil {
				_, err = process.Delete(g.ctx)
				process.Close()
			}
			return err
		})
		if err == context.DeadlineExceeded {
			late++
		} else if !errors.Is(err, kata.ErrAlreadyExists) {
			ok(t, err)
		}
	}
	if late == 0 {
		t.Fatal("no call ended early")
	}
	for until := time.Now().Add(30 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		process, err := g.shared.Exec(g.ctx, command, kata.IO{})
		if err != nil && errors.Is(err, kata.ErrAlreadyExists) && time.Now().Before(until) {
			continue
		}
		ok(t, err)
		_, err = process.Delete(g.ctx)
		ok(t, err)
		process.Close()
		return
	}
}

func Test340Terminal(t *testing.T) {
	g := begin(t)
	host, guest := openTerminal(t)
	process, err := g.shared.Exec(g.ctx, kata.Command{Args: []string{"sh", "-c", "read line; stty size"}},
		kata.IO{Stdin: guest, Stdout: guest, Terminal: true})
	ok(t, err)
	defer process.Close()
	ok(t, process.Start(g.ctx))
	ok(t, process.Resize(g.ctx, 77, 33))
	_, err = host.WriteString("go\n")
	ok(t, err)
	seen, part := "", make([]byte, 100)
	for !strings.Contains(seen, "33 77") {
		n, err := host.Read(part)
		ok(t, err)
		seen += string(part[:n])
	}
	code, err := process.Wait(g.ctx)
	ok(t, err)
	same(t, code, 0)
	_, err = process.Delete(g.ctx)
	ok(t, err)
}

func Test400Threads(t *testing.T) {
	g := begin(t)
	var all sync.WaitGroup
	failures := make(chan error, 8)
	for i := 0; i < 8; i++ {
		all.Add(1)
		go func(word string) {
			defer all.Done()
			got, err := g.shared.Run(g.ctx, kata.Command{Args: []string{"echo", word}}, nil)
			if err == nil && (got.ExitCode != 0 || string(got.Stdout) != word+"\n") {
				err = fmt.Errorf("%s: %d %q", word, got.ExitCode, got.Stdout)
			}
			if err != nil {
				failures <- err
			}
		}(fmt.Sprint(i))
	}
	all.Wait()
	close(failures)
	for err := range failures {
		t.Error(err)
	}
}

// A Go program cannot fork: what it starts is this program again, which opens the same sandbox while the parent holds it.
func Test410Fork(t *testing.T) {
	g := begin(t)
	if os.Getenv("KATA_TEST_CHILD") != "" {
		got, err := g.shared.Run(g.ctx, kata.Command{Args: []string{"true"}}, nil)
		ok(t, err)
		same(t, got.ExitCode, 0)
		return
	}
	child := exec.CommandContext(g.ctx, os.Args[0], "-test.run=^Test410Fork$")
	child.Env = append(os.Environ(), "KATA_TEST_CHILD=yes")
	output, err := child.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	status, err := g.sandbox.Status(g.ctx)
	ok(t, err)
	same(t, status, kata.SandboxRunning)
}

func Test420NoCheckpoint(t *testing.T) {
	g := begin(t)
	fails(t, g.shared.Checkpoint(g.ctx, bundle(newID("saved"))), kata.ErrUnsupported, "shared_fs")
	status, err := g.shared.Status(g.ctx)
	ok(t, err)
	same(t, status, kata.ContainerRunning)
	cold, err := g.client.CreateSandbox(g.ctx, newID("restored"), nil, 0)
	ok(t, err)
	defer cold.Close()
	_, err = cold.RestoreContainer(g.ctx, newID("restored"), bundle("disk"), "/nowhere", kata.IO{})
	fails(t, err, kata.ErrNotFound, "/nowhere")
	_ = cold.Delete(g.ctx, true)
}

func Test430Checkpoint(t *testing.T) {
	g := begin(t)
	settings, err := kata.NewSettings()
	ok(t, err)
	defer settings.Close()
	ok(t, settings.Set("hypervisor.qemu", "shared_fs", "none"))
	restored, err := g.client.CreateSandbox(g.ctx, newID("restored"), settings, 0)
	ok(t, err)
	defer restored.Close()
	defer func() { ok(t, restored.Delete(context.Background(), true)) }()
	container, err := restored.RestoreContainer(g.ctx, newID("restored"), bundle("disk"), os.Getenv("KATA_TEST_CHECKPOINT"),
		kata.IO{})
	ok(t, err)
	defer container.Close()
	ok(t, container.Start(g.ctx))
	processes, err := container.Processes(g.ctx)
	ok(t, err)
	same(t, len(processes), 1)
	same(t, processes[0].Command, "sleep")
	saved := bundle(newID("saved"))
	ok(t, container.CheckpointRunning(g.ctx, saved))
	_, err = os.Stat(saved)
	ok(t, err)
	status, err := container.Status(g.ctx)
	ok(t, err)
	same(t, status, kata.ContainerRunning)
}

// aheadSettings are those of a pool of n guests from templates in a directory.
func aheadSettings(t *testing.T, directory string, n int) *kata.Settings {
	settings, err := kata.NewSettings()
	ok(t, err)
	ok(t, settings.Set("factory", "template_path", directory))
	ok(t, settings.Set("factory", "vm_cache_number", n))
	ok(t, settings.Set("hypervisor.qemu", "agent_channel", "serial"))
	return settings
}

func Test440Ahead(t *testing.T) {
	g := begin(t)
	settings := aheadSettings(t, os.Getenv("KATA_TEST_STORE"), 1)
	defer settings.Close()
	before, err := g.client.Templates(g.ctx, settings)
	ok(t, err)
	key, isNew, err := g.client.CreateTemplate(g.ctx, settings)
	ok(t, err)
	same(t, isNew, len(before) == 0)
	after, err := g.client.Templates(g.ctx, settings)
	ok(t, err)
	same(t, len(after), 1)
	same(t, after[0].Key, key)
	same(t, after[0].Bytes > 1<<20, true)
	made, ready, err := g.client.FillPool(g.ctx, settings)
	ok(t, err)
	same(t, [2]int{made, ready}, [2]int{1, 1})
	standby, err := g.client.Pool(g.ctx, settings)
	ok(t, err)
	same(t, len(standby), 1)
	same(t, standby[0].Template, key)
	removed, err := g.client.EmptyPool(g.ctx, settings)
	ok(t, err)
	same(t, removed, 1)
	_, err = os.Stat("/proc/" + strconv.Itoa(standby[0].PID) + "/root")
	same(t, os.IsNotExist(err), true)
}

func Test450NoneAhead(t *testing.T) {
	g := begin(t)
	directory := bundle(newID("store"))
	ok(t, os.Mkdir(directory, 0o700))
	settings := aheadSettings(t, directory, 0)
	defer settings.Close()
	_, _, err := g.client.FillPool(g.ctx, settings)
	fails(t, err, kata.ErrConfig, "factory.vm_cache_number")
	standby, err := g.client.Pool(g.ctx, settings)
	ok(t, err)
	same(t, len(standby), 0)
	ok(t, os.Chmod(directory, 0o777))
	_, _, err = g.client.CreateTemplate(g.ctx, settings)
	fails(t, err, kata.ErrPermissionDenied, directory)
	key := "0123456789abcdef0123456789abcdef"
	ok(t, os.WriteFile(directory+"/"+key, []byte("old"), 0o600))
	keys, err := g.client.RemoveTemplates(g.ctx, settings)
	ok(t, err)
	same(t, len(keys), 1)
	same(t, keys[0], key)
	ok(t, os.Remove(directory))
}

func Test460DirectVolumes(t *testing.T) {
	g := begin(t)
	path := bundle(newID("volume"))
	fails(t, g.client.AddDirectVolume(g.ctx, path, kata.MountInfo{}), kata.ErrInvalidArgument, "device")
	info := kata.MountInfo{Device: "/dev/kata-nothing", Options: []string{"ro"}}
	fails(t, g.client.AddDirectVolume(g.ctx, "here", info), kata.ErrInvalidArgument, "absolute")
	ok(t, g.client.AddDirectVolume(g.ctx, path, info))
	find := func() (found []kata.DirectVolume) {
		list, err := g.client.DirectVolumes(g.ctx)
		ok(t, err)
		for _, volume := range list {
			if volume.VolumePath == path {
				found = append(found, volume)
			}
		}
		return found
	}
	found := find()
	same(t, len(found), 1)
	same(t, found[0].MountInfo.Device, info.Device)
	same(t, found[0].MountInfo.Options[0], "ro")
	same(t, len(found[0].Users), 0)
	_, err := g.client.DirectVolumeStats(g.ctx, path)
	fails(t, err, kata.ErrNotFound, path)
	fails(t, g.client.ResizeDirectVolume(g.ctx, path, 4096), kata.ErrNotFound, path)
	ok(t, g.client.RemoveDirectVolume(g.ctx, path))
	same(t, len(find()), 0)
}

func Test470OCI(t *testing.T) {
	features, err := kata.OCIFeatures()
	ok(t, err)
	same(t, strings.Contains(features, "namespaces"), true)
	spec, err := kata.OCISpec(0)
	ok(t, err)
	same(t, strings.Contains(spec, "\"sh\""), true)
	spec, err = kata.OCISpec(kata.SpecRootless)
	ok(t, err)
	same(t, strings.Contains(spec, "uidMappings"), true)
}
