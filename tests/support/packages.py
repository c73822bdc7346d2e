"""Newer packages for hosts of a lab, which an upgrade finds as it would find those of the distribution."""

from typing import Any

# The same files with a higher version, in a repository of the host's own.
REPOSITORY = """
set -e
rm -rf /srv/newer; mkdir -p /srv/newer; cd /srv/newer
apt-get -qq update
apt-get -qq download {package}
dpkg-deb -R {package}_*.deb content
rm {package}_*.deb
sed -i 's/^Version: .*/&+tandem1/' content/DEBIAN/control
dpkg-deb -Znone -b content {package}.deb >/dev/null
{{
  sed '/^$/d' content/DEBIAN/control
  echo "Filename: ./{package}.deb"
  echo "Size: $(stat -c %s {package}.deb)"
  echo "SHA256: $(sha256sum {package}.deb | cut -d ' ' -f 1)"
}} > Packages
rm -r content
echo 'deb [trusted=yes] file:/srv/newer ./' > /etc/apt/sources.list.d/newer.list
# Also where another suite is asked for by name.
printf 'Package: *\nPin: origin ""\nPin-Priority: 995\n' > /etc/apt/preferences.d/newer
"""


def offer_newer(host: Any, package: str) -> None:
    """Let a host find a newer version of a package that it has."""
    host.check_output("bash -c %s", REPOSITORY.format(package=package))


def version(host: Any, package: str) -> str:
    """Return which version of a package a host has."""
    return host.check_output("dpkg-query -W -f '${Version}' %s", package)
