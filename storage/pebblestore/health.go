package pebblestore

import (
	"fmt"
	"sync/atomic"

	"github.com/kindredkv/kindred/storage"
)

// health knows whether the store still takes writes. It starts well and can only
// fail, once.
type health struct {
	dir     string
	failure atomic.Pointer[storage.FailedError]
	// opening is set while Open runs, which returns the failure itself.
	opening atomic.Bool
	tell    func(*storage.FailedError)
}

// failed returns the failure as an error, nil while there is none.
func (h *health) failed() error {
	if failure := h.failure.Load(); failure != nil {
		return failure
	}
	return nil
}

// fail ends the store because of cause, unless it has ended already, and returns
// the failure that counts, which is the first.
func (h *health) fail(cause error) error {
	failure := &storage.FailedError{Dir: h.dir, Cause: cause}
	if h.failure.CompareAndSwap(nil, failure) && !h.opening.Load() {
		h.tell(failure)
	}
	return h.failure.Load()
}

// asError makes a recovered panic, or any other thing, an error.
func asError(thing any) error {
	if err, ok := thing.(error); ok {
		return err
	}
	return fmt.Errorf("%v", thing)
}
