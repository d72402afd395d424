# Everything a developer does here, one target each: `make help`.
# Tools that are no part of the product (checkers, judges, corpora) live in .cache/, which git ignores.

SHELL    := /bin/bash
PREFIX   ?= /usr/local
DESTDIR  ?=
FUZZTIME ?= 20s
GO       ?= go

CACHE    := $(CURDIR)/.cache
MODULE   := github.com/laminafs/lamina
VERSION  := $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)
LDFLAGS  := -s -w -X $(MODULE)/internal/cli.Version=$(VERSION)
LINKS    := mkfs.erofs fsck.erofs dump.erofs

# What other people import: it must build on every system that Go knows (see doc/design/architecture.md).
PUBLIC   := $(addprefix ./,$(wildcard tree tartree dirtree erofs mkfs fsck verity composefs))
# Packages whose goroutines share memory, or whose tests are cheap: they run under the race detector too. The codecs have no
# goroutines, but for the streams of gzip, and their loops take ten times as long there.
RACE     := $(addprefix ./,$(addsuffix /...,$(wildcard tree tartree dirtree erofs mkfs fsck $(filter-out internal/codec,$(wildcard internal/*)))))

TEST_DEBS  := git ca-certificates gcc libc6-dev runc crun systemd attr zstd python3 libarchive-tools mmdebstrap strace e2fsprogs xfsprogs btrfs-progs
DEMO_DEBS  := runc mmdebstrap
BENCH_DEBS := $(TEST_DEBS) isal $(if $(shell command -v npm),,npm)

.DEFAULT_GOAL := help
.PHONY: help build install check test fuzz bench bench-decode corpus e2e layers judges growth matrix demo clean FORCE

help: ## list the targets
	@sed -n 's/^\([a-z0-9-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | awk -F'\t' '{ printf "%-11s %s\n", $$1, $$2 }'

build: bin/lamina ## build bin/lamina, a static binary

bin/lamina: FORCE
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o $@ ./cmd/lamina

install: build ## install lamina, its links mkfs.erofs fsck.erofs dump.erofs, manual and completions (DESTDIR, PREFIX)
	install -D -m 755 bin/lamina $(DESTDIR)$(PREFIX)/bin/lamina
	for l in $(LINKS); do ln -sf lamina $(DESTDIR)$(PREFIX)/bin/$$l; done
	tools/manual.sh bin/lamina >bin/lamina.1
	install -D -m 644 bin/lamina.1 $(DESTDIR)$(PREFIX)/share/man/man1/lamina.1
	bin/lamina completion bash | install -D -m 644 /dev/stdin $(DESTDIR)$(PREFIX)/share/bash-completion/completions/lamina
	bin/lamina completion zsh  | install -D -m 644 /dev/stdin $(DESTDIR)$(PREFIX)/share/zsh/site-functions/_lamina
	bin/lamina completion fish | install -D -m 644 /dev/stdin $(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/lamina.fish

check: $(CACHE)/bin/staticcheck ## gofmt, vet, staticcheck, errcheck, levels, doc comments, cross-builds: under a minute
	@out=$$(gofmt -l $(wildcard $(shell git ls-files -co --exclude-standard '*.go'))); [ -z "$$out" ] || { echo "gofmt -w $$out"; exit 1; }
	$(GO) vet ./...
	$(CACHE)/bin/staticcheck ./...
	$(CACHE)/bin/errcheck -ignoretests -exclude tools/errcheck.txt $$($(GO) list ./... | grep -v '/test/')
	$(GO) test -count=1 ./internal/layers
	@for t in darwin/arm64 windows/amd64 linux/386; do echo "build for $$t"; \
		CGO_ENABLED=0 GOOS=$${t%/*} GOARCH=$${t#*/} $(GO) build $(PUBLIC) || exit 1; done

# The checkers have a module of their own: their requirements are nobody else's.
$(CACHE)/bin/staticcheck: tools/go.mod tools/go.sum
	GOBIN=$(CACHE)/bin $(GO) -C tools install tool
	@touch $@

# Other people's mkfs.erofs, fsck.erofs, dump.erofs: judges of the tests and the peer of the benchmarks.
$(CACHE)/judges/bin/mkfs.erofs: tools/erofs-utils.sh tools/debs.sh
	tools/erofs-utils.sh $(CACHE)/judges
	@touch $@

# Daemons of other people that the tests run us with, from the Go module proxy: containerd (its newest release, and in
# `make containerd` the others that we support), a registry.
CONTAINERD  := 2.4.2
CONTAINERDS := $(CONTAINERD) 2.3.7 1.7.35
ctrs         = $(patsubst %,$(CACHE)/containerd/%/bin/ctr,$(1))
DAEMONS     := $(call ctrs,$(CONTAINERD)) $(CACHE)/registry/registry
comma       := ,
space       := $(subst ,, )

$(CACHE)/containerd/%/bin/ctr: tools/containerd.sh tools/go-module.sh
	tools/containerd.sh $(CACHE)/containerd $*
	@touch $@

$(CACHE)/registry/registry: tools/registry.sh tools/go-module.sh
	tools/registry.sh $(CACHE)/registry
	@touch $@

# With LAMINA_CI a missing judge is a failure, not a skipped test (internal/oracle).
test judges e2e containerd crash: export LAMINA_CI = 1

test: $(CACHE)/judges/bin/mkfs.erofs $(DAEMONS) ## install what the tests need (apt, as root), run everything
	tools/install-debs.sh $(TEST_DEBS)
	$(MAKE) check build
	$(GO) test -timeout 20m ./...
	GOARCH=386 $(GO) test -short -run Pinned ./test/roundtrip
	GOARCH=386 $(GO) test -short ./internal/codec/zstd ./internal/codec/deflate
	$(GO) test -race -short -timeout 20m $(RACE)
	$(GO) test -race -short -timeout 20m -run 'Stream|Cancel' ./internal/codec/deflate
	$(MAKE) judges

judges: ## other people's Go readers of EROFS on our images (a module of its own)
	if [ -f test/judges/go.mod ]; then $(GO) -C test/judges test ./...; fi

e2e: build $(CACHE)/judges/bin/mkfs.erofs ## the tests against the running kernel only (root)
	$(GO) test -count=1 -v ./test/e2e/...

layers: build corpus $(CACHE)/judges/bin/mkfs.erofs ## the large corpora, mounted by the kernel, against an independent reading of their tars (root; minutes)
	LAMINA_CI=1 LAMINA_LAYERS=$(CACHE)/corpus $(GO) test -count=1 -v -timeout 60m -run LargeLayers ./test/e2e

matrix: build $(CACHE)/judges/bin/mkfs.erofs ## compressed images, every algorithm x level x pcluster size x feature set, by us and by mkfs.erofs, whole and damaged (root; hours)
	LAMINA_CI=1 LAMINA_MATRIX=1 LAMINA_HOSTILE=10 $(GO) test -count=1 -v -timeout 180m -run 'CompressionMatrix|Survive' ./test/e2e

containerd: $(call ctrs,$(CONTAINERDS)) $(CACHE)/registry/registry ## the tests with real daemons, against every version of containerd that we support (root; minutes)
	tools/install-debs.sh $(TEST_DEBS)
	LAMINA_CONTAINERD=$(subst $(space),$(comma),$(CONTAINERDS)) $(GO) test -count=1 -v -timeout 60m ./test/containerd
	LAMINA_SUITES=1 $(GO) test -count=1 -v -timeout 30m -run ContainerdSuite ./internal/snapshotter
	$(GO) -C examples/containerd build -o $(CACHE)/bin/containerd-lamina .

crash: $(DAEMONS) ## 100 power cuts on each of ext4 and xfs, 200 kills under load, full disks, the order of syncs (root; an hour)
	tools/install-debs.sh $(TEST_DEBS)
	LAMINA_CUTS=100 LAMINA_KILLS=200 $(GO) test -count=1 -v -timeout 180m -run 'PowerCut|Kill|FullDisk|Synced' ./test/containerd

fuzz: ## run every fuzz target for FUZZTIME (20s) each
	tools/fuzz.sh $(FUZZTIME)

corpus: $(CACHE)/corpus/SHA256SUMS ## make the large corpora of the benchmarks in .cache/corpus (root; minutes, 3 GiB)

$(CACHE)/corpus/SHA256SUMS: test/corpus/make-corpus.sh test/corpus/torture.py
	tools/install-debs.sh $(BENCH_DEBS)
	test/corpus/make-corpus.sh $(CACHE)/corpus base node golang torture

bench: build corpus $(CACHE)/judges/bin/mkfs.erofs ## compare with mkfs.erofs, go-erofs and cp, interleaved: medians and ratios
	test/bench/run.sh $(CACHE)/corpus

bench-compress: build corpus $(CACHE)/judges/bin/mkfs.erofs ## compressed images beside those of mkfs.erofs and mksquashfs: size, CPU and wall time, decoding, random reads (root; an hour)
	tools/install-debs.sh $(TEST_DEBS) squashfs-tools
	$(GO) run ./test/bench/compress -lamina bin/lamina -corpus $(CACHE)/corpus -work $(CACHE) -judges $(CACHE)/judges/bin -out $(CACHE)/bench-compress

bench-gzip: corpus ## our decoder of gzip beside klauspost/compress, compress/gzip and igzip: CPU time over corpora and encoders (root for the packages; half an hour)
	tools/install-debs.sh gcc libc6-dev gzip pigz zopfli libisal-dev
	for c in ai python; do [ -e $(CACHE)/corpus/$$c.tar ] || test/corpus/make-corpus.sh $(CACHE)/corpus $$c; done
	@mkdir -p $(CACHE)/bench-gzip
	gcc -O2 -o $(CACHE)/bench-gzip/igzip test/bench/gzip/igzip/igzip.c -lisal
	$(GO) build -o $(CACHE)/bench-gzip/bench ./test/bench/gzip
	$(CACHE)/bench-gzip/bench -corpus $(CACHE)/corpus -work $(CACHE)/bench-gzip -igzip $(CACHE)/bench-gzip/igzip -out $(CACHE)/bench-gzip/result

bench-decode: corpus $(CACHE)/judges/bin/mkfs.erofs ## our decoders beside the C libraries, on pclusters of a real image (installs -dev packages: root; minutes)
	tools/install-debs.sh gcc libc6-dev liblz4-dev libzstd-dev liblzma-dev libdeflate-dev zlib1g-dev
	mkdir -p $(CACHE)/bench-images
	$(GO) run ./test/bench/decode -tar $(CACHE)/corpus/base.tar -judges $(CACHE)/judges/bin -work $(CACHE)/bench-images -out $(CACHE)/bench-decode

bench-pull: build corpus $(CACHE)/judges/bin/mkfs.erofs $(DAEMONS) ## compare pull, start and memory with containerd's overlayfs and erofs (root)
	$(GO) run ./test/bench/pull -lamina bin/lamina -corpus $(CACHE)/corpus -work $(CACHE)/bench-pull -out $(CACHE)/bench-pull

growth: build $(CACHE)/judges/bin/mkfs.erofs ## what a conversion costs from 1k to 1M entries, with 100 GiB of holes, with 20 GiB of data
	test/bench/linear.sh

demo: build ## the main job: Debian packages -> OCI image archive -> EROFS layers -> mounted -> a command runs (root, network, minutes)
	tools/install-debs.sh $(DEMO_DEBS)
	tools/demo.sh .cache/demo

clean: ## remove what was built; .cache/ too with ALL=1
	rm -rf bin $(if $(ALL),$(CACHE))
