#!/bin/bash
# A Docker engine that answers: the one that runs, else Debian's or Ubuntu's own package, started
# with or without systemd. Sourced, it also sets what the client needs to talk to that engine.
# shellcheck source=lab/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

engine_run=${engine_run:-/var/run}
engine_log=${engine_log:-/var/log/dockerd.log}
engine_host=${DOCKER_HOST:-unix://$engine_run/docker.sock}
engine_socket=${engine_host#unix://}

# The socket is asked, because a client alone says nothing about an engine.
engine_answers() {
  if [[ $engine_host != unix://* ]]; then
    docker version >/dev/null 2>&1
  else
    [[ $(curl -s -m 5 --unix-socket "$engine_socket" http://localhost/_ping 2>/dev/null) == OK ]]
  fi
}

engine_wait() {
  local end=$((SECONDS + $1))
  until engine_answers; do
    ((SECONDS < end)) || return 1
    sleep 0.3
  done
}

engine_packages() {
  local packages=(curl)
  have dockerd || packages+=(docker.io)
  have iptables || packages+=(iptables)
  have docker || packages+=("$(engine_client_package)")
  if ((${#packages[@]} > 1)) || ! have curl; then apt_install "${packages[@]}"; fi
}

# The package with the client alone, where there is one.
engine_client_package() { if [[ $(apt-cache madison docker-cli 2>/dev/null) ]]; then echo docker-cli; else echo docker.io; fi; }

# True if the process that wrote pid file $1 is gone. Its number may be somebody else's by now, or
# a zombie's that no init has reaped; neither has the program as its executable.
engine_pid_is_stale() {
  [[ -e $1 ]] && [[ ! $(readlink "/proc/$(<"$1")/exe") =~ /(dockerd|containerd)( \(deleted\))?$ ]]
}

# An engine that was killed, or a reboot with a /run on disk, leaves files that stop the next one.
engine_clear_leftovers() {
  local containerd=$engine_run/docker/containerd
  if engine_pid_is_stale "$engine_run/docker.pid"; then
    rm -f "$engine_run/docker.pid" "$engine_run/docker.sock"
  fi
  if engine_pid_is_stale "$containerd/containerd.pid"; then
    rm -f "$containerd"/containerd.pid "$containerd"/*.sock*
  fi
}

engine_start_by_hand() {
  engine_clear_leftovers
  mountpoint -q /sys/fs/cgroup || mount -t cgroup2 cgroup2 /sys/fs/cgroup
  # One that is still starting, or that the package has just started, is waited for.
  [[ -e $engine_run/docker.pid ]] || setsid --fork dockerd >> "$engine_log" 2>&1 </dev/null
  engine_wait 60 || die "the Docker engine does not answer on $engine_socket;" \
    "$engine_log ends with: $(tail -n 1 "$engine_log" 2>/dev/null)"
}

# An engine elsewhere, which DOCKER_HOST names, is somebody else's to start.
engine_is_ours_to_start() { [[ $engine_host == "unix://$engine_run/docker.sock" ]]; }

engine_start() {
  is_root || die "no Docker engine answers on $engine_host, and only root may start one."
  step "Starting the Docker engine"
  if [[ -d /run/systemd/system ]]; then
    systemctl reset-failed docker.service docker.socket 2>/dev/null || true
    if ! systemctl start docker || ! engine_wait 60; then
      die "systemd cannot start the Docker engine; 'journalctl -u docker' says why."
    fi
  else
    engine_start_by_hand
  fi
}

# The client first on PATH may be of another version than the engine, and too new or old for it.
engine_client() {
  local api
  docker ps -q >/dev/null 2>&1 && return
  if [[ $engine_host == unix://* ]]; then
    api=$(curl -s --unix-socket "$engine_socket" http://localhost/version | grep -o '"ApiVersion":"[^"]*"' | head -n 1)
    api=${api#*:\"}
    if DOCKER_API_VERSION=${api%\"} docker ps -q >/dev/null 2>&1; then
      export DOCKER_API_VERSION=${api%\"}
      return
    fi
  fi
  if /usr/bin/docker ps -q >/dev/null 2>&1; then
    mkdir -p .cache/bin
    ln -sfn /usr/bin/docker .cache/bin/docker
    export PATH=$root/.cache/bin:$PATH
    return
  fi
  die "the Docker engine runs, but the client cannot use it: $(docker ps -q 2>&1 | head -n 1)"
}

# Each systemd watches files; the kernel's default of 128 instances is enough for about 20 hosts.
engine_inotify() {
  local name=$1 wanted=$2 file=/proc/sys/fs/inotify/$1
  (($(<"$file") >= wanted)) && return
  { echo "$wanted" > "$file"; } 2>/dev/null ||
    step "Note: fs.inotify.$name is $(<"$file") and may not be raised; many hosts may exhaust it."
}

engine_is_usable() {
  [[ ! -S $engine_socket || -w $engine_socket ]] ||
    die "$(id -un) may not use $engine_socket; run as root or join its group, $(stat -c %G "$engine_socket")."
}

engine() {
  engine_is_usable
  if ! engine_answers; then
    engine_is_ours_to_start || die "no Docker engine answers on DOCKER_HOST=$DOCKER_HOST."
    engine_packages
    engine_answers || engine_start
  fi
  have docker || apt_install "$(engine_client_package)"
  have ip || apt_install iproute2  # which says what subnets are free
  engine_client
  engine_inotify max_user_instances 1024
  engine_inotify max_user_watches 262144
}

[[ ${BASH_SOURCE[0]} != "$0" ]] || engine
