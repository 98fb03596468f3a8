// Package trial tries on this very node whether a way of carrying context to
// other hosts harms the traffic it rides on, before any program is exposed to
// it. A kernel's version does not tell: the same release is right on one build
// and wrong on the next.
//
// # Life of a trial
//
// Run starts the agent's own executable once more. Child, the first call of main,
// notices that and never returns there. The child is born (by clone) in a cgroup
// made for it alone, so that the programs under trial can be attached to that
// cgroup and meet nobody else's sockets. It waits for one byte on a pipe, its
// leash, and opens no socket before; meanwhile Setting.Enter prepares the kernel.
// Then it carries out its checks with a client and a server that are both its
// own, over loopback, and writes every step and every fault to a second pipe as
// it goes. It lives on until the leash is let go, because Setting.Check may ask
// the kernel about sockets and counters of a living process. Whatever happens, Run
// ends the child and removes the cgroup; a child whose parent dies sees its leash
// end, and ends too.
//
// # Why a process, and why both ends in it
//
// The agent never watches itself, and a fault under trial may hang the sockets it
// is about: a process can be killed. As both ends are in hand, every byte that
// arrives is compared with the one that was sent; nothing is judged by the kernel
// side's own account of what it did.
//
// # What is judged
//
// The client uses system calls directly and sets no TCP_NODELAY, as most programs
// do not: Go's net package sets it and would hide stalls. What a check expects
// holds on every kernel for a socket that nobody meddles with, so a fault it
// finds is a harm that programs would see. The option TCP_NODELAY may be found
// switched on: the cure of those stalls switches it on.
//
// Times are judged by their median, so that a busy node does not fail a check
// and a stall in every request does.
package trial
