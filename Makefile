# Kindred: `make demo` shows it, `make test` checks it, `make` lists the rest.

SHELL := /bin/bash
.SHELLFLAGS := -o pipefail -c
.DEFAULT_GOAL := help

# Every variable here may be given on the command line.
RACE     ?= -race
TIMEOUT  ?= 15m
# Fuzzing in `make test` is bounded by executions, not by seconds: a deadline
# makes `go test -fuzz` of Go 1.26 fail now and then without a failing input
# (go.dev/issue/75804).
FUZZ_RUNS ?= 10000x
FUZZ_TIME ?= 1m
SEEDS     ?= 300
FIRST     ?= 1
SEED      ?=
SHRINK    ?=
MINUTES   ?=
NODES     ?=
TIME      ?= 10m
NEMESIS   ?= all
WORKLOAD  ?= all
BENCH     ?= .
PEERS     ?= redis nats etcd olric cassandra
ROUNDS    ?= 5
EACH      ?= 2500ms
OUTPUT    ?= table
MIX       ?= insert=100

# A folder that git cannot read (another owner, no git) still builds.
BUILDVCS := $(shell git rev-parse HEAD >/dev/null 2>&1 && echo auto || echo false)
# The profile by which make build compiles; make pgo takes it. It is no default.pgo, or every
# go vet and go test would compile all that kvnode consists of a second time.
PGO      := cmd/kvnode/kvnode.pgo
TALLY    := bin/test-tally
SUM      := bin/testsum -tally $(TALLY)

# The lines of a target's own prose follow two hash signs.
.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: build
build: check-go ## build bin/kvnode and bin/kvcli
	@mkdir -p bin
	go build -buildvcs=$(BUILDVCS) -pgo=$(PGO) -o bin/ ./cmd/...

.PHONY: demo
demo: build ## a cluster is cut in two and loses a disk, and nothing else
	@./bin/kvcli demo

.PHONY: demo-grow
demo-grow: build ## three nodes become six and then four under load, and the ring is drawn
	@./bin/kvcli demo grow

# test goes on after a stage that failed, so that one run shows everything.
.PHONY: test
test: check-go check-cc bin/testsum ## everything that a change has to pass
	@rm -f $(TALLY)
	@status=0; for stage in lint architecture race sim costs fuzz; do \
	  $(MAKE) --no-print-directory stage-$$stage || status=1; \
	done; \
	echo "--- all stages"; $(SUM) || status=1; exit $$status

.PHONY: quick
quick: check-go bin/testsum ## lint, architecture and all tests without the race detector
	@rm -f $(TALLY)
	@status=0; for stage in lint architecture plain; do \
	  $(MAKE) --no-print-directory stage-$$stage || status=1; \
	done; \
	echo "--- all stages"; $(SUM) || status=1; exit $$status

