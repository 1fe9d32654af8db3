package ring

import (
	"encoding/hex"
	"fmt"
)

// LimitError is a number out of its range.
type LimitError struct {
	Field    string // what was out of range: "partitions", "replicas", "nodes", …
	Got      uint64
	Min, Max uint64
	Fix      string
}

func (e *LimitError) Error() string {
	return fmt.Sprintf("ring: %s is %d, allowed are %d to %d: %s", e.Field, e.Got, e.Min, e.Max, e.Fix)
}

// NodeError is a node that a layout cannot hold.
type NodeError struct {
	Name   string
	Reason string
	Fix    string
}

func (e *NodeError) Error() string {
	return fmt.Sprintf("ring: node %q %s: %s", e.Name, e.Reason, e.Fix)
}

// MergeError is an attempt to merge layouts of different clusters, or layouts
// that cut the key space differently, which no two layouts of one cluster do.
type MergeError struct {
	Field string // "cluster id", "partitions" or "replicas"
	A, B  string
}

func (e *MergeError) Error() string {
	return fmt.Sprintf("ring: layouts with %s %s and %s do not belong to one cluster: join nodes of one cluster only", e.Field, e.A, e.B)
}

// FormatError is an encoding in a format this program does not know.
type FormatError struct{ Format byte }

func (e *FormatError) Error() string {
	return fmt.Sprintf("ring: layout format %d is unknown, this program reads format %d: upgrade it", e.Format, format)
}

// DecodeError is bytes that are no layout.
type DecodeError struct {
	Offset int // where reading stopped
	Field  string
	Reason string
}

func (e *DecodeError) Error() string {
	return fmt.Sprintf("ring: malformed layout: %s at byte %d: %s", e.Field, e.Offset, e.Reason)
}

func clusterText(id [16]byte) string { return hex.EncodeToString(id[:]) }
