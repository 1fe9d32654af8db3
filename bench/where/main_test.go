package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const seen = `kvnode 
	          7d2f60 github.com/cockroachdb/pebble/v2/internal/arenaskl.(*Skiplist).findSpliceForLevel
	          8d0000 github.com/kindredkv/kindred/storage/pebblestore.(*Store).Apply
	          9d0000 github.com/kindredkv/kindred/node.(*worker).round

kvnode 
	          41a6c0 runtime.mallocgc
	          a8c2e0 github.com/kindredkv/kindred/core.(*Shard).Message
	          9d0000 github.com/kindredkv/kindred/node.(*worker).round

kvnode 
	ffffffff81c0 tcp_sendmsg
	ffffffff81c1 do_syscall_64
	          b00000 google.golang.org/grpc/internal/transport.(*loopyWriter).run

kvnode 
	ffffffff81c2 futex_wait
	ffffffff81c1 do_syscall_64
	          441000 runtime.stopm
	          441001 runtime.findRunnable

kvcli 
	          b00000 google.golang.org/grpc/internal/transport.(*http2Client).reader
`

func TestEachSampleIsOnOneFloor(t *testing.T) {
	var out strings.Builder
	require.NoError(t, run(strings.NewReader(seen), &out))
	require.Equal(t, `kvnode   core          20.0 %   of it system calls  0.0, allocating 20.0
kvnode   scheduler     20.0 %   of it system calls 20.0, allocating  0.0
kvnode   server        20.0 %   of it system calls 20.0, allocating  0.0
kvnode   storage       20.0 %   of it system calls  0.0, allocating  0.0
kvcli    client        20.0 %   of it system calls  0.0, allocating  0.0
`, out.String())
}

func TestWhatIsNotOfPerfIsRefused(t *testing.T) {
	require.ErrorContains(t, run(strings.NewReader(""), nil), "no samples")
	require.ErrorContains(t, run(strings.NewReader("\t1 main.main\n"), nil), "line 1 is a frame of no sample")
}
