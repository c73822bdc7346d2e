"""What every module that asks a database server takes; see module_utils/mysql.py."""


class ModuleDocFragment:
    """The server on this host, asked as root by its socket."""

    DOCUMENTATION = r"""
options:
  engine:
    description: Which engine the server is.
    type: str
    choices: [mysql, mariadb]
    required: true
  socket:
    description: Unix socket of the server.
    type: path
    default: /run/mysqld/mysqld.sock
"""

    # Those of module_utils/mysql_membership.py.
    MEMBER = r"""
options:
  step:
    description:
      - C(form) begins the cluster with this server, whose data become everybody's.
      - C(prepare) makes it ready to enter.
      - C(wait) waits until it is online.
    type: str
    choices: [form, prepare, wait]
    required: true
  gtid:
    description: The transactions this server held, read B(before) those of the primary.
    type: str
    default: ""
  source_gtid:
    description: The transactions the primary holds.
    type: str
    default: ""
  reseed_errant:
    description: Give this server's data up although that loses transactions that only it holds.
    type: bool
    default: false
"""
