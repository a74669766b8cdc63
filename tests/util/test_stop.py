"""The first signal is a wish, the second an order."""

import os
import signal

import pytest

import util.stop
from util.stop import Stopped, StopSignals, holding_signals, leave_stopping_to_the_parent


@pytest.fixture(autouse=True)
def usual_handlers():
    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
    before = {number: signal.getsignal(number) for number in numbers}
    yield before
    for number, handler in before.items():
        signal.signal(number, handler)


def send(number):
    os.kill(os.getpid(), number)


def test_the_first_signal_is_kept_and_the_second_takes_its_usual_course(
    capfd, monkeypatch, signals_heard
):
    monkeypatch.setattr(util.stop, "ECHO_S", 0.0)
    with StopSignals() as stop:
        assert stop.received is None
        send(signal.SIGINT)
        assert stop.received == "SIGINT"
        with pytest.raises(KeyboardInterrupt):
            send(signal.SIGINT)
    assert capfd.readouterr().err == "SIGINT: saving; the same again leaves at once\n"


def test_an_echo_of_the_first_signal_is_not_a_second_one(monkeypatch):
    monkeypatch.setattr(util.stop, "ECHO_S", 3600.0)
    with StopSignals() as stop:
        send(signal.SIGTERM)
        send(signal.SIGTERM)  # ends the process unless it is taken for an echo
        assert stop.received == "SIGTERM"


def test_handlers_are_given_back(usual_handlers):
    with StopSignals() as stop:
        send(signal.SIGTERM)
    assert stop.received == "SIGTERM"
    assert {number: signal.getsignal(number) for number in usual_handlers} == usual_handlers


def test_a_hang_up_is_a_wish_to_stop(signals_heard):
    with StopSignals() as stop:
        send(signal.SIGHUP)
        assert stop.received == "SIGHUP"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
def test_an_ignored_signal_stays_ignored(number):
    signal.signal(number, signal.SIG_IGN)
    with StopSignals() as stop:
        send(number)
        assert stop.received is None
    assert signal.getsignal(number) == signal.SIG_IGN


def test_work_that_is_done_again_is_left_at_once():
    with StopSignals() as stop:
        with pytest.raises(Stopped), stop.at_once():
            send(signal.SIGTERM)
            pytest.fail("went on")
        with pytest.raises(Stopped), stop.at_once():
            pytest.fail("began, with a signal from before")
    with StopSignals() as stop:
        with stop.at_once():
            pass
        send(signal.SIGTERM)  # no exception any more
        assert stop.received


def test_a_process_begins_with_signals_held():
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [])
    with holding_signals():
        child = os.fork()
        if not child:
            held = signal.pthread_sigmask(signal.SIG_BLOCK, [])
            os._exit(0 if {signal.SIGINT, signal.SIGTERM, signal.SIGHUP} <= held else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert signal.pthread_sigmask(signal.SIG_BLOCK, []) == before


@pytest.mark.skipif(not hasattr(signal, "sigwaitinfo"), reason="nobody tells who sent a signal")
def test_readers_obey_their_parent_alone():
    ready, told = os.pipe()
    child = os.fork()
    if not child:
        leave_stopping_to_the_parent()
        for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM, signal.SIGTERM):
            send(number)
        os.write(told, b"alive")
        signal.pause()
    assert os.read(ready, 5) == b"alive"
    # Again and again: one SIGTERM is kept at a time, and the child's own may still be there.
    while (ended := os.waitpid(child, os.WNOHANG)) == (0, 0):
        os.kill(child, signal.SIGTERM)
    assert os.waitstatus_to_exitcode(ended[1]) == 0
