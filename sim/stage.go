package sim

import (
	"time"

	"github.com/kindredkv/kindred"
)

// askStage asks some node, now and then, how far an acknowledged write has come.
func (o *oracle) askStage(w *write) {
	r := o.run
	draw := r.draw(0x57A6E, w.dot.Counter)
	n := r.asked(draw.with(1).below(len(r.nodes)))
	if !draw.happens(0.05) || !n.up || !r.occurs(IncidentStage) {
		return
	}
	ask := &kindred.Request{
		Op: kindred.OpStage, Bucket: bucket, Key: w.key, Dot: w.dot.String(), Timeout: 5 * time.Second,
		Stage: kindred.Propagated + kindred.Stage(draw.with(2).below(2)),
	}
	r.tokens++
	token := r.tokens
	n.act(func() { n.request(token, ask, func(resp *kindred.Response) { o.judgeStage(w, resp) }) })
}

// judgeStage demands that no stage is claimed early.
func (o *oracle) judgeStage(w *write, resp *kindred.Response) {
	stage := resp.Receipt.Stage
	if resp.Err != nil || stage < kindred.Propagated || !o.run.resting(w.ackedAt) {
		return
	}
	o.demandCommon(nil, "a node calls propagated", w.dot)
	o.run.hits.add(StagePropagated)
	if stage < kindred.Settled {
		return
	}
	o.run.hits.add(StageSettled)
	// Who answers knows it of itself without having told anybody.
	if homes := len(o.run.homes(w.key)); w.settled.len() < homes-1 {
		o.find("stage", "%v is called settled, and %d of %d homes have said that every home holds it", w.dot, w.settled.len(), homes)
	}
}
