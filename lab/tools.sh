#!/bin/bash
# Makes what the commands need on this machine: .venv with the tools of requirements-tools.txt,
# and the link by which Ansible finds this checkout as the collection tandem.web.
# shellcheck source=lab/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# Prints the path of a Python that the pinned tools install on. Each candidate is run, because
# a pyenv shim exists for versions that are not selected, and Debian splits venv from Python.
# The distribution's own comes first: it is built with optimizations that pyenv leaves out, and takes a seventh less
# processor time than the same release of pyenv's.
find_python() {
  local name
  for name in /usr/bin/python3 python3.13 python3.12 python3.11 python3; do
    "$name" -c 'import ensurepip, sys, venv; assert sys.version_info >= (3, 11); print(sys.executable)' \
      2>/dev/null && return
  done
  return 1
}

make_python() {
  apt_install python3-venv
  # Ubuntu 22.04's python3 is 3.10; it carries 3.11 beside it.
  find_python >/dev/null || apt_install python3.11-venv
  find_python >/dev/null || die "no Python 3.11 or newer with venv here; please install one."
}

make_venv() {
  local python
  find_python >/dev/null || make_python
  # An interpreter that went away leaves a venv that cannot run.
  if ! .venv/bin/python -m pip --version >/dev/null 2>&1; then
    python=$(find_python)
    step "Making .venv with $python"
    rm -rf .venv
    quietly "$python" -m venv .venv
  fi
  step "Installing the tools of requirements-tools.txt"
  # Byte code is made on first use: compiling the whole bundle takes longer than installing it.
  quietly .venv/bin/python -m pip install -q --no-compile --disable-pip-version-check -r requirements-tools.txt
}

link_collection() {
  local link=.ansible/collections/ansible_collections/tandem/web
  [[ -L $link && -d $link ]] && return
  mkdir -p "${link%/*}"
  ln -sfn ../../../.. "$link"
}

# The stamp is written last, so that an interrupted installation is taken up again.
tools() {
  local wanted stamp=.venv/.requirements
  wanted=$(sha256sum < requirements-tools.txt)
  if [[ $(cat "$stamp" 2>/dev/null) != "$wanted" ]] || ! .venv/bin/python -c '' 2>/dev/null; then
    make_venv
    echo "$wanted" > "$stamp"
  fi
  link_collection
}

# Two commands may start at the same time; the second waits for the first.
tools_locked() { (flock 9; tools) 9< requirements-tools.txt; }

# Mitogen keeps a Python process on each host instead of starting one for each task. TANDEM_STOCK=1 does without. The lab's
# own plays say that they do: they also run tasks here, in the name of a host that is not there yet.
accelerate() {
  [[ -z ${TANDEM_STOCK:-} ]] || return 0
  export ANSIBLE_STRATEGY=tandem.web.accelerated ANSIBLE_DEPRECATION_WARNINGS=false
  # It gives a host's Python only so many seconds to begin, which a busy machine may need.
  export ANSIBLE_TIMEOUT=60
}

[[ ${BASH_SOURCE[0]} != "$0" ]] || tools_locked
