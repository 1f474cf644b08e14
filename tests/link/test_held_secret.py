"""A secret that is held: shown to nobody, copied by nothing, overwritten when it is dropped."""

import pickle
import threading

import pytest

from gateway.link.keys.held_secret import HeldSecret
from gateway.link.keys.keyring import Keyring
from tests.link.key_desk import DAY, HOUR, NOW_NS, Unsteady, held_hours


def test_nothing_shows_or_copies_a_held_secret(service: Unsteady):
    keyring = Keyring(service, 1)
    keyring.refresh(NOW_NS)
    secret, keys = keyring.hourly(HOUR), keyring.day_keys(DAY)
    assert secret is not None and keys is not None
    held = HeldSecret(bytearray(secret), 1)
    for shown in (repr(held), str(held), repr(keyring), repr(keys), repr(service.service), repr(vars(keyring))):
        assert secret.hex() not in shown and str(secret)[2:-1] not in shown
    with pytest.raises(TypeError, match="not copied"):
        pickle.dumps(held)


def test_a_dropped_secret_is_overwritten(service: Unsteady):
    words = bytearray(range(32))
    held = HeldSecret(words, 1)
    assert held.read() == bytes(range(32))
    held.drop()
    held.drop()
    assert words == bytes(32) and held.read() is None
    keyring = Keyring(service, 1)
    keyring.refresh(NOW_NS)
    keyring.close()
    assert held_hours(keyring) == [] and keyring.day_keys(DAY) is None


def test_no_thread_ever_reads_zeros_while_another_drops():
    wrong: list[bytes] = []
    rounds = 3000
    current = [HeldSecret(bytearray(b"\xff" * 32), 1)]
    done = threading.Event()

    def read() -> None:
        while not done.is_set():
            secret = current[0].read()
            if secret is not None and secret != b"\xff" * 32:
                wrong.append(secret)

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    for _ in range(rounds):
        current[0].drop()
        current[0] = HeldSecret(bytearray(b"\xff" * 32), 1)
    done.set()
    for reader in readers:
        reader.join()
    assert wrong == []


def test_a_secret_says_that_it_is_dropped_before_it_becomes_zeros():
    seen: list[bytes | None] = []

    class Watched(bytearray):
        def __setitem__(self, place, value) -> None:
            seen.append(held.read())
            super().__setitem__(place, value)

    held = HeldSecret(Watched(b"\xff" * 32), 1)
    held.drop()
    assert seen == [None], "another thread that reads now must not get the zeros that come next"


def test_a_secret_that_is_dropped_while_it_is_copied_is_not_given_out():
    class Slow(bytearray):
        def __bytes__(self) -> bytes:
            held.drop()
            return bytes(len(self))

    held = HeldSecret(Slow(b"\xff" * 32), 1)
    assert held.read() is None
