#!/usr/bin/python
"""Makes a private key where it is used, and the request with which a CA issues its certificate."""

from __future__ import annotations

DOCUMENTATION = r"""
module: certificate_request
short_description: Make a private key, and ask for its certificate
description:
  - Makes an EC key (P-256) where there is none; it never leaves the host.
  - Returns a certificate request of that key, to be signed elsewhere, and the certificate that is installed now.
  - Needs the command C(openssl) and nothing else.
options:
  path:
    description: File of the private key.
    type: path
    required: true
  certificate:
    description: File of the certificate.
    type: path
    required: true
  dns:
    description: Names the certificate is for. The first is its subject, too.
    type: list
    elements: str
    required: true
  ips:
    description: Addresses the certificate is for.
    type: list
    elements: str
    default: []
extends_documentation_fragment: [ansible.builtin.files]
author: The Tandem founders
"""

EXAMPLES = r"""
- name: Key of the database server
  tandem.web.certificate_request:
    path: /etc/tandem/pki/mysql.key
    certificate: /etc/tandem/pki/mysql.pem
    dns: [db1.example.org]
    ips: [192.0.2.31]
    owner: root
    group: mysql
    mode: "0640"
  register: request
"""

RETURN = r"""
csr:
  description: The request, in PEM. Empty in check mode, when there is no key yet.
  returned: always
  type: str
certificate:
  description: The installed certificate, in PEM. Empty when there is none.
  returned: always
  type: str
"""

import os
import tempfile
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

# What the certificate is: the end of a TLS connection, on either side.
REQUEST = """
[req]
prompt = no
distinguished_name = subject
req_extensions = extensions
[subject]
CN = {subject}
[extensions]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth, clientAuth
subjectAltName = {names}
"""


def openssl(module: AnsibleModule, *arguments: str, data: str | None = None) -> str:
    """Run openssl and return what it prints."""
    command = [module.get_bin_path("openssl", required=True), *arguments]
    return module.run_command(command, data=data, check_rc=True)[1]


def make_key(module: AnsibleModule, path: Path) -> None:
    """Write a new key: complete or not at all, and never readable for anyone else."""
    key = openssl(module, "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256")
    handle, temporary = tempfile.mkstemp(dir=path.parent)  # mode 0600
    with os.fdopen(handle, "w") as file:
        file.write(key)
    Path(temporary).replace(path)


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "required": True},
            "certificate": {"type": "path", "required": True},
            "dns": {"type": "list", "elements": "str", "required": True},
            "ips": {"type": "list", "elements": "str", "default": []},
        },
        add_file_common_args=True,
        supports_check_mode=True,
    )
    path, certificate = Path(module.params["path"]), Path(module.params["certificate"])
    dns, ips = module.params["dns"], module.params["ips"]

    changed = not path.exists()
    if changed and not module.check_mode:
        make_key(module, path)

    csr = ""
    if path.exists():
        changed = module.set_fs_attributes_if_different(module.load_file_common_arguments(module.params), changed)
        names = ", ".join([f"DNS:{name}" for name in dns] + [f"IP:{ip}" for ip in ips])
        config = REQUEST.format(subject=dns[0], names=names)
        csr = openssl(module, "req", "-new", "-key", str(path), "-config", "/dev/stdin", data=config)

    module.exit_json(changed=changed, csr=csr, certificate=certificate.read_text() if certificate.exists() else "")


if __name__ == "__main__":
    main()
