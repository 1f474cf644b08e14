"""Noise_KKpsk2_25519_AESGCM_SHA256 beside an independent implementation (noiseprotocol), byte for byte."""

import random
import warnings

import pytest
from noise.connection import Keypair, NoiseConnection

from gateway.link.frames import noise
from gateway.link.frames.noise import HandshakeState, NoiseError


def other(
    initiator: bool, prologue: bytes, psk: bytes, private: bytes, remote_public: bytes, ephemeral: bytes
) -> NoiseConnection:
    """The other implementation in the same state."""
    found = NoiseConnection.from_name(noise.PROTOCOL_NAME)
    found.set_as_initiator() if initiator else found.set_as_responder()
    found.set_prologue(prologue)
    found.set_psks(psk)
    found.set_keypair_from_private_bytes(Keypair.STATIC, private)
    found.set_keypair_from_private_bytes(Keypair.EPHEMERAL, ephemeral)
    found.set_keypair_from_public_bytes(Keypair.REMOTE_STATIC, remote_public)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it says that fixed ephemeral keys are for tests: this is one
        found.start_handshake()
    return found


class Case:
    """Random keys, prologue and payloads of one seed."""

    def __init__(self, seed: int):
        draw = random.Random(seed)
        self.static = draw.randbytes(32), draw.randbytes(32)
        self.public = tuple(noise.public_key(key) for key in self.static)
        self.ephemeral = draw.randbytes(32), draw.randbytes(32)
        self.psk, self.prologue = draw.randbytes(32), draw.randbytes(draw.randrange(100))
        self.payloads = draw.randbytes(draw.randrange(300)), draw.randbytes(draw.randrange(300))

    def ours(self, initiator: bool) -> HandshakeState:
        own = 0 if initiator else 1
        return HandshakeState(
            initiator=initiator,
            prologue=self.prologue,
            private_key=self.static[own],
            remote_public_key=self.public[1 - own],
        )

    def theirs(self, initiator: bool) -> NoiseConnection:
        own = 0 if initiator else 1
        return other(initiator, self.prologue, self.psk, self.static[own], self.public[1 - own], self.ephemeral[own])


@pytest.mark.parametrize("seed", range(20))
def test_both_sides_say_what_another_implementation_says(seed: int):
    case = Case(seed)
    ours, ours_back = case.ours(True), case.ours(False)
    theirs, theirs_back = case.theirs(True), case.theirs(False)
    first = ours.write_first(case.ephemeral[0], case.payloads[0])
    assert first == theirs.write_message(case.payloads[0])
    assert theirs_back.read_message(first) == case.payloads[0] == ours_back.read_first(first)
    second = ours_back.write_second(case.ephemeral[1], case.psk, case.payloads[1])
    assert second == theirs_back.write_message(case.payloads[1])
    assert theirs.read_message(second) == case.payloads[1] == ours.read_second(case.psk, second)
    assert ours.hash == ours_back.hash == theirs.get_handshake_hash() == theirs_back.get_handshake_hash()
    assert ours.split() == ours_back.split()
    protocol = theirs.noise_protocol
    assert ours.split() == (protocol.cipher_state_encrypt.k, protocol.cipher_state_decrypt.k)


def test_another_implementation_opens_what_our_split_keys_seal():
    case = Case(99)
    ours, theirs_back = case.ours(True), case.theirs(False)
    theirs_back.read_message(ours.write_first(case.ephemeral[0], b""))
    ours.read_second(case.psk, bytes(theirs_back.write_message(b"")))
    sealed = noise.CipherState(ours.split()[0]).encrypt(b"", b"after the handshake")
    assert theirs_back.decrypt(sealed) == b"after the handshake"


@pytest.mark.parametrize("what", ["prologue", "static", "remote", "psk", "message"])
def test_anything_that_differs_between_the_sides_is_refused(what: str):
    case, wrong = Case(5), Case(5)
    ours = case.ours(True)
    first = ours.write_first(case.ephemeral[0], b"payload")
    if what == "prologue":
        wrong.prologue += b"!"
    if what == "static":
        wrong.static = (wrong.static[0], random.Random(0).randbytes(32))
    if what == "remote":
        wrong.public = (noise.public_key(random.Random(0).randbytes(32)), wrong.public[1])
    back = wrong.ours(False)
    if what == "message":
        first = first[:-1] + bytes([first[-1] ^ 1])
    if what != "psk":
        with pytest.raises(NoiseError):
            back.read_first(first)
        return
    back.read_first(first)
    second = back.write_second(case.ephemeral[1], bytes(32), b"")
    with pytest.raises(NoiseError):
        ours.read_second(case.psk, second)


def test_a_point_without_a_secret_is_refused():
    with pytest.raises(NoiseError):
        noise.shared_secret(bytes(range(32)), bytes(32))
    case = Case(3)
    with pytest.raises(NoiseError):
        case.ours(False).read_first(bytes(32) + bytes(16))
