#!/bin/sh
# Install distq and the dependencies of one extra into .venv, which is made where it is missing or broken.
# usage: install-package.sh EXTRA
set -eu
extra=$1

find_python() {
    for python in python3 python3.14 python3.13 python3.12 python3.11; do
        if "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            command -v "$python"
            return
        fi
    done
    echo "make: Python 3.11 or later is needed, and neither python3 nor python3.11 to python3.14 is one" >&2
    return 1
}

if command -v uv >/dev/null; then
    works() { .venv/bin/python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }
    create() { uv venv --quiet --python "$1" .venv; }
    install() { uv pip install --quiet --python .venv/bin/python "$@"; }
else
    works() { .venv/bin/python -c 'import pip, sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }
    create() { "$1" -m venv .venv; }
    install() { .venv/bin/python -m pip install -qq --disable-pip-version-check "$@"; }
fi

if ! works; then
    python=$(find_python)
    rm -rf .venv
    create "$python"
fi
echo "make: installing distq[$extra] into .venv" >&2
install --editable ".[$extra]"
