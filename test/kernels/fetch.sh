# Sourced by run: tools and kernels, by apt. The system's own package state is
# not touched for kernels: they come from suites that it may not have, through
# lists of our own. Uses $cache and $work.

# machine SERIES: the Debian architecture of that series.
machine() {
	case $1 in
	*-arm64) echo arm64 ;;
	*) echo amd64 ;;
	esac
}

# machines SERIES...: all of them, each once.
machines() { for s in "$@"; do machine "$s"; done | sort -u; }

# install_tools ARCH...: installs what this host lacks to test these, by Debian
# package name.
install_tools() {
	local missing=() arch
	for arch in "$@"; do
		case $arch in
		amd64) command -v qemu-system-x86_64 >/dev/null || missing+=(qemu-system-x86) ;;
		arm64) command -v qemu-system-aarch64 >/dev/null || missing+=(qemu-system-arm) ;;
		esac
		command -v "$(compiler "$arch")" >/dev/null || if [ "$arch" = "$(dpkg --print-architecture)" ]; then
			missing+=(gcc libc6-dev)
		else
			missing+=("gcc-$(gnu "$arch")" "libc6-dev-$arch-cross")
		fi
	done
	command -v cpio >/dev/null || missing+=(cpio)
	command -v zstd >/dev/null || missing+=(zstd)
	command -v xz >/dev/null || missing+=(xz-utils)
	command -v lz4 >/dev/null || missing+=(lz4)
	[ -e /usr/share/keyrings/debian-archive-keyring.gpg ] || missing+=(debian-archive-keyring)
	[ ${#missing[@]} -eq 0 ] && return
	command -v apt-get >/dev/null || die "cannot install ${missing[*]}: no apt-get here"
	[ "$(id -u)" = 0 ] || die "install these packages first (or run as root once): ${missing[*]}"
	apt-get -q -o DPkg::Lock::Timeout=300 update >"$work/apt.log" 2>&1 &&
		DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=300 \
			install --no-install-recommends "${missing[@]}" >>"$work/apt.log" 2>&1 ||
		die "cannot install ${missing[*]}: $(tail -n 3 "$work/apt.log")"
}

# gnu ARCH: what the GNU tools call it, with dashes only.
gnu() {
	case $1 in
	amd64) echo x86-64-linux-gnu ;;
	arm64) echo aarch64-linux-gnu ;;
	esac
}

# compiler ARCH: the C compiler for it.
compiler() { gnu "$1" | sed 's/^x86-64/x86_64/; s/$/-gcc/'; }

# mirror NAME: where this host gets Debian's archive NAME (debian or
# debian-security); the public one when it is no Debian.
mirror() {
	local uri
	uri=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 2>/dev/null |
		grep -E "^https?://[^ ]*/$1/?\$" | head -n 1) || true
	printf '%s\n' "${uri:-http://deb.debian.org/$1}"
}

# suite SERIES: where Debian keeps that kernel.
suite() {
	case ${1%-*} in
	6.1) echo bookworm ;;
	6.12) echo bookworm-security ;;
	*) echo trixie-backports ;;
	esac
}

# open_lists SERIES...: reads the package lists of their suites into $work/apt.
# apt looks at amd64 and arm64, whatever this host is.
open_lists() {
	local key=/usr/share/keyrings/debian-archive-keyring.gpg apt=$work/apt s
	mkdir -p "$apt"/{lists,archives}/partial
	for s in $(for s in "$@"; do suite "$s"; done | sort -u); do
		case $s in
		*-security) echo "deb [arch=amd64,arm64 signed-by=$key] $(mirror debian-security) $s main" ;;
		*) echo "deb [arch=amd64,arm64 signed-by=$key] $(mirror debian) $s main" ;;
		esac
	done >"$apt/sources.list"
	# busybox-static comes from bookworm whatever kernels are wanted.
	grep -q ' bookworm main' "$apt/sources.list" ||
		echo "deb [arch=amd64,arm64 signed-by=$key] $(mirror debian) bookworm main" >>"$apt/sources.list"
	apt_options=(-q -o Dir::State::Lists="$apt/lists" -o Dir::State::status=/dev/null
		-o Dir::Etc::sourcelist="$apt/sources.list" -o Dir::Etc::sourceparts=/dev/null
		-o Dir::Cache="$apt" -o APT::Sandbox::User=root -o APT::Architecture=amd64
		-o APT::Architectures::=amd64 -o APT::Architectures::=arm64
		-o Acquire::Languages=none -o Acquire::Retries=3)
	apt-get "${apt_options[@]}" update >"$work/apt.log" 2>&1 ||
		die "cannot read Debian's package lists: $(tail -n 3 "$work/apt.log")"
}

