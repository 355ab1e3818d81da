# SPDX-License-Identifier: BSD-2-Clause
"""What is in the Maildirs after a run with --kill, compared with what the
senders and the log say was taken."""
import collections
import hashlib
import re

from harness import logline
from harness.daemon import REPORT

import journal
from journal import text

ID = re.compile(rb'^X-Id: (\S+)$', re.M)
TORN = b' (killed here)'  # written behind a line that was cut by SIGKILL
NAME = re.compile(r'Kok (\S+)$')


class Mailboxes:
    def __init__(self, folder):
        self.folder = folder
        self.sent = {}
        for path in sorted(folder.glob('sender*.journal')):
            self.sent.update((r['id'], r) for r in journal.read(path))
        self.files = {}         # (mailbox, name) -> id
        self.copies = collections.defaultdict(list)
        self.faults, self.counts = [], collections.Counter()
        for box in 'abx':
            for path in (folder / f'maildir-{box}' / 'new').glob('*'):
                self.add(box, path)
        self.lines = collections.defaultdict(list)
        self.read_log()

    def fault(self, what, id, detail):
        self.faults.append((what, id, detail))

    def add(self, box, path):
        data = path.read_bytes()
        self.counts['delivered'] += 1
        m = ID.search(data)
        id = m and m[1].decode()
        self.files[box, path.name] = id
        if id not in self.sent:
            self.fault('a mail that nobody sent', id, str(path))
            return
        self.copies[id].append((box, path.name))
        one = self.sent[id]
        head, message = data[:-one['size']], data[-one['size']:]
        if hashlib.sha1(message).hexdigest() != one['digest']:
            self.fault('it was changed on the way', id, str(path))
        want = f'Return-Path: <{one["sender"]}>\n' \
            f'Delivered-To: {one["rcpt"]}\n'
        if not re.fullmatch(re.escape(want) + '(Received: from PID=[0-9]+ '
                            'UID=[0-9]+ with QMQP\n)?', text(head)):
            self.fault('it was changed on the way', id, text(head))

    def read_log(self):
        data = (self.folder / 'stderr').read_bytes()
        if m := REPORT.search(data):
            self.fault('a checker complains', None,
                       text(data[max(m.start() - 200, 0):][:6000]))
        for line in data.split(b'\n')[:-1]:
            if line.endswith(TORN):
                self.counts['torn lines'] += 1
                continue
            if not logline.is_mail(line):
                continue        # a program's stderr, a line of start
            try:
                fields = logline.parse(line)
            except logline.BadLogLine as e:
                self.fault('a malformed line', None, str(e))
                continue
            if 'to' in fields:
                id = text(fields['to']).split('+')[0]
                self.lines[id].append((fields, text(line)))

    def check(self):
        for id, one in self.sent.items():
            self.counts['mails'] += 1
            for what, number in one['tries'].items():
                if what.startswith('bad'):
                    self.fault('half a verdict', id, what)
                else:
                    self.counts[what] += number
            if not one['verdict']:
                self.fault('a mail was never taken', id, str(one['tries']))
                continue
            if one['verdict'][0] == 'K':
                self.check_taken(id, one['rcpt'], one['verdict'])
            else:
                self.fault('a mail was refused', id, one['verdict'])
            self.counts['duplicates'] += max(len(self.copies[id]) - 1, 0)
        for id, lines in self.lines.items():
            for fields, line in lines:
                if fields.get('verdict') == b'K':
                    self.counts['logged K'] += 1
                    self.check_taken(id, text(fields['to']),
                                     'K' + text(fields['text']))

    def check_taken(self, id, rcpt, verdict):
        """The very file that the server named is there."""
        box = rcpt.split('@')[0][-1]
        m = NAME.match(verdict)
        if not m:
            self.fault('a K of no server', id, verdict)
        elif self.files.get((box, m[1])) != id:
            self.fault('A MAIL IS MISSING', id, f'{verdict}; there are '
                       f'{self.copies[id]}')

    def show(self, id):
        return [str(self.sent.get(id)), str(self.copies.get(id)),
                *(line for _, line in self.lines.get(id, ()))]
