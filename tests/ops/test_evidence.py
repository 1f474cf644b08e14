"""Evidence of kill drills: signed, found again, worth nothing once changed; what the doctor makes of it."""

import json
import time

import pytest

from gateway.cli.main import main
from gateway.errors import GatewayError
from gateway.ops import evidence
from gateway.ops.drill_examination import examine_drill
from gateway.ops.finding import FAIL, OK, WARN
from gateway.ops.kill_drill import is_of_control
from tests.corridor_bench import configuration

DAY = evidence.DAY_SECONDS


def drill(days_ago=0.0, ok=True):
    return {"time": int(time.time() - days_ago * DAY), "ok": ok, "figures": {"last_new_order_ms": 0.0}}


@pytest.fixture
def chosen(tmp_path):
    return configuration(instance__state=str(tmp_path / "state"))


def test_what_was_stored_verifies_and_the_key_is_for_nobody_else(chosen):
    path = evidence.store(chosen.state_folder, drill())
    assert evidence.verified(chosen.state_folder, path)["ok"] is True
    assert evidence.key_path(chosen.state_folder).stat().st_mode & 0o777 == 0o600
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    "change",
    [
        lambda document: document["drill"].update(time=document["drill"]["time"] + 1),
        lambda document: document["drill"]["figures"].update(last_new_order_ms=1.0),
        lambda document: document.update(hmac="0" * 64),
        lambda document: document.pop("hmac"),
        lambda document: document.update(drill=[]),
    ],
)
def test_evidence_that_was_changed_counts_as_none(chosen, change):
    path = evidence.store(chosen.state_folder, drill())
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))
    assert evidence.verified(chosen.state_folder, path) is None
    finding = examine_drill(chosen)
    assert finding.status == FAIL and "do not verify" in finding.found


def test_another_key_no_key_and_a_key_others_may_read_verify_nothing(chosen):
    path = evidence.store(chosen.state_folder, drill())
    key = evidence.key_path(chosen.state_folder)
    whole = key.read_bytes()
    key.write_bytes(bytes(32))
    assert evidence.verified(chosen.state_folder, path) is None
    key.write_bytes(whole)
    key.chmod(0o644)
    assert evidence.verified(chosen.state_folder, path) is None
    with pytest.raises(GatewayError, match="others may read"):
        evidence.store(chosen.state_folder, drill())
    key.unlink()
    assert evidence.verified(chosen.state_folder, path) is None


@pytest.mark.parametrize(("days", "status"), [(0, OK), (30.9, OK), (31.1, FAIL), (400, FAIL)])
def test_a_drill_is_overdue_after_its_days(chosen, days, status):
    evidence.store(chosen.state_folder, drill(days))
    finding = examine_drill(chosen)
    assert finding.status == status and ("overdue" in finding.found) == (status == FAIL)


def test_a_drill_that_failed_and_one_from_the_future_are_none(chosen):
    assert examine_drill(chosen).status == FAIL
    evidence.store(chosen.state_folder, drill(0, ok=False))
    assert examine_drill(chosen).status == FAIL and "none that passed" in examine_drill(chosen).found
    evidence.store(chosen.state_folder, drill(-2))
    assert examine_drill(chosen).status == FAIL


def test_a_changed_file_beside_a_good_one_is_mentioned(chosen):
    evidence.store(chosen.state_folder, drill(1))
    bad = evidence.store(chosen.state_folder, drill(2))
    bad.write_text("{}")
    assert examine_drill(chosen).status == WARN


def test_the_doctor_fails_on_an_overdue_drill_of_a_configuration(tmp_path, capsys):
    path = tmp_path / "gateway.toml"
    path.write_text(f'[instance]\nname = "doctor"\nstate = "{tmp_path}/state"\n[kill]\ndrill_days = 7\n')
    assert main(["doctor", "--config", str(path), "--json"]) == 4
    found = {row["name"]: row for row in json.loads(capsys.readouterr().out)["findings"]}["kill drill"]
    assert found["status"] == FAIL and "--drill" in found["mend"]
    evidence.store(tmp_path / "state", drill(6))
    main(["doctor", "--config", str(path), "--json"])
    found = {row["name"]: row for row in json.loads(capsys.readouterr().out)["findings"]}["kill drill"]
    assert found["status"] == OK


def test_an_order_of_controls_own_is_known_by_its_client_order_id():
    assert is_of_control("A000010S000111") and not is_of_control("A0000100000111") and not is_of_control("")
