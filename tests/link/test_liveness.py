"""Heartbeats, suspicion, the detector's own stall; the damage rule and the waits between attempts beside them."""

from gateway import limits
from gateway.link.peers.back_off import BackOff
from gateway.link.peers.damage import DamageRule
from gateway.link.peers.liveness import Liveness

MILLISECOND = 1_000_000
SECOND = 1000 * MILLISECOND


def living(now_ns: int = 0) -> Liveness:
    liveness = Liveness()
    liveness.start(now_ns)
    assert liveness.heard(now_ns)
    return liveness


def test_nobody_is_trusted_before_a_first_heartbeat_and_nobody_suspected_twice():
    liveness = Liveness()
    assert liveness.suspected and liveness.tick(SECOND) == 0
    liveness.start(SECOND)
    for step in range(20):
        assert liveness.tick(SECOND + step * 10 * MILLISECOND) == 0
    assert liveness.heard(SECOND + 200 * MILLISECOND) and not liveness.suspected
    told = [liveness.tick(SECOND + (200 + 10 * step) * MILLISECOND) for step in range(1, 20)]
    assert [silence for silence in told if silence] == [50 * MILLISECOND]


def test_suspicion_comes_at_fifty_milliseconds_and_not_before():
    liveness = living()
    for step in range(1, 50):
        assert liveness.tick(step * MILLISECOND) == 0
    assert liveness.tick(50 * MILLISECOND) == 50 * MILLISECOND


def test_the_time_in_which_we_did_not_run_is_not_the_others_silence():
    liveness = living()
    liveness.tick(10 * MILLISECOND)
    assert liveness.tick(400 * MILLISECOND) == 0, "we slept; what had arrived would have been handed over before"
    assert liveness.stalled_ns == 380 * MILLISECOND
    for step in range(1, 3):
        assert liveness.tick((400 + 10 * step) * MILLISECOND) == 0
    assert liveness.tick(430 * MILLISECOND) == 50 * MILLISECOND


def test_a_heartbeat_handed_over_before_the_tick_ends_the_stall_with_the_silence():
    liveness = living()
    liveness.tick(10 * MILLISECOND)
    assert not liveness.heard(400 * MILLISECOND)
    assert liveness.tick(400 * MILLISECOND) == 0
    for step in range(1, 5):
        assert liveness.tick((400 + 10 * step) * MILLISECOND) == 0


def test_heartbeats_leave_every_ten_milliseconds_and_are_not_made_up_for():
    liveness = living()
    sent = [now for now in range(100) if liveness.due(now * MILLISECOND)]
    assert sent == [*range(0, 100, 10)]
    assert liveness.due(500 * MILLISECOND) and not liveness.due(501 * MILLISECOND)
    liveness.stop()
    assert not liveness.due(SECOND)


def test_eight_damaged_frames_in_a_hundred_and_sixty_within_ten_seconds_end_a_session():
    rule = DamageRule()
    ends = []
    for frame in range(160):
        if frame % 20 == 0:
            ends.append(rule.damaged(frame * MILLISECOND))
        else:
            rule.whole()
    assert ends == [False] * 7 + [True]


def test_one_damaged_frame_in_a_hundred_never_ends_a_session():
    rule = DamageRule()
    for frame in range(100_000):
        if frame % 100 == 0:
            assert not rule.damaged(frame * 1000)
        else:
            rule.whole()


def test_eight_damaged_frames_spread_over_more_than_ten_seconds_do_not_end_a_session():
    rule = DamageRule()
    assert not any(rule.damaged(index * 1_500 * MILLISECOND) for index in range(100))


def test_waits_double_up_to_the_last_and_begin_anew_behind_a_session_that_lasted():
    back_off = BackOff(20 * MILLISECOND, SECOND, lambda count: b"\xff" * count)
    now_ns, waits = 0, []
    for _ in range(9):
        back_off.failed(now_ns)
        waits.append(round((back_off.retry_ns - now_ns) / MILLISECOND))
        now_ns = back_off.retry_ns
    assert waits == [20, 40, 80, 160, 320, 640, 1000, 1000, 1000]
    back_off.succeeded(now_ns)
    back_off.failed(now_ns + limits.LINK_STEADY_NS - 1)
    assert back_off.retry_ns - now_ns > limits.LINK_STEADY_NS + 900 * MILLISECOND, "it had not lasted"
    now_ns = back_off.retry_ns
    back_off.succeeded(now_ns)
    back_off.failed(now_ns + limits.LINK_STEADY_NS)
    assert back_off.retry_ns - now_ns - limits.LINK_STEADY_NS <= 20 * MILLISECOND


def test_a_wait_is_spread_over_its_upper_half():
    waits = []
    for spread in (0, 0x4000, 0xFFFF):
        back_off = BackOff(SECOND, SECOND, lambda count, spread=spread: spread.to_bytes(count, "little"))
        back_off.failed(0)
        waits.append(back_off.retry_ns)
    assert waits[0] == SECOND // 2 and waits[0] < waits[1] < waits[2] <= SECOND
