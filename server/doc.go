// Package server is the edge of a node toward its clients: gRPC and HTTP over
// one small interface, [Backend]. It translates, limits, counts and drains; it
// decides nothing about keys.
//
// # Words
//
//   - door: one way in. gRPC is for programs, HTTP for people and scripts.
//   - call: one operation between the moment it was let in and its answer.
//   - pipeline: many calls over one gRPC stream or native link, answered in any
//     order.
//   - link: a connection of the Go client (package native), at the door of gRPC.
//   - drain: to let what runs finish while nothing new is let in.
//
// # Invariants
//
//  1. A request that breaks a limit of the public contract never reaches the
//     backend; its answer names the field, the limit and the fix.
//  2. Every call that the backend started is answered once to its client, if
//     the client still listens. A refusal before the backend was asked says
//     not applied; silence of the backend after that says unknown (I10).
//  3. Whatever a client can make grow has a limit in [Config]: connections,
//     streams, calls per stream, calls in all, unsent answers, bodies, headers,
//     waiting times. A client that stops reading holds up its own stream and
//     nothing else.
//  4. The pipeline path starts no goroutine and no timer per call. Answers that
//     arrive while a message is being sent leave together in the next one.
//  5. A drain loses no answer that arrives before its context ends.
//
// # HTTP
//
//	GET|HEAD|PUT|DELETE /v1/buckets/{bucket}/keys/{key}
//	GET                 /v1/buckets/{bucket}/keys
//	GET                 /v1/buckets/{bucket}/keys/{key}/stage
//	GET                 /v1/buckets/{bucket}/keys/{key}/replicas
//	POST                /v1/buckets/{bucket}/keys/{key}/repair
//	GET                 /v1/openapi.yaml (docs/openapi.yaml)
//	GET|POST|DELETE     /v1/cluster/changes
//	GET                 /v1/cluster/plan
//	POST                /v1/cluster/commit
//	GET                 /v1/cluster /v1/local /v1/local/replicas
//	GET                 /healthz /readyz /metrics
//	POST                /v1/local/repair
//	GET|PUT|DELETE      /v1/local/faults
//
// Bucket and key are percent-encoded, a slash as %2F; a key is any bytes.
// Query parameters of a key: r, w, pr, pw (a number, one, quorum, all),
// durability (memory, batch, sync), timeout (a Go duration), one (true, false),
// sloppy (true, false: whether guests count). All are checked; those that do not
// concern the method have no further effect. A put may have one of ttl (a Go
// duration) and expires_at (RFC 3339); elsewhere they are refused. A write may wait
// for a stage (wait) in what is left of its time: it is a 204 in any case, whose
// Kindred-Stage says how far the write is. Anything else is refused by name, and
// so are headers that begin with Kindred- and are none of ours.
//
// Request headers: Content-Type, Kindred-Context (base64url), Kindred-Request-Id
// (32 hexadecimal digits). A write answers 204 with Kindred-Context,
// Kindred-Receipt (the dot), Kindred-Stage, Kindred-Durability,
// Kindred-Acked, and Kindred-Expires-At if what it put expires; a read has Kindred-Replied. Both say in Kindred-Quorum whether
// the quorum was strict or sloppy, and in Kindred-Guests which of those nodes are
// no home replicas. A read of one value answers 200 with its bytes, and with
// Kindred-Expires-At (RFC 3339) if it expires; of siblings 300 with
//
//	{"context":"base64url","siblings":[{"value":"base64","dot":"…",
//	  "content_type":"…","written_at":"RFC 3339","node":"…","causes":["…"],
//	  "expires_at":"RFC 3339","deleted":false}]}
//
// where expires_at is left out for a value that stays; of none 404 without a body. Who accepts
// multipart/mixed rather than JSON gets siblings as parts, with Kindred-Dot,
// Kindred-Node, Kindred-Written-At, Kindred-Causes and Kindred-Expires-At. ETag
// names the set of siblings, whatever its form: with If-None-Match an unchanged
// one is a 304, which has the context too. With one=true siblings are a 409 whose document
// also has an error, of code "siblings". Failures have one shape,
//
//	{"error":{"code":"…","message":"…","field":"…","limit":0,
//	  "outcome":"not_applied|unknown","dot":"…"}}
//
// with these statuses:
//
//	400 invalid, bad_context        413 too_large
//	404 no such path                405 no such method, with Allow
//	406 not_acceptable              415 unsupported_encoding
//	409 too_many_siblings, unsafe   503 not applied, with Retry-After
//	500 internal and not applied    504 outcome unknown
//
// A page of keys (query parameters prefix, cursor, limit, conflicts=only,
// timeout), with key_base64 for a key that is not UTF-8 and an empty cursor at
// the end:
//
//	{"keys":[{"key":"…","siblings":1},{"key_base64":"…","siblings":2}],"cursor":"base64url"}
//
// The stage of a write (query parameters dot, wait, timeout): how far the write
// that a receipt names has come for certain. With wait=propagated, settled or
// audited the answer comes when that is reached, or when the timeout ends: 200 if
// it is reached, 202 if not. The stage, also in Kindred-Stage, is empty if the
// replica that answered knows nothing of the write, and may fall back after a
// restart, which forgets what others had said; it is never claimed early.
//
//	{"dot":"…","stage":"propagated","wanted":"settled","reached":false}
//
// /v1/cluster and /v1/local, what this node knows (layout in base64):
//
//	{"node":"n1","cluster_id":"…","layout":"","layout_version":"…","partitions":64,
//	 "replicas":3,"members":[{"name":"n1","zone":"z1","capacity":100,"state":"alive",
//	 "client":"host:port","peer":"…","gossip":"…","http":"…","linked":true,
//	 "partitions":38}],"problems":[]}
//	{"node":"n1","version":"…","started":"RFC 3339","ready":true,"reason":"",
//	 "partitions":38,"shards":2,"disk_bytes":0,"disk_free_bytes":0,"replication":{…}}
//
// Changes of the layout are staged at /v1/cluster/changes (POST, as in
// {"changes":[{"node":"n4","intent":"own","zone":"z1","capacity":1}]}, where intent is
// own, leave, remove or keep; DELETE takes all back), looked at with GET
// /v1/cluster/plan, and proposed with POST /v1/cluster/commit (query parameters version,
// that of the plan; accept_loss). GET /v1/cluster/changes shows what is staged, how far
// a change is, and what changes there were; their documents are those of package api.
//
// Replication is about the replicas that the node is a home of. A replica may be
// counted several times: it can be trusted and behind. If unknown is not empty,
// it says why a part of the node did not answer, and the rest is not the whole
// truth. Write events are counted as dots.
//
//	unknown, at                      why this is incomplete; when it was put together
//	replicas, trusted, catching_up   those that count toward reads, and those that do not yet
//	waits_for                        the homes that they have to catch up with
//	rebuilding, rebuild_left_seconds copied anew from another home; an estimate, 0 if unknown
//	damaged                          do not speak for what their disk has lost
//	behind, behind_since, lag_dots   lack write events that other homes are known to hold
//	unserved_dots                    of those, what is in no log any more
//	settled, unsettled_dots          know that all they hold is everywhere; what the others hold
//	audited, unaudited_dots          confirmed by an audit; what is not
//	auditing, audits_wanted          looked through now; waiting for it
//	audits_incomplete, audit_problem could not be compared with every home, and why
//	audits_failing_since             of these, since when it is tried in vain
//	audit_oldest                     when the replica was audited that was audited longest ago
//	heard                            when the home was heard of that has been silent longest
//	missing_dots, missing_since      of dead incarnations, not delivered and not closed yet
//	log_rows                         the length of all dot logs
//	hints.hints, bytes               kept for homes that could not be reached
//	hints.hints_max, bytes_max       beyond these new ones are refused
//	hints.debts                      [{"target":"n3","hints":2,"bytes":64,"oldest":"…"}]
//	repairs.…                        what was done since the start, by kindred.Repairs
//
// /v1/local/replicas shows the same for each replica by itself. POST
// /v1/local/repair (query parameter partition) asks for an exchange and an audit
// of all replicas of the node, or of one, at once; the answer, a 202 with
// {"replicas":38}, comes before they are done.
//
// /v1/local/faults, what is made to go wrong between this node and its peers, for
// tests; 403 unless the node was started to take such orders. PUT replaces it,
// DELETE ends it, and each answers with what is then in force:
//
//	{"cuts":[{"peer":"n3","gossip":"127.0.0.1:7422","no_send":true,"no_receive":true}],
//	 "delay":"50ms","clock":"0s"}
//
// Gossip, the peer's gossip address, may be left out if the node knows it. An
// unknown field is an error.
//
// /healthz is 200 while the process answers; /readyz is 200 with {"ready":true,
// "reason":""} while the node serves its share, else 503 with the reason.
//
// # gRPC
//
// At the same door native links are served, unless Config.GRPCOnly: they are
// pipelines that travel in frames, with all that bounds and ends a pipeline.
//
// The services of api/kindred/v1, the standard health service ("" is the
// process, kindred.v1.KV is readiness) and reflection.
//
// # What is not here
//
// Who may come in is for package security to say; no retries, no routing:
// the backend forwards.
//
// # Example
//
//	s, err := server.New(server.Config{Backend: node, Gatherer: registry, Registerer: registry})
//	go s.ServeGRPC(clientListener)
//	go s.ServeHTTP(httpListener)
//	…
//	err = s.Shutdown(ctx)
package server
