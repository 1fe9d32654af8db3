package report

import (
	"fmt"
	"html/template"
	"strings"
	"time"
)

// RestFigure is how the cluster came to rest: a curve from the end of all faults on.
func (r *Run) RestFigure() template.HTML {
	var after []Sample
	for _, s := range r.Samples {
		if s.At >= r.Rest.Begin-time.Second {
			after = append(after, s)
		}
	}
	if len(after) < 2 {
		return ""
	}
	end := r.Rest.Begin + r.Rest.Took
	zoom := *r
	zoom.Faults, zoom.Held, zoom.Samples, zoom.Worked = nil, nil, nil, r.Rest.Begin
	for _, s := range after {
		if s.At <= end+time.Second {
			zoom.Samples = append(zoom.Samples, s)
		}
	}
	p := &picture{run: &zoom, from: max(0, r.Rest.Begin-time.Second), to: end + time.Second, y: 0}
	p.replicas()
	for _, mark := range []struct {
		at   time.Duration
		text string
	}{{r.Rest.Begin, "last operation"}, {end, "at rest"}} {
		p.put(`<path class="mark" d="M%s %sV%s"/>`, num(p.x(mark.at)), num(gap), num(p.y))
		p.text("ml", p.x(mark.at)+5, gap+lowHigh-8, mark.text)
		if r.Rest.Problem != "" {
			break
		}
	}
	p.axis()
	return template.HTML(fmt.Sprintf(`<svg class="rest" viewBox="0 0 %s %s" width="%s" height="%s" role="img" aria-label="How the cluster came to rest">`,
		num(wide), num(p.y), num(wide), num(p.y)) + "\n" + strings.TrimRight(p.String(), "\n") + "\n</svg>")
}
