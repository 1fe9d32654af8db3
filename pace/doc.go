// Package pace holds background work back where clients are served.
//
// A [Rate] says how much of some work is done in a second, and how much of it gives
// way to requests in progress. A [Meter] keeps to a rate: work is done first and
// paid for then, when it is known what it was, and no more is begun as long as what
// was done is ahead of the rate.
//
// It knows no clock and begins nothing: the owner gives the time, and asks.
//
// # Example
//
//	m := pace.NewMeter(pace.Rate{ItemsPerSecond: 1000, BytesPerSecond: 16 << 20, Busy: 128})
//	if m.Ahead(now) == 0 {
//		m.Charge(now, items, bytes, busy) // 100 small items: the next in 100 ms
//	}
package pace
