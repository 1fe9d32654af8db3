package table

// Floors of one operation: what the link and the engine take of it, and nothing
// else. A put at three replicas is an exchange with the client, two with other
// replicas and three writes; a get at R = 2 is one, one and two reads.
func putFloor() []Term {
	return []Term{{1, "client echo/put@64", CPU}, {2, "peer echo/200 B@64", CPU}, {3, "pebble/put@64", CPU}}
}

func getFloor() []Term {
	return []Term{{1, "client echo/get@64", CPU}, {1, "peer echo/200 B@64", CPU}, {2, "pebble/get@64", CPU}}
}

// syncedFloor is that of a put whose rows are on disks before the answer.
func syncedFloor() []Term {
	return []Term{{1, "client echo/put@64", CPU}, {2, "peer echo/200 B@64", CPU}, {3, "pebble/synced put@64", CPU}}
}

// Bars are the limits that Kindred sets itself, and ratios that are told besides.
func Bars() []Bar {
	const put, get, busy = "kindred/put@64", "kindred/get@64", "kindred/get after puts@64"
	return []Bar{
		{Number: "1", Says: "put: CPU / its floor", Over: One(put, CPU), Under: putFloor(), Gate: 2.2, Stretch: 1.5},
		{Number: "1", Says: "put: CPU / Redis, WAIT 1, no log", Over: One(put, CPU), Under: One("redis/put@64", CPU), Gate: 1.6, Stretch: 1.1},
		{Number: "1", Says: "put: CPU / Redis, WAIT 1, log synced every second", Over: One(put, CPU), Under: One("redis aof/put@64", CPU)},
		{Number: "1", Says: "put: throughput / etcd", Over: One(put, Throughput), Under: One("etcd/put@64", Throughput), AtLeast: true, Gate: 8},
		{Number: "1", Says: "put's floor: throughput / etcd, by CPU", Over: One("etcd/put@64", CPU), Under: putFloor()},
		{Number: "1", Says: "put: throughput / NATS", Over: One(put, Throughput), Under: One("nats/put@64", Throughput), AtLeast: true, Gate: 2.5},
		{Number: "1", Says: "put's floor: throughput / NATS, by CPU", Over: One("nats/put@64", CPU), Under: putFloor()},
		{Number: "1", Says: "put: throughput / Olric", Over: One(put, Throughput), Under: One("olric/put@64", Throughput), AtLeast: true, Gate: 2.5},
		{Number: "1", Says: "put: throughput / Cassandra", Over: One(put, Throughput), Under: One("cassandra/put@64", Throughput), AtLeast: true},
		{Number: "2", Says: "get at R=2: CPU / NATS direct", Over: One(get, CPU), Under: One("nats/get@64", CPU), Gate: 1.0, Stretch: 0.75},
		{Number: "2", Says: "get at R=2: CPU / etcd serializable", Over: One(get, CPU), Under: One("etcd/get@64", CPU), Gate: 0.6, Stretch: 0.45},
		{Number: "2", Says: "get after puts: CPU / NATS direct, after puts", Over: One(busy, CPU), Under: One("nats/get after puts@64", CPU), Gate: 1.0, Stretch: 0.75},
		{Number: "2", Says: "get after puts: CPU / etcd serializable, after puts", Over: One(busy, CPU), Under: One("etcd/get after puts@64", CPU), Gate: 0.6, Stretch: 0.45},
		{Number: "2", Says: "get after puts: CPU / get", Over: One(busy, CPU), Under: One(get, CPU)},
		{Number: "2", Says: "get at R=2: CPU / its floor", Over: One(get, CPU), Under: getFloor()},
		{Number: "3", Says: "synced put: throughput / etcd", Over: One("kindred/put sync@64", Throughput), Under: One("etcd/put@64", Throughput), AtLeast: true, Gate: 3, Stretch: 5},
		{Number: "3", Says: "synced put's floor: throughput / etcd, by CPU", Over: One("etcd/put@64", CPU), Under: syncedFloor()},
		{Number: "3", Says: "synced put: p99 / etcd", Over: One("kindred/put sync@64", P99), Under: One("etcd/put@64", P99), Gate: 1.0 / 3, Stretch: 0.25},
		{Number: "4", Says: "one caller, put: p50 / echo", Over: One("kindred/put@1", P50), Under: One("client echo/put@1", P50), Gate: 3},
		{Number: "4", Says: "one caller, get: p50 / echo", Over: One("kindred/get@1", P50), Under: One("client echo/get@1", P50), Gate: 3},
		{Number: "5", Says: "put: p99 / p50", Over: One(put, P99), Under: One(put, P50), Gate: 4},
		{Number: "5", Says: "get: p99 / p50", Over: One(get, P99), Under: One(get, P50), Gate: 4},
		{Number: "5", Says: "client echo: p99 / p50", Over: One("client echo/put@64", P99), Under: One("client echo/put@64", P50)},
		{Number: "5", Says: "put at half of peak: p99.9 / echo at that rate", Over: One("kindred/put@open", P999), Under: One("client echo/put@open", P999), Gate: 3},
		{Number: "5", Says: "get at half of peak: p99.9 / echo at that rate", Over: One("kindred/get@open", P999), Under: One("client echo/get@open", P999), Gate: 3},
		{Number: "5", Says: "put, one replica frozen: p99 / healthy", Over: One("kindred/put frozen@64", P99), Under: One(put, P99), Gate: 1.5},
		{Number: "5", Says: "get, one replica frozen: p99 / healthy", Over: One("kindred/get frozen@64", P99), Under: One(get, P99), Gate: 1.5},
		{Number: "6", Says: "put of 1 KiB: CPU / 100 B", Over: One("kindred/put 1 KiB@64", CPU), Under: One(put, CPU), Gate: 1.8},
		{Number: "6", Says: "get of 1 KiB: CPU / 100 B", Over: One("kindred/get 1 KiB@64", CPU), Under: One(get, CPU), Gate: 1.8},
		{Number: "6", Says: "put with TLS: CPU / plain", Over: One("kindred tls/put@64", CPU), Under: One(put, CPU), Gate: 1.15},
		{Number: "6", Says: "get with TLS: CPU / plain", Over: One("kindred tls/get@64", CPU), Under: One(get, CPU), Gate: 1.15},
	}
}
