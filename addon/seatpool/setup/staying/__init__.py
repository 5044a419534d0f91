"""Keeping the proxy running: what the system is told to start with the person's session, and how it is taken back.

    from seatpool.setup.staying import Machine, job, keeper

    kept = keeper(Machine())       # systemd --user, launchd or Task Scheduler; raises `NoKeeper`
    kept.file, kept.content(job)   # what it reads
    kept.begin(), kept.end(), ...  # commands; `cli` shows and runs them
    kept.state()                   # asks; changes nothing

`job` is what is run, `record` what was done for it, so that it can be taken back.
"""

from seatpool.setup.staying.job import Job, Unfit, make
from seatpool.setup.staying.keepers import Keeper, Machine, State
from seatpool.setup.staying.record import Record
from seatpool.setup.staying.which import NoKeeper, keeper

__all__ = ["Job", "Keeper", "Machine", "NoKeeper", "Record", "State", "Unfit", "keeper", "make"]
