package probes

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
	"github.com/cilium/ebpf/link"
	"go.uber.org/zap"

	"github.com/clewtrace/clew/probes/discover"
)

// injector is bpf/inject.bpf.c, and where it is attached.
type injector struct {
	log        *zap.Logger
	collection *ebpf.Collection
	verdict    string // name of the sk_msg program; "": none goes with the family
	settle     *link.Iter
	agents     *ebpf.Map
	members    *ebpf.Map
	outcomes   *ebpf.Map
	groups     cgroups
	asked      chan uint32 // processes with connections to be looked at

	unattached, unsettled atomic.Uint64
}

// maxAsked bounds the processes waiting to have their connections looked at. One
// too many is counted, and its old connections carry nothing.
const maxAsked = 1024

// newInjector loads the programs next to a family's and attaches them to nothing
// but the sockhash. Rungs are off until enable.
func newInjector(log *zap.Logger, set settings, of *attached, peers []netip.Prefix) (*injector, error) {
	if of.family.name == "kprobe" {
		return nil, fmt.Errorf("%w: kprobes share no state with what it takes; CLEW_HOOKS=tracepoint or fentry where these attach", errImpossible)
	}
	kernel, err := btf.LoadKernelSpec()
	if err != nil {
		return nil, fmt.Errorf("read the kernel's BTF: %w", err)
	}
	i := &injector{
		log: log, agents: of.collection.Maps["agents"], outcomes: of.collection.Maps["outcomes"], asked: make(chan uint32, maxAsked),
		verdict: of.verdict(),
		groups:  cgroups{root: sync.OnceValues(discover.CgroupRoot)},
	}
	programs := []string{"sock_ops"}
	if i.verdict != "" {
		programs = append(programs, i.verdict)
	}
	// A kfunc of the series that made iter/tcp take the lock in a way that leaves
	// room for changing the socket. Before, doing so would hang the kernel.
	var destroy *btf.Func
	if kernel.TypeByName("bpf_sock_destroy", &destroy) == nil {
		programs = append(programs, "settle")
	}
	if i.collection, err = loadInjector(set, of, programs); err != nil {
		return nil, err
	}
	i.members = i.collection.Maps["members"]
	if err := i.attach(peers); err != nil {
		return nil, errors.Join(err, i.Close())
	}
	return i, nil
}

// verdict names the sk_msg program that goes with the family's hooks; "": none.
func (a *attached) verdict() string {
	switch {
	case a.member:
		return "write"
	case a.family.name == "tracepoint" && a.early:
		return "follow"
	}
	return ""
}

func loadInjector(set settings, of *attached, programs []string) (*ebpf.Collection, error) {
	spec, err := loadInject()
	if err != nil {
		return nil, fmt.Errorf("read object: %w", err)
	}
	if err := set.apply(spec); err != nil {
		return nil, err
	}
	kept := make(map[string]*ebpf.ProgramSpec)
	for _, name := range programs {
		kept[name] = spec.Programs[name]
	}
	spec.Programs = kept
	c, err := ebpf.NewCollectionWithOptions(spec, ebpf.CollectionOptions{MapReplacements: sharedWith(spec, of.collection.Maps)})
	if err != nil {
		return nil, loadError(err)
	}
	return c, nil
}

// errImpossible says that there is nothing to be tried, or forced.
var errImpossible = errors.New("not possible with this kernel and these hooks")

// lacks says why a rung cannot work here at all.
func (i *injector) lacks(rung Rungs) error {
	if rung == RungHeaders && i.verdict == "" {
		return fmt.Errorf("%w: none sees what a member of a sockhash sends, which takes Linux 6.16 or trampolines", errImpossible)
	}
	return nil
}

// attach makes ready what is not bound to a cgroup. The sk_msg program comes
// first: it would never run for sockets that are in the map already.
func (i *injector) attach(peers []netip.Prefix) error {
	for _, p := range peers {
		addr := p.Addr().As16()
		bits := p.Bits()
		if p.Addr().Is4() {
			bits += 96
		}
		key := injectPeerRange{Prefix: uint32(bits), Addr: addr}
		if err := i.collection.Maps["peer_ranges"].Put(key, uint8(1)); err != nil {
			return fmt.Errorf("enter %s as a peer: %w", p, err)
		}
	}
	var err error
	if program := i.collection.Programs[i.verdict]; program != nil {
		err = link.RawAttachProgram(link.RawAttachProgramOptions{
			Target: i.members.FD(), Program: program, Attach: ebpf.AttachSkMsgVerdict,
		})
		if err != nil {
			return fmt.Errorf("attach to the sockhash: %w", err)
		}
	}
	if program := i.collection.Programs["settle"]; program != nil {
		if i.settle, err = link.AttachIter(link.IterOptions{Program: program}); err != nil {
			return fmt.Errorf("attach the iterator of sockets: %w", err)
		}
	}
	return nil
}

// enable turns rungs on. From now on sockets join and options are sent.
func (i *injector) enable(rungs Rungs) error {
	var a socketAgent
	if err := i.agents.Lookup(uint32(0), &a); err != nil {
		return fmt.Errorf("read the rungs in use: %w", err)
	}
	a.Rungs |= uint32(rungs)
	if err := i.agents.Put(uint32(0), a); err != nil {
		return fmt.Errorf("set the rungs in use: %w", err)
	}
	return i.groups.attach(i.collection.Programs["sock_ops"])
}

// disable turns rungs off. Sockets that joined are restored at once.
func (i *injector) disable(rungs Rungs) error {
	var a socketAgent
	if err := i.agents.Lookup(uint32(0), &a); err != nil {
		return fmt.Errorf("read the rungs in use: %w", err)
	}
	a.Rungs &^= uint32(rungs)
	if err := i.agents.Put(uint32(0), a); err != nil {
		return fmt.Errorf("set the rungs in use: %w", err)
	}
	if !rungs.Has(RungHeaders) {
		return nil
	}
	return i.expel()
}

// expel takes every socket out of the sockhash.
func (i *injector) expel() error {
	var key uint64
	for range i.members.MaxEntries() {
		err := i.members.NextKey(nil, &key)
		if errors.Is(err, ebpf.ErrKeyNotExist) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("list members: %w", err)
		}
		_ = i.members.Delete(key) // it may have closed meanwhile
	}
	return nil
}

// enter is told of each process that may use a rung.
func (i *injector) enter(pid uint32) {
	if i == nil {
		return
	}
	if err := i.groups.add(pid, i.collection.Programs["sock_ops"]); err != nil {
		i.unattached.Add(1)
		i.log.Debug("a process will carry no context to other hosts", zap.Uint32("pid", pid), zap.Error(err))
	}
}

// ask has the connections of a process looked at soon.
func (i *injector) ask(pid uint32) {
	select {
	case i.asked <- pid:
	default:
		i.unsettled.Add(1)
	}
}

// leave restores one socket.
func (i *injector) leave(connection uint64) { _ = i.members.Delete(connection) }

// run looks at connections as it is asked to, until ctx ends.
func (i *injector) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case pid := <-i.asked:
			i.look(ctx, pid)
		}
	}
}

// Close restores every socket and frees the programs.
func (i *injector) Close() error {
	if i == nil {
		return nil
	}
	errs := []error{i.groups.Close()}
	if i.members != nil {
		errs = append(errs, i.expel())
	}
	if i.settle != nil {
		errs = append(errs, i.settle.Close())
	}
	i.collection.Close()
	return errors.Join(errs...)
}
