package protocol

import "encoding/binary"

// amqpMethod is class and method, as a method frame begins with them (AMQP 0-9-1,
// section 2.3.5.1).
type amqpMethod uint32

const (
	amqpStart             amqpMethod = 10<<16 | 10
	amqpStartOK           amqpMethod = 10<<16 | 11
	amqpConnectionClose   amqpMethod = 10<<16 | 50
	amqpConnectionCloseOK amqpMethod = 10<<16 | 51
	amqpChannelOpen       amqpMethod = 20<<16 | 10
	amqpChannelClose      amqpMethod = 20<<16 | 40
	amqpChannelCloseOK    amqpMethod = 20<<16 | 41
	amqpDeclareOK         amqpMethod = 50<<16 | 11
	amqpConsume           amqpMethod = 60<<16 | 20
	amqpConsumeOK         amqpMethod = 60<<16 | 21
	amqpCancel            amqpMethod = 60<<16 | 30
	amqpPublish           amqpMethod = 60<<16 | 40
	amqpReturn            amqpMethod = 60<<16 | 50
	amqpDeliver           amqpMethod = 60<<16 | 60
	amqpGet               amqpMethod = 60<<16 | 70
	amqpGetOK             amqpMethod = 60<<16 | 71
	amqpGetEmpty          amqpMethod = 60<<16 | 72
	amqpAck               amqpMethod = 60<<16 | 80
	amqpReject            amqpMethod = 60<<16 | 90
	amqpNack              amqpMethod = 60<<16 | 120
	amqpConfirmSelect     amqpMethod = 85<<16 | 10
)

// amqpKind is what must be known of a method to follow it.
type amqpKind struct {
	name string
	// by says who sends it: bits of direction.
	by uint8
	// asks says that a client waits for its answer, unless the bit nowait says
	// that there is none; answers is what a server's method answers.
	asks    bool
	answers amqpMethod
	// The arguments of what asks, as far as they matter: a short that is
	// reserved, short strings, then bits, of which nowait is a mask.
	reserved bool
	strings  int
	nowait   byte
}

const (
	byClient = 1 << toServer
	byServer = 1 << toClient
	byBoth   = byClient | byServer
)

