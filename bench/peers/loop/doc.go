// Package loop asks one question over and over, from callers that do not know one
// another, and keeps how long every answer took.
//
// A closed loop has callers that ask again when they are answered: what can be done
// at most. An open loop asks at moments that do not depend on the answers, and
// counts from the moment at which an operation was meant to begin.
//
// Percentiles are exact: every latency is kept until the end.
package loop