bin/testsum: $(wildcard internal/testsum/*.go)
	@go build -buildvcs=false -o $@ ./internal/testsum

.PHONY: stage-lint stage-architecture stage-race stage-plain stage-sim stage-costs stage-fuzz
stage-lint:
	@status=0; \
	$(SUM) -stage gofmt -empty -- gofmt -l . || status=1; \
	$(SUM) -stage vet -plain -- go vet ./... || status=1; \
	$(SUM) -stage staticcheck -plain -- go tool staticcheck ./... || status=1; \
	$(SUM) -stage "vet bench/peers" -plain -- go -C bench/peers vet $$($(peers-packages)) || status=1; \
	$(SUM) -stage "staticcheck bench/peers" -plain -- sh -c 'tool=$$(go tool -n staticcheck) && cd bench/peers && $$tool "$$@"' - $$($(peers-packages)) || status=1; \
	exit $$status

# bench/peers is a module of its own. All of it is checked where the peers' clients
# have been downloaded, as make bench does; elsewhere its packages that need no peer
# are, so that a cold run waits for no download.
peers-packages = cd bench/peers && \
  { GOPROXY=off go list -deps -test ./... >/dev/null 2>&1 && echo ./... || echo ./table ./loop; }

stage-architecture:
	@$(SUM) -stage architecture -- go test -json -vet=off -run '^(TestArchitecture|TestPlan)' .

stage-race:
	@status=0; \
	$(SUM) -stage "tests $(RACE)" -- go test -json -vet=off $(RACE) -timeout $(TIMEOUT) ./... || status=1; \
	$(SUM) -stage "tests of bench/peers" -- go -C bench/peers test -json -vet=off $(RACE) $$($(peers-packages)) || status=1; \
	exit $$status

stage-plain:
	@status=0; \
	$(SUM) -stage tests -- go test -json -vet=off -timeout $(TIMEOUT) ./... || status=1; \
	$(SUM) -stage "tests of bench/peers" -- go -C bench/peers test -json -vet=off $$($(peers-packages)) || status=1; \
	exit $$status

# A few seeds run under the race detector with all tests; here are more without.
stage-sim:
	@$(SUM) -stage "sim, $(SEEDS) seeds and some long" -- go test -json -vet=off -count=1 -timeout $(TIMEOUT) \
	  ./sim -run 'TestSeeds$$' -seeds $(SEEDS) -first $(FIRST)

# Costs are ratios within one run; the race detector would change them.
stage-costs:
	@$(SUM) -stage costs -- go test -json -vet=off -count=1 ./bench

# fuzz-targets prints "folder name" for every fuzz target of the module.
fuzz-targets = grep -r --include='*_test.go' '^func Fuzz' . | \
  sed -E 's|^(.*/)[^/:]*:func (Fuzz[A-Za-z0-9_]*).*|\1 \2|' | sort -u

stage-fuzz:
	@status=0; while read -r dir name; do \
	  $(SUM) -stage "fuzz $$name" -- go test -json -vet=off -run '^$$' -fuzz "^$$name\$$" \
	    -fuzztime $(FUZZ_RUNS) -fuzzminimizetime 100x $$dir || status=1; \
	done < <($(fuzz-targets)); exit $$status

.PHONY: fuzz
fuzz: check-go ## fuzz every target for FUZZ_TIME (1m)
	@$(fuzz-targets) | while read -r dir name; do \
	  echo "--- $$dir $$name"; \
	  go test -vet=off -run '^$$' -fuzz "^$$name\$$" -fuzztime $(FUZZ_TIME) $$dir || exit 1; \
	done

.PHONY: docs-check
docs-check: check-go ## carry out the console blocks of README.md and docs/, the examples of --help, and check what else these pages show
	go test -vet=off -count=1 -v -run '^(TestReadme|TestEveryBlock|TestTheComparison|TestLinks)' .
	go test -vet=off -count=1 -run '^(TestDocs|TestTheDescription|TestTheExamples)' ./cmd/... ./server

.PHONY: sim
sim: check-go ## simulate SEEDS (300) clusters from seed FIRST (1) on, or replay SEED; MINUTES=5 for long storms, NODES=5 for those of five nodes; LAYOUTS=always changes layouts in all; SHRINK=1 makes the finding of SEED short
	go test -vet=off -count=1 -v -timeout 24h ./sim $(if $(MINUTES),-minutes $(MINUTES)) $(if $(filter always,$(LAYOUTS)),-layouts) \
	  $(if $(SEED),-run 'TestSeed$$' -seed $(SEED) $(if $(SHRINK),-shrink),$(if $(MINUTES),-run 'TestLong$$' -long $(SEEDS) $(if $(NODES),-nodes $(NODES)),-run 'TestSeeds$$' -seeds $(SEEDS)) -first $(FIRST))

