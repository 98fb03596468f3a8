package probes

import (
	"testing"
	"unsafe"

	"github.com/clewtrace/clew/probes/protocol"
)

// Every counter of the kernel has a name for people, and no two have the same.
func TestStatsAreNamed(t *testing.T) {
	named := stats()
	seen := make(map[stat]socketStat)
	for which := socketStat(0); which < socketStatSTAT_COUNT; which++ {
		s, ok := named[which]
		if !ok {
			t.Errorf("counter %d of bpf/include/stats.h has no row in stats.go", which)
			continue
		}
		if other, ok := seen[s]; ok {
			t.Errorf("counters %d and %d are both called %v", other, which, s)
		}
		seen[s] = which
		switch s.outcome {
		case "seen", "kept", "dropped":
		default:
			t.Errorf("counter %d has the outcome %q", which, s.outcome)
		}
	}
	if len(named) != int(socketStatSTAT_COUNT) {
		t.Errorf("stats.go has %d rows, the kernel %d counters", len(named), socketStatSTAT_COUNT)
	}
}

// Roles and evidence cross the ring buffer as numbers: they mean the same on
// both sides.
func TestNumbersAgree(t *testing.T) {
	roles := map[socketRole]protocol.Role{
		socketRoleROLE_UNKNOWN: protocol.RoleUnknown,
		socketRoleROLE_CLIENT:  protocol.RoleClient,
		socketRoleROLE_SERVER:  protocol.RoleServer,
	}
	for kernel, user := range roles {
		if uint8(kernel) != uint8(user) {
			t.Errorf("role %d of the kernel is %d in user space", kernel, user)
		}
	}
	evidence := map[socketEvidence]protocol.Evidence{
		socketEvidenceEVIDENCE_NONE:      protocol.EvidenceNone,
		socketEvidenceEVIDENCE_HEADER:    protocol.EvidenceHeader,
		socketEvidenceEVIDENCE_LOCAL:     protocol.EvidenceLocal,
		socketEvidenceEVIDENCE_GOROUTINE: protocol.EvidenceGoroutine,
		socketEvidenceEVIDENCE_THREAD:    protocol.EvidenceThread,
		socketEvidenceEVIDENCE_FORK:      protocol.EvidenceFork,
	}
	for kernel, user := range evidence {
		if uint8(kernel) != uint8(user) {
			t.Errorf("evidence %d of the kernel is %d in user space", kernel, user)
		}
	}
}

// Garbage from the ring is counted, and nothing else.
func TestMalformedRecords(t *testing.T) {
	p := &Probes{}
	out := &Sinks{
		Message: func(*protocol.Message) { t.Error("a message was made") },
		Segment: func(*protocol.Segment) { t.Error("a segment was made") },
	}
	for _, raw := range [][]byte{nil, {1}, make([]byte, 7), make([]byte, 4096), {1, 0, 0, 0}, append([]byte{5}, make([]byte, 100)...)} {
		p.dispatch(raw, out)
	}
	for _, kind := range []socketEventKind{socketEventKindEVENT_REQUEST, socketEventKindEVENT_ASK, socketEventKindEVENT_ANSWER} {
		record := make([]byte, unsafe.Sizeof(socketMessage{}))
		record[0] = byte(kind)
		for i := range record[8:] {
			record[8+i] = 0xff // a head longer than the record
		}
		p.dispatch(record, out)
	}
	if got := p.malformed.Load(); got != 9 {
		t.Errorf("%d of 9 records counted as malformed", got)
	}
}
