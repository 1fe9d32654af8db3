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

// OwnAnswerBytes is what a connection, or a stream, holds without asking.
const OwnAnswerBytes = ownAnswerBytes
