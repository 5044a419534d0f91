# Sourced by the other scripts: finds a Python that is new enough and keeps .venv in step with a lock.
# shellcheck shell=bash

new_enough() { # PYTHON: 3.12 or newer, and able to make a virtual environment
    "$1" -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 12))' >/dev/null 2>&1
}

find_python() { # prints the first that fits: $PYTHON, on the path, then under a version manager
    local candidate
    for candidate in ${PYTHON:+"$PYTHON"} python3.13 python3.12 python3.14 python3 python \
        "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3.1[2-9]*/bin/python \
        "${UV_PYTHON_INSTALL_DIR:-$HOME/.local/share/uv/python}"/*/bin/python3 \
        "${ASDF_DATA_DIR:-$HOME/.asdf}"/installs/python/3.1[2-9]*/bin/python \
        "${MISE_DATA_DIR:-$HOME/.local/share/mise}"/installs/python/3.1[2-9]*/bin/python \
        "${CONDA_PREFIX:-/nowhere}"/bin/python /opt/homebrew/bin/python3 /usr/local/bin/python3; do
        if new_enough "$candidate"; then
            echo "$candidate"
            return 0
        fi
    done
    echo "seatpool needs Python 3.12 or newer, and found none; install one, or name it: PYTHON=/path/to/python3 $0" >&2
    return 1
}

make_venv() { # LOCK: .venv has exactly what the lock names; quick when nothing changed
    local lock=$1 stamp=.venv/seatpool-lock python wanted
    wanted=$(cksum <"$lock")
    if [ -x .venv/bin/python ] && [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ] && new_enough .venv/bin/python; then
        grep -qs -- ' -P -m ' .venv/bin/seatpool || write_launcher # older ones had none
        return 0
    fi
    python=$(find_python)
    echo "making .venv from $lock with $("$python" --version 2>&1) (a minute, once)" >&2
    "$python" -m venv --clear .venv
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r "$lock"
    # The package itself runs from the clone.
    echo "$PWD/addon" >"$(.venv/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/seatpool.pth"
    write_launcher
    echo "$wanted" >"$stamp"
}

write_launcher() { # .venv/bin/seatpool; -P: it is called in strangers' repositories, whose files are none of its modules
    printf '#!/bin/sh\nexec "%s" -P -m seatpool.cli "$@"\n' "$PWD/.venv/bin/python" >.venv/bin/seatpool
    chmod +x .venv/bin/seatpool
}
