"""Serves the host over the second serial line of the guest, or over ssh: one JSON request a line, one JSON answer a line.

    {"do": "run", "words": [...], "seconds": 60}       {"code": 0, "out": "...", "err": "..."}
    {"do": "start", "name": "echo", "words": [...]}    {"pid": 321}
    {"do": "look", "name": "echo"}                     {"code": null, "out": "...", "err": "..."}
    {"do": "signal", "name": "echo", "number": 15}     {}
    {"do": "end", "code": 0}                           it leaves with this code; on the serial line the power goes

Hard rule: it needs nothing but Python's own library, every request has a bound, and what it started ends with it.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from signal import SIGHUP, SIGKILL, SIGTERM
from signal import signal as handle

FOLDER = Path("/run/job")
CODE_TIMED_OUT = 124
END_SECONDS = 10

environment = {**os.environ, **json.loads((FOLDER / "environment.json").read_text())}
started = {}


def run(request):
    """A program to its end."""
    try:
        outcome = subprocess.run(
            request["words"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=request["seconds"],
            env=environment,
        )
    except subprocess.TimeoutExpired:
        return {"code": CODE_TIMED_OUT, "out": "", "err": f"not done within {request['seconds']} s"}
    except OSError as problem:
        return {"code": 127, "out": "", "err": str(problem)}
    return {"code": outcome.returncode, "out": outcome.stdout, "err": outcome.stderr}


def start(request):
    """A program that goes on beside us; what it says lies in files."""
    name = request["name"]
    with Path(f"/run/{name}.out").open("wb") as out, Path(f"/run/{name}.err").open("wb") as err:
        started[name] = subprocess.Popen(
            request["words"], stdin=subprocess.DEVNULL, stdout=out, stderr=err, env=environment, start_new_session=True
        )
    return {"pid": started[name].pid}


def look(request):
    """Whether it has ended, and all it has said."""
    name = request["name"]
    said = {stream: Path(f"/run/{name}.{stream}").read_text(errors="replace") for stream in ("out", "err")}
    return {"code": started[name].poll(), **said}


def signal(request):
    """Sends a signal to a started program, or to any process by its number."""
    os.kill(request.get("pid") or started[request["name"]].pid, request["number"])
    return {}


def end_started():
    """Ends what still runs: also when the host has hung up."""
    for process in started.values():
        if process.poll() is None:
            process.terminate()
    for process in started.values():
        try:
            process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, SIGKILL)


def serve():
    """Answers until told to end, or until nobody asks any more; the exit code."""
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        if request["do"] == "end":
            return request["code"]
        try:
            answer = {"run": run, "start": start, "look": look, "signal": signal}[request["do"]](request)
        except Exception as problem:
            answer = {"problem": f"{type(problem).__name__}: {problem}"}
        print(json.dumps(answer), flush=True)
    return 1


if __name__ == "__main__":
    for number in (SIGTERM, SIGHUP):
        handle(number, lambda *_: sys.exit(1))
    try:
        code = serve()
    finally:
        end_started()
    sys.exit(code)
