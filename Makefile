# Inferscope. `make help` says what there is; V=1 shows the commands.

V ?= 0
Q := $(if $(filter 1,$(V)),,@)
say = $(if $(filter 1,$(V)),,@printf '  %-7s %s\n' $(1) '$(2)')

DEBUG ?= 0
SANITIZE ?= 0
KAFKA ?= 0
PREFIX ?= /usr/local
DESTDIR ?=
CC ?= gcc
VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
ARCH := $(shell uname -m | sed 's/x86_64/x86/; s/aarch64/arm64/')

# Each kind of build has its own objects, so that changing the kind never links old ones; build/agent is the
# latest built.
KIND := $(if $(filter 1,$(SANITIZE)),sanitize,$(if $(filter 1,$(DEBUG)),debug,release))$(if $(findstring clang,$(CC)),-clang)
OUT := build
OBJ := $(OUT)/$(KIND)

# The newest clang that is packaged, 16 or later: older ones crash on bpf_core_type_matches.
CLANG ?= $(firstword $(foreach v,21 20 19 18 17 16,$(shell command -v clang-$(v) 2>/dev/null)))
BPFTOOL ?= $(firstword $(shell command -v bpftool 2>/dev/null) $(wildcard /usr/sbin/bpftool))

# Kafka is a few files of its own: with them and librdkafka the same objects make an agent that has it, in a folder
# of its own.
KAFKA_SOURCES := $(wildcard user/deliver/kafka*.c)
AGENT := $(OBJ)/$(if $(filter 1,$(KAFKA)),kafka/)agent

LIBS := libbpf libelf zlib yaml-0.1 jansson libmicrohttpd libpcre2-8 libcurl libcrypto
CPPFLAGS := -D_GNU_SOURCE -Iinclude -Iuser -I. -I$(OUT)/bpf -I$(OUT)/generated
WARN := -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wvla -Wno-unused-parameter
CFLAGS := -std=gnu17 $(WARN) -g -fno-omit-frame-pointer -fstack-protector-strong -MMD -MP
LDFLAGS := -Wl,-z,relro,-z,now
ifeq ($(KIND:-clang=),release)
CFLAGS += -O2 -D_FORTIFY_SOURCE=2
else ifeq ($(KIND:-clang=),debug)
CFLAGS += -O0
else ifeq ($(KIND),fuzz)
CFLAGS += -O1 -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=undefined -DFUZZ_ENGINE \
          -DFUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION
LDFLAGS += -fsanitize=address,undefined
else
CFLAGS += -O1 -fsanitize=address,undefined -fno-sanitize-recover=undefined
LDFLAGS += -fsanitize=address,undefined
endif
BPF_CFLAGS := -O2 -g -target bpf -mcpu=v3 -D__bpf__ -D__TARGET_ARCH_$(ARCH) -Wall -Wextra -Werror \
	-Wno-unused-parameter -Wno-missing-declarations -Iinclude -Ivmlinux -I.

