"""A file takes another one's place whole, on Windows as well while somebody looks at that one."""

import os
import time
from pathlib import Path

PAUSES_S = (0.01, 0.02, 0.05, 0.1, 0.2, 0.4)
"""Between two tries. Who scans or indexes a new file is done within milliseconds."""


def put(draft: Path, file: Path, *, windows: bool = os.name == "nt") -> None:
    """Move the one to where the other is, or will be. Raises `OSError`.

    Windows refuses while anybody has the other one open, be it a scanner of viruses or a program that reads its
    settings; Python asks it for no more than to move. Elsewhere a refusal stays one.
    """
    for pause_s in PAUSES_S if windows else ():
        try:
            draft.replace(file)
        except PermissionError:
            time.sleep(pause_s)
        else:
            return
    draft.replace(file)