.PHONY: explore
explore: check-go ## visit every state of small worlds; WRITES, READS, CRASHES or BOUNDS, and LIMIT, enlarge them
	go test -vet=off -count=1 -v -timeout 24h ./sim/explore \
	  $(if $(WRITES),-run 'TestLarger$$' -writes $(WRITES) -reads $(or $(READS),1) -crashes $(or $(CRASHES),1) -limit $(or $(LIMIT),0),$(if $(BOUNDS),-run 'TestBounds$$' -bounds '$(BOUNDS)' -limit $(or $(LIMIT),0),-run 'Test(Small|Guests|Exchange|Closes|Rebuild)$$'))

.PHONY: mutants
mutants: check-go ## let the simulator find every known mutant; UPDATE=1 writes sim/MUTANTS.md
	go test -vet=off -count=1 -v -timeout 24h ./sim -run 'TestMutants$$' -mutants $(or $(MUTANTS),.) $(if $(UPDATE),-update)

.PHONY: jepsen
jepsen: build ## break real processes for TIME (10m) by NEMESIS (all) under WORKLOAD (all), judge, and write a report; SEED plans the same again; NETNS=1, as root, has packets and disks too
	@./bin/kvcli jepsen run --time $(TIME) --nemesis $(NEMESIS) --workload $(WORKLOAD) $(if $(SEED),--seed $(SEED)) $(if $(NETNS),--netns)

.PHONY: costs
costs: check-go ## measure puts, gets, idle nodes and a million keys against their limits
	go test -vet=off -count=1 -v -timeout 30m ./bench -million

.PHONY: bench-transfer
bench-transfer: check-go ## nodes join three others, without the throttle and under load with it, against the bars; UPDATE=1 writes bench/TRANSFERS.md
	go test -vet=off -count=1 -v -timeout 15m ./bench -run 'TestATransfer' -million $(if $(UPDATE),-transfers $(CURDIR)/bench/TRANSFERS.md)

.PHONY: bench-scale
bench-scale: check-go ## nine nodes beside three, and ten million keys, against the bars, in some twenty minutes; UPDATE=1 writes bench/SCALE.md
	go test -vet=off -count=1 -v -timeout 60m ./bench -run 'TestNineNodes|TestTenMillion' -scale $(if $(UPDATE),-scales $(CURDIR)/bench/SCALE.md)

# The peers' servers come from the module proxy, in the versions of bench/peers/go.mod.
.PHONY: bench
bench: build ## Kindred beside its floors and PEERS, in ROUNDS (5); OUTPUT=json; UPDATE=1 writes bench/RESULTS.md
	cd bench/peers && go vet ./... && go build -buildvcs=false -pgo=../../$(PGO) -o ../../bin/bench-peers . && \
	  go build -buildvcs=false -o ../../bin/etcd go.etcd.io/etcd/server/v3 && \
	  go build -buildvcs=false -o ../../bin/nats-server github.com/nats-io/nats-server/v2
	@./bin/bench-peers -bin bin -dir bin -peers '$(PEERS)' -rounds $(ROUNDS) -each $(EACH) -o $(OUTPUT) \
	  $(if $(UPDATE),-update bench/RESULTS.md)

.PHONY: profile
profile: build ## share the processor time of MIX (insert=100) among the floors, as perf samples it
	@dir=$$(mktemp -d) && trap './bin/kvcli local stop --dir '$$dir' > /dev/null; rm -rf '$$dir EXIT && \
	  ./bin/kvcli local start --dir $$dir --nodes 3 --base-port 21700 > /dev/null && \
	  nodes=$$(./bin/kvcli local status --dir $$dir -o json | sed -n 's/.*"pid": *\([0-9]*\),.*/\1/p' | paste -sd,) && \
	  { ./bin/kvcli bench --dir $$dir --mix $(MIX) --popularity uniform --callers 64 --value-size 100 --time 12s --warmup 2s & \
	    load=$$!; sleep 5; perf record -q -F 400 -g -p $$nodes,$$load -o $$dir/samples sleep 8; wait $$load; } && \
	  perf script -i $$dir/samples -F comm,ip,sym | go run ./bench/where

