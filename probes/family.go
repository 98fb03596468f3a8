package probes

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
	"github.com/cilium/ebpf/link"
)

// A hook is one place in the kernel where a program is attached. An optional
// one may be missing; what it gave then goes missing too, and nothing else.
type hook struct {
	program  string // name in the object
	kind     kind
	symbol   string // kernel function or tracepoint
	optional bool
	gives    string // what is lost without it, for people
	early    bool   // it runs before the bytes leave, so that rung 0 can work
	member   bool   // the same for members of the sockhash: see bpf/inject.bpf.c
	instead  string // only where the kernel lacks this program's hook
}

// kind is how a hook is attached.
type kind uint8

const (
	tracing   kind = iota // tp_btf, fentry, fexit: the program's section says where
	kprobe                // at a function's entry
	kretprobe             // at its return
	uprobe                // in processes, one by one: see uprobes
)

// A family is one way of hearing of socket traffic. They are tried in the order
// of families(), and the first one that loads and attaches is used.
type family struct {
	name  string
	needs string // for people
	spec  func() (*ebpf.CollectionSpec, error)
	hooks []hook
}

const sendpageGives = "sendfile and splice before Linux 6.5 (counted when the next bytes come)"

// families is the table of triggers, best first: see bpf/*.bpf.c for each.
func families() []family {
	state := hook{program: "set_state", kind: tracing, symbol: "inet_sock_set_state"}
	destroy := hook{program: "destroy_sock", kind: tracing, symbol: "tcp_destroy_sock"}
	return []family{{
		name: "tracepoint", needs: "Linux 6.3", spec: loadSocket,
		hooks: []hook{
			{program: "recv_length", kind: tracing, symbol: "sock_recv_length"},
			{program: "send_length", kind: tracing, symbol: "sock_send_length"},
			{program: "sendmsg_locked", kind: tracing, symbol: "tcp_sendmsg_locked", optional: true, early: true,
				gives: "sends by io_uring: Linux 6.16"},
			{program: "enter_sendmsg", kind: tracing, symbol: "tcp_sendmsg", optional: true, early: true,
				instead: "sendmsg_locked", gives: "parents by connection (rung 0): Linux 6.16, or trampolines"},
			{program: "enter_member", kind: tracing, symbol: "tcp_bpf_sendmsg", optional: true, member: true,
				instead: "sendmsg_locked", gives: "headers (rung 1): Linux 6.16, or trampolines"},
			state, destroy,
		},
	}, {
		name: "fentry", needs: "Linux 5.15 (arm64: 6.0) with BPF trampolines", spec: loadFentry,
		hooks: []hook{
			{program: "enter_sendmsg", kind: tracing, symbol: "tcp_sendmsg", early: true},
			{program: "exit_sendmsg", kind: tracing, symbol: "tcp_sendmsg"},
			{program: "exit_recvmsg", kind: tracing, symbol: "tcp_recvmsg"},
			{program: "enter_member", kind: tracing, symbol: "tcp_bpf_sendmsg", optional: true, member: true, gives: "headers (rung 1)"},
			{program: "exit_member", kind: tracing, symbol: "tcp_bpf_sendmsg", optional: true, gives: "headers (rung 1)"},
			{program: "exit_unix_send", kind: tracing, symbol: "unix_stream_sendmsg", optional: true, gives: "unix sockets"},
			{program: "exit_unix_recv", kind: tracing, symbol: "unix_stream_recvmsg", optional: true, gives: "unix sockets"},
			{program: "exit_sendpage", kind: tracing, symbol: "tcp_sendpage", optional: true, gives: sendpageGives},
			state, destroy,
		},
	}, {
		name: "kprobe", needs: "Linux 5.15 with kprobes", spec: loadKprobe,
		hooks: []hook{
			{program: "leave_send", kind: kretprobe, symbol: "tcp_sendmsg"},
			{program: "enter_sendmsg", kind: kprobe, symbol: "tcp_sendmsg", early: true},
			{program: "leave_recv", kind: kretprobe, symbol: "tcp_recvmsg"},
			{program: "enter_recvmsg", kind: kprobe, symbol: "tcp_recvmsg"},
			{program: "leave_send", kind: kretprobe, symbol: "unix_stream_sendmsg", optional: true, gives: "unix sockets"},
			{program: "enter_unix_send", kind: kprobe, symbol: "unix_stream_sendmsg", optional: true, gives: "unix sockets"},
			{program: "leave_recv", kind: kretprobe, symbol: "unix_stream_recvmsg", optional: true, gives: "unix sockets"},
			{program: "enter_unix_recv", kind: kprobe, symbol: "unix_stream_recvmsg", optional: true, gives: "unix sockets"},
			{program: "leave_send", kind: kretprobe, symbol: "tcp_sendpage", optional: true, gives: sendpageGives},
			{program: "enter_sendpage", kind: kprobe, symbol: "tcp_sendpage", optional: true, gives: sendpageGives},
			state, destroy,
		},
	}}
}

// processes is the family that every node needs besides one of the others.
func processes() family {
	return family{
		name: "processes", needs: "Linux 5.15", spec: loadProcess,
		hooks: []hook{
			{program: "process_exec", kind: tracing, symbol: "sched_process_exec"},
			{program: "process_fork", kind: tracing, symbol: "sched_process_fork"},
			{program: "process_exit", kind: tracing, symbol: "sched_process_exit"},
		},
	}
}

// attached is a family at work.
type attached struct {
	family     family
	collection *ebpf.Collection
	links      []link.Link
	missing    []string // what optional hooks would have given
	early      bool     // rung 0 has its hook
	member     bool     // requests of members are recognised by a hook of this family
}

