"""A verifier as a process of its own, which tests kill: hex tokens come in on stdin, an outcome goes out for each.

python -m tests.link.verifier_process FOLDER NOW_NS
"""

import sys
from pathlib import Path

from gateway.link.rights.access_files import AccessFiles, AccessPaths
from gateway.link.rights.grants import Grant
from tests.link import access_desk as desk


def main(folder: Path, now_ns: int) -> None:
    """Answers until stdin ends or somebody kills it; it never closes its files by itself."""
    paths = AccessPaths(folder / "state", folder / "roles.toml", folder / "addresses.toml")
    files = AccessFiles(desk.NODE, paths, desk.keys(), desk.SIGNER_PUBLIC, now_ns)
    assert files.poll(now_ns, wait=True) == []
    for line in sys.stdin:
        data = bytes.fromhex(line)
        asked = (desk.PEER, desk.ADDRESS, "snapshots", data, desk.SESSION, now_ns)
        found = desk.decided(lambda asked=asked: files.access.open_stream(*asked))
        print("accepted" if isinstance(found, Grant) else found.reason, flush=True)
        if isinstance(found, Grant):
            files.access.close(found.token_id, now_ns)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
