package protocol

import (
	"bytes"
	"encoding/binary"
)

const (
	// kafkaBatchHead is how long a batch is without its records, from its base
	// offset on; of a message of old (magic 0 or 1) it is the part with the size.
	kafkaBatchHead   = 61
	kafkaMessageHead = 18
	kafkaSizeEnd     = 12 // base offset and size, which does not count them

	kafkaCompression = 7      // bits of a batch's attributes
	kafkaControl     = 1 << 5 // it holds no messages, but ends a transaction
)

// kafkaRecords is what is read of record batches.
type kafkaRecords struct {
	any   bool
	count int64
	// uncounted says that there are, or may be, more than count.
	uncounted bool
	// unread says that not all headers can be read: compressed, or not captured.
	unread bool
	// trace is the trace context that the records have, if differ is not set.
	// It points into what was read.
	trace    []byte
	walked   bool // trace is of a record
	differ   bool
	offset   int64 // of the only record, if hasFirst
	hasFirst bool
}

// add reads the batches of one partition, size bytes of which data is the start.
func (s *kafkaRecords) add(data []byte, size int64) {
	for size > 0 {
		if int64(len(data)) < kafkaMessageHead {
			if size > int64(len(data)) { // the rest was not captured
				s.uncounted, s.unread, s.any = true, true, true
			}
			return
		}
		n := kafkaSizeEnd + int64(int32(binary.BigEndian.Uint32(data[8:])))
		if n < kafkaMessageHead || n > size {
			return // a server may send the last one in part
		}
		s.batch(data[:min(n, int64(len(data)))], n)
		data = data[min(n, int64(len(data))):]
		size -= n
	}
}

// batch reads one batch of that size, or message of old.
func (s *kafkaRecords) batch(data []byte, size int64) {
	if magic := data[16]; magic < 2 {
		s.any = true
		s.count++
		s.old(data)
		return
	}
	if len(data) < kafkaBatchHead {
		s.any, s.uncounted, s.unread = true, true, true
		return
	}
	attributes := binary.BigEndian.Uint16(data[21:])
	count := int64(int32(binary.BigEndian.Uint32(data[57:])))
	if attributes&kafkaControl != 0 || count <= 0 {
		return
	}
	s.any = true
	s.count += count
	if attributes&kafkaCompression != 0 {
		s.unread = true
		if binary.BigEndian.Uint32(data[23:]) == 0 { // last offset delta
			s.offset, s.hasFirst = int64(binary.BigEndian.Uint64(data)), true
		}
		return
	}
	r := kafkaReader{data: data[kafkaBatchHead:]}
	for ; count > 0; count-- {
		n := r.signed()
		record := kafkaReader{data: r.data[:max(0, min(n, int64(len(r.data))))]}
		r.take(n)
		delta, trace := record.record()
		if record.short || r.short {
			s.unread = true
			return
		}
		s.offset, s.hasFirst = int64(binary.BigEndian.Uint64(data))+delta, true
		s.carry(trace)
	}
}

// old reads what is known of a message of old, which has no headers.
func (s *kafkaRecords) old(data []byte) {
	if data[17]&kafkaCompression != 0 {
		s.uncounted = true // it holds others
	}
	s.offset, s.hasFirst = int64(binary.BigEndian.Uint64(data)), true
	s.carry(nil)
}

func (s *kafkaRecords) carry(trace []byte) {
	if s.walked && !bytes.Equal(s.trace, trace) {
		s.differ = true
	}
	s.trace, s.walked = trace, true
}

// agreed returns the trace context that all records have, nil if there is none.
func (s *kafkaRecords) agreed() []byte {
	if s.differ || s.unread || s.uncounted {
		return nil
	}
	return s.trace
}

// record reads a record of a batch: its offset in it, and the trace context among
// its headers.
func (r *kafkaReader) record() (offset int64, trace []byte) {
	r.int8()   // attributes
	r.signed() // timestamp
	offset = r.signed()
	for range 2 { // key and value
		if n := r.signed(); n > 0 {
			r.take(n)
		}
	}
	for n := r.signed(); n > 0 && !r.short; n-- {
		name := r.take(r.signed())
		var value []byte
		if size := r.signed(); size > 0 {
			value = r.take(size)
		}
		if string(name) == "traceparent" {
			trace = value
		}
	}
	return offset, trace
}
