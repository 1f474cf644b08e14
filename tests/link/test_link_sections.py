"""[link] of the configuration: what is whole, what is refused, and who calls whom."""

import base64
import json

import pytest

from gateway.cli.link import run
from gateway.config import load
from gateway.errors import ConfigurationError, GatewayError

KEY = base64.b64encode(bytes(range(32))).decode()
WHOLE = f"""
[link]
enabled = true
node = 1
listen = "192.0.2.10:41010"
key_file = "link.key"
key_service = "unix:/run/gateway/keyd.sock"
roles_file = "roles.toml"
addresses_file = "addresses.toml"
signer = "{KEY}"
principal = "paris"
[link.peers.frankfurt]
node = 2
public_key = "{KEY}"
address = "198.51.100.20:41010"
"""
NO_POINTS = [0, 1, 2**255 - 20, 2**255 - 19, 2**255 - 18]  # of the curve, of a small order: they give no secret


def loaded(tmp_path, text):
    path = tmp_path / "gateway.toml"
    path.write_text(text)
    return load(path)


def test_a_whole_link_loads_and_knows_its_peers(tmp_path):
    link = loaded(tmp_path, WHOLE).link
    peer = link.known()["frankfurt"]
    assert (peer.node, peer.role, peer.mirror) == (2, "gateway", ())
    assert link.calls(peer)


def test_with_addresses_on_both_sides_the_lower_node_calls(tmp_path):
    higher = WHOLE.replace("node = 2", "node = 9").replace("node = 1", "node = 2").replace("node = 9", "node = 1")
    link = loaded(tmp_path, higher).link
    assert not link.calls(link.known()["frankfurt"])
    silent = loaded(tmp_path, higher.replace('listen = "192.0.2.10:41010"', "")).link
    assert silent.calls(silent.known()["frankfurt"])


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ("node = 1\n", "", "[link]: enabled = true needs node"),
        ('key_file = "link.key"', "", "[link]: enabled = true needs key_file"),
        (f'signer = "{KEY}"', 'signer = "abc"', "link.signer = 'abc': a public key is 32 bytes in base64"),
        ("node = 2", "node = 1", "[link]: peers.frankfurt.node = 1 is our own"),
        ("node = 2", "node = 0", "frankfurt.node = 0: Input should be greater than or equal to 1"),
        ("node = 2\n", "", "frankfurt has no node; write it"),
        ("node = 2", "node = 2\ncolor = 1", "frankfurt.color is no key of a peer; known are: node, public_key"),
        ('address = "198.51.100.20:41010"', 'address = "frankfurt"', "frankfurt.address = 'frankfurt': write ADDRESS:PORT"),
        ("node = 2", 'node = 2\nmirror = ["gossip"]', "frankfurt.mirror"),
        ("node = 2", 'node = 2\nrole = "client"', "frankfurt is a client: it calls us and only reads"),
        ("node = 2", 'node = 2\nprincipal = "desk"', "frankfurt.principal is no key of a peer"),
        ("[link.peers.frankfurt]", "[link.peers.Frankfurt]", "'Frankfurt' is no name of 1 to 32"),
        ("node = 1\n", "node = 1\nsuspect_ms = 15\n", "[link]: suspect_ms = 15 is less than two heartbeats of 10 ms"),
    ],
)
def test_what_is_off_is_one_line_with_the_mend(tmp_path, old, new, line):
    with pytest.raises(ConfigurationError) as caught:
        loaded(tmp_path, WHOLE.replace(old, new, 1))
    assert line in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("point", NO_POINTS)
def test_a_pinned_key_that_gives_no_secret_is_refused_before_the_link_dies_of_it(tmp_path, point):
    key = base64.b64encode(point.to_bytes(32, "little")).decode()
    with pytest.raises(ConfigurationError, match="frankfurt.public_key = .*no public key; gateway link-keys prints one"):
        loaded(tmp_path, WHOLE.replace(f'public_key = "{KEY}"', f'public_key = "{key}"'))


def test_who_mirrors_a_peer_says_in_whose_name_it_asks(tmp_path):
    nameless = WHOLE.replace('principal = "paris"', "") + 'mirror = ["market_data"]\n'
    with pytest.raises(ConfigurationError, match="peers.frankfurt.mirror needs principal"):
        loaded(tmp_path, nameless)


def test_two_regions_cannot_be_mirrored_into_one_set_of_books(tmp_path):
    lyon = f'[link.peers.lyon]\nnode = 3\npublic_key = "{KEY}"\nmirror = ["market_data"]\n'
    with pytest.raises(ConfigurationError, match="two of them are mirrored"):
        loaded(tmp_path, WHOLE + 'mirror = ["market_data"]\n' + lyon)


class Words:
    """Arguments of the verb."""

    status = quotes = False
    executions = None
    json = True

    def __init__(self, file, **more):
        self.file = str(file)
        self.__dict__ |= more


@pytest.fixture
def configured(tmp_path):
    path = tmp_path / "gateway.toml"
    path.write_text(f'[instance]\nname = "nobody-{tmp_path.name[-8:].lower()}"\nstate = "{tmp_path}/state"\n' + WHOLE)
    return path


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"status": True}, "no link has run here"),
        ({"executions": "frankfurt"}, "peers of this configuration: frankfurt"),
        ({"quotes": True}, "no instance"),
    ],
)
def test_a_look_at_a_link_that_never_ran_says_so_in_one_line(configured, words, said):
    with pytest.raises(GatewayError, match=said):
        run(Words(configured, **words))


def test_the_status_of_a_link_that_fell_silent_fails_the_check(configured, tmp_path, capsys):
    folder = tmp_path / "state" / "link"
    folder.mkdir(parents=True)
    document = {"time_ns": 1, "node": 1, "sessions": 2, "losses": 1, "alarms": 0, "last_alarm": "", "records_sent": 5}
    document |= {
        "executions_sent": 1,
        "keys": {"problem": "", "risk_allowed": True},
        "peers": {"frankfurt": {"state": "up", "suspected": False}},
    }
    (folder / "status.json").write_text(json.dumps(document))
    assert run(Words(configured, status=True)) == 1
    assert json.loads(capsys.readouterr().out)["running"] is False
    assert run(Words(configured, status=True, json=False)) == 1
    assert "silent for" in capsys.readouterr().out