BPF := $(patsubst bpf/%.bpf.c,%,$(wildcard bpf/*.bpf.c))
SKELETONS := $(BPF:%=$(OUT)/bpf/%.skel.h)
USER := $(filter-out $(KAFKA_SOURCES),$(wildcard user/*.c user/*/*.c))
STAGES := $(filter-out user/main.c,$(USER))
GENERATED := $(OUT)/generated/default_rules.c
AGENT_OBJECTS := $(USER:%.c=$(OBJ)/%.o) $(GENERATED:$(OUT)/%.c=$(OBJ)/%.o)
STAGE_OBJECTS := $(STAGES:%.c=$(OBJ)/%.o) $(GENERATED:$(OUT)/%.c=$(OBJ)/%.o)
# Fuzz targets are in the unit tests, too, which feed them their seeds.
FUZZ := $(patsubst tests/fuzz/fuzz_%.c,%,$(wildcard tests/fuzz/fuzz_*.c))
UNIT := $(wildcard tests/unit/*.c) $(FUZZ:%=tests/fuzz/fuzz_%.c) tests/bench/rules/records.c
REAL_SERVERS := tests/servers/root.c tests/servers/model.c
INTEGRATION := $(wildcard tests/integration/*.c) $(REAL_SERVERS)
LIBRARY_USERS := $(addprefix $(OBJ)/bin/,onnx-client throwing libtorch_cpu.so elsewhere/libtorch_cpu.so)
CXXFLAGS := -std=c++17 -O2 -Wall -Wextra -Werror

STAND_IN := $(OBJ)/stand-in
STAND_INS := $(addprefix $(STAND_IN)/,libcuda.so.1 libnccl.so.2 libcudart.so.13 table/libcudart.so.13 \
	gpu-program gpu-static gpu-stripped)
DEMO_PROGRAMS := $(addprefix $(OBJ)/bin/,write-model tls-server onnx-client) \
	$(addprefix $(STAND_IN)/,libcuda.so.1 libnccl.so.2 libcudart.so.13 gpu-program)

.DELETE_ON_ERROR:
.SECONDARY:

.PHONY: help
help: ## This text
	@echo 'Targets:'
	@sed -n 's/^\([a-z][a-z-]*\):.*## \(.*\)/  \1\t\2/p' $(firstword $(MAKEFILE_LIST)) | expand -t 16
	@echo 'Variables: V=1 (show commands)  KAFKA=1  DEBUG=1  SANITIZE=1  CC=clang-19  PREFIX=/usr/local  DESTDIR='

.PHONY: all
all: packages-build $(if $(filter 1,$(KAFKA)),packages-kafka) ## Install what is missing (Debian's packages) and build build/agent
	$(Q)$(MAKE) --no-print-directory agent

.PHONY: run
run: all ## Build, then run the agent with the built-in rules (RUN_ARGS='--json' adds options)
	$(Q)$(if $(filter 0,$(shell id -u)),,sudo )$(OUT)/agent --rules $(RUN_ARGS)

.PHONY: demo
demo: packages-build packages-test ## Agent, model servers, Prometheus, Alertmanager, load, misdeeds (DEMO_ARGS='--seconds 60')
	$(Q)$(MAKE) --no-print-directory agent $(DEMO_PROGRAMS)
	$(Q)tests/servers/fetch $(OUT)/servers
	$(Q)tests/servers/fetch-libraries $(OUT)/servers
	$(Q)$(if $(filter 0,$(shell id -u)),,sudo )deploy/demo/demo $(OBJ)/agent $(OBJ)/bin $(OUT)/servers $(DEMO_ARGS)

.PHONY: test
test: packages-build packages-test ## All checks and tests, on this machine's own kernel, as root; installs servers, too
	$(Q)$(MAKE) --no-print-directory run-tests

.PHONY: test-vm
test-vm: packages-build packages-test packages-vm ## The integration tests on Debian's kernels, in QEMU (KERNELS="5.10 6.1 6.12 7.2")
	$(Q)$(MAKE) --no-print-directory agent integration
	$(Q)tests/vm/run --agent $(OBJ)/agent --tests $(OBJ)/bin/integration $(KERNELS)

.PHONY: fuzz
fuzz: packages-build packages-fuzz ## Feed the parsers random input (FUZZ_SECONDS=60 for each of FUZZ_TARGETS)
	$(if $(FUZZ_CC),,$(error no libFuzzer: install the libclang-rt-N-dev of a clang-N that is here))
	$(Q)$(MAKE) --no-print-directory run-fuzz KIND=fuzz CC="$(FUZZ_CC)"

.PHONY: bench
bench: packages-build packages-test ## What it costs (BENCH_ARGS=rules, spool: only that, without root; --inference, --network, --egress, --sched)
	$(Q)$(MAKE) --no-print-directory agent $(OUT)/bench/bench $(OUT)/bench/plain-server $(OBJ)/bin/bench-rules $(OBJ)/bin/bench-spool
	$(Q)$(if $(filter spool,$(BENCH_ARGS)),,$(OBJ)/bin/bench-rules)
	$(Q)$(if $(filter rules,$(BENCH_ARGS)),,$(OBJ)/bin/bench-spool)
	$(Q)$(if $(filter rules spool,$(BENCH_ARGS)),,tests/servers/fetch $(OUT)/servers && $(OUT)/bench/bench $(OBJ)/agent $(BENCH_ARGS))

.PHONY: docs
docs: agent ## Write EVENTS.md, METRICS.md (as root), CONFIG.md and deploy/agent.yaml from the tables in the agent
	$(Q)$(OUT)/agent list events --format markdown > $(OUT)/EVENTS.md.tmp && mv $(OUT)/EVENTS.md.tmp docs/EVENTS.md
	$(Q)$(OUT)/agent list metrics --format markdown > $(OUT)/METRICS.md.tmp && mv $(OUT)/METRICS.md.tmp docs/METRICS.md
	$(Q)$(OUT)/agent config reference > $(OUT)/CONFIG.md.tmp && mv $(OUT)/CONFIG.md.tmp docs/CONFIG.md
	$(Q)$(OUT)/agent config example > $(OUT)/agent.yaml.tmp && mv $(OUT)/agent.yaml.tmp deploy/agent.yaml

.PHONY: format
format: ## Format the C files
	$(Q)clang-format -i $$(git ls-files '*.c' '*.h')

.PHONY: install
install: all ## Install the stripped agent, agent.yaml, rules, dashboards and runbooks (DESTDIR, PREFIX)
	$(call say,INSTALL,$(DESTDIR)$(PREFIX)/sbin/inferscope-agent)
	$(Q)install -D -m 0755 -s $(AGENT) $(DESTDIR)$(PREFIX)/sbin/inferscope-agent
	$(Q)install -D -m 0644 user/rule/default.yaml $(DESTDIR)$(PREFIX)/share/inferscope/rules/default.yaml
	$(Q)install -D -m 0644 deploy/agent.yaml $(DESTDIR)$(PREFIX)/share/inferscope/agent.yaml.example
	$(Q)for file in deploy/prometheus/rules/*.yaml deploy/alertmanager/*.yaml deploy/grafana/*.json deploy/otel-collector/*.yaml deploy/vector/*.yaml docs/runbooks/*.md; do \
		install -D -m 0644 $$file $(DESTDIR)$(PREFIX)/share/inferscope/$${file#deploy/} || exit 1; done

.PHONY: deb
deb: all packages-deb ## Make a Debian package in build/deb/ (DEBFULLNAME, DEBEMAIL: whose it is)
	$(Q)deploy/make-deb $(AGENT) $(VERSION) $(OUT)/deb

.PHONY: image
image: all ## Make a container image, build/image/inferscope.tar, without Docker (VERSION=1 is its tag)
	$(Q)deploy/make-image $(AGENT) $(VERSION) $(OUT)/image/inferscope.tar

.PHONY: clean
clean: ## Remove build/
	$(Q)rm -rf $(OUT)

.PHONY: packages-build packages-kafka packages-deb packages-test packages-fuzz packages-vm
packages-build packages-kafka packages-deb packages-test packages-fuzz packages-vm: packages-%: $(OUT)/.packages-%
$(OUT)/.packages-%: deploy/packages.txt deploy/install-packages
	$(Q)mkdir -p $(@D)
	$(Q)deploy/install-packages $*
	$(Q)touch $@

# --- The rest is for the targets above. ---

.PHONY: agent unit integration run-tests
agent: $(AGENT)
	$(Q)ln -sf $(AGENT:$(OUT)/%=%) $(OUT)/agent
unit: $(OBJ)/bin/unit
integration: $(OBJ)/bin/integration
run-tests: agent unit integration
	$(Q)tests/tools/run-tests $(OBJ) $(TEST_ARGS)

$(OUT)/bpf/%.bpf.o: bpf/%.bpf.c
	$(if $(CLANG),,$(error no clang 16 or later: run `make all`, which installs it))
	$(call say,BPF,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(CLANG) $(BPF_CFLAGS) -MMD -MP -MT $@ -c $< -o $@

# bpftool writes standard output even where it fails, so the skeleton is moved into place.
$(OUT)/bpf/%.skel.h: $(OUT)/bpf/%.bpf.o
	$(call say,SKEL,$@)
	$(Q)$(BPFTOOL) gen object $(@:.skel.h=.linked.o) $<
	$(Q)$(BPFTOOL) gen skeleton $(@:.skel.h=.linked.o) name $*_bpf > $@.tmp
	$(Q)mv $@.tmp $@

# The built-in rules travel inside the binary, as bytes.
$(OUT)/generated/default_rules.c: user/rule/default.yaml deploy/embed
	$(call say,EMBED,$<)
	$(Q)mkdir -p $(@D)
	$(Q)deploy/embed default_rules $< > $@.tmp && mv $@.tmp $@

# Names and numbers of this architecture's system calls.
$(OUT)/generated/syscall_numbers.inc:
	$(Q)mkdir -p $(@D)
	$(Q)echo '#include <asm/unistd.h>' | $(CC) -dM -E - | \
		sed -n 's/^#define __NR_\([a-z0-9_]*\) \([0-9]*\)$$/{"\1", \2},/p' | sort > $@.tmp && mv $@.tmp $@

# The same for 32-bit callers. Their calls are not seen on arm64.
$(OUT)/generated/syscall_numbers_compat.inc:
	$(Q)mkdir -p $(@D)
	$(Q)echo '#if defined(__x86_64__)\n#include <asm/unistd_32.h>\n#endif' | $(CC) -dM -E - | \
		sed -n 's/^#define __NR_\([a-z0-9_]*\) \([0-9]*\)$$/{"\1", \2},/p' | sort > $@.tmp && mv $@.tmp $@

$(OBJ)/user/source/calls.o $(OBJ)/tests/integration/test_service.o: $(OUT)/generated/syscall_numbers.inc $(OUT)/generated/syscall_numbers_compat.inc

$(OBJ)/generated/%.o: $(OUT)/generated/%.c
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -c $< -o $@

# Rewritten only when the version has changed, so that only who names it is built again.
.PHONY: FORCE
$(OUT)/generated/version.h: FORCE
	$(Q)mkdir -p $(@D)
	$(Q)echo '#define INFERSCOPE_VERSION "$(VERSION)"' > $@.tmp
	$(Q)cmp -s $@.tmp $@ && rm $@.tmp || mv $@.tmp $@

$(OBJ)/%.o: %.c | $(SKELETONS) $(OUT)/generated/version.h
	$(call say,CC,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) -I$(dir $<) $(CFLAGS) -c $< -o $@

# Only the library list that pkg-config knows once the packages are there.
$(OBJ)/agent: $(AGENT_OBJECTS)
	$(call say,LINK,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(LDFLAGS) $^ -o $@ $$(pkg-config --libs $(LIBS)) -lresolv -lm

# The same with Kafka.
$(OBJ)/kafka/agent: $(AGENT_OBJECTS) $(KAFKA_SOURCES:%.c=$(OBJ)/%.o)
	$(call say,LINK,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(LDFLAGS) $^ -o $@ $$(pkg-config --libs $(LIBS) rdkafka) -lresolv -lm

$(OBJ)/bin/unit: $(UNIT:%.c=$(OBJ)/%.o) $(STAGE_OBJECTS)
	$(call say,LINK,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(LDFLAGS) $^ -o $@ $$(pkg-config --libs $(LIBS)) -lresolv -lm -lcriterion

$(OBJ)/bin/integration: $(INTEGRATION:%.c=$(OBJ)/%.o) $(OBJ)/generated/vmlinux_types.o | $(OBJ)/bin/actor $(OBJ)/bin/plain-server $(OBJ)/bin/tls-server $(OBJ)/bin/fill-spool $(OBJ)/bin/kafka-broker $(OBJ)/kafka/agent $(OBJ)/bin/write-model $(OBJ)/bin/probed $(OBJ)/bin/probed-late $(OBJ)/bin/libprobed.so $(STAND_INS) $(LIBRARY_USERS) $(OBJ)/bin/llama-client
	$(call say,LINK,$@)
	$(Q)$(CC) $(LDFLAGS) $^ -o $@ $$(pkg-config --libs libbpf libelf zlib jansson libssl libcrypto) -lcriterion -lpthread -lm

# What libFuzzer finds is kept in build/fuzz/corpus/ and taken up again by the next run.
$(FUZZ:%=$(OBJ)/bin/fuzz_%): $(OBJ)/bin/fuzz_%: $(OBJ)/tests/fuzz/fuzz_%.o $(STAGE_OBJECTS)
	$(call say,LINK,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(LDFLAGS) -fsanitize=fuzzer $^ -o $@ $$(pkg-config --libs $(LIBS)) -lresolv -lm

$(OBJ)/bin/make_seeds: $(OBJ)/tests/fuzz/make_seeds.o $(OBJ)/tests/bench/rules/records.o $(STAGE_OBJECTS)
	$(call say,LINK,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(LDFLAGS) $^ -o $@ $$(pkg-config --libs $(LIBS)) -lresolv -lm

FUZZ_TARGETS ?= $(FUZZ)
FUZZ_SECONDS ?= 60
# The newest clang whose libFuzzer is installed.
FUZZ_CC ?= $(firstword $(foreach v,21 20 19 18 17 16 14,$(if $(wildcard \
	/usr/lib/llvm-$(v)/lib/clang/*/lib/linux/libclang_rt.fuzzer-*),$(shell command -v clang-$(v)))))

