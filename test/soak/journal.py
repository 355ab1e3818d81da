# SPDX-License-Identifier: BSD-2-Clause
"""What an actor of the soak saw, one JSON object a line: written at once,
so that nothing is lost with the process."""
import json
import threading


class Journal:
    def __init__(self, path):
        self.file = open(path, 'a', buffering=1)
        self.lock = threading.Lock()

    def write(self, **record):
        line = json.dumps(record, separators=(',', ':')) + '\n'
        with self.lock:
            self.file.write(line)


def read(path):
    """The records of a file, in order; none if it is absent."""
    try:
        with open(path) as file:
            return [json.loads(line) for line in file]
    except FileNotFoundError:
        return []


def text(data):
    """Bytes as JSON can hold them, one character each."""
    return data.decode('latin-1')
