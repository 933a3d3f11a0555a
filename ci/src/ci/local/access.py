"""Who may connect to a server, and how: pg_hba.conf and pg_ident.conf.

A socket never trusts by its path alone: the kernel reports who connects (peer). Over
TCP, where it does not, the password is asked for.
"""

from __future__ import annotations

import os
from pathlib import Path

HEADER = "# Written at each start of the stack; edits are lost.\n"
HBA = f"""{HEADER}\
# TYPE  DATABASE     USER  ADDRESS       METHOD
local   all          all                 peer map=owner
local   replication  all                 peer map=owner
host    all          all   127.0.0.1/32  scram-sha-256
"""


def write_access(data: Path, owner: str) -> None:
    """Let the owner connect as any role through the socket, and others not at all."""
    ident = f'{HEADER}# MAP  SYSTEM USER  ROLE\nowner  "{owner}"  all\n'
    for name, text in (("pg_hba.conf", HBA), ("pg_ident.conf", ident)):
        replace(data / name, text)


def replace(path: Path, text: str) -> None:
    """Replace a file of the data directory, for its server alone.

    The folder may be another user's: a link that it has put there is not followed.
    """
    draft = path.with_name(path.name + ".new")
    draft.unlink(missing_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
    with os.fdopen(os.open(draft, flags, 0o600), "w") as handle:
        handle.write(text)
        seen = path.parent.stat()
        if os.getuid() == 0:
            os.fchown(handle.fileno(), seen.st_uid, seen.st_gid)
    draft.replace(path)
