package load

import (
	"encoding/json"
	"fmt"
	"io"
)

// Report is what a run measured: the document of kvcli bench. Times are in
// milliseconds but for those that say seconds.
type Report struct {
	// Version is that of the program that measured.
	Version string `json:"version"`
	// Began is when it began to measure, in RFC 3339.
	Began    string      `json:"began"`
	Settings SettingsDoc `json:"settings"`
	Stored   Stored      `json:"stored"`
	// Interrupted: somebody ended it early. What it says is true of Seconds.
	Interrupted bool `json:"interrupted"`
	// Seconds were measured, without the warm-up. Operations ended well in them.
	Seconds    float64 `json:"seconds"`
	Operations int64   `json:"operations"`
	Failed     int64   `json:"failed"`
	// Throughput is Operations per second.
	Throughput float64 `json:"throughput"`
	// NotStarted fell due and were never begun, because all callers were waiting:
	// the latencies are then lower bounds. CutShort were given up at the end.
	NotStarted int64 `json:"not_started"`
	CutShort   int64 `json:"cut_short"`
	// Beyond are latencies above what is measured exactly.
	Beyond     int64        `json:"beyond"`
	Durability []string     `json:"durability"`
	Kinds      []KindReport `json:"kinds"`
	Client     ClientDoc    `json:"client"`
	CPU        CPUDoc       `json:"cpu"`
	Intervals  []Interval   `json:"intervals"`
}

// SettingsDoc are the settings as a document has them.
type SettingsDoc struct {
	Bucket     string  `json:"bucket"`
	Profile    string  `json:"profile"`
	Mix        string  `json:"mix"`
	Popularity string  `json:"popularity"`
	Keys       uint64  `json:"keys"`
	KeyBytes   int     `json:"key_bytes"`
	ValueBytes int     `json:"value_bytes"`
	TTL        string  `json:"ttl"`
	Loop       string  `json:"loop"`
	Callers    int     `json:"callers"`
	Rate       float64 `json:"rate"`
	Arrivals   string  `json:"arrivals"`
	Warmup     float64 `json:"warmup_seconds"`
	Time       float64 `json:"time_seconds"`
	Seed       uint64  `json:"seed"`
	// Asked are r, pr, w, pw, durability and the quorum as they were asked for;
	// empty is the bucket's choice.
	R          string `json:"r"`
	PR         string `json:"pr"`
	W          string `json:"w"`
	PW         string `json:"pw"`
	Durability string `json:"durability"`
	Quorum     string `json:"quorum"`
	TLS        bool   `json:"tls"`
}

// Document are the settings as a document has them.
func (s *Settings) Document() SettingsDoc {
	p := Profile{TTLs: s.TTLs}
	d := SettingsDoc{
		Profile: s.Profile, Mix: s.Mix.String(), Popularity: s.Popularity.String(), Keys: s.Keys, KeyBytes: s.KeyBytes,
		ValueBytes: s.ValueBytes, TTL: p.Lives(), Loop: "closed", Callers: s.Callers, Rate: s.Rate,
		Warmup: s.Warmup.Seconds(), Time: s.Time.Seconds(), Seed: s.Seed,
	}
	if s.Rate > 0 {
		d.Loop, d.Arrivals = "open", string(s.Spacing)
	}
	return d
}

// Stored is what was done before the run, so that reads find something.
type Stored struct {
	// Found keys were there already, Written are new, Failed could not be stored.
	Found   uint64  `json:"found"`
	Written uint64  `json:"written"`
	Failed  uint64  `json:"failed"`
	Seconds float64 `json:"seconds"`
}

