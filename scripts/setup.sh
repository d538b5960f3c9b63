#!/bin/sh
# Make .venv with the exact pins of requirements.txt and this package in it, or say plainly what is missing.
# PYTHON=/path/to/python chooses the interpreter. Nothing is done when .venv is already what it should be.
set -u

cd "$(dirname "$0")/.." || exit 1
venv=.venv
stamp=$venv/stamp # written last: what the environment was made of; "unfinished" while it is being made
log=$venv/setup.log

say() { printf 'setup: %s\n' "$*" >&2; }

# Python 3.12 or 3.13 (bayesflow 2.1 ends there) with what `python -m venv` needs.
runs() { "$1" -c 'import sys; sys.exit(not (3, 12) <= sys.version_info < (3, 14))' >/dev/null 2>&1; }
has_venv() { "$1" -c 'import ensurepip, venv' >/dev/null 2>&1; }

# Set `python` to the first interpreter that works, by running it: a pyenv shim can exist and fail.
find_python() {
    without_venv=
    if [ -n "${PYTHON:-}" ]; then
        runs "$PYTHON" || { say "PYTHON=$PYTHON is not a working Python 3.12 or 3.13."; return 1; }
        candidates=$PYTHON
    else
        candidates="python3.13 python3.12 python3"
    fi
    for candidate in $candidates; do
        runs "$candidate" || continue
        if has_venv "$candidate"; then python=$candidate; return 0; fi
        without_venv=$candidate
    done
    if [ -z "${PYTHON:-}" ] && command -v uv >/dev/null 2>&1; then
        say "no Python 3.12 or 3.13 with venv on PATH; asking uv for one"
        python=$(uv python find --no-project '>=3.12,<3.14' 2>/dev/null)
        if runs "$python" && has_venv "$python"; then return 0; fi
        uv python install 3.13 >&2 && python=$(uv python find --no-project --managed-python 3.13) && return 0
    fi
    explain_python
    return 1
}

explain_python() {
    if [ -n "$without_venv" ]; then
        version=$("$without_venv" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
        say "$without_venv is Python $version but lacks the venv module (ensurepip)."
        say "On Debian and Ubuntu: sudo apt-get install python$version-venv"
    else
        say "firstpassage needs Python 3.12 or 3.13; found: $(python3 --version 2>&1 | head -n 1)."
        say "Install one of them, from your system (with its venv package), python.org, pyenv or conda,"
        say "or install uv (https://docs.astral.sh/uv), which brings its own. Then run this again;"
        say "PYTHON=/path/to/python3.13 names an interpreter that is not on PATH."
    fi
}

# What the environment depends on. The folder is part of it: an environment does not survive a move.
key() { { pwd; cat requirements.txt pyproject.toml; } | cksum; }

restore() { if [ -n "$before" ]; then printf '%s\n' "$before" >"$stamp"; elif $existed; then rm -f "$stamp"; fi; }

fail() {
    say "$*. The end of $log:"
    tail -n 30 "$log" >&2
    restore
    exit 1
}

install_pins() {
    uv_pin=$(grep '^uv==' requirements.txt)
    if "$venv/bin/python" -m pip install "$uv_pin" >>"$log" 2>&1 &&
        "$venv/bin/python" -m uv pip install --compile-bytecode --python "$venv/bin/python" -r requirements.txt >>"$log" 2>&1
    then
        return 0
    fi
    say "uv could not install the pins (see $log); trying pip, which is slower"
    "$venv/bin/python" -m pip install -r requirements.txt >>"$log" 2>&1
}

key=$(key)
before=$(cat "$stamp" 2>/dev/null)
works=false
if runs "$venv/bin/python"; then works=true; fi
if $works && [ "$before" = "$key" ]; then exit 0; fi

existed=true
if ! $works || [ "$before" = unfinished ]; then
    existed=false
    find_python || exit 1
    if [ -e "$venv" ]; then say "$venv is broken or was left unfinished; making it again"; rm -rf "$venv"; fi
    before=
    mkdir "$venv" || exit 1
    echo unfinished >"$stamp"
    say "making $venv with $("$python" --version) ($python)"
    say "it gets $(grep -c '==' requirements.txt) pinned packages, about 1.8 GB on disk; log in $log"
    "$python" -m venv "$venv" >"$log" 2>&1 || fail "python -m venv failed"
else
    say "bringing $venv up to date with requirements.txt and pyproject.toml"
    echo unfinished >"$stamp"
    : >"$log"
fi
install_pins || fail "the pinned packages could not be installed"
"$venv/bin/python" -m pip install --no-deps --no-build-isolation --no-index --editable . >>"$log" 2>&1 ||
    fail "the package itself could not be installed"
printf '%s\n' "$key" >"$stamp"
say "done"
