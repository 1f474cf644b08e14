"""`gateway capture` as a user meets it: a full disk, a folder that is not there; the instance it records goes on."""

import subprocess
import sys

import pytest

from gateway.errors import EXIT_FAULT
from tests.exception_bench import step_of
from tests.stage_bench import io_bench

COMMAND = "import sys; from gateway.cli.main import main; sys.exit(main(sys.argv[1:]))"
SMALL = 'mount -t tmpfs -o size=16k tmpfs "$1" && shift && exec "$@"'  # in a mount namespace: gone with it
FRAME = bytes(range(200))


def capture(instance, out, before=()):
    words = [*before, sys.executable, "-c", COMMAND, "capture", "--instance", instance.name, "--out", str(out)]
    return subprocess.Popen([*words, "--seconds", "20"], stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


@pytest.mark.root
def test_a_full_disk_ends_the_recording_in_one_line_and_the_instance_goes_on(tmp_path, as_root):
    with io_bench() as bench:
        step, header = step_of(bench.io), bench.instance.rings["io_core"].view("ring_header")[0]
        recorder = capture(bench.instance, tmp_path / "x.pcapng", ["unshare", "-m", "sh", "-c", SMALL, "sh", str(tmp_path)])
        try:
            assert "recording" in recorder.stderr.readline()
            for turn in range(2000):
                assert bench.peer.transmit([FRAME] * 16) == 16
                step()
                header["cursor"] = header["claimed"]
                if recorder.poll() is not None or turn > 50 and not recorder_waits(recorder):
                    break
            said = recorder.stderr.read().strip().splitlines()
            assert recorder.wait(20) == EXIT_FAULT
        finally:
            recorder.kill()
            recorder.communicate()
        assert len([line for line in said if "disk is full" in line]) == 1 and "Traceback" not in "".join(said)
        before = int(bench.counters["frames_published"])
        assert bench.peer.transmit([FRAME]) == 1
        step()
        assert int(bench.counters["frames_published"]) == before + 1


def recorder_waits(recorder, seconds=0.02):
    """Gives the recorder a moment; whether it still runs."""
    try:
        recorder.wait(seconds)
    except subprocess.TimeoutExpired:
        return True
    return False


def test_a_folder_that_is_not_there_is_one_line(tmp_path):
    with io_bench() as bench:
        recorder = capture(bench.instance, tmp_path / "none" / "x.pcapng")
        _, said = recorder.communicate(timeout=30)
    assert recorder.returncode == EXIT_FAULT
    assert said.strip().splitlines() == [f"gateway capture: {tmp_path}/none/x.pcapng: No such file or directory"]
