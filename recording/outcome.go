package recording

import (
	"fmt"
	"reflect"
	"strings"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/core"
	"github.com/kindredkv/kindred/replica"
	"github.com/kindredkv/kindred/storage"
	"github.com/kindredkv/kindred/wire"
)

// Outcome is what came out of a shard with one event, in words for people.
type Outcome struct {
	Lines []string
	// keys are the buckets and keys that it concerns.
	keys []name
}

// name is a bucket's key.
type name struct{ bucket, key string }

// Concerns says whether what came out is about a key, of any bucket.
func (o *Outcome) Concerns(key string) bool { return has(o.keys, key) }

func has(names []name, key string) bool {
	for _, n := range names {
		if n.key == key {
			return true
		}
	}
	return false
}

func (o *Outcome) say(line string) {
	if o != nil {
		o.Lines = append(o.Lines, line)
	}
}

func (o *Outcome) rows(rows *storage.Batch, since int) {
	if o == nil {
		return
	}
	_ = rows.EachSince(since, func(op storage.Op) error {
		switch op.Kind {
		case storage.OpSet:
			o.say(fmt.Sprintf("writes %s, %d bytes", rowName(op.Key), len(op.Value)))
		case storage.OpDelete:
			o.say("deletes " + rowName(op.Key))
		default:
			o.say("deletes from " + rowName(op.Key) + " to " + rowName(op.Value))
		}
		o.about(rowKey(op.Key))
		return nil
	})
}

func (o *Outcome) about(n name) {
	if n != (name{}) {
		o.keys = append(o.keys, n)
	}
}

func (o *Outcome) send(s *core.Send) {
	if o == nil {
		return
	}
	when := ""
	if s.Sync {
		when = " once it is durable"
	}
	o.say("sends " + s.To + " " + messageText(s.Msg) + when)
	o.keys = append(o.keys, messageNames(s.Msg)...)
}

func (o *Outcome) reply(r *core.Reply) {
	if o != nil {
		o.say(fmt.Sprintf("answers request %d: %s", r.Token, responseText(r.Response)))
	}
}

func (o *Outcome) load(l *core.Load) {
	if o == nil {
		return
	}
	o.say("asks for " + rowName([]byte(l.Row)))
	o.about(name{l.Bucket, l.Key})
}

func responseText(r *kindred.Response) string {
	switch {
	case r.Err != nil:
		return r.Err.Error()
	case r.Receipt.Dot != "":
		return fmt.Sprintf("write %s is %v, held by %s", r.Receipt.Dot, r.Receipt.Stage, strings.Join(r.Receipt.Acked, ", "))
	case len(r.Replicas) > 0:
		return fmt.Sprintf("%d views", len(r.Replicas))
	case len(r.Keys) > 0 || len(r.Cursor) > 0:
		return fmt.Sprintf("%d keys", len(r.Keys))
	case len(r.Siblings) == 0:
		return "nothing is there"
	}
	var all []string
	for _, s := range r.Siblings {
		all = append(all, fmt.Sprintf("%s, %d bytes", s.Dot, len(s.Value)))
	}
	return strings.Join(all, "; ")
}

// messageText is the kind of a message and what it is about.
func messageText(m wire.Message) string {
	text := fmt.Sprintf("%v of %v", wire.KindOf(m), wire.HeadOf(m))
	for _, n := range messageNames(m) {
		text += fmt.Sprintf(" %s/%q", n.bucket, n.key)
	}
	switch m := m.(type) {
	case *wire.WriteAck:
		if m.Refused != "" {
			text += ": refused, " + m.Refused
		}
	case *wire.ReadReply:
		if m.Failed != "" {
			text += ": failed, " + m.Failed
		} else {
			text += fmt.Sprintf(": %d versions", len(m.Object.Versions))
		}
	case *wire.ForwardReply:
		text += ": " + responseText(&m.Response)
	}
	return text
}

// messageNames are the keys that a message names.
func messageNames(m wire.Message) []name {
	if f, ok := m.(*wire.Forward); ok {
		return []name{{f.Request.Bucket, f.Request.Key}}
	}
	return namesIn(nil, reflect.ValueOf(m), "", 0)
}

// namesDepth is how deep a message has keys: in items of a list.
const namesDepth = 3

// namesIn finds fields called Bucket and Key; the many kinds of messages have them in
// themselves or in the items of a list.
func namesIn(names []name, v reflect.Value, bucket string, depth int) []name {
	for v.Kind() == reflect.Pointer {
		v = v.Elem()
	}
	switch v.Kind() {
	case reflect.Struct:
		if b := v.FieldByName("Bucket"); b.IsValid() && b.Kind() == reflect.String {
			bucket = b.String()
		}
		if k := v.FieldByName("Key"); k.IsValid() && k.Kind() == reflect.String {
			names = append(names, name{bucket, k.String()})
		}
		for i := range v.NumField() {
			if f := v.Field(i); depth < namesDepth && f.Kind() == reflect.Slice {
				names = namesIn(names, f, bucket, depth+1)
			}
		}
	case reflect.Slice:
		if v.Type().Elem().Kind() != reflect.Struct && v.Type().Elem().Kind() != reflect.Pointer {
			return names
		}
		for i := range v.Len() {
			names = namesIn(names, v.Index(i), bucket, depth+1)
		}
	}
	return names
}

