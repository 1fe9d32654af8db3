package client

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/api"
	kindredv1 "github.com/kindredkv/kindred/api/kindred/v1"
)

// stagePause keeps questions apart if a node does not take the time that it may.
const stagePause = 100 * time.Millisecond

// Wait returns when the write has travelled as far as asked: Propagated is in the
// durable store of every home replica, Settled is known by every home to be so,
// Audited was confirmed by an audit after that. Until then, and at most until ctx
// ends ([TimeoutDefault] if it has no deadline), it asks; a stage is never claimed
// early. An error is a *[StageError]: the write is done all the same.
//
// A home that is down or cut off holds up Propagated and Settled until it is back.
func (r *Receipt) Wait(ctx context.Context, stage kindred.Stage, opts ...CallOption) error {
	if r.Stage >= stage {
		return nil
	}
	if r.bucket == nil {
		return &StageError{Dot: r.Dot, Want: stage, Reached: r.Stage, Err: errors.New("the receipt is not from a client: use Bucket.Wait")}
	}
	_, err := r.bucket.Wait(ctx, r.key, r.Dot, stage, opts...)
	return err
}

// StageError is a write that is done and has not travelled as far as somebody
// waited for.
type StageError struct {
	Bucket, Key, Dot string
	Want, Reached    kindred.Stage
	// Err says what ended the wait.
	Err error
}

// Error implements error.
func (e *StageError) Error() string {
	reached := e.Reached.String()
	if e.Reached == kindred.StageNone {
		reached = "of no known stage"
	}
	return fmt.Sprintf("kindred: the write %s of %s/%s is %s, not %s: %v", e.Dot, e.Bucket, printable(e.Key), reached, e.Want, e.Err)
}

// Unwrap lets errors.Is see what ended the wait, and [kindred.OutcomeOf] that the
// write is done.
func (e *StageError) Unwrap() []error {
	return []error{&kindred.Error{Code: kindred.CodeTimeout, Outcome: kindred.Applied, Dot: e.Dot, Message: "the stage was not reached in time"}, e.Err}
}

// Wait is [Receipt.Wait] for a write that is known by its dot. It returns the
// stage that is reached for certain; one below the stage asked for comes with a
// *[StageError]. StageNone asks what is known now.
func (b *Bucket) Wait(ctx context.Context, key, dot string, stage kindred.Stage, opts ...CallOption) (kindred.Stage, error) {
	req := b.request(kindred.OpStage, key, opts)
	req.Dot, req.Stage = dot, stage
	if err := api.Check(req); err != nil {
		return kindred.StageNone, &Error{Op: req.Op.String(), Bucket: b.name, Key: key, Err: err}
	}
	ctx, cancel := context.WithTimeout(ctx, b.c.timeout(ctx, req, time.Now()))
	defer cancel()
	best := kindred.StageNone
	for {
		reached, err := b.c.askStage(ctx, req)
		best = max(best, reached)
		switch {
		case err == nil && best >= stage:
			return best, nil
		case err == nil && ctx.Err() == nil:
			pauseFor(ctx, stagePause)
			continue
		case err == nil:
			err = ctx.Err()
		}
		if e := (*Error)(nil); errors.As(err, &e) && fault(e.Err.Code) {
			return best, err
		}
		return best, &StageError{Bucket: b.name, Key: key, Dot: dot, Want: stage, Reached: best, Err: err}
	}
}

// fault reports whether the question itself is wrong.
func fault(code kindred.Code) bool {
	return code == kindred.CodeInvalid || code == kindred.CodeTooLarge
}

// askStage puts the question to one node after another until one answers.
func (c *Client) askStage(ctx context.Context, req *kindred.Request) (reached kindred.Stage, err error) {
	err = c.visit(ctx, req, req.Op.String(), func(ctx context.Context, n *node, patience time.Duration) error {
		ctx, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		asked := *req
		asked.Timeout = patience - patience/answerMargin
		m, err := kindredv1.NewKVClient(n.connection()).Stage(ctx, api.FormatStage(&asked))
		if err == nil {
			reached = api.ParseStageResponse(m).Receipt.Stage
		}
		return err
	})
	return reached, err
}