// attach loads the family's programs with the given settings and shared maps,
// and attaches them in the order of the table. All or nothing, but for optional
// hooks.
func (f family) attach(set settings, shared map[string]*ebpf.Map) (*attached, error) {
	a, err := f.attachKept(set, shared)
	if err == nil || !slices.ContainsFunc(f.hooks, func(h hook) bool { return h.instead != "" }) {
		return a, err
	}
	// Trampolines may be there and refused. Without what needs them, then.
	bare := f
	bare.hooks = slices.DeleteFunc(slices.Clone(f.hooks), func(h hook) bool { return h.instead != "" })
	if a, bareErr := bare.attachKept(set, shared); bareErr == nil {
		for _, h := range f.hooks {
			if h.instead != "" {
				a.lacks(h.gives)
			}
		}
		return a, nil
	}
	return nil, err
}

// attachKept is one try.
func (f family) attachKept(set settings, shared map[string]*ebpf.Map) (*attached, error) {
	spec, err := f.spec()
	if err != nil {
		return nil, fmt.Errorf("read object: %w", err)
	}
	a := &attached{family: f}
	if err := a.keepPresent(spec); err != nil {
		return nil, err
	}
	if err := set.apply(spec); err != nil {
		return nil, err
	}
	a.collection, err = ebpf.NewCollectionWithOptions(spec, ebpf.CollectionOptions{MapReplacements: sharedWith(spec, shared)})
	if err != nil {
		return nil, loadError(err)
	}
	if err := a.attachAll(); err != nil {
		a.Close()
		return nil, err
	}
	return a, nil
}

// sharedWith picks the maps that an object shares with those loaded before it.
// Constants are each object's own.
func sharedWith(spec *ebpf.CollectionSpec, loaded map[string]*ebpf.Map) map[string]*ebpf.Map {
	shared := make(map[string]*ebpf.Map)
	for name := range spec.Maps {
		if m, ok := loaded[name]; ok && !strings.HasPrefix(name, ".") {
			shared[name] = m
		}
	}
	return shared
}

// keepPresent takes the programs of optional hooks out of the object where the
// kernel has no such function or tracepoint: they would sink the others.
func (a *attached) keepPresent(spec *ebpf.CollectionSpec) error {
	kernel, err := btf.LoadKernelSpec()
	if err != nil {
		return fmt.Errorf("read the kernel's BTF: %w", err)
	}
	var kept []hook
	for _, h := range a.family.hooks {
		if h.instead != "" && slices.ContainsFunc(kept, func(k hook) bool { return k.program == h.instead }) {
			continue
		}
		if !h.optional || present(kernel, spec.Programs[h.program], h.symbol) {
			kept = append(kept, h)
			a.early = a.early || h.early
			a.member = a.member || h.member
			continue
		}
		a.lacks(h.gives)
	}
	a.family.hooks = kept
	for name := range spec.Programs {
		if !slices.ContainsFunc(kept, func(h hook) bool { return h.program == name }) {
			delete(spec.Programs, name)
		}
	}
	return nil
}

func (a *attached) lacks(what string) {
	if !slices.Contains(a.missing, what) {
		a.missing = append(a.missing, what)
	}
}

// present reports whether the kernel has what the program attaches to. One name
// can be both: tcp_sendmsg_locked is a function everywhere, and a tracepoint since
// Linux 6.16.
func present(kernel *btf.Spec, program *ebpf.ProgramSpec, symbol string) bool {
	if program.AttachType == ebpf.AttachTraceRawTp {
		var tracepoint *btf.Typedef
		return kernel.TypeByName("btf_trace_"+symbol, &tracepoint) == nil
	}
	var function *btf.Func
	return kernel.TypeByName(symbol, &function) == nil
}

func (a *attached) attachAll() error {
	for _, h := range a.family.hooks {
		if h.kind == uprobe {
			continue
		}
		l, err := attachHook(h, a.collection.Programs[h.program])
		if err != nil {
			if h.optional {
				a.lacks(h.gives)
				a.early = a.early && !h.early
				a.member = a.member && !h.member
				continue
			}
			return fmt.Errorf("attach to %s: %w", h.symbol, err)
		}
		a.links = append(a.links, l)
	}
	return nil
}

func attachHook(h hook, program *ebpf.Program) (link.Link, error) {
	switch h.kind {
	case kprobe:
		return link.Kprobe(h.symbol, program, nil)
	case kretprobe:
		return link.Kretprobe(h.symbol, program, nil)
	default:
		return link.AttachTracing(link.TracingOptions{Program: program})
	}
}

// detach detaches in the reverse order of attaching, so that no exit is heard of
// whose entry was not. Doing it again does nothing.
func (a *attached) detach() error {
	var errs []error
	for i := len(a.links) - 1; i >= 0; i-- {
		errs = append(errs, a.links[i].Close())
	}
	a.links = nil
	return errors.Join(errs...)
}

// Close detaches, and frees the programs and maps.
func (a *attached) Close() error {
	err := a.detach()
	a.collection.Close()
	return err
}

// loadError folds a verifier's log to the line that tells; %+v of the cause has
// all of it.
func loadError(err error) error {
	var verifier *ebpf.VerifierError
	if errors.As(err, &verifier) {
		telling := ""
		for _, line := range verifier.Log {
			if !strings.HasPrefix(line, "processed ") { // how much work it was
				telling = line
			}
		}
		return fmt.Errorf("load: %w (%s)", verifier.Cause, telling)
	}
	return fmt.Errorf("load: %w", err)
}
