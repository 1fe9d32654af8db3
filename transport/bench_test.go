package transport_test

import (
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred/transport"
)

// BenchmarkEcho sends a 200-byte request and its answer through two transports
// with 64 outstanding, and reports the processor time of both sides together.
func BenchmarkEcho(b *testing.B) { benchmarkEcho(b, 64, plain, plain) }

// BenchmarkEchoOne has one request outstanding: the latency of the path.
func BenchmarkEchoOne(b *testing.B) { benchmarkEcho(b, 1, plain, plain) }

// BenchmarkEchoTLS and BenchmarkEchoOneTLS are the same with certificates.
func BenchmarkEchoTLS(b *testing.B) { benchmarkEchoTLS(b, 64) }

func BenchmarkEchoOneTLS(b *testing.B) { benchmarkEchoTLS(b, 1) }

func benchmarkEchoTLS(b *testing.B, outstanding int) {
	kit, _ := kitOf(b)
	_, asN1 := as(b, kit, "n1")
	_, asN2 := as(b, kit, "n2")
	benchmarkEcho(b, outstanding, asN1, asN2)
}

// plain is a transport without certificates.
func plain(*transport.Config) {}

func benchmarkEcho(b *testing.B, outstanding int, asOne, asTwo func(*transport.Config)) {
	var one, two *transport.Transport
	var left atomic.Int64
	done := make(chan struct{})
	msg := make([]byte, 200)
	one = listen(b, "n1", func(_ string, batch transport.Batch) {
		for m := range batch.All() {
			switch n := left.Add(-1); {
			case n >= int64(outstanding):
				one.Send("n2", m)
			case n == 0:
				close(done)
			}
		}
	}, asOne)
	two = listen(b, "n2", func(_ string, batch transport.Batch) {
		for m := range batch.All() {
			two.Send("n1", m)
		}
	}, asTwo)
	meet(b, one, two)
	left.Store(int64(max(b.N, outstanding)))
	b.ReportAllocs()
	b.ResetTimer()
	before := cpuMicros()
	for range outstanding {
		require.NoError(b, one.Send("n2", msg))
	}
	<-done
	b.ReportMetric(float64(cpuMicros()-before)/float64(b.N), "cpu-µs/op")
	s := statsOf(one, "n2")
	b.ReportMetric(float64(s.Messages)/float64(s.Frames), "msgs/frame")
}

func cpuMicros() int64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return (u.Utime.Sec+u.Stime.Sec)*1_000_000 + int64(u.Utime.Usec+u.Stime.Usec)
}

// BenchmarkEchoCallers has 64 goroutines that each wait for their answer: the
// scheduler spreads them out, so frames hold what really comes together.
func BenchmarkEchoCallers(b *testing.B) {
	const callers = 64
	var one, two *transport.Transport
	var answered [callers]chan struct{}
	for i := range answered {
		answered[i] = make(chan struct{}, 1)
	}
	one = listen(b, "n1", func(_ string, batch transport.Batch) {
		for m := range batch.All() {
			answered[m[0]] <- struct{}{}
		}
	})
	two = listen(b, "n2", func(_ string, batch transport.Batch) {
		for m := range batch.All() {
			two.Send("n1", m)
		}
	})
	meet(b, one, two)
	var left atomic.Int64
	left.Store(int64(b.N))
	b.ReportAllocs()
	b.ResetTimer()
	before := cpuMicros()
	var all sync.WaitGroup
	for i := range callers {
		all.Go(func() {
			msg := make([]byte, 200)
			msg[0] = byte(i)
			for left.Add(-1) >= 0 {
				one.Send("n2", msg)
				<-answered[i]
			}
		})
	}
	all.Wait()
	b.ReportMetric(float64(cpuMicros()-before)/float64(b.N), "cpu-µs/op")
	s := statsOf(one, "n2")
	b.ReportMetric(float64(s.Messages)/float64(s.Frames), "msgs/frame")
}
