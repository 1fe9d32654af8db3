package membership

import "time"

// spread sends what is held to linked members: answers, and what they lack.
func (v *View) spread() {
	defer clear(v.answers)
	if v.doc.layout == nil {
		return
	}
	for _, name := range v.names() {
		m := v.members[name]
		if !m.linked || v.foreign(m) {
			continue
		}
		lacks := v.lacks(m)
		if !lacks {
			m.differs = time.Time{}
		} else if m.differs.IsZero() {
			m.differs = v.now
		}
		again, asked := v.answers[name]
		switch {
		case asked && (again || lacks):
			v.answer(m)
		case lacks && (!m.met || v.due(m)):
			v.send(m)
		}
		m.met = true
	}
}

// lacks reports whether a member holds something else than this node, and would want to
// know.
func (v *View) lacks(m *member) bool {
	mine := v.held()
	switch {
	case !mine.Formed:
		return v.doc.has(m.Name) && m.holds.Cluster != mine.Cluster
	case m.holds.Cluster == mine.Cluster:
		return !m.holds.Formed || m.holds.Hash != mine.Hash
	default:
		return !m.holds.Formed
	}
}

// due reports whether it is time to send what a member lacks. What this node has done
// itself it tells at once. What it was told others were told too, and gossip will show it
// before long: so a change does not make every node tell it to every other.
func (v *View) due(m *member) bool {
	held := v.held()
	switch {
	case m.sent == held && m.sentTo == m.holds:
		return v.now.Sub(m.sentAt) >= m.resend
	case v.voiced || !held.Formed:
		return true
	}
	return v.now.Sub(m.differs) >= ResendEvery && v.now.Sub(m.sentAt) >= ResendEvery
}

// answer sends the held document to a member that has sent its own, so that it learns the
// outcome even where gossip does not get through. Two peers that answer one another stop
// at once: nothing is sent twice within ResendEvery.
func (v *View) answer(m *member) {
	if m.sent != v.held() || v.now.Sub(m.sentAt) >= ResendEvery {
		v.send(m)
	}
}

// send queues the held document.
func (v *View) send(m *member) {
	held := v.held()
	if m.sent == held && m.sentTo == m.holds {
		m.resend = min(2*m.resend, ResendMax)
	} else {
		m.resend = ResendEvery
	}
	m.sent, m.sentTo, m.sentAt = held, m.holds, v.now
	document := v.doc.encode
	if v.rec != nil {
		document = func() []byte { return v.rec.told }
	}
	v.sends = append(v.sends, Outgoing{To: m.Name, Document: document()})
}

// Differ tells a peer at once what this node holds: a request has shown that one of the
// two is behind.
func (v *View) Differ(now time.Time, peer string) Effects {
	v.now = now
	m := v.members[peer]
	if v.rec != nil && m != nil && m.linked && !v.foreign(m) && now.Sub(m.sentAt) >= DifferEvery {
		v.send(m)
	}
	return v.settle()
}
