"""Enough file descriptors for everything that the link may have open, whatever the shell or the service manager gave.

Before composition.py, at the start of the process. Hard rule: what a flood of strangers may take is there besides what we
need ourselves, so that a full door never keeps us from calling, writing the journal or reading a key.
"""

import resource

from gateway import limits
from gateway.errors import CapabilityError


def provide(count: int = limits.LINK_DESCRIPTORS) -> None:
    """Raises the soft limit to `count` where it is lower. Raises CapabilityError where the hard one is."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft >= count or soft == resource.RLIM_INFINITY:
        return
    if hard != resource.RLIM_INFINITY and hard < count:
        raise CapabilityError(
            f"the link may need {count} open files, {hard} are allowed; mend: LimitNOFILE={count}, or ulimit -n"
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (count, hard))
