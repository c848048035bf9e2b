# Doorward: `make` lists what there is. Everything sets itself up; see .ci/setup.
.DEFAULT_GOAL := help
.PHONY: help house setup demo check test strangers lock smoke bench bundle image card cluster idle soak \
	screenshots
unexport PYTHONDONTWRITEBYTECODE
VENV := .venv/bin
BROWSER := chromium fonts-dejavu-core
TURN := coturn
SOUND := pulseaudio pulseaudio-utils libportaudio2 libasound2-plugins libspeexdsp1 espeak-ng
PEERS := ffmpeg bmap-tools
POSTGRES := postgresql
FAULTS := strace btrfs-progs e2fsprogs softhsm2
STRANGERS := faketime mosquitto-clients firefox-esr promtool
FLASH := mtools dosfstools fdisk cloud-init netplan.io poppler-utils
BOOT := qemu-system-x86 mmdebstrap e2fsprogs
CONTAINER := mmdebstrap umoci runc
CLUSTER := haproxy faketime iproute2
# for the Pi 3 that make soak boots: its programs run here while its packages are set up
BOOT_PI := qemu-system-arm qemu-user-binfmt
ARGS ?=
# So many test files run at once; one alone is followed more easily: make test WORKERS=0 ARGS="-x"
WORKERS ?= 2
BEGAN := $(shell date +%s)

help:  ## this list
	@echo "make TARGET [ARGS=\"…\"]"
	@sed -n 's/^\([a-z]*\):.*  ## \(.*\)/  \1\t\2/p' $(MAKEFILE_LIST) | expand -t 16

setup:  ## install all tools into .venv and node_modules
	@.ci/setup dev

demo:  ## play the whole story on this machine, then stay up to look around
	@.ci/setup demo
	@exec $(VENV)/python -m tests.story $(ARGS)

check: setup  ## format, lint, types, architecture: in half a minute
	$(VENV)/ruff format --check .
	$(VENV)/ruff check .
	$(VENV)/mypy
	$(VENV)/mypy -p tests.story
	$(VENV)/lint-imports --no-logo
	npm run --silent check

test: setup  ## all tests (ARGS are pytest's); as root it installs what it needs of Debian
	@.ci/debian $(BROWSER) $(FAULTS) $(TURN) $(SOUND) $(POSTGRES) $(FLASH) $(BOOT) $(CONTAINER) $(CLUSTER)
	@.ci/debian $(PEERS) || [ -z "$$CI" ]
	@.ci/picamera || [ -z "$$CI" ]
	@.ci/peers || [ -z "$$CI" ]
	@echo "set-up: $$(($$(date +%s) - $(BEGAN))) s"
	npm test --silent
	$(VENV)/pytest --numprocesses $(WORKERS) --dist loadfile --no-loadscope-reorder $(ARGS)

strangers: setup  ## other people's tools against what Doorward makes: logs, broker, bucket, MP4, C2PA, pages
	@.ci/debian $(BROWSER) $(PEERS) $(STRANGERS) || [ -z "$$CI" ]
	@.ci/peers || [ -z "$$CI" ]
	@.ci/strangers
	@.ci/home_assistant || [ -z "$$CI" ]
	DOORWARD_STRANGERS=1 $(VENV)/pytest tests/strangers $(ARGS)

house: setup  ## print the structure's measures: parts, layers, edges, the longest files and functions
	@$(VENV)/python -m tests.house

lock:  ## resolve pyproject.toml into requirements/ anew
	@.ci/lock

smoke: setup  ## import each side in an environment that has only its own extra
	$(VENV)/pytest tests/smoke $(ARGS)

bench: setup  ## measure for two hours, and write docs/benchmarks.md and .json (tests/bench)
	@.ci/debian $(PEERS) $(FLASH) $(POSTGRES) $(CLUSTER) && .ci/debian $(BROWSER) && .ci/peers || \
		echo "set-up: going on without; what is missing is said in the table" >&2
	$(VENV)/python -m tests.bench $(ARGS)

bundle: setup  ## gather what a first boot installs, for signing (ARGS="--out FILE"; doorward-release)
	@$(VENV)/python -m provisioning.release bundle $(ARGS)

image: setup  ## put a bundle into a base image, for flasher and Imager (ARGS="BASE --bundle … --out …")
	@$(VENV)/python -m provisioning.release image $(ARGS)

card: setup  ## flash a card, boot it in QEMU, pair it, ring it (root; ARGS="--once", "--help")
	@.ci/debian $(BOOT) $(FLASH)
	@$(VENV)/python -m tests.boot $(ARGS)

cluster: setup  ## a whole cluster here, to look around in; ARGS=--chaos kills a part each 20 s (--help)
	@.ci/debian $(POSTGRES) $(CLUSTER)
	@$(VENV)/python -m tests.cluster $(ARGS)