// KindReport is what is known of one kind of operation.
type KindReport struct {
	Kind       Kind    `json:"kind"`
	Operations int64   `json:"operations"`
	Failed     int64   `json:"failed"`
	Throughput float64 `json:"throughput"`
	// Latency runs from the moment at which an operation was meant to begin,
	// Service from when it did. In a closed loop they are the same. Neither has
	// failed operations, whose times are in FailedLatency.
	Latency       Latency        `json:"latency_ms"`
	Service       Latency        `json:"service_ms"`
	FailedLatency Latency        `json:"failed_ms"`
	Failures      []FailureCount `json:"failures"`
	Misses        int64          `json:"misses"`
	WithSiblings  int64          `json:"with_siblings"`
	Strict        int64          `json:"strict"`
	Sloppy        int64          `json:"sloppy"`
	ReadFirst     int64          `json:"read_first"`
	BytesRead     int64          `json:"bytes_read"`
	BytesWritten  int64          `json:"bytes_written"`
	Curve         []Point        `json:"curve"`
}

// Latency is a distribution, all zero if Count is.
type Latency struct {
	Count int64   `json:"count"`
	Mean  float64 `json:"mean"`
	P50   float64 `json:"p50"`
	P90   float64 `json:"p90"`
	P99   float64 `json:"p99"`
	P999  float64 `json:"p999"`
	Max   float64 `json:"max"`
}

// Point is a point of the curve of latencies.
type Point struct {
	Percentile float64 `json:"percentile"`
	Ms         float64 `json:"ms"`
}

// FailureCount is how often operations failed in one way.
type FailureCount struct {
	Code    string `json:"code"`
	Outcome string `json:"outcome"`
	Count   int64  `json:"count"`
	Example string `json:"example"`
}

// ClientDoc is what the operations took of the client.
type ClientDoc struct {
	Attempts      uint64 `json:"attempts"`
	Retries       uint64 `json:"retries"`
	Hedges        uint64 `json:"hedges"`
	RetriesDenied uint64 `json:"retries_denied"`
}

// CPUDoc is the processor time while it was measured.
type CPUDoc struct {
	// PerOperation is in microseconds, of all processes together; 0 if that of one
	// is not known.
	PerOperation float64      `json:"us_per_operation"`
	Processes    []ProcessCPU `json:"processes"`
}

// ProcessCPU is that of one process.
type ProcessCPU struct {
	Name string `json:"name"`
	// Source is where the number comes from: own, /proc or metrics.
	Source       string  `json:"source"`
	Seconds      float64 `json:"seconds"`
	PerOperation float64 `json:"us_per_operation"`
	// Unknown says why it could not be found out; the numbers are then 0.
	Unknown string `json:"unknown"`
}

// Interval is a part of the run.
type Interval struct {
	// At is where it began, in seconds after the warm-up: negative before.
	At         float64 `json:"at"`
	Seconds    float64 `json:"seconds"`
	Operations int64   `json:"operations"`
	Failed     int64   `json:"failed"`
	P50        float64 `json:"p50"`
	P99        float64 `json:"p99"`
	Max        float64 `json:"max"`
}

// Throughput is operations per second.
func (i *Interval) Throughput() float64 { return perSecond(i.Operations, i.Seconds) }

// SetCPU shares processor time out among the operations.
func (r *Report) SetCPU(processes []ProcessCPU) {
	const micro = 1e6
	r.CPU.Processes = append([]ProcessCPU{}, processes...)
	r.CPU.PerOperation = 0
	sum, known := 0.0, len(processes) > 0 && r.Operations > 0
	for i := range r.CPU.Processes {
		p := &r.CPU.Processes[i]
		if p.Unknown != "" {
			known = false
			continue
		}
		if r.Operations > 0 {
			p.PerOperation = p.Seconds * micro / float64(r.Operations)
		}
		sum += p.PerOperation
	}
	if known {
		r.CPU.PerOperation = sum
	}
}

// reportsMax bounds a file of reports.
const reportsMax = 256 << 20

// ReadReports reads documents, one after another.
func ReadReports(in io.Reader) ([]Report, error) {
	d := json.NewDecoder(io.LimitReader(in, reportsMax))
	var reports []Report
	for {
		var r Report
		err := d.Decode(&r)
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("not a document of kvcli bench -o json: %w", err)
		}
		if len(r.Kinds) == 0 {
			return nil, fmt.Errorf("not a document of kvcli bench -o json, or one without operations")
		}
		reports = append(reports, r)
	}
	if len(reports) == 0 {
		return nil, fmt.Errorf("it is empty")
	}
	return reports, nil
}
