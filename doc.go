// Package kindred holds the words that every part of Kindred shares: the
// request and response of one operation, quorums, durabilities, outcomes,
// stages, limits and the one public error type.
//
// Kindred is a Dynamo-style, eventually consistent key-value store. A program
// that uses it wants package client; a program that runs it wants package node
// or the binary cmd/kvnode. Both speak in the types of this package, so that
// the same words travel through the Go client, gRPC and HTTP.
//
// # What is here
//
//   - [Request] and [Response]: one operation on one key, as a node sees it.
//   - [Count] and [Quorum]: how many replicas must answer, as asked for and as
//     resolved against the replicas that exist.
//   - [Durability]: what "held" means on each of those replicas.
//   - [Outcome]: what is known after a failure (I10).
//   - [Stage]: how far a write has travelled.
//   - [Error]: the one error that crosses process borders.
//   - the limits of the public contract; anything beyond them is refused with
//     the field, the limit and the fix, and nothing is applied.
//
// # What is not here
//
// No behaviour beyond checking and naming: causality lives in vclock,
// placement in ring, decisions in replica and core.
package kindred
