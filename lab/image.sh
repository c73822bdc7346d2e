#!/bin/bash
# Usage: image.sh DISTRO - makes the image tandem-host:DISTRO, a bare host as a systemd container,
# from a registry's image or, where no registry answers, with mmdebstrap from the package mirror.
# shellcheck source=lab/engine.sh
. "$(dirname "${BASH_SOURCE[0]}")/engine.sh"

# What a freshly installed server has: an init, Python for Ansible, sshd, and nothing else.
image_packages="systemd systemd-sysv dbus python3 python3-apt iproute2 ca-certificates procps sudo openssh-server"

image_vendor() {
  case $1 in
    bookworm | trixie) echo debian ;;
    jammy | noble) echo ubuntu ;;
    *) die "unknown distro '$1'; use trixie, bookworm, noble or jammy." ;;
  esac
}

# In a subshell, so that its temporary directory goes with it.
image_bootstrap() (
  distro=$1 vendor=$2
  have mmdebstrap || apt_install mmdebstrap
  keys=/usr/share/keyrings/$vendor-archive-keyring.gpg
  [[ -e $keys || $vendor != debian ]] || apt_install debian-archive-keyring
  [[ -e $keys ]] || die "no registry answers, and without $keys (package ubuntu-keyring) mmdebstrap cannot verify $distro."
  step "Bootstrapping $vendor $distro with mmdebstrap"
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  # With no mirror named, it takes the vendor's own, with updates and security.
  quietly mmdebstrap --variant=minbase --include="${image_packages// /,}" "$distro" "$work/rootfs.tar"
  quietly docker import --change 'LABEL tandem.recipe=rootfs' "$work/rootfs.tar" "tandem-rootfs:$distro"
)

# Prints nothing; sets `base` to the image to build on.
image_base() {
  local distro=$1 vendor=$2
  base=tandem-rootfs:$distro
  docker image inspect "$base" >/dev/null 2>&1 && return
  base=$vendor:$distro
  if docker image inspect "$base" >/dev/null 2>&1; then
    return
  elif timeout 300 docker pull -q "$base" >/dev/null 2>&1; then
    mkdir -p .cache
    echo "$base" >> .cache/pulled  # for bin/down --all
  else
    base=tandem-rootfs:$distro
    image_bootstrap "$distro" "$vendor"
  fi
}

# Made again only when what it is made of has changed.
image() {
  local distro=$1 name=tandem-host:$1 vendor recipe base
  vendor=$(image_vendor "$distro")
  recipe=$(echo "$image_packages" | cat - lab/Dockerfile | sha256sum | cut -c 1-16)
  [[ $(docker image inspect -f '{{index .Config.Labels "tandem.recipe"}}' "$name" 2>/dev/null) == "$recipe" ]] && return
  image_base "$distro" "$vendor"
  step "Building the image $name on $base"
  quietly docker build -q -t "$name" --build-arg "BASE=$base" --build-arg "PACKAGES=$image_packages" \
    --label "tandem.recipe=$recipe" lab
}

if [[ ${BASH_SOURCE[0]} == "$0" ]]; then
  (($# == 1)) || die "usage: image.sh DISTRO"
  engine
  image "$1"
fi
