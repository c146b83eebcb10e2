# What people run by hand. The gate, .ci/run, is made of the same targets.

GO        ?= go
TOOLS     := $(CURDIR)/.tools
FUZZTIME  ?= 30000x
# Seconds of soak; the tests run again and again with new seeds until then.
SOAKTIME  ?= 600
# The first of the random histories that a soak simulates; each round takes the 200 that come after those of the last one.
SOAKFIRST ?= 201
# How many random histories a soak simulates one time each, before the rounds: some seven hours of one processor.
SOAKSEEDS  ?= 20000
# Faults that befall five daemons each time in a soak.
NETROUNDS ?= 40
# Packages whose tests run the built binary. The race detector sees nothing in another process.
INPROCESS  = $(shell $(GO) list ./... | grep -v '/test/')
# Those of them that have tests in a bubble of testing/synctest. There the race detector of Go 1.26 breaks down with a segmentation
# violation now and then when two timers of a bubble fire on two processors at once (golang.org/issue/78156), so they get one.
BUBBLES    = $(shell $(GO) list $$(grep -rl --include='*.go' '"testing/synctest"' host sdk plugins cmd | xargs -n1 dirname | sort -u | sed 's|^|./|'))
ONEPROC    = -exec 'env GOMAXPROCS=1'

.PHONY: build test race lint fmt generate check-generated lint-proto demo bench microbench fuzz histories soak mutants acceptance tools clean help

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 18

build: ## build the binary and the stand-alone plugins into bin/
	@mkdir -p bin
	$(GO) build -trimpath -o bin/ ./cmd/... ./plugins/...

test: ## run every test
	$(GO) test ./...

race: ## run the tests of everything that runs in one process under the race detector
	$(GO) test -race -short $(filter-out $(BUBBLES),$(INPROCESS))
	$(GO) test -race -short $(ONEPROC) $(BUBBLES)

lint: $(TOOLS)/staticcheck ## gofmt, go vet, staticcheck
	@unformatted=$$(gofmt -s -l $$(git ls-files -co --exclude-standard '*.go' | grep -v '\.pb\.go$$')); \
	if [ -n "$$unformatted" ]; then echo "gofmt -s would change:"; echo "$$unformatted"; exit 1; fi
	$(GO) vet ./...
	$(TOOLS)/staticcheck ./...

fmt: ## format every Go file
	gofmt -s -w $$(git ls-files -co --exclude-standard '*.go' | grep -v '\.pb\.go$$')

generate: ## generate the Go code of the protocols in sdk/api
	cd tools && $(GO) run ./protogen ../sdk/api

check-generated: ## fail when the generated code in sdk/api is not what the .proto files say
	@dir=$$(mktemp -d) && trap 'rm -rf "$$dir"' EXIT && cp -R sdk/api "$$dir/api" && find "$$dir/api" -name '*.pb.go' -delete && \
	(cd tools && $(GO) run ./protogen "$$dir/api") && \
	{ diff -r sdk/api "$$dir/api" || { echo "generated code is stale; run make generate"; exit 1; }; }

lint-proto: $(TOOLS)/buf ## check the style of the .proto files
	$(TOOLS)/buf lint

demo: ## watch two daemons sync
	./test/demo.sh

bench: ## measure whole daemons on loopback, with baselines; BENCHFLAGS='-runs 5 -data FILE' and more
	$(GO) run ./test/bench $(BENCHFLAGS)

microbench: ## run every Go benchmark once
	$(GO) test -run '^$$' -bench . -benchmem ./...

fuzz: ## run each fuzz target with FUZZTIME inputs (3000x), or for so long (10s)
	@grep -rnoE '^func Fuzz[A-Za-z0-9_]+' --include='*_test.go' . | sed -E 's|^\./(.*)/[^/]+:[0-9]+:func (.*)$$|\1 \2|' | \
	while read -r dir name; do \
		echo "fuzz $$dir $$name"; \
		$(GO) test -run '^$$' -fuzz "^$$name$$" -fuzztime $(FUZZTIME) "./$$dir" </dev/null || exit 1; \
	done

histories: ## simulate SOAKSEEDS random histories from SOAKFIRST on
	$(GO) test -count=1 -timeout=48h -run 'TestRandomHistoriesConverge$$' ./host/hosttest -args -sim.first=$(SOAKFIRST) -sim.seeds=$(SOAKSEEDS)

soak: mutants histories ## try the mutants, simulate SOAKSEEDS histories, then repeat all tests under the race detector for SOAKTIME seconds
	@end=$$(($$(date +%s) + $(SOAKTIME))); first=$$(($(SOAKFIRST) + $(SOAKSEEDS))); \
	while [ $$(date +%s) -lt $$end ]; do \
		echo "random histories from $$first on"; \
		$(GO) test -race -count=1 $(filter-out $(BUBBLES),$(INPROCESS)) || exit 1; \
		SYNCBASE_SIM_FIRST=$$first $(GO) test -race -count=1 $(ONEPROC) $(BUBBLES) || exit 1; \
		GOFLAGS="$(GOFLAGS) -race" SYNCBASE_NETNS_ROUNDS=$(NETROUNDS) $(GO) test -count=1 -timeout=1h -run TestFiveDaemonsConverge ./test/netns || exit 1; \
		first=$$((first + 200)); \
	done

mutants: ## break the delta engine in one line at a time; tests have to fail each time. MUTANTFLAGS='-run NAME -parallel 2'
	$(GO) run ./test/mutants $(MUTANTFLAGS)

acceptance: ## run the tests that run the built binary, demand network namespaces, and list the cases that tests hold
	SYNCBASE_REQUIRE_NETNS=1 $(GO) test -count=1 -timeout=30m ./test/...
	$(GO) run ./test/acceptance

tools: $(TOOLS)/staticcheck $(TOOLS)/buf ## build the tools that lint needs

$(TOOLS)/staticcheck: tools/go.mod
	cd tools && $(GO) build -o $@ honnef.co/go/tools/cmd/staticcheck

$(TOOLS)/buf: tools/buf/go.mod
	cd tools/buf && $(GO) build -o $@ github.com/bufbuild/buf/cmd/buf

clean: ## remove what make built
	rm -rf bin $(TOOLS)
