package golang

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
)

const (
	buildInfoMagic  = "\xff Go buildinf:"
	buildInfoFlags  = 15 // offset of a byte of flags
	buildInfoInline = 2  // flag: the strings follow the header, as since Go 1.18
	buildInfoHeader = 32
	maxVersion      = 256
)

// readVersion returns the version of Go that the linker put into the program,
// for example "go1.26.8" or "go1.25.3 X:boringcrypto".
func readVersion(img *image) (string, error) {
	section, ok := img.section(".go.buildinfo")
	if !ok {
		return "", ErrNotGo
	}
	raw, err := img.read(section.Off, int(min(section.Size, buildInfoHeader+binary.MaxVarintLen64+maxVersion)))
	if err != nil {
		return "", fmt.Errorf("read build information: %w", err)
	}
	if len(raw) < buildInfoHeader || !bytes.HasPrefix(raw, []byte(buildInfoMagic)) {
		return "", fmt.Errorf("read build information: %w", ErrNotGo)
	}
	if raw[buildInfoFlags]&buildInfoInline == 0 {
		return "", &UnsupportedError{Reason: "older than go1.18"}
	}
	length, n := binary.Uvarint(raw[buildInfoHeader:])
	raw = raw[buildInfoHeader+max(n, 0):]
	if n <= 0 || length == 0 || length > maxVersion || length > uint64(len(raw)) {
		return "", errors.New("read build information: malformed version")
	}
	return string(raw[:length]), nil
}