// objectRow takes the key of an object's row apart.
func objectRow(row string) (id replica.ID, bucket, key string, err error) {
	p, n, b, k, err := storage.ParseObjectKey([]byte(row))
	return replica.ID{Partition: p, N: n}, string(b), string(k), err
}

func rowKey(row []byte) name {
	if _, _, b, k, err := storage.ParseObjectKey(row); err == nil {
		return name{string(b), string(k)}
	}
	if _, _, _, b, k, err := storage.ParseExpiryKey(row); err == nil {
		return name{string(b), string(k)}
	}
	return name{}
}

var tables = map[byte]string{
	storage.TableCheckpoint: "checkpoint", storage.TableLog: "log row", storage.TableExpiry: "expiry", storage.TableHint: "hint",
	storage.TableMeta: "meta", storage.TableObject: "object", storage.TableValue: "value", 'p': "promise",
}

// rowName is what a row is to a person.
func rowName(row []byte) string {
	if p, n, b, k, err := storage.ParseObjectKey(row); err == nil {
		return fmt.Sprintf("object %s/%q of partition %d/%d", b, k, p, n)
	}
	if p, n, actor, counter, err := storage.ParseLogKey(row); err == nil {
		return fmt.Sprintf("log row %x:%d of partition %d/%d", actor[8:], counter, p, n)
	}
	if len(row) == 0 {
		return "the end"
	}
	if table := tables[row[0]]; table != "" {
		return fmt.Sprintf("%s %x", table, row[1:])
	}
	return fmt.Sprintf("%q", row)
}

// Text is what happened, in words for people.
func (e *Event) Text() string {
	switch e.Kind {
	case Recover:
		return fmt.Sprintf("replica %v is recovered from %d bytes", e.Replicas, len(e.Reads))
	case RecoverHints:
		return fmt.Sprintf("hints are recovered from %d bytes", len(e.Reads))
	case RecoverPromises:
		return fmt.Sprintf("promises are recovered from %d bytes", len(e.Reads))
	case Phase:
		return fmt.Sprintf("a phase of the layout, %d replicas begin", len(e.Replicas))
	case Buckets:
		return "what buckets there are"
	case Wall:
		return fmt.Sprintf("the wall clock is %v ahead", e.Ahead)
	case Link:
		if e.Up {
			return "link to " + e.Peer + " is up"
		}
		return "link to " + e.Peer + " is down"
	case Full:
		if e.Full == nil {
			return "writes are taken again"
		}
		return "writes are refused: " + e.Full.Error()
	case Drain:
		return "no new requests are taken"
	case Resume:
		return "new requests are taken again"
	case Request:
		return requestText(e)
	case Message:
		return "from " + e.Peer + ": " + messageText(e.Message)
	case Loaded:
		if e.Absent {
			return rowName([]byte(e.Row)) + " is not stored"
		}
		return fmt.Sprintf("%s was read, %d bytes", rowName([]byte(e.Row)), len(e.Reads))
	case Paged:
		return fmt.Sprintf("page %d: %s", e.Number, messageText(e.Message))
	case Read:
		return fmt.Sprintf("look %d has read %d bytes", e.Number, len(e.Reads))
	case Seen:
		return fmt.Sprintf("look %d ends with %d bytes", e.Number, len(e.Reads))
	case Synced:
		return fmt.Sprintf("the disk has the rows of %d operations", len(e.Syncs))
	case Tick:
		return "a deadline has passed"
	case AuditRange:
		return "damage from " + rowName(e.Low) + " to " + rowName(e.High)
	case Discarded:
		return "damage was discarded"
	case Repair:
		return fmt.Sprintf("repair of partition %d is asked for", e.Partition)
	case Checkpoint:
		return "the clocks are saved"
	case Drop:
		return fmt.Sprintf("replica %v is given up", e.Replicas)
	case Taken:
		return "what came of it is carried out"
	}
	return e.Kind.String()
}

func requestText(e *Event) string {
	q := e.Request
	text := fmt.Sprintf("request %d: %v %s/%q", e.Number, q.Op, q.Bucket, q.Key)
	if q.Op == kindred.OpPut {
		text += fmt.Sprintf(", %d bytes", len(q.Value))
	}
	return text
}

// Concerns says whether the event is about a key, of any bucket.
func (e *Event) Concerns(key string) bool {
	switch e.Kind {
	case Request:
		return e.Request.Key == key
	case Message:
		return has(messageNames(e.Message), key)
	case Loaded:
		return rowKey([]byte(e.Row)).key == key
	}
	return false
}
