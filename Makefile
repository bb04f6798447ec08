# What people do every day. `make` alone lists it.

.PHONY: help demo test check differential audit bench fuzz control-plane chart docs image

help:
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 16

demo: ## A world of five name servers on loopback, walked from the root
	cargo run -- demo

test: ## All tests; installs or builds the real parts they need
	.ci/run test

check: ## What every commit has to pass: form, dependencies, docs, rules and tables
	.ci/run fast

differential: ## A million questions that nobody has asked yet, to kubezone, Knot and NSD
	KUBEZONE_SEED=$$(date +%s) KUBEZONE_CASES=1000000 cargo test --test differential

audit: ## The dependencies' advisories (fetches their database)
	cargo deny --locked check advisories

bench: ## What an answer, a change, a name and a manifest cost, in time and instructions; servers side by side and loading a large zone beside Knot, another policy
	cargo bench --bench zone
	cargo bench --bench instructions
	cargo bench --bench manifests
	cargo bench --bench compare
	cargo bench --bench load
	cargo bench --bench policy
	cargo bench --bench memory

fuzz: ## Bytes from strangers, for five minutes each (needs cargo-fuzz and a nightly toolchain)
	cargo +nightly fuzz run respond -- -max_total_time=300
	cargo +nightly fuzz run master -- -max_total_time=300

control-plane: ## etcd, kube-apiserver and kube-controller-manager of the tests
	tests/controlplane/build

docs: ## References that are made from the code: commands, metrics, annotations, reasons, checks
	UPDATE=1 cargo test --locked --lib the_document

chart: ## helm, and the chart's README from the comments of its values
	tests/chart/build
	$${XDG_CACHE_HOME:-$$HOME/.cache}/kubezone/helm-docs-v1.14.2/helm-docs --sort-values-order=file --chart-search-root helm/kubezone

image: ## The container image, for amd64 and arm64, as target/image.tar (needs docker with buildx)
	mkdir -p target
	docker buildx build --platform linux/amd64,linux/arm64 --file packaging/Dockerfile \
		--build-arg REVISION=$$(git rev-parse HEAD) --output type=oci,dest=target/image.tar .
