// Package api is the client contract: the protobuf service kindred.v1 (folder
// kindred/v1), and the one place where its messages become the words of
// package kindred and back. The server and the Go client both use it, so that
// neither can understand a field differently from the other.
//
// # Words
//
// Parse turns a message into a word of package kindred; Format turns a word
// into a message. [ParsePut] and [FormatPut], [ParseResult] and [FormatResult]
// and so on are inverses, up to what a message carries: times are cut to the
// millisecond and timeouts rounded up to it, because the wire has no finer unit.
//
// # Invariants
//
//  1. Requests are hostile. ParseGet, ParsePut, ParseDelete, ParseCall,
//     ParseScan and ParseInspect return a request that passed [Check], or an
//     error that names the field, the limit and the fix. They never panic.
//  2. Answers may come from a newer server. A number this build has no word
//     for becomes the word that promises least: an unknown outcome stays
//     unknown (I10), an unknown stage is no stage.
//  3. An answer can always be encoded. Text that is not UTF-8 is repaired in
//     Format, because one bad string would end a whole pipeline.
//  4. Every field travels: the tests walk both sides by reflection and fail
//     for a field that nobody carries.
//
// # Errors
//
// A [kindred.Error] travels whole: as a message inside a pipeline result, among
// the details of the gRPC status otherwise. [Status] and [ErrorOf] are that
// pair. A status without such a detail comes from the road, not from a node,
// and leaves the outcome unknown.
//
// # What is not here
//
// No connections and no policy: package server and package client have those.
// HTTP has its own shapes, in package server.
//
// # Example
//
//	req, err := api.ParsePut(m) // m came over the wire
//	if err != nil {
//		return nil, api.Status(err).Err()
//	}
package api

//go:generate go run ./generate
