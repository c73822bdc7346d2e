#!/bin/bash
# Usage: network.sh NAME DIR - makes the lab's network NAME on the first subnet that nothing else
# uses. DIR/network gets its first three octets (kept when the network is made again) and
# DIR/network6 the matching IPv6 prefix, empty where the machine should have none.
set -euo pipefail
name=$1 dir=$2
command -v ip >/dev/null || { echo "network.sh: needs the command ip, of the package iproute2" >&2; exit 1; }

network_value() { docker network inspect -f "$1" "$name" 2>/dev/null; }

# Any route that covers a part of the subnet, other than the default one, means that somebody uses it.
in_use() {
  { ip -4 route show root "$1"; ip -4 route show match "$1"; } 2>/dev/null | grep -vq '^default'
}

# Docker turns on IPv6 forwarding, after which a machine no longer listens to router
# advertisements: one that gets its default route from them is left alone.
ipv6_is_harmless() {
  [[ $(cat /proc/sys/net/ipv6/conf/all/disable_ipv6 2>/dev/null) == 0 ]] || return 1
  [[ $(cat /proc/sys/net/ipv6/conf/all/forwarding) == 1 || -z $(ip -6 route show default proto ra) ]]
}

record() {
  local subnets
  subnets=$(network_value '{{range .IPAM.Config}}{{println .Subnet}}{{end}}')
  sed -n 's|\.0/24$||p' <<< "$subnets" | tr -d '\n' > "$dir/network"
  sed -n 's|::/64$||p' <<< "$subnets" | tr -d '\n' > "$dir/network6"
}

if owner=$(network_value '{{index .Labels "tandem.inventory"}}'); then
  if [[ $owner != "$name" ]]; then
    echo "network.sh: a network '$name' that Tandem did not make is in the way" >&2
    exit 1
  fi
  record
  exit 0
fi

kept=$(cat "$dir/network" 2>/dev/null || true)
for prefix in $kept 172.30.{10..99} 10.98.{10..29} 192.168.{210..229}; do
  in_use "$prefix.0/24" && continue
  options=(--subnet "$prefix.0/24" --gateway "$prefix.1" --label "tandem.inventory=$name")
  # Written like the IPv4 prefix, for people: fd00:172:30:10::11 is 172.30.10.11.
  if ipv6_is_harmless; then options+=(--ipv6 --subnet "fd00:${prefix//./:}::/64"); fi
  if problem=$(docker network create "${options[@]}" "$name" 2>&1 >/dev/null); then
    record
    echo "created $prefix.0/24"
    exit 0
  fi
  # Another engine network may cover the subnet without a route; anything else will not get better.
  [[ $problem == *overlap* ]] || break
done
echo "network.sh: no network for $name: ${problem:-every subnet it knows is in use}" >&2
exit 1
