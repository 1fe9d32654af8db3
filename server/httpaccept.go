package server

import (
	"mime"
	"net/http"
	"strconv"
	"strings"
)

// form is how siblings are sent.
type form uint8

const (
	formNone form = iota
	formJSON
	formParts
)

// formOf is the form that a client would rather have: JSON unless it says
// otherwise.
func formOf(h http.Header) form {
	accept := strings.Join(h.Values("Accept"), ",")
	if strings.TrimSpace(accept) == "" {
		return formJSON
	}
	json, parts := preferenceFor(accept, "application/json"), preferenceFor(accept, "multipart/mixed")
	switch {
	case json.quality <= 0 && parts.quality <= 0:
		return formNone
	case json.quality > parts.quality, json.quality == parts.quality && json.precision >= parts.precision:
		return formJSON
	}
	return formParts
}

// preference is what a header Accept says of one media type: its most precise
// range counts.
type preference struct {
	quality   float64
	precision int
}

func preferenceFor(accept, mediaType string) preference {
	family, _, _ := strings.Cut(mediaType, "/")
	var best preference
	for one := range strings.SplitSeq(accept, ",") {
		name, params, err := mime.ParseMediaType(one)
		if err != nil {
			continue
		}
		p := preference{quality: 1}
		switch name {
		case mediaType:
			p.precision = 3
		case family + "/*":
			p.precision = 2
		case "*/*":
			p.precision = 1
		default:
			continue
		}
		if q, given := params["q"]; given {
			if p.quality, err = strconv.ParseFloat(q, 64); err != nil {
				p.quality = 0
			}
		}
		if p.precision > best.precision {
			best = p
		}
	}
	return best
}
