"""What a TLS scanner thinks of a server."""

import subprocess
import sys
from pathlib import Path


def complies(name: str, address: str, profile: str, port: int = 443, ca: Path | None = None) -> bool:
    """Tell whether a server keeps to a Mozilla profile (intermediate, modern), by the scanner sslyze.

    :param name: what the certificate is for.
    :param ca: root that the certificate has to come from; without one that is not asked.
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
    return scan.returncode == 0 and "OK - Compliant" in scan.stdout