# download PACKAGE DIR: unpacks it there.
download() {
	mkdir -p "$2"
	(cd "$2" && apt-get "${apt_options[@]}" download "$1" >"$work/apt.log" 2>&1) ||
		die "cannot download $1: $(tail -n 3 "$work/apt.log")"
	dpkg-deb -x "$2"/*.deb "$2"
}

# newest SERIES: the newest cloud kernel of that series. Newer ones keep the
# image in linux-binary-*, and linux-image-* only draws it in.
newest() {
	local prefix found release=${1%-*} arch
	arch=$(machine "$1")
	for prefix in linux-binary linux-image; do
		found=$(apt-cache "${apt_options[@]}" pkgnames "$prefix-$release." |
			grep -- "-cloud-$arch\$" | sort -V | tail -n 1) || true
		[ -n "$found" ] && break
	done
	[ -n "$found" ] || die "no kernel of series $1 in $(suite "$1")"
	printf '%s\n' "$found"
}

# number FILE OFFSET SIZE: an unsigned little-endian number.
number() { od -An -t "u$3" -j "$2" -N "$3" "$1" | tr -d ' '; }

# extract VMLINUZ VMLINUX: on arm64 the file is bootable as it is. Else QEMU boots an ELF kernel at once, while a bzImage
# would unpack itself under emulation. The offsets are those of the x86 boot
# protocol: setup_sects (0x1f1), payload_offset (0x248), payload_length (0x24c).
# Behind the packed kernel stand four bytes with its size; in gzip they belong
# to the format.
extract() {
	local start length unpack
	if [ "$(od -An -c -j 56 -N 4 "$1" | tr -d ' ')" = ARMd ]; then
		cp "$1" "$2"
		return
	fi
	start=$((($(number "$1" $((0x1f1)) 1) + 1) * 512 + $(number "$1" $((0x248)) 4)))
	length=$(($(number "$1" $((0x24c)) 4) - 4))
	case $(od -An -tx1 -j "$start" -N 4 "$1" | tr -d ' ') in
	28b52ffd) unpack='zstd -dc' ;;
	fd377a58) unpack='xz -dc' ;;
	02214c18) unpack='lz4 -dc' ;;
	1f8b*) unpack='gzip -dc' length=$((length + 4)) ;;
	*) die "cannot unpack $1: unknown compression" ;;
	esac
	head -c $((start + length)) "$1" | tail -c +$((start + 1)) | $unpack >"$2.new" || die "cannot unpack $1"
	[ "$(od -An -tx1 -N 4 "$2.new" | tr -d ' ')" = 7f454c46 ] || die "cannot unpack $1: not an ELF kernel inside"
	mv "$2.new" "$2"
}

# fetch_kernels SERIES...: leaves vmlinux-SERIES, the package's name beside it,
# and busybox-ARCH in $cache.
fetch_kernels() {
	local s arch package wanted=()
	for s in "$@"; do
		[ -s "$cache/vmlinux-$s" ] && [ -s "$cache/busybox-$(machine "$s")" ] || wanted+=("$s")
	done
	[ ${#wanted[@]} -gt 0 ] || return 0
	open_lists "${wanted[@]}"
	for s in "${wanted[@]}"; do
		package=$(newest "$s")
		download "$package:$(machine "$s")" "$work/kernel-$s"
		extract "$(find "$work/kernel-$s" -name 'vmlinuz*' | head -n 1)" "$cache/vmlinux-$s"
		rm -rf "$work/kernel-$s"
		echo "$package" >"$cache/vmlinux-$s.package"
	done
	for arch in $(machines "${wanted[@]}"); do
		download "busybox-static:$arch" "$work/busybox-$arch"
		cp "$work/busybox-$arch/bin/busybox" "$cache/busybox-$arch"
	done
}
