package core

import (
	"time"

	"github.com/kindredkv/kindred"
)

// Init makes the first layout now, of this node and of all members that it sees and
// can send to, however many are expected. It is refused where there is a layout.
func (c *Control) Init(now time.Time) *kindred.Error {
	effects, err := c.view.Init(now)
	if err != nil {
		return &kindred.Error{Code: kindred.CodeInvalid, Outcome: kindred.NotApplied, Message: err.Error()}
	}
	c.add(effects)
	return nil
}
