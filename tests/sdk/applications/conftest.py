"""What the tests of all applications share: the model, the question, the tool, and the emulator's log of calls."""

import base64
import json
import os
import urllib.request

import pytest

URL = os.environ["BEDROCK_EMULATOR_URL"]
MODEL = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
REGION = "us-east-1"
QUESTION = "What is the weather in Paris?"

# Prompt caches of this model need 1,024 tokens.
LONG = "You are a patient assistant who explains every step of the way. " * 200


class Calls:
    """The calls that the emulator received since the test began."""

    def __init__(self):
        self._own("DELETE")

    @staticmethod
    def _own(method):
        request = urllib.request.Request(f"{URL}/_emulator/calls", method=method)
        with urllib.request.urlopen(request) as answer:
            return json.load(answer)

    def bodies(self, operation):
        """The bodies of the calls of an operation, all of which must have succeeded."""
        calls = [call for call in self._own("GET")["calls"] if call["operation"] == operation]
        assert calls, f"no call of {operation}"
        assert {call["status"] for call in calls} == {200}, calls
        return [json.loads(base64.b64decode(call["body"])) for call in calls]


@pytest.fixture
def calls():
    return Calls()
