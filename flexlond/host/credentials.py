"""Where systemd puts a service's credentials.

Law: a name is looked up in the folder that systemd named, nowhere else; the file is read by whoever needs it.
systemd copies credentials when a service starts, so a new one needs a restart.
Source: systemd.exec(5), LoadCredential= and $CREDENTIALS_DIRECTORY.
"""

from __future__ import annotations

import os
from pathlib import Path


class NoCredentialError(Exception):
    """There is no such credential; the text says what to do."""


def credential(name: str) -> Path:
    """The file of the credential `name`."""
    folder = os.environ.get("CREDENTIALS_DIRECTORY", "")
    if not folder:
        raise NoCredentialError(
            f"the credential {name} cannot be had: systemd named no folder of credentials; add "
            f"LoadCredential={name}:PATH to the unit (systemctl edit flexlond), or use key_file"
        )
    path = Path(folder) / name
    if not path.is_file():
        raise NoCredentialError(
            f"there is no credential {name} in {folder}; add LoadCredential={name}:PATH to the unit "
            "(systemctl edit flexlond) and restart it"
        )
    return path
