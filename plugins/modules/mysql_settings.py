#!/usr/bin/python
"""Applies settings to a running database server."""

from __future__ import annotations

DOCUMENTATION = r"""
module: mysql_settings
short_description: Apply settings to a running database server
description:
  - Compares what the server runs with to what its configuration file says, and changes at run time what can be.
  - What cannot is returned as C(restart), as long as the server was started before the file was written, or the file
    is about to be.
  - A certificate that was installed and that the server does not use yet, since the run that brought it was cut off, is
    read again.
options:
  settings:
    description:
      - Name and value of each setting, as in the configuration file.
      - Names the server has no variable for are passed over.
    type: dict
    required: true
  pending:
    description: The file is about to be written anew, so that it is no older than the server. For check mode.
    type: bool
    default: false
  config:
    description: The configuration file that holds the settings.
    type: path
    required: true
extends_documentation_fragment: tandem.web.mysql
author: The Tandem founders
"""

EXAMPLES = r"""
- name: Apply
  tandem.web.mysql_settings:
    engine: mysql
    config: /etc/mysql/mysql.conf.d/zz-tandem.cnf
    settings: {max_connections: 500, skip_name_resolve: "ON"}
"""

RETURN = r"""
restart:
  description: Settings that only a restart applies.
  returned: always
  type: list
  elements: str
applied:
  description: Settings changed at run time.
  returned: always
  type: list
  elements: str
"""

import os
import ssl

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.tandem.web.plugins.module_utils import mysql

WRONG_VALUE = (1231, 1232)
AT_START_ONLY = (1238,)
RELOAD_TLS = {"mysql": "ALTER INSTANCE RELOAD TLS", "mariadb": "FLUSH LOCAL SSL"}
# MariaDB tells only those who came by TLS.
OVER_TLS = ["mariadb", "--ssl", "--disable-ssl-verify-server-cert", "-N", "-B", "-e"]
ENDS = "SHOW GLOBAL STATUS LIKE 'Ssl_server_not_after'"


def changeable(server: mysql.Server, name: str) -> bool:
    """Tell whether a running server would change a setting, by setting it to what it is."""
    try:
        server.query(f"SET GLOBAL {name} = @@GLOBAL.{name}")
    except mysql.DatabaseError as error:
        return error.code not in AT_START_ONLY
    return True


def has_older_certificate(server: mysql.Server, module: AnsibleModule, path: str) -> bool:
    """Tell whether the server uses another certificate than the one that is in its file, by when the two end."""
    _, output, _ = module.run_command(["openssl", "x509", "-noout", "-enddate", "-in", path])
    installed = output.strip().partition("=")[2]
    if server.engine == "mariadb":
        used = module.run_command([*OVER_TLS, ENDS])[1].strip().partition("\t")[2]
    else:
        used = next((row["Value"] for row in server.query(ENDS)), "")
    # Nothing, where there is no certificate or no TLS.
    return bool(installed and used) and ssl.cert_time_to_seconds(installed) != ssl.cert_time_to_seconds(used)


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "settings": {"type": "dict", "required": True},
            "config": {"type": "path", "required": True},
            "pending": {"type": "bool", "default": False},
            **mysql.ARGUMENTS,
        },
        supports_check_mode=True,
    )
    server = mysql.connect(module)
    applied, restart = [], []
    try:
        running = server.variables()
        for name, value in module.params["settings"].items():
            if name not in running or mysql.canonical(running[name]) == mysql.canonical(value):
                continue
            if module.check_mode:
                (applied if changeable(server, name) else restart).append(name)
                continue
            literal = mysql.canonical(value)
            try:
                server.query(f"SET GLOBAL {name} = %s", (int(literal) if literal.isdigit() else literal,))
            except mysql.DatabaseError as error:
                if error.code in WRONG_VALUE:
                    raise
                restart.append(name)
            else:
                # A server may round a value, and would then differ from it for ever.
                if server.variables()[name] != running[name]:
                    applied.append(name)
        certificate = running.get("ssl_cert", "")
        if os.path.isabs(certificate) and has_older_certificate(server, module, certificate):
            applied.append("ssl_cert")
            if not module.check_mode:
                server.query(RELOAD_TLS[server.engine])
        if restart and not module.params["pending"] and server.started_at() > os.stat(module.params["config"]).st_mtime:
            restart = []
    except mysql.DatabaseError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=bool(applied), applied=applied, restart=restart)


if __name__ == "__main__":
    main()
