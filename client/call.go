package client

import (
	"time"

	"github.com/kindredkv/kindred"
)

// callState is how far a call has come in its pipeline.
type callState uint8

const (
	queued callState = iota + 1 // the node has not seen it
	flying                      // the node may have seen it
	over                        // settled or forgotten
)

// call is one question to one node. Its pipeline guards state, prev and next.
type call struct {
	id      uint64 // chosen by its pipeline
	req     kindred.Request
	bytes   int
	node    *node
	line    *pipeline
	round   int
	at      time.Time    // when it was submitted
	replies chan<- reply // has room for every reply of the operation

	state      callState
	prev, next *call
}

// settle delivers the one reply of a call.
func (c *call) settle(r reply) { c.replies <- r }

// reply is what became of a call: an answer, or the reason why there is none
// and whether the node may have seen the call.
type reply struct {
	call   *call
	answer *kindred.Response
	err    error
	seen   bool
}

// callList is a queue from whose middle a caller that gives up can leave.
type callList struct{ head, tail *call }

func (l *callList) first() *call { return l.head }

func (l *callList) push(c *call) {
	c.prev, c.next = l.tail, nil
	if l.tail == nil {
		l.head = c
	} else {
		l.tail.next = c
	}
	l.tail = c
}

func (l *callList) remove(c *call) {
	if c.prev == nil {
		l.head = c.next
	} else {
		c.prev.next = c.next
	}
	if c.next == nil {
		l.tail = c.prev
	} else {
		c.next.prev = c.prev
	}
	c.prev, c.next = nil, nil
}
