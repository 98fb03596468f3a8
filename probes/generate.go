package probes

// The objects are built for both architectures and committed; CI builds them
// again and fails on a difference. Needs clang-19, llvm-strip-19 and libbpf's
// headers (libbpf-dev).
//
//go:generate go tool bpf2go -cc clang-19 -strip llvm-strip-19 -target amd64,arm64 -cflags "-O2 -mcpu=v3 -Wall -Wextra -Wpadded -Werror" -type message -type target -type go_conn -type go_ids -type event_kind -type role -type evidence -type message_flags -type target_flags -type stat -type request -type settle -type agent -type like_key -type class -type outcome socket ../bpf/socket.bpf.c
//go:generate go tool bpf2go -cc clang-19 -strip llvm-strip-19 -target amd64,arm64 -cflags "-O2 -mcpu=v3 -Wall -Wextra -Wpadded -Werror" fentry ../bpf/fentry.bpf.c
//go:generate go tool bpf2go -cc clang-19 -strip llvm-strip-19 -target amd64,arm64 -cflags "-O2 -mcpu=v3 -Wall -Wextra -Wpadded -Werror" kprobe ../bpf/kprobe.bpf.c
//go:generate go tool bpf2go -cc clang-19 -strip llvm-strip-19 -target amd64,arm64 -cflags "-O2 -mcpu=v3 -Wall -Wextra -Wpadded -Werror" -type lifecycle process ../bpf/process.bpf.c
//go:generate go tool bpf2go -cc clang-19 -strip llvm-strip-19 -target amd64,arm64 -cflags "-O2 -mcpu=v3 -Wall -Wextra -Wpadded -Werror" -type peer_range inject ../bpf/inject.bpf.c
//go:generate go tool bpf2go -cc clang-19 -strip llvm-strip-19 -target amd64,arm64 -cflags "-O2 -mcpu=v3 -Wall -Wextra -Wpadded -Werror" uprobe ../bpf/go.bpf.c
//go:generate go tool bpf2go -cc clang-19 -strip llvm-strip-19 -target amd64,arm64 -cflags "-O2 -mcpu=v3 -Wall -Wextra -Wpadded -Werror" -output-suffix _test -type input -type result -type start -type wire -type stat -type state -type format pure ../bpf/test/pure.bpf.c
