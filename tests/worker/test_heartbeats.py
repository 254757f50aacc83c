"""Signs of life: as long as tokens come or documents are finished, and not while an engine hangs."""

import time

from pipeline.worker.heartbeat import HEARTBEAT_S, PERIOD_S, Heartbeat

TICK_S = 0.01
BEAT_S = 0.1


class Engine:
    """Counts that the test advances, and what was said of them."""

    def __init__(self) -> None:
        self.tokens = 0
        self.documents = 0
        self.said: list[int] = []

    def watched(self) -> Heartbeat:
        return Heartbeat(self.said.append, lambda: self.tokens, lambda: self.documents, TICK_S, BEAT_S)


def test_tokens_that_go_on_coming_are_told_now_and_then() -> None:
    engine = Engine()
    with engine.watched():
        for _ in range(50):
            engine.tokens += 8
            time.sleep(TICK_S)
    assert 2 <= len(engine.said) <= 7
    assert set(engine.said) == {0}


def test_an_engine_that_hangs_is_silent() -> None:
    engine = Engine()
    with engine.watched():
        engine.tokens = 40
        time.sleep(5 * BEAT_S)
        before = list(engine.said)
        time.sleep(3 * BEAT_S)
    assert engine.said == before
    assert len(before) == 1


def test_a_finished_document_is_told_at_once() -> None:
    engine = Engine()
    with engine.watched():
        engine.documents = 2
        time.sleep(5 * TICK_S)
        assert engine.said == [2]


def test_a_listener_who_is_gone_ends_the_telling_and_nothing_else() -> None:
    def say(_documents: int) -> None:
        raise BrokenPipeError

    engine = Engine()
    with Heartbeat(say, lambda: engine.tokens, lambda: engine.documents, TICK_S, BEAT_S):
        engine.documents = 1
        time.sleep(5 * TICK_S)


def test_whoever_waits_for_a_line_every_five_seconds_gets_one() -> None:
    assert HEARTBEAT_S + PERIOD_S < 5
