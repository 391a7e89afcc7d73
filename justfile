# What a contributor runs: `just --list`. Each recipe is a command that can be typed as it is.

# The recipes, with what they do
default:
    @just --list

# Install what the other recipes need, into the virtual environment that is active
setup:
    pip install '.[dev]' maturin

# Build the core in place; again after each change in rust/
build:
    maturin develop --release

# The tests: all, those of a room (`just test tests/journal`), or of a rule (`just test --rule 2.identify`)
test *ARGS:
    pytest {{ARGS}}

# The core's own tests
test-core:
    cargo test --quiet --locked --workspace

# Formatting, lints, types and stubs of both languages
lint:
    ruff format --check
    ruff check
    mypy
    python -m mypy.stubtest idmerge._core
    cargo fmt --all --check
    cargo clippy --quiet --locked --workspace --all-targets -- --deny warnings

# Format both languages
format:
    ruff format
    cargo fmt --all

# Everything that must hold before a change lands
ci:
    .ci/run

# The documentation as a site, in target/site
site:
    python site/pages.py
    mkdocs build --strict

# The site at http://localhost:8000; `just site` again after a change
serve-site:
    mkdocs serve

# Write the notebook in examples/ anew, after a change that is meant
notebook:
    python tests/support/example_notebook.py

# Draw the picture of a check-up in docs/ anew, after a change that is meant
check-up-picture:
    python tests/support/check_up_picture.py

# Record anew what mixpanel-browser makes of calls; needs npm and Chromium
sdk-calls:
    python tests/support/sdk_calls.py

# Write THIRD-PARTY-NOTICES anew, after a change of Cargo.lock
notices:
    python rust/notices.py

# The benchmarks; they check their answers
bench *ARGS:
    pytest benches {{ARGS}}

# The core alone: preparing, links, look-ups (`just bench-core -- links/new` chooses)
bench-core *ARGS:
    cargo bench -p idmerge-core --bench resolver {{ARGS}}

# A recorded run: results, the tables and charts of docs/performance.md
report *ARGS:
    pip install '.[bench]'
    python -m benches.reports.performance {{ARGS}}

# Instructions a link, by valgrind; exit code 1 if a kernel grew by more than 5 %
instructions *ARGS:
    python -m benches.reports.instructions {{ARGS}}

# Fifty million IDs in one resolver: links a second, bytes an ID (`just large 1e6` for fewer)
large *ARGS:
    python -m benches.reports.large {{ARGS}}

# The slowest calls while a resolver grows
growth *ARGS:
    python -m benches.reports.growth {{ARGS}}

# Bytes an ID
memory *ARGS:
    python -m benches.reports.memory {{ARGS}}

# Single calls, in nanoseconds
single *ARGS:
    python -m benches.reports.single {{ARGS}}

# Ways in beside the engine, each against what bounds it; `--record` makes their tables and chart
doors *ARGS:
    python -m benches.reports.doors {{ARGS}}

# The machine, its versions, and how fast it reads memory at random
machine:
    python -m benches.reports.machine

# Commits, reopening, checkpoints and looking back, beside the same links in memory
journal *ARGS:
    python -m benches.reports.journal {{ARGS}}

# Small requests and batches to a server, beside a bare function on uvicorn; needs '.[serve]'
server *ARGS:
    python -m benches.reports.server {{ARGS}}

# The inspector's page of a person with 500 IDs and 100,000 events
inspector *ARGS:
    python -m benches.reports.inspector {{ARGS}}

# The feed of one person among 5 million events of a server, against a scan
feed *ARGS:
    python -m benches.reports.feed {{ARGS}}

# A million IDs to each sink that needs no server, then 1,000 more links; a URL adds PostgreSQL
sinks *ARGS:
    python -m benches.reports.sinks {{ARGS}}

# Five million links on Spark and in one resolver, compared row for row; needs '.[spark]' and Java
spark *ARGS:
    python -m benches.reports.spark {{ARGS}}

# Ours against a dict with the same rules, in pairs
pairs *ARGS:
    python -m benches.peers.pairs {{ARGS}}

# Any peers, in turns
peers *ARGS:
    python -m benches.peers.compare {{ARGS}}

# The drop-in classes and components against SciPy and NetworkX, in pairs
originals *ARGS:
    python -m benches.peers.originals {{ARGS}}

# Reading a file of events, beside DuckDB and a Python loop
files *ARGS:
    python -m benches.peers.files {{ARGS}}

# Stitching a file of events, beside DuckDB
stitching *ARGS:
    python -m benches.peers.stitching {{ARGS}}

# One campaign of faults: `just campaign crashes 300 --seed 1`
campaign NAME *ARGS:
    python -m benches.campaigns.{{NAME}} {{ARGS}}

# Every campaign of faults, in full
campaigns:
    python -m benches.campaigns.crashes 300
    python -m benches.campaigns.outputs 1000
    python -m benches.campaigns.server_crashes 300
    python -m benches.campaigns.store 2000
    python -m benches.campaigns.mutations 2000
    python -m benches.campaigns.forgeries 2000
    python -m benches.campaigns.flips 2000
    python -m benches.campaigns.fuzz 120
    python -m benches.campaigns.salvages 250
    python -m benches.campaigns.interrupts 40000
    python -m benches.campaigns.spark_state 2000
    python -m benches.campaigns.sinks 300