.PHONY: run-fuzz
run-fuzz: $(FUZZ_TARGETS:%=$(OBJ)/bin/fuzz_%) $(OBJ)/bin/make_seeds
	$(Q)tests/fuzz/run $(OBJ)/bin $(OUT)/fuzz $(FUZZ_SECONDS) $(FUZZ_TARGETS)

# The program that the integration tests have things done by: static, because it also runs in empty containers.
$(OBJ)/bin/actor: tests/integration/actor/actor.c
	$(call say,CC,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) -std=gnu17 -D_GNU_SOURCE $(WARN) -O1 -static $< -o $@

# What the tests of probes measure: a static program, one that loads a library late, and that library.
$(OBJ)/bin/probed: tests/integration/probed/probed.c tests/integration/probed/work.c
	$(call say,CC,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) -std=gnu17 -D_GNU_SOURCE $(WARN) -O1 -static $^ -o $@
$(OBJ)/bin/probed-late: tests/integration/probed/probed.c
	$(call say,CC,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) -std=gnu17 -D_GNU_SOURCE $(WARN) -O1 -DLATE $^ -o $@ -ldl
$(OBJ)/bin/libprobed.so: tests/integration/probed/work.c
	$(call say,CC,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) -std=gnu17 -D_GNU_SOURCE $(WARN) -O1 -fPIC -shared $^ -o $@