// amqpKinds are the methods of AMQP 0-9-1 and of RabbitMQ's extensions.
var amqpKinds = map[amqpMethod]amqpKind{
	amqpStart:   {name: "connection.start", by: byServer},
	amqpStartOK: {name: "connection.start-ok", by: byClient, asks: true},
	10<<16 | 20: {name: "connection.secure", by: byServer},
	10<<16 | 21: {name: "connection.secure-ok", by: byClient},
	10<<16 | 30: {name: "connection.tune", by: byServer, answers: amqpStartOK},
	10<<16 | 31: {name: "connection.tune-ok", by: byClient},
	10<<16 | 40: {name: "connection.open", by: byClient, asks: true},
	10<<16 | 41: {name: "connection.open-ok", by: byServer, answers: 10<<16 | 40},

	amqpConnectionClose:   {name: "connection.close", by: byBoth, asks: true},
	amqpConnectionCloseOK: {name: "connection.close-ok", by: byBoth, answers: amqpConnectionClose},
	10<<16 | 60:           {name: "connection.blocked", by: byServer},
	10<<16 | 61:           {name: "connection.unblocked", by: byServer},
	10<<16 | 70:           {name: "connection.update-secret", by: byClient, asks: true},
	10<<16 | 71:           {name: "connection.update-secret-ok", by: byServer, answers: 10<<16 | 70},

	amqpChannelOpen:    {name: "channel.open", by: byClient, asks: true},
	20<<16 | 11:        {name: "channel.open-ok", by: byServer, answers: amqpChannelOpen},
	20<<16 | 20:        {name: "channel.flow", by: byBoth},
	20<<16 | 21:        {name: "channel.flow-ok", by: byBoth},
	amqpChannelClose:   {name: "channel.close", by: byBoth, asks: true},
	amqpChannelCloseOK: {name: "channel.close-ok", by: byBoth, answers: amqpChannelClose},

	30<<16 | 10: {name: "access.request", by: byClient, asks: true},
	30<<16 | 11: {name: "access.request-ok", by: byServer, answers: 30<<16 | 10},

	40<<16 | 10: {name: "exchange.declare", by: byClient, asks: true, reserved: true, strings: 2, nowait: 1 << 4},
	40<<16 | 11: {name: "exchange.declare-ok", by: byServer, answers: 40<<16 | 10},
	40<<16 | 20: {name: "exchange.delete", by: byClient, asks: true, reserved: true, strings: 1, nowait: 1 << 1},
	40<<16 | 21: {name: "exchange.delete-ok", by: byServer, answers: 40<<16 | 20},
	40<<16 | 30: {name: "exchange.bind", by: byClient, asks: true, reserved: true, strings: 3, nowait: 1},
	40<<16 | 31: {name: "exchange.bind-ok", by: byServer, answers: 40<<16 | 30},
	40<<16 | 40: {name: "exchange.unbind", by: byClient, asks: true, reserved: true, strings: 3, nowait: 1},
	40<<16 | 51: {name: "exchange.unbind-ok", by: byServer, answers: 40<<16 | 40},

	50<<16 | 10:   {name: "queue.declare", by: byClient, asks: true, reserved: true, strings: 1, nowait: 1 << 4},
	amqpDeclareOK: {name: "queue.declare-ok", by: byServer, answers: 50<<16 | 10},
	50<<16 | 20:   {name: "queue.bind", by: byClient, asks: true, reserved: true, strings: 3, nowait: 1},
	50<<16 | 21:   {name: "queue.bind-ok", by: byServer, answers: 50<<16 | 20},
	50<<16 | 30:   {name: "queue.purge", by: byClient, asks: true, reserved: true, strings: 1, nowait: 1},
	50<<16 | 31:   {name: "queue.purge-ok", by: byServer, answers: 50<<16 | 30},
	50<<16 | 40:   {name: "queue.delete", by: byClient, asks: true, reserved: true, strings: 1, nowait: 1 << 2},
	50<<16 | 41:   {name: "queue.delete-ok", by: byServer, answers: 50<<16 | 40},
	50<<16 | 50:   {name: "queue.unbind", by: byClient, asks: true, reserved: true, strings: 3},
	50<<16 | 51:   {name: "queue.unbind-ok", by: byServer, answers: 50<<16 | 50},

	60<<16 | 10:   {name: "qos", by: byClient, asks: true},
	60<<16 | 11:   {name: "qos-ok", by: byServer, answers: 60<<16 | 10},
	amqpConsume:   {name: "consume", by: byClient, asks: true, reserved: true, strings: 2, nowait: 1 << 3},
	amqpConsumeOK: {name: "consume-ok", by: byServer, answers: amqpConsume},
	amqpCancel:    {name: "cancel", by: byBoth, asks: true, strings: 1, nowait: 1},
	60<<16 | 31:   {name: "cancel-ok", by: byBoth, answers: amqpCancel},
	amqpPublish:   {name: "publish", by: byClient, reserved: true, strings: 2},
	amqpReturn:    {name: "return", by: byServer},
	amqpDeliver:   {name: "deliver", by: byServer},
	amqpGet:       {name: "get", by: byClient, asks: true, reserved: true, strings: 1},
	amqpGetOK:     {name: "get-ok", by: byServer},
	amqpGetEmpty:  {name: "get-empty", by: byServer, answers: amqpGet},
	amqpAck:       {name: "ack", by: byBoth},
	amqpReject:    {name: "reject", by: byClient},
	60<<16 | 100:  {name: "recover-async", by: byClient},
	60<<16 | 110:  {name: "recover", by: byClient, asks: true},
	60<<16 | 111:  {name: "recover-ok", by: byServer, answers: 60<<16 | 110},
	amqpNack:      {name: "nack", by: byBoth},

	amqpConfirmSelect: {name: "confirm.select", by: byClient, asks: true, nowait: 1},
	85<<16 | 11:       {name: "confirm.select-ok", by: byServer, answers: amqpConfirmSelect},
	90<<16 | 10:       {name: "tx.select", by: byClient, asks: true},
	90<<16 | 11:       {name: "tx.select-ok", by: byServer, answers: 90<<16 | 10},
	90<<16 | 20:       {name: "tx.commit", by: byClient, asks: true},
	90<<16 | 21:       {name: "tx.commit-ok", by: byServer, answers: 90<<16 | 20},
	90<<16 | 30:       {name: "tx.rollback", by: byClient, asks: true},
	90<<16 | 31:       {name: "tx.rollback-ok", by: byServer, answers: 90<<16 | 30},
}

// arguments reads those of a client's method.
func (k *amqpKind) arguments(r *amqpReader) (strings [3]string, bits byte) {
	if k.reserved {
		r.number(2)
	}
	for i := range k.strings {
		strings[i] = r.short()
	}
	return strings, byte(r.number(1))
}

// amqpReader reads fields of a frame (section 4.2.5). What lies behind the end,
// or was cut off, reads as zero.
type amqpReader []byte

func (r *amqpReader) next(n uint64) []byte {
	if n > uint64(len(*r)) {
		*r = nil
		return nil
	}
	b := (*r)[:n]
	*r = (*r)[n:]
	return b
}

func (r *amqpReader) number(bytes int) uint64 {
	var b [8]byte
	copy(b[8-bytes:], r.next(uint64(bytes)))
	return binary.BigEndian.Uint64(b[:])
}

func (r *amqpReader) short() string { return string(r.next(r.number(1))) }

func (r *amqpReader) long() []byte { return r.next(r.number(4)) }

// maxAMQPFields bounds the fields of a message's headers that are looked at.
const maxAMQPFields = 128

// field returns the text of that name in a table, nil if there is none.
func (r *amqpReader) field(name string) []byte {
	for i := 0; i < maxAMQPFields && len(*r) > 0; i++ {
		key := string(r.next(r.number(1)))
		switch kind := byte(r.number(1)); kind {
		case 'S', 'x':
			if text := r.long(); key == name {
				return text
			}
		case 'F', 'A':
			r.long()
		case 't', 'b', 'B':
			r.number(1)
		case 's', 'u', 'U':
			r.number(2)
		case 'I', 'i', 'f':
			r.number(4)
		case 'D':
			r.next(5)
		case 'l', 'L', 'd', 'T':
			r.number(8)
		case 'V':
		default:
			return nil
		}
	}
	return nil
}
