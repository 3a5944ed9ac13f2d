"""A gateway that identifies callers: two for each language, and each can make one call per minute. A
client that sends the same token twice is refused.
"""

import os
import pathlib
import subprocess
import tempfile

from update import Pod


class Identities:
    def __init__(self, languages):
        self.languages = languages

    def __enter__(self):
        self.folder = tempfile.TemporaryDirectory()
        self.keys, entries = {}, []
        for language in self.languages:
            self.keys[language.name] = []
            for caller in (f"{language.name}-1", f"{language.name}-2"):
                command = [os.environ["BEDROCK_GRPC"], "keys", "new", "--caller", caller]
                key, entry = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split("\n", 1)
                self.keys[language.name].append(key)
                entries.append(entry)
        callers = "".join(f"  {language.name}-{number}: {{limits: {{requests_per_minute: 1}}}}\n" for language in self.languages for number in (1, 2))
        keys_file = pathlib.Path(self.folder.name) / "keys.yaml"
        keys_file.write_text("".join(entries))
        self.pod = Pod("127.0.0.1", 0, self.folder.name, f"callers:\n{callers}access: {{keys_file: {keys_file}}}\n")
        self.address = self.pod.address
        return self

    def __exit__(self, *_):
        self.pod.end()
        self.folder.cleanup()

    def file(self, language):
        """The file of a language's token."""
        return pathlib.Path(self.folder.name) / f"{language.name}.token"
