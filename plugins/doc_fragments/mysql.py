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
