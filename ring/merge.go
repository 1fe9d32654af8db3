package ring

import (
	"bytes"
	"strconv"
)

// Merge joins what two nodes know of the layout: the greater version wins, that
// is, the higher counter, and among rivals with one counter the greater hash.
// Either argument may be the result. Merge is commutative, associative and
// idempotent, so layouts may reach nodes in any order and any number of times.
//
// The decision that loses is gone. That is right for layouts, which are whole
// decisions: a mixture of two is one that nobody took. See Version.Rivals.
//
// Error: *MergeError, when the layouts are not of one cluster.
func Merge(a, b *Layout) (*Layout, error) {
	if err := sameCluster(a, b); err != nil {
		return nil, err
	}
	order := a.version.Compare(b.version)
	if order == 0 && a != b {
		// Equal but for a collision of hashes, which must not make two nodes
		// choose differently.
		order = bytes.Compare(a.AppendTo(nil), b.AppendTo(nil))
	}
	if order < 0 {
		return b, nil
	}
	return a, nil
}

func sameCluster(a, b *Layout) error {
	switch {
	case a.cluster != b.cluster:
		return &MergeError{Field: "cluster id", A: clusterText(a.cluster), B: clusterText(b.cluster)}
	case a.bits != b.bits:
		return &MergeError{Field: "partitions", A: strconv.Itoa(a.Partitions()), B: strconv.Itoa(b.Partitions())}
	case a.replicas != b.replicas:
		return &MergeError{Field: "replicas", A: strconv.Itoa(a.replicas), B: strconv.Itoa(b.replicas)}
	}
	return nil
}