idle: setup  ## watch demo, relay and doorbell at rest for an hour: docs/idle.json and benchmarks.md
	@.ci/debian $(FAULTS)
	$(VENV)/python -m tests.bench.idle $(ARGS)

soak: setup  ## the long forms: 1,000 kills, 200 power cuts, every failing call, live view, a guest (hours)
	@.ci/debian $(FAULTS) $(POSTGRES) $(FLASH) $(BOOT) $(BOOT_PI)
	DOORWARD_MUTATIONS=100000 $(VENV)/pytest tests/attacks/test_altered_grants_are_refused.py $(ARGS)
	DOORWARD_MODEL_EXAMPLES=1000 $(VENV)/pytest tests/attacks/test_model_no_byte_leaves.py $(ARGS)
	DOORWARD_HOSTILE_SEEDS=50 $(VENV)/pytest tests/attacks/test_a_hostile_doorbell_makes_no_liar.py $(ARGS)
	DOORWARD_LEDGER_OPERATIONS=10000 $(VENV)/pytest tests/relay/test_credit.py $(ARGS)
	DOORWARD_MAP_WORLDS=3000 $(VENV)/pytest tests/attacks/test_the_map_finds_no_home.py $(ARGS)
	DOORWARD_SCHEMATHESIS=50000 DOORWARD_SCHEMATHESIS_SEED=$$(date +%s) \
		$(VENV)/pytest tests/relay/test_schemathesis.py $(ARGS)
	DOORWARD_MUTANTS_EVERY=1 $(VENV)/pytest tests/firmware/test_mutants.py $(ARGS)
	.ci/fuzz && $(VENV)/python -m tests.fuzz --cpu-s 600
	DOORWARD_FUZZ_CPU_S=300 DOORWARD_PACKAGE_MIB=4000 \
		$(VENV)/pytest tests/attacks/test_a_poisoned_file_takes_no_machine.py $(ARGS)
	DOORWARD_EVERY_WAY=1 $(VENV)/pytest tests/flows/test_pages_quality.py $(ARGS)
	DOORWARD_BENCHMARKS=all $(VENV)/pytest tests/bench/test_bench_short.py $(ARGS)
	$(VENV)/pytest tests/flows/soak.py tests/cluster/soak.py $(ARGS)
	DOORWARD_FUZZ_CPU_S=200 $(VENV)/pytest tests/firmware/test_live_fuzz.py $(ARGS)
	DOORWARD_DROPPED_SESSIONS=500 $(VENV)/pytest tests/firmware/test_live_leaks.py $(ARGS)
	DOORWARD_KILLS=300 $(VENV)/pytest tests/faults/test_kills.py $(ARGS)
	DOORWARD_KILLS=200 $(VENV)/pytest tests/faults/test_upload_kills.py tests/faults/test_log_kills.py $(ARGS)
	DOORWARD_UPLOADS=300 $(VENV)/pytest tests/faults/test_upload_faults.py $(ARGS)
	DOORWARD_CUTS_EVERY=1 $(VENV)/pytest tests/faults/test_decision_crashes.py \
		tests/faults/test_recovery_crashes.py $(ARGS)
	DOORWARD_RECORDER_KILLS=1000 $(VENV)/pytest tests/faults/test_recorder_kills.py $(ARGS)
	DOORWARD_MIRROR_KILLS=1000 $(VENV)/pytest tests/faults/test_mirror_kills.py $(ARGS)
	DOORWARD_POWER_CUTS=200 $(VENV)/pytest tests/faults/test_power_cuts.py $(ARGS)
	DOORWARD_CARD_ERRORS=0 $(VENV)/pytest tests/faults/test_failing_card.py $(ARGS)
	DOORWARD_SCENE_SEEDS=6 $(VENV)/pytest tests/firmware/test_motion.py $(ARGS)
	DOORWARD_PRE_ROLL_CLIPS=10 $(VENV)/pytest tests/firmware/test_pre_roll_in_real_time.py $(ARGS)
	DOORWARD_LIVE_VIEWERS=500 $(VENV)/pytest tests/firmware/test_aiortc_sender.py $(ARGS)
	$(VENV)/pytest tests/firmware/soak.py $(ARGS)
	.ci/postgres $(VENV)/pytest tests/relay $(ARGS)
	$(VENV)/pytest tests/guest/soak.py $(ARGS)
	.ci/home_assistant && $(VENV)/pytest tests/home_assistant/soak.py $(ARGS)
	.ci/debian $(BROWSER) && .ci/lighthouse && $(VENV)/pytest tests/lighthouse/soak.py $(ARGS)
	$(VENV)/pytest tests/boot/soak.py $(ARGS)

screenshots: setup  ## take pictures of every page, and of doorward-flash (tests/flows/screenshots.py)
	@.ci/debian $(BROWSER) $(FLASH)
	$(VENV)/python -m tests.provisioning.pictures
	$(VENV)/python -m tests.flows.screenshots $(ARGS)
