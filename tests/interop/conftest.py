"""The gateway's address, and fixtures of all tests."""

import os
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent / ".stubs"))

from gateway import Emulator, Gateway  # noqa: E402


@pytest.fixture
def gateway():
    """A new connection, so that tests share no state."""
    with Gateway(os.environ["GATEWAY_GRPC"], os.environ["GATEWAY_ADMIN"]) as gateway:
        yield gateway


@pytest.fixture
def emulator():
    """The emulator behind the gateway, with an empty log of calls."""
    emulator = Emulator(os.environ["GATEWAY_EMULATOR"])
    emulator.forget()
    return emulator
