# SPDX-License-Identifier: BSD-2-Clause
"""The ledger: compares what clients, servers, programs, the database and
the log say of each mail, and tells every promise that was broken.

A fault is (what, the mail's id or None, what was expected and seen).
"""
import collections
import hashlib

from harness.qmqp import Request, decode_netstring

import verdicts
from journal import text
from mail import head_after, parse_recipient, sender_after

REFUSED_EARLY = {'Dmalformed input', 'Dbad address', 'Dtoo many recipients',
                 'Dmessage too large'}
UNSURE = {'Ztoo busy', 'Ztoo many connections', 'Ztimeout'}


def said_in(line):
    """Verdict and text of a line of the log; None without a verdict."""
    if 'verdict' not in line:
        return None
    return text(line['verdict'] + line['text'])


class Ledger:
    def __init__(self, account):
        self.account = account
        self.faults = []
        self.counts = collections.Counter()

    def fault(self, what, id, detail):
        self.faults.append((what, id, detail))

    def check(self):
        a = self.account
        self.faults += a.faults
        self.faults += [(what, None, text(line))
                        for what, line in a.log.faults]
        self.count_unnamed()
        for id, client in a.clients.items():
            self.check_client(id, client)
        for id in [*a.log.mails, *a.servers, *a.spool.had]:
            if id not in a.clients:
                self.fault('a mail that nobody sent', id, 'in log or server')
        self.check_unnamed()
        self.check_rows()
        return self.faults

    # ----- lines without an envelope -----

    @staticmethod
    def key(record):
        """Tells a client in such a line: its address, or its process."""
        return record['peer'] or str(record['pid'])

    def count_unnamed(self):
        """How many there are of each client and text."""
        self.unnamed = collections.Counter()
        for line in self.account.log.others:
            who = text(line.get('client') or line.get('pid') or b'?')
            verdict = said_in(line)
            if verdict not in REFUSED_EARLY | UNSURE:
                self.fault('a line without an envelope', None,
                           text(line['line']))
            self.unnamed[who, verdict] += 1
        for hog in self.account.hogs:
            self.counts['hogs'] += 1
            self.take(str(hog['pid']), 'Ztoo many connections',
                      hog['answers'])

    def take(self, who, verdict, number=1):
        """Accounts for lines; False if there are none."""
        self.unnamed[who, verdict] -= number
        return self.unnamed[who, verdict] >= 0

    def check_unnamed(self):
        """What is left was nobody's: only hogs and those who left before
        their answer are excused."""
        left = collections.Counter()
        for client in self.account.clients.values():
            if client['outcome'] == 'left':
                left[self.key(client)] += 1
        hogs = {str(hog['pid']) for hog in self.account.hogs}
        for (who, verdict), number in self.unnamed.items():
            excused = verdict == 'Ztoo many connections' and who in hogs or \
                verdict in UNSURE and number <= left[who]
            if number < 0:
                self.fault('an answer is not in the log', None,
                           f'{-number} x {verdict} to {who}')
            elif number > 0 and not excused:
                self.fault('a line of no mail', None,
                           f'{number} x {verdict} to {who}')

    def was_refused(self, client):
        """Takes a line that says that there was no room for this client,
        which did not see its answer."""
        who = self.key(client)
        for verdict in ('Ztoo many connections', 'Ztoo busy'):
            if self.unnamed[who, verdict] > 0:
                self.take(who, verdict)
                return True
        return False

    # ----- one mail -----

    def check_client(self, id, client):
        self.counts['connections'] += 1
        outcome, reply = client['outcome'], client['reply']
        lines = self.account.log.mails.get(id, [])
        refused = False
        if len(lines) > 1:
            self.fault('logged twice', id, f'{len(lines)} lines')
        if outcome == 'reply':
            self.counts[reply[0]] += 1
            self.counts['timeouts'] += reply == 'Ztimeout'
            self.counts['busy'] += reply in verdicts.BUSY
        elif outcome != 'left' and not self.may_end(client):
            refused = self.was_refused(client)
            if not refused:
                self.fault('no verdict', id, outcome)
        if client['mail'] is None:
            self.check_lie(id, client)
            return
        self.check_handed_on(id, client)
        if lines:
            self.check_line(id, client, lines[0])
        elif outcome == 'reply':
            if reply not in UNSURE or \
                    not self.take(self.key(client), reply):
                self.fault('an answer is not in the log', id, reply)
        elif client['whole'] and not client.get('reset') and \
                not refused and not self.was_refused(client):
            self.fault('a whole mail is not in the log', id, outcome)
        if outcome == 'reply':
            self.check_reply(id, client)

    @staticmethod
    def may_end(client):
        """Whether a client may be left without a verdict."""
        return client['outcome'] == 'closed' and \
            client['kind'] == 'cuthalf'

    def check_lie(self, id, client):
        reply = client['reply']
        if client['outcome'] != 'reply':
            return
        late = reply == 'Ztimeout' and \
            self.account.times.paused(client['seconds'])
        if reply not in client['wanted'] and reply not in verdicts.BUSY and \
                not late:
            self.fault('a lie is answered wrongly', id,
                       f'{client["lie"]}: {client["wanted"]}, got {reply}')
        self.take(self.key(client), reply)

    def plan(self, client):
        id, steps, action, how, size = \
            parse_recipient(client['mail']['rcpts'][0])
        return id, action, how

    @staticmethod
    def is_prompt(client):
        """Whether nothing of a mail makes the daemon wait."""
        _, steps, action, how, size = \
            parse_recipient(client['mail']['rcpts'][0])
        return client['kind'] in ('good', 'half') and not steps and \
            action in ('discard', 'reject', 'defer')

    def check_reply(self, id, client):
        reply, times = client['reply'], self.account.times
        if not client['whole']:
            # only one who is still sending has had no whole mail
            late = reply == 'Ztimeout' and \
                client['seconds'] >= verdicts.EXACT * times.receive
            if reply not in verdicts.BUSY and not late and \
                    client['kind'] != 'extra':
                self.fault('a part of a mail is answered', id, reply)
            return
        if reply == 'Ztimeout' and \
                client['seconds'] >= verdicts.EXACT * times.receive and \
                client['kind'] in ('chunks', 'bytewise'):
            return
        if self.is_prompt(client) and \
                client['seconds'] > times.prompt + times.pause:
            self.fault('a mail was held up', id, f'{client["seconds"]} s')
        wanted = verdicts.fault(self.plan(client), reply,
                                self.account.servers.get(id, []),
                                client['seconds'], times)
        if wanted:
            self.fault('a wrong verdict', id, f'{reply!r}, not {wanted}')

    def check_line(self, id, client, line):
        """The one line of a mail that the log has."""
        def same(key, value):
            if line.get(key) != value:
                self.fault('the log differs', id,
                           f'{key}: {line.get(key)}, not {value}')
        mail, verdict = client['mail'], said_in(line)
        _, steps, action, how, size = parse_recipient(mail['rcpts'][0])
        if not client['whole'] and client['kind'] != 'extra':
            self.fault('a part of a mail is in the log', id,
                       text(line['line']))
        if client['outcome'] == 'reply':
            same('verdict', client['reply'][:1].encode())
            same('text', client['reply'][1:].encode('latin-1'))
        elif verdict is None:
            self.counts['gone'] += 1
            if line['text'] != b'client gone' or not \
                    verdicts.may_be_gone(None, self.account.servers[id]):
                self.fault('a mail is given up', id, text(line['line']))
        else:
            wanted = verdicts.fault(
                self.plan(client), verdict, self.account.servers[id],
                float(line['ms']) / 1000, self.account.times)
            if wanted:
                self.fault('a wrong verdict is logged', id,
                           f'{verdict!r}, not {wanted}')
        if client['peer']:
            same('client', client['peer'].encode())
            same('uid', None)
        else:
            same('pid', b'%d' % client['pid'])
            same('uid', b'%d' % client['uid'])
        same('nrcpt', b'%d' % len(mail['rcpts']))
        same('size', b'%d' % size)
        senders = {sender_after(mail['sender'], id, steps)}
        if line.get('where', b'').startswith((b'handle', b'receive')):
            senders.add(mail['sender'])
        if text(line['from']) not in senders:
            same('from', senders)
        if verdict and action.startswith('to-') and verdict[0] == 'K':
            same('action', b'connect')

    # ----- what servers and programs had -----

    def check_handed_on(self, id, client):
        a = self.account
        served = a.servers.get(id, [])
        if len(served) > 1:
            self.fault('two servers had bytes of it', id,
                       ' '.join(one['server'] for one in served))
        if id in a.spool.again or (served and id in a.spool.had):
            self.fault('two programs had it', id, '')
        line = a.log.mails.get(id, [None])[0]
        verdict = client['reply'] if client['outcome'] == 'reply' else \
            line and said_in(line)
        _, steps, action, how, size = \
            parse_recipient(client['mail']['rcpts'][0])
        for one in served:
            if one['whole']:
                self.counts['relayed'] += 1
                self.check_served(id, client, one)
        if verdict and verdict[0] == 'K':
            if action.startswith('to-'):
                if not any((one['said'] or '')[:1] == 'K' and
                           (one['whole'] or one['how'] == 'lie')
                           for one in served):
                    self.fault('K, but no server took it', id, verdict)
            elif action in ('exec', 'raw'):
                if id not in a.spool.said:
                    self.fault('K, but no program took it', id, verdict)
        if action in ('exec', 'raw') and id in a.spool.said and \
                how != 'noread':
            self.check_program(id, client, action, how)

    def head(self, id, client):
        _, steps, action, how, size = \
            parse_recipient(client['mail']['rcpts'][0])
        start = client['mail']['start'].encode('latin-1')
        return head_after(id, steps, how, size, start, client['pid'],
                          client['uid'], not client['peer'])

    def compare(self, id, what, got, want):
        if got != want:
            self.fault('it was changed on the way', id,
                       f'{what}: {got!r:.600}, not {want!r:.600}')

    def check_served(self, id, client, one):
        mail = client['mail']
        steps = parse_recipient(mail['rcpts'][0])[1]
        self.compare(id, 'headers', one['head'],
                     text(self.head(id, client)))
        self.compare(id, 'message', one['digest'], mail['digest'])
        self.compare(id, 'sender', one['sender'],
                     sender_after(mail['sender'], id, steps))
        self.compare(id, 'recipients', one['rcpts'], mail['rcpts'])

    def check_program(self, id, client, action, how):
        data = self.account.spool.read(id)
        mail = client['mail']
        self.counts['by programs'] += 1
        if action == 'exec':
            try:
                payload, rest = decode_netstring(data)
                request = Request(payload)
            except (TypeError, ValueError) as e:
                self.fault('a program got no request', id, str(e))
                return
            data = request.message
            self.compare(id, 'recipients',
                         [text(r) for r in request.rcpts], mail['rcpts'])
        head = self.head(id, client)
        size = parse_recipient(mail['rcpts'][0])[4]
        self.compare(id, 'headers', data[:len(data) - size], head)
        self.compare(id, 'message', mail['digest'], hashlib.sha1(
            data[len(data) - size:]).hexdigest())

    # ----- the database -----

    def check_rows(self):
        a = self.account
        if a.taken is None:
            return
        for row in a.taken:
            if row.startswith('undone-'):
                self.fault('a transaction was not undone', row[7:], row)
        for id, lines in a.log.mails.items():
            words = text(lines[0].get('account', b'')).split('.')
            self.counts['transactions'] += words.count('tx')
            self.counts['queries'] += words.count('query')
            self.counts['failed queries'] += words.count('noquery')
            if 'tx' in words and id not in a.taken:
                self.fault('a transaction is lost', id, str(words))
