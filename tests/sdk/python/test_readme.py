"""The code of emulator/README.md runs as it is, one block after the other."""

import os
import pathlib
import re

README = pathlib.Path(__file__).parents[3] / "emulator/README.md"


def test_the_code_of_the_readme(monkeypatch, capsys):
    blocks = re.findall(r"^```python\n(.*?)^```$", README.read_text(), re.M | re.S)
    assert len(blocks) >= 8
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    code = "\n".join(blocks)
    assert code.count("http://127.0.0.1:8900") == 1
    names = {}
    exec(compile(code.replace("http://127.0.0.1:8900", os.environ["BEDROCK_EMULATOR_URL"]), str(README), "exec"), names)
    assert capsys.readouterr().out
    # The other tests of this emulator expect no quotas and no ends of life.
    assert names["emulator"]("GET", "models") == {"models": {}}
