package server

// Routes is the table of the HTTP door: what each path answers to.
func (s *Server) Routes() map[string][]string {
	routes := map[string][]string{}
	for kind, verbs := range (&httpDoor{Server: s, metrics: s.http.Handler}).table() {
		for _, v := range verbs {
			routes[string(kind)] = append(routes[string(kind)], v.method)
		}
	}
	return routes
}

// GRPCAnswerBytes is what is counted for gRPC answers.
func (s *Server) GRPCAnswerBytes() int64 { return s.grpcAnswerBytes.Load() }

// AnswerBytes is what an answer without values counts.
const AnswerBytes = answerBytes

// NativeLinks is how many native links are open.
func (s *Server) NativeLinks() int { return s.links.count() }