# Fills a spool for the tests of the deliverer, which need no agent then.
$(OBJ)/bin/fill-spool: $(OBJ)/tests/integration/fill/fill_spool.o $(STAGE_OBJECTS)
	$(call say,LINK,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(LDFLAGS) $^ -o $@ $$(pkg-config --libs $(LIBS)) -lresolv -lm

# A server for the same tests, static for the same reason, and for the benchmark.
$(OBJ)/bin/plain-server $(OUT)/bench/plain-server: tests/servers/plain.c
	$(call say,CC,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) -std=gnu17 -D_GNU_SOURCE $(WARN) -O2 -static $< -o $@ -lpthread

# The model of the real servers, for the demo, which is a script.
$(OBJ)/bin/write-model: tests/servers/write_model.c $(REAL_SERVERS)
	$(call say,CC,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) -std=gnu17 -D_GNU_SOURCE -I. $(WARN) -O2 $^ -o $@

# Carries OpenSSL itself, and its symbols.
$(OBJ)/bin/tls-server: tests/servers/tls.c
	$(call say,CC,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) -std=gnu17 -D_GNU_SOURCE $(WARN) -O2 $< -o $@ -Wl,-Bstatic -lssl -lcrypto -Wl,-Bdynamic

# Brokers for the tests of the deliverer, and a look at what they have taken.
$(OBJ)/bin/kafka-broker: tests/servers/kafka.c
	$(call say,CC,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) -std=gnu17 -D_GNU_SOURCE $(WARN) -O2 $< -o $@ $$(pkg-config --libs rdkafka jansson)

# Libraries that stand in for CUDA and NCCL, and programs that use them: with a runtime that calls the driver
# by name or by its table, with a runtime of their own, and that without symbols. Nothing may end in a jump to
# another function, as the real ones do not.

$(STAND_INS): tests/stand-in/stand_in.h
$(STAND_IN)/libcuda.so.1: tests/stand-in/driver.c
$(STAND_IN)/libnccl.so.2: tests/stand-in/nccl.c
$(STAND_IN)/libcudart.so.13 $(STAND_IN)/table/libcudart.so.13: tests/stand-in/runtime.c $(STAND_IN)/libcuda.so.1
$(STAND_IN)/table/libcudart.so.13: STAND_IN_FLAGS := -DBY_TABLE
$(filter %.1 %.2 %.13,$(STAND_INS)):
	$(call say,CC,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) -std=gnu17 -D_GNU_SOURCE $(WARN) -O1 -fno-optimize-sibling-calls $(STAND_IN_FLAGS) -shared -fPIC \
		$(filter-out %.h,$^) -o $@ -Wl,-soname,$(@F),-rpath,'$$ORIGIN' -lpthread

$(STAND_IN)/gpu-program: tests/stand-in/program.c
$(STAND_IN)/gpu-static $(STAND_IN)/gpu-stripped: tests/stand-in/program.c tests/stand-in/runtime.c $(STAND_IN)/libcuda.so.1
$(STAND_IN)/gpu-static $(STAND_IN)/gpu-stripped: STAND_IN_FLAGS := -DSTATIC -fvisibility=hidden
$(STAND_IN)/gpu-stripped: STAND_IN_FLAGS += -s
$(filter $(STAND_IN)/gpu-%,$(STAND_INS)):
	$(call say,CC,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) -std=gnu17 -D_GNU_SOURCE $(WARN) -O1 -fno-optimize-sibling-calls $(STAND_IN_FLAGS) $(filter-out %.h,$^) \
		-o $@ -Wl,-rpath,'$$ORIGIN' -ldl -lpthread

# Programs that use inference libraries, and a library that stands in for one. Without sanitizers, as exceptions
# are to pass through what a compiler makes of it.
$(OBJ)/bin/onnx-client: tests/servers/onnx.c
	$(call say,CC,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) -std=gnu17 -D_GNU_SOURCE $(WARN) -O2 $< -o $@ -ldl -lpthread

$(OBJ)/bin/throwing: tests/servers/throwing.cc tests/servers/throwing.h
	$(call say,CXX,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(CXX) $(CXXFLAGS) $< -o $@ -ldl -lpthread

$(OBJ)/bin/libtorch_cpu.so $(OBJ)/bin/elsewhere/libtorch_cpu.so: tests/servers/throwing_library.cc tests/servers/throwing.h
	$(call say,CXX,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CXX) $(CXXFLAGS) $(if $(findstring elsewhere,$@),-DENDS_ELSEWHERE) -fPIC -shared -Wl,-soname,libtorch_cpu.so $< -o $@

# Runs beside the llama.cpp that the tests fetch, which it opens by itself.
$(OBJ)/bin/llama-client: tests/servers/llama.c
	$(call say,CC,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) -std=gnu17 -D_GNU_SOURCE $(WARN) -O2 $< -o $@ -ldl

# The types of vmlinux.h as BTF, for the test that compares them with the running kernel's. Only what a
# variable has gets into BTF, so there is one of each type.
$(OUT)/generated/vmlinux_types.c: vmlinux/vmlinux.h deploy/embed
	$(call say,EMBED,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(CLANG) $(BPF_CFLAGS) -E $< | sed -n 's/^struct \([a-zA-Z0-9_]*\) {.*/struct \1 variable_of_\1;/p' | \
		cat $< - > $@.in
	$(Q)$(CLANG) $(BPF_CFLAGS) -Wno-pragma-once-outside-header -x c -c $@.in -o $@.o
	$(Q)deploy/embed vmlinux_types $@.o > $@.tmp && mv $@.tmp $@

$(OUT)/bench/bench: $(wildcard tests/bench/*.c tests/bench/*.h) $(REAL_SERVERS) tests/servers/root.h
	$(call say,CC,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) -std=gnu17 -D_GNU_SOURCE -I. $(WARN) -O2 -g $(filter %.c,$^) -o $@ -lm -lpthread

$(OBJ)/bin/bench-spool: $(patsubst %.c,$(OBJ)/%.o,$(wildcard tests/bench/spool/*.c)) $(STAGE_OBJECTS)
	$(call say,LINK,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(LDFLAGS) $^ -o $@ $$(pkg-config --libs $(LIBS)) -lresolv -lm

$(OBJ)/bin/bench-rules: $(patsubst %.c,$(OBJ)/%.o,$(wildcard tests/bench/rules/*.c)) $(STAGE_OBJECTS)
	$(call say,LINK,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(LDFLAGS) $^ -o $@ $$(pkg-config --libs $(LIBS)) -lresolv -lm

-include $(wildcard $(OUT)/bpf/*.d $(OBJ)/user/*.d $(OBJ)/user/*/*.d $(OBJ)/tests/*/*.d $(OBJ)/tests/*/*/*.d)
