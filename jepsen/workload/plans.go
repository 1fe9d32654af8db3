package workload

import "github.com/kindredkv/kindred/jepsen/history"

// planSet is W1.
func planSet(c *Client) Intent {
	c.wander()
	if c.last.Kind != history.Get || c.view.key == "" || len(c.view.set) >= c.cfg.SetElements {
		return c.get(c.anyKey())
	}
	i := c.put(c.view)
	i.set = union(c.view.set, []history.WriteID{i.Write})
	i.Value = Value(i.Write, i.set)
	return i
}

// planBlind is W2. Without merging, siblings would pile up to the limit at
// which blind puts are refused, and nothing would be tested after that.
func planBlind(c *Client) Intent {
	c.wander()
	switch {
	case c.last.Kind == history.Get && c.view.live >= SiblingsHigh:
		return c.put(c.view)
	case c.oneIn(4):
		return c.get(c.anyKey())
	}
	return c.put(view{key: c.anyKey()})
}

// planRegister is W3.
func planRegister(c *Client) Intent {
	c.wander()
	switch {
	case c.view.key == "" || c.oneIn(4):
		return c.get(c.anyKey())
	case c.old.key != "" && c.oneIn(8):
		return c.put(c.old)
	}
	return c.put(c.view)
}

// planRecreate is W4. Its deletes always have a context: what one without would
// delete is for the store to say, and nobody could check it.
func planRecreate(c *Client) Intent {
	c.wander()
	switch {
	case c.view.key == "" || c.oneIn(8):
		return c.get(c.anyKey())
	case len(c.old.context) > 0 && c.oneIn(8):
		return c.del(c.old)
	case c.view.live > 0 && len(c.view.context) > 0:
		return c.del(c.view)
	case c.oneIn(2):
		return c.put(view{key: c.view.key}) // as somebody does who never read
	}
	return c.put(c.view)
}

// planSessions is W5.
func planSessions(c *Client) Intent {
	c.node = (c.node + 1) % c.cfg.Nodes
	switch {
	case c.last.Kind == history.Get && c.view.key != "":
		return c.put(c.view)
	case c.last.IsWrite() && !c.oneIn(8):
		return c.get(c.last.Key)
	}
	return c.get(c.anyKey())
}

// IsWrite reports whether the intent is a put or a delete.
func (i Intent) IsWrite() bool { return i.Kind == history.Put || i.Kind == history.Delete }

func (c *Client) oneIn(n int) bool { return c.rng.IntN(n) == 0 }

func (c *Client) anyKey() string { return c.cfg.Key(c.cfg.First + c.rng.IntN(c.cfg.Keys)) }

// wander goes to another node now and then.
func (c *Client) wander() {
	if c.oneIn(16) {
		c.node = c.rng.IntN(c.cfg.Nodes)
	}
}

func (c *Client) get(key string) Intent {
	return Intent{Kind: history.Get, Bucket: c.cfg.Bucket, Key: key, Node: c.node}
}

func (c *Client) put(v view) Intent {
	i := c.write(history.Put, v)
	i.Value = Value(i.Write, nil)
	return i
}

func (c *Client) del(v view) Intent { return c.write(history.Delete, v) }

// write makes a write with the context of v. Its id is the client's number and
// the number of its write.
func (c *Client) write(kind history.Kind, v view) Intent {
	c.writes++
	return Intent{
		Kind: kind, Bucket: c.cfg.Bucket, Key: v.key, Node: c.node,
		Write:   history.WriteID(uint64(c.number+1)<<32 | c.writes),
		Context: v.context, Seen: v.seen,
	}
}
