// Package table turns measurements into ratios and says which bars they clear. It
// measures nothing: it has no clock, no process and no network.
//
// A sample is one question, asked for a while in one round. A bar divides a sum of
// samples by another within each round, and takes the median of the rounds: what
// burdens the machine for a minute burdens both sides. A round that lacks a sample
// has no ratio; a bar without any ratio is not measured, which is neither cleared
// nor missed.
package table