# What is compiled by it is profiled: inserts, overwrites, deletes and gets by 64 callers, and
# inserts and gets by one.
.PHONY: pgo
pgo: build ## profile three nodes under load, and write what make build compiles by (https://go.dev/doc/pgo)
	@dir=$$(mktemp -d) && trap './bin/kvcli local stop --dir '$$dir' > /dev/null; rm -rf '$$dir EXIT && export PPROF_TMPDIR=$$dir && \
	  printf '#!/bin/sh\nexec %s "$$@" --pprof-addr 127.0.0.1:0\n' $(CURDIR)/bin/kvnode > $$dir/kvnode && chmod +x $$dir/kvnode && \
	  ./bin/kvcli local start --dir $$dir --nodes 3 --base-port 21700 --kvnode $$dir/kvnode > /dev/null && \
	  load() { ./bin/kvcli bench --dir $$dir --popularity uniform --value-size 100 --warmup 1s --time 10s "$$@" > /dev/null; } && \
	  load --mix insert=100 && { \
	    for n in 1 2 3; do \
	      url=$$(sed -n 's/.*profiles are served.* url=\([^ ]*\).*/\1/p' $$dir/n$$n/kvnode.log) && \
	      go tool pprof -proto -output $$dir/$$n.pprof "$${url}profile?seconds=36" > $$dir/$$n.log 2>&1 & \
	    done; \
	    load --mix insert=70,update=25,delete=5 && load --mix get=100 && load --mix get=50,insert=50 --callers 1; \
	    status=$$?; wait; test $$status = 0; } && \
	  { go tool pprof -proto -output $$dir/all.pprof $$dir/1.pprof $$dir/2.pprof $$dir/3.pprof > $$dir/all.log 2>&1 || \
	    { cat $$dir/*.log; false; }; } && \
	  go run ./bench/pgo < $$dir/all.pprof > $$dir/bare.pgo && mv $$dir/bare.pgo $(PGO) && ls -l $(PGO)

.PHONY: benchmarks
benchmarks: check-go ## run the Go benchmarks that match BENCH (.)
	go test -vet=off -run '^$$' -bench '$(BENCH)' -benchmem ./...

.PHONY: fmt
fmt: ## format the code
	gofmt -w .

.PHONY: lint
lint: check-go bin/testsum ## gofmt, vet and staticcheck
	@rm -f $(TALLY)
	@$(MAKE) --no-print-directory stage-lint

.PHONY: generate
generate: check-go ## write again what is generated, such as api/kindred/v1
	go generate ./...

.PHONY: clean
clean: ## remove what was built; a local cluster's data in .kindred stays
	rm -rf bin

.PHONY: check-go check-cc
check-go:
	@command -v go >/dev/null || { \
	  echo "Kindred is built with Go 1.26 or newer, and there is no go command on PATH."; \
	  echo "Install it from https://go.dev/dl/ and open a new shell."; exit 1; }
	@go env GOVERSION | sed 's/.*go//' | awk -F '[^0-9]' '{ok = $$1 > 1 || $$1 == 1 && $$2 >= 26} END {exit !ok}' || { \
	  echo "Kindred is built with Go 1.26 or newer; this is $$(go env GOVERSION 2>/dev/null || go version)."; \
	  echo "Install it from https://go.dev/dl/, or allow go to fetch it: go env -w GOTOOLCHAIN=auto"; exit 1; }

check-cc:
	@test -z "$(RACE)" || test "$$(go env CGO_ENABLED)" = 1 && command -v $$(go env CC | cut -d " " -f 1) >/dev/null || { \
	  echo "The race detector needs a C compiler, and $$(go env CC) was not found."; \
	  echo "Install gcc or clang (Debian: apt install gcc; macOS: xcode-select --install),"; \
	  echo "or run the tests without it: make test RACE="; exit 1; }
