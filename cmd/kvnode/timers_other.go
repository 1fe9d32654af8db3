//go:build !linux

package main

// coarseTimers is for Linux, whose threads have a timer slack.
func coarseTimers() {}
