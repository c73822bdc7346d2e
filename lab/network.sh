#!/bin/bash
# Usage: network.sh NAME FILE - makes the lab's network NAME on the first subnet that nothing else
# uses, and writes its first three octets to FILE (they are kept when the network is made again).
set -euo pipefail
name=$1 file=$2

known=$(docker network inspect -f '{{(index .IPAM.Config 0).Subnet}}' "$name" 2>/dev/null || true)
if [ -n "$known" ]; then
  printf '%s' "${known%.0/24}" > "$file"
  exit 0
fi

kept=$(cat "$file" 2>/dev/null || true)
for prefix in $kept 172.30.{10..99}; do
  # A route to a part of the subnet other than the default one means that somebody uses it.
  ip -4 route show root "$prefix.0/16" 2>/dev/null | grep -q "^${prefix//./\\.}\." && continue
  if docker network create --subnet "$prefix.0/24" --gateway "$prefix.1" \
      --label "tandem.inventory=$name" "$name" >/dev/null 2>&1; then
    printf '%s' "$prefix" > "$file"
    echo "created $prefix.0/24"
    exit 0
  fi
done
echo "network.sh: no free subnet between 172.30.10.0/24 and 172.30.99.0/24 for $name" >&2
exit 1
