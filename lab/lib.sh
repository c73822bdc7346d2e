# shellcheck shell=bash
# Shared by bin/* and lab/*.sh: where things are, how progress and refusals are printed.
# Sourced, never run; it sets `root` and `lab`, and enters `root`.
set -euo pipefail
# Where the caller stands: it is sourced more than once.
# shellcheck disable=SC2034  # used by those who source this file
[[ ${caller_of:-} == "$$" ]] || caller=$PWD caller_of=$$
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"

# The lab's name: prefix of its containers, name of its network, value of their label.
lab=${TANDEM_LAB:-tandem}
# shellcheck disable=SC2034  # used by those who source this file
state=.lab/$lab
# The tools come without byte code: where none may be written, each of Ansible's many processes compiles what it imports.
unset PYTHONDONTWRITEBYTECODE
# Whoever calls from a directory with an ansible.cfg of its own still means this checkout's.
export ANSIBLE_CONFIG=$root/ansible.cfg PATH=$PATH:/usr/sbin:/sbin

die() { echo "${0##*/}: $*" >&2; exit 1; }
step() { printf '[%3ds] %s\n' "$SECONDS" "$*"; }
is_root() { [[ $(id -u) == 0 ]]; }
have() { command -v "$1" >/dev/null 2>&1; }

# usage FILE: the comment at the top of a command is its --help.
usage() { sed -n '2,${/^#/!q;s/^# \{0,1\}//p}' "$1"; }

# quietly COMMAND...: its output goes to a log, and to the terminal only when it fails.
quietly() {
  local log=.cache/${1##*/}.log
  mkdir -p .cache
  "$@" > "$log" 2>&1 </dev/null && return
  tail -n 20 "$log" >&2
  die "'$*' failed; all of its output is in $log."
}

# apt_install PACKAGE...: only what is needed, and only as root.
apt_install() {
  have apt-get || die "please install $* (this machine has no apt-get to do it with)."
  is_root || die "please run as root, or first: sudo apt-get install --no-install-recommends $*"
  step "Installing $*"
  export DEBIAN_FRONTEND=noninteractive
  quietly apt-get update -q
  quietly apt-get install -q -y --no-install-recommends "$@"
}
