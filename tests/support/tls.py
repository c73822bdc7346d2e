"""What a TLS scanner thinks of a server."""

import re
import subprocess
import sys
from pathlib import Path


def complaints(name: str, address: str, profile: str, port: int = 443, ca: Path | None = None) -> set[str]:
    """Return in what a server departs from a profile of Mozilla (intermediate, modern), in the words of sslyze.

    :param name: what the certificate is for.
    :param ca: root that the certificate has to come from, besides those of browsers.
    """
    trust = ["--certinfo", f"--certinfo_ca_file={ca}"] if ca else []
    scan = subprocess.run(
        [sys.executable, "-m", "sslyze", f"--mozilla_config={profile}", *trust, f"{name}:{port}{{{address}}}"],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    print(scan.stdout, scan.stderr)
    _, _, verdict = scan.stdout.partition("COMPLIANCE AGAINST")
    found = set(re.findall(r"^\s+\* (\w+):", verdict, re.MULTILINE))
    assert bool(found) == ("OK - Compliant" not in verdict) == bool(scan.returncode)
    return found
