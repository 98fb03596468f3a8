package protocol

import (
	"encoding/binary"
	"math"
)

// kafkaReader reads the fields of a Kafka message one behind the other, as far as
// it was captured. Behind its end everything is zero, and short is set.
type kafkaReader struct {
	data []byte
	// flexible says that lengths are variable, and tagged fields follow: newer
	// versions of all requests (KIP-482).
	flexible bool
	short    bool
}

func (r *kafkaReader) take(n int64) []byte {
	if n < 0 || n > int64(len(r.data)) {
		r.short, r.data = true, nil
		return nil
	}
	out := r.data[:n]
	r.data = r.data[n:]
	return out
}

func (r *kafkaReader) int8() int8 {
	if b := r.take(1); b != nil {
		return int8(b[0])
	}
	return 0
}

func (r *kafkaReader) int16() int16 {
	if b := r.take(2); b != nil {
		return int16(binary.BigEndian.Uint16(b))
	}
	return 0
}

func (r *kafkaReader) int32() int32 {
	if b := r.take(4); b != nil {
		return int32(binary.BigEndian.Uint32(b))
	}
	return 0
}

func (r *kafkaReader) int64() int64 {
	if b := r.take(8); b != nil {
		return int64(binary.BigEndian.Uint64(b))
	}
	return 0
}

func (r *kafkaReader) uuid() (id [16]byte) {
	copy(id[:], r.take(16))
	return id
}

// varint reads an unsigned number of variable length.
func (r *kafkaReader) varint() uint64 {
	n, size := binary.Uvarint(r.data)
	if size <= 0 {
		r.short, r.data = true, nil
		return 0
	}
	r.data = r.data[size:]
	return n
}

// signed reads a signed one, as they are in records.
func (r *kafkaReader) signed() int64 {
	n := r.varint()
	return int64(n>>1) ^ -int64(n&1)
}

// compact reads a length of variable length, less than 0 for null.
func (r *kafkaReader) compact() int64 {
	n := r.varint()
	if n > math.MaxInt32 {
		r.short, r.data = true, nil
		return 0
	}
	return int64(n) - 1
}

// string reads a string, nil for null.
func (r *kafkaReader) string() []byte {
	n := int64(0)
	if r.flexible {
		n = r.compact()
	} else {
		n = int64(r.int16())
	}
	if n < 0 {
		return nil
	}
	return r.take(n)
}

// length reads how many elements an array has, or bytes there are; null has none.
func (r *kafkaReader) length() int64 {
	n := int64(0)
	if r.flexible {
		n = r.compact()
	} else {
		n = int64(r.int32())
	}
	return max(n, 0)
}

// skip leaves out an array of elements of one size.
func (r *kafkaReader) skip(size int64) { r.take(r.length() * size) }

// tags leaves out tagged fields but that one, which it returns.
func (r *kafkaReader) tags(wanted uint64) (value []byte) {
	if !r.flexible {
		return nil
	}
	for n := r.varint(); n > 0 && !r.short; n-- {
		tag := r.varint()
		if field := r.take(r.compact() + 1); tag == wanted {
			value = field
		}
	}
	return value
}

// noTag is a tag that no field has.
const noTag = math.MaxUint64
