#!/bin/bash
# Makes /srv/archive, which looks like the distribution's security archive and holds version 2 of the
# packages probe and haproxy-probe, and installs version 1 of both.
set -euo pipefail
codename=$(. /etc/os-release && echo "$VERSION_CODENAME")
mkdir -p /srv/archive
cd /srv/archive

package() { # NAME VERSION
  mkdir -p "tree/DEBIAN"
  printf 'Package: %s\nVersion: %s\nArchitecture: all\nMaintainer: test <root@localhost>\nDescription: test\n' "$1" "$2" > tree/DEBIAN/control
  dpkg-deb --root-owner-group --build tree "$1_$2.deb" >/dev/null
}

for name in probe haproxy-probe; do
  package "$name" 1
  package "$name" 2
  dpkg --install "${name}_1.deb" >/dev/null
  dpkg-deb --field "${name}_2.deb" >> Packages
  printf 'Filename: ./%s_2.deb\nSize: %s\nSHA256: %s\n\n' "$name" "$(stat -c %s "${name}_2.deb")" \
    "$(sha256sum < "${name}_2.deb" | cut -d' ' -f1)" >> Packages
done

printf 'Origin: Debian\nLabel: Debian-Security\nCodename: %s-security\nSHA256:\n %s %s Packages\n' "$codename" \
  "$(sha256sum < Packages | cut -d' ' -f1)" "$(stat -c %s Packages)" > Release
echo "deb [trusted=yes] file:/srv/archive ./" > /etc/apt/sources.list.d/archive.list
apt-get update -qq
