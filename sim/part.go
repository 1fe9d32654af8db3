package sim

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kindredkv/kindred/core"
)

// Part says how much a run keeps of what its seed draws. The zero Part keeps
// everything. A seed and a Part give the same run, event for event.
type Part struct {
	// End is when the storm ends, zero for when the seed says.
	End time.Duration
	// Nodes and Keys are how many there are, zero for as many as the seed says.
	Nodes, Keys int
	// Plain are the names of settings that are plain instead of drawn.
	Plain []string
	// Incidents are those that happen, nil for all. Clients are those that work, with
	// the numbers of their operations, nil for all; a client counts its operations
	// from 1, those that are left out too.
	Incidents map[Incident]Numbers
	Clients   map[int]Numbers
}

// plain makes one setting as it is for people, or as simple as it gets.
type plain struct {
	name string
	make func(*Config)
}

// plains are in the order in which they are tried: the greatest changes first.
var plains = []plain{
	{"limits", func(c *Config) {
		c.Limits = core.DefaultLimits()
		c.Limits.AuditEvery = 0 // as drawn
	}},
	{"shards", func(c *Config) { c.Shards = 1 }},
	{"partitions", func(c *Config) { c.Partitions = 4 }},
	{"steady", func(c *Config) { c.Steady = true }},
	{"rounds", func(c *Config) { c.EventsPerRound, c.Round = 1, 0 }},
	{"expiry", func(c *Config) { c.Expire, c.BucketTTL = 0, 0 }},
	{"siblings", func(c *Config) { c.LastWins = false }},
	{"network", func(c *Config) { c.Net.Delay, c.Net.Jitter, c.Net.Notice = time.Millisecond, 0, 0 }},
	{"disk", func(c *Config) { c.Disk.Read, c.Disk.Sync = 0, time.Millisecond }},
	{"skew", func(c *Config) { c.Skew = 0 }},
	{"retry", func(c *Config) { c.Retry = 0 }},
	{"again", func(c *Config) { c.Again = 0 }},
	{"foreign", func(c *Config) { c.Foreign = 0 }},
	{"large", func(c *Config) { c.Large = 0 }},
	{"flood", func(c *Config) { c.Flood = 0 }},
	{"byname", func(c *Config) { c.ByName = 0 }},
	{"mixed", func(c *Config) { c.Mixed = false }},
	{"reuse", func(c *Config) { c.Reuse = 0 }},
	{"zones", func(c *Config) { c.Zones = c.Nodes }},
	{"primary", func(c *Config) { c.PR, c.PW = 0, 0 }},
	{"bucket", func(c *Config) { c.Left, c.BucketTTL, c.ValueBytesMax = 0, 0, 0 }},
}

// Of is what a run keeps of a configuration.
func (p Part) Of(c Config) Config {
	if p.End > 0 {
		c.Storm = p.End
	}
	if p.Nodes > 0 {
		c.Nodes = max(p.Nodes, c.Replicas)
	}
	if p.Keys > 0 {
		c.Keys = p.Keys
	}
	for _, setting := range plains {
		if slices.Contains(p.Plain, setting.name) {
			setting.make(&c)
		}
	}
	c.part = &p
	return c
}

// keeps reports whether the incident of that number happens.
func (p *Part) keeps(i Incident, number uint64) bool {
	return p == nil || p.Incidents == nil || p.Incidents[i].has(number)
}

// does reports whether a client begins the operation of that number.
func (p *Part) does(client int, number uint64) bool {
	return p == nil || p.Clients == nil || p.Clients[client].has(number)
}

// with is a copy that can be changed.
func (p Part) with(change func(*Part)) Part {
	p.Plain = slices.Clone(p.Plain)
	p.Incidents, p.Clients = maps.Clone(p.Incidents), maps.Clone(p.Clients)
	change(&p)
	return p
}

// String is such as "end=812ms nodes=3 plain=limits,skew incidents=cut:3+7,kill
// clients=0:1-7+9,2". A kind or a client without numbers is all of it.
func (p Part) String() string {
	var words []string
	if p.End > 0 {
		words = append(words, "end="+p.End.String())
	}
	if p.Nodes > 0 {
		words = append(words, fmt.Sprintf("nodes=%d", p.Nodes))
	}
	if p.Keys > 0 {
		words = append(words, fmt.Sprintf("keys=%d", p.Keys))
	}
	if len(p.Plain) > 0 {
		words = append(words, "plain="+strings.Join(p.Plain, ","))
	}
	if p.Incidents != nil {
		words = append(words, "incidents="+listed(p.Incidents, func(i Incident) string { return incidentNames[i] }))
	}
	if p.Clients != nil {
		words = append(words, "clients="+listed(p.Clients, strconv.Itoa))
	}
	return strings.Join(words, " ")
}

// nothing stands for an empty list.
const nothing = "none"

func listed[K Incident | int](m map[K]Numbers, name func(K) string) string {
	var items []string
	for _, k := range sortedKeys(m) {
		switch n := m[k]; {
		case len(n) == 0:
		case n.isAll():
			items = append(items, name(k))
		default:
			items = append(items, name(k)+":"+n.String())
		}
	}
	if len(items) == 0 {
		return nothing
	}
	return strings.Join(items, ",")
}

// ParsePart reads the text of a Part.
func ParsePart(text string) (p Part, err error) {
	for word := range strings.FieldsSeq(text) {
		name, value, _ := strings.Cut(word, "=")
		switch name {
		case "end":
			p.End, err = time.ParseDuration(value)
		case "nodes":
			p.Nodes, err = strconv.Atoi(value)
		case "keys":
			p.Keys, err = strconv.Atoi(value)
		case "plain":
			p.Plain, err = parsePlain(value)
		case "incidents":
			p.Incidents, err = parseListed(value, func(name string) (Incident, error) {
				if i := slices.Index(incidentNames[:], name); i >= 0 {
					return Incident(i), nil
				}
				return 0, fmt.Errorf("%q is no incident: use some of %v", name, incidentNames)
			})
		case "clients":
			p.Clients, err = parseListed(value, strconv.Atoi)
		default:
			err = fmt.Errorf("there is no %q: use end, nodes, keys, plain, incidents, clients", name)
		}
		if err != nil {
			return Part{}, fmt.Errorf("part %q: %w", word, err)
		}
	}
	return p, p.check()
}

func (p Part) check() error {
	if p.End < 0 || p.Keys < 0 || p.Nodes < 0 || p.Nodes > 0 && p.Nodes < replicasLeast {
		return fmt.Errorf("part %q: end and keys are not negative, and %d nodes are needed", p, replicasLeast)
	}
	return nil
}

func parsePlain(list string) ([]string, error) {
	names := strings.Split(list, ",")
	for _, name := range names {
		if !slices.ContainsFunc(plains, func(s plain) bool { return s.name == name }) {
			return nil, fmt.Errorf("%q cannot be plain", name)
		}
	}
	return names, nil
}

func parseListed[K Incident | int](list string, key func(string) (K, error)) (map[K]Numbers, error) {
	m := map[K]Numbers{}
	if list == nothing {
		return m, nil
	}
	for item := range strings.SplitSeq(list, ",") {
		name, numbers, some := strings.Cut(item, ":")
		k, err := key(name)
		if err != nil {
			return nil, err
		}
		m[k] = allNumbers()
		if some {
			if m[k], err = parseNumbers(numbers); err != nil {
				return nil, err
			}
		}
	}
	return m, nil
}
