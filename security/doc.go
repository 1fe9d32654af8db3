// Package security says who is who: it loads the certificates, tokens and
// gossip keys of a node, notices when their files change, and makes of them what
// the edges of the process need to let in those who belong and nobody else.
//
// # Words
//
//   - An authority (CA) signs certificates. One authority is one cluster: whoever
//     holds a certificate of it may read and write.
//   - A node certificate carries the URI kindred://node/NAME. Only its holder may
//     be the node NAME towards other nodes.
//   - A client certificate is one of the same authority without such a URI. It
//     never opens a link between nodes.
//   - A token stands in for a client certificate. Nodes know its SHA-256 only.
//   - A gossip key encrypts what nodes tell one another by UDP and TCP about who
//     is there. Of several, the first encrypts and all decrypt.
//
// # Invariants
//
//   - S1 Closed by default. With certificates, a caller without a certificate of
//     the authority and without a known token gets nothing; a token or a gossip
//     key that is not in the files opens nothing.
//   - S2 A name is proven. Both ends of a link between nodes check that the
//     certificate of the other carries the very name that it goes by ([Keeper.PeerDialer],
//     [PeerName]).
//   - S3 TLS 1.3 only.
//   - S4 All or nothing. Files are taken over together, when every one of them is
//     good, and whole: what cannot be read, does not fit together or has expired
//     is reported, and what was in force stays in force.
//   - S5 No early answer. Tokens are compared by their hashes, in constant time
//     and against every known one.
//   - S6 What is taken away ends. [Keeper.Generation] moves with every change, so
//     that doors can ask again about those who came in before it.
//
// # What it does not do
//
// It knows no rights: who is let in may read and write everything. It keeps no
// list of revoked certificates; see docs/security.md for how to revoke one. It does
// not encrypt what is on the disk.
//
// # Example
//
//	keeper, err := security.Open(security.Files{Cert: "n1.pem", Key: "n1.key", CA: "ca.pem"}, "n1")
//	listener = tls.NewListener(listener, keeper.Server("h2"))
//	conn := tls.Client(raw, keeper.PeerDialer("n2"))
package security
