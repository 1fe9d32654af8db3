//go:build !race

package antientropy

const raced = false
