package replica

import (
	"fmt"
	"testing"

	"github.com/kindredkv/kindred/storage"
	"github.com/kindredkv/kindred/vclock"
	"github.com/kindredkv/kindred/wire"
)

// BenchmarkPut is the step of a put at its coordinator: an object opened, a
// version replaced, object and log row written into a batch. The hash tree's part
// of it is two hashes and eight bytes.
func BenchmarkPut(b *testing.B) {
	for _, size := range []int{100, 10_000} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			r := New(here, vclock.Actor{Disk: 1, Nonce: 1}, NewRecent(1))
			rec := wire.Record{Node: "n1", ContentType: "text/plain", Value: make([]byte, size)}
			var object wire.Object
			var rows storage.Batch
			b.ReportAllocs()
			for b.Loop() {
				rows.Reset()
				k := r.Open("carts", "customer-0000001", object)
				k.Write(k.object.Seen(), rec, &rows)
				k.Save(&rows)
				object = k.object
			}
		})
	}
}
