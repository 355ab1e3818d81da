# SPDX-License-Identifier: BSD-2-Clause
"""What was written down in a run's folder: by clients, servers, programs,
the database, the daemon's log."""
import collections
import pathlib
import re

from harness import logline
from harness.daemon import REPORT

import journal
from mail import parse_recipient

WARM = 'warm'           # the mails that are sent before the load
# lines on stderr that are no mail's: what the soak provokes
EXPECTED = [re.compile(pattern) for pattern in (
    rb'script: reload [0-9]+',
    rb'reload failed:', rb'/\S+/config.lua:[0-9]+: the reload fails',
    rb'stack traceback:', rb'\t.*',
    rb"db:listen: not listening to 'soak', will try again: .*")]


class Log:
    """The daemon's stderr."""

    def __init__(self, path):
        self.path = path
        self.mails = collections.defaultdict(list)  # id -> [line]
        self.others = []        # lines without an envelope
        self.asides = collections.defaultdict(list)
        self.faults = []        # (what, line)
        self.ids = set()
        data = path.read_bytes()
        if m := REPORT.search(data):
            self.faults.append(('a checker complains',
                                data[max(m.start() - 200, 0):][:6000]))
        lines = data.split(b'\n')
        if lines.pop():
            self.faults.append(('the last line is cut', lines[-1]))
        for line in lines:
            self.add(line)

    def add(self, line):
        if logline.ASIDE.fullmatch(line):
            self.asides[line.split(b' ', 1)[0][3:]].append(line)
            return
        if not logline.is_mail(line):
            if not any(p.fullmatch(line) for p in EXPECTED):
                self.faults.append(('a message nobody expected', line))
            return
        try:
            fields = logline.parse(line)
        except logline.BadLogLine as e:
            self.faults.append(('a malformed line', str(e).encode()))
            return
        fields['line'] = line
        if fields['id'] in self.ids:
            self.faults.append(('an id twice', line))
        self.ids.add(fields['id'])
        if 'to' not in fields:
            self.others.append(fields)
            return
        parsed = parse_recipient(fields['to'].decode('latin-1'))
        if parsed is None:
            self.faults.append(('a mail that nobody sent', line))
        else:
            self.mails[parsed[0]].append(fields)

    def show(self, id):
        """All lines of a mail, for a message."""
        result = []
        for fields in self.mails.get(id, ()):
            result += [fields['line'], *self.asides[fields['id']]]
        return [line.decode(errors='replace') for line in result]


class Spool:
    """What the programs had (test/soak/program)."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.had = {p.stem for p in self.folder.glob('*.had')}
        self.again = {p.stem for p in self.folder.glob('*.again')}
        self.said = {p.stem for p in self.folder.glob('*.said')}

    def read(self, id):
        path = self.folder / f'{id}.in'
        return path.read_bytes() if path.exists() else None


class Account:
    """All of it; `taken` are the database's rows, None without one."""

    def __init__(self, folder, times, taken=None):
        self.folder, self.times, self.taken = folder, times, taken
        self.clients = {}
        self.hogs, self.faults = [], []
        for path in sorted(folder.glob('client*.journal')):
            for record in journal.read(path):
                self.add_client(record)
        self.servers = collections.defaultdict(list)
        self.headless = 0       # connections that ended within the header
        for record in journal.read(folder / 'servers.journal'):
            if 'error' in record:
                self.faults.append(('a server fails', None, record['error']))
            elif record['id'] is None:
                self.headless += 1
            else:
                self.servers[record['id']].append(record)
        self.spool = Spool(folder / 'spool')
        self.log = Log(folder / 'stderr')
        for known in (self.log.mails, self.servers):
            known.pop(WARM, None)
        self.spool.had.discard(WARM)

    def add_client(self, record):
        if record['kind'] == 'hog':
            self.hogs.append(record)
        elif record['kind'] == 'crash':
            self.faults.append(('a client fails', None, record['error']))
        else:
            self.clients[record['id']] = record

    def show(self, id):
        """All that is known of a mail, for a message."""
        result = [f'client: {self.clients.get(id)}'[:1500]]
        result += [f'server: {one}'[:1500] for one in self.servers[id]]
        return result + self.log.show(id)
