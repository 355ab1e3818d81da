# SPDX-License-Identifier: BSD-2-Clause
"""The ledger: it finds nothing in an account that is in order, and each
kind of fault in one that is not."""
import copy
import hashlib
import json

import pytest
from harness.qmqp import request

from account import Account
from ledger import Ledger
from mail import head_after, recipient
from mailbox import Mailboxes
from verdicts import Times

MESSAGE = b'X-Id: m\nHello.\n'
DIGEST = hashlib.sha1(MESSAGE).hexdigest()
SENDER = 'm@sender.test'


def client(id='m', steps='', action='to-tcp0', how='K', **more):
    rcpt = recipient(id, steps, action, how, len(MESSAGE))
    return dict(
        id=id, pid=7, uid=8, listener='unix', kind='good', whole=True,
        outcome='reply', reply=f'K{id} tcp0 1', error=None, peer=None,
        seconds=0.1, mail=dict(rcpts=[rcpt], sender=SENDER, digest=DIGEST,
                               start='X-Id: m\n')) | more


def server(id='m', how='K', **more):
    head = head_after(id, '', how, len(MESSAGE), b'X-Id: m\n', 7, 8, True)
    return dict(
        server='tcp0', id=id, how=how, whole=True, said=f'K{id} tcp0 1',
        sure=True, cut=False, head=head.decode(), digest=DIGEST,
        sender=SENDER,
        rcpts=[recipient(id, '', 'to-tcp0', how, len(MESSAGE))]) | more


def line(of, number=1, verdict='K', text=None, more='', **_):
    text = of['reply'][1:] if text is None else text
    return (f'id=5f-{number} listener=/q.sock pid={of["pid"]} '
            f'uid={of["uid"]} gid=8{more} from="{of["mail"]["sender"]}" '
            f'to="{of["mail"]["rcpts"][0]}" nrcpt=1 size={len(MESSAGE)} '
            'action=connect target=127.0.0.1:9 ' +
            (f'verdict={verdict} ' if verdict else '') +
            f'text="{text}" ms=100.0')


class Books:
    """An account to be falsified."""

    def __init__(self, folder):
        self.folder = folder
        self.spool = folder / 'spool'
        self.spool.mkdir()
        self.client, self.server = client(), server()
        self.clients, self.servers = [self.client], [self.server]
        self.lines = [line(self.client)]
        self.taken = None
        self.times = Times(3, 1.5, 20, 10)

    def faults(self):
        for name, records in (('client0', self.clients),
                              ('servers', self.servers)):
            (self.folder / f'{name}.journal').write_text(
                ''.join(json.dumps(r) + '\n' for r in records))
        (self.folder / 'stderr').write_text(
            ''.join(text + '\n' for text in self.lines))
        ledger = Ledger(Account(self.folder, self.times, self.taken))
        return {what for what, _, _ in ledger.check()}


@pytest.fixture
def books(tmp_path):
    return Books(tmp_path)


def test_in_order(books):
    assert books.faults() == set()


def test_k_that_no_server_said(books):
    books.server['said'] = 'Zm tcp0 1'
    assert 'K, but no server took it' in books.faults()


def test_k_without_a_server(books):
    books.servers.clear()
    assert 'K, but no server took it' in books.faults()


def test_k_of_half_a_mail(books):
    books.server['whole'] = False
    assert 'K, but no server took it' in books.faults()


def test_k_that_got_lost(books):
    books.client['reply'] = 'Zrelay failed'
    books.lines = [line(books.client, verdict='Z')]
    assert books.faults() == {'a wrong verdict'}


@pytest.mark.parametrize('reply', ['Km tcp0 2', 'Dm tcp0 1', 'Zscript failed',
                                   'Ztimeout'])
def test_another_verdict(books, reply):
    books.client['reply'] = reply
    books.lines = [line(books.client, verdict=reply[0])]
    assert 'a wrong verdict' in books.faults()


def test_a_timeout_that_is_one(books):
    books.client = client(how='hang', reply='Ztimeout', seconds=1.51)
    books.clients = [books.client]
    books.servers = [server(how='hang', said=None, sure=False)]
    books.servers[0]['rcpts'] = books.client['mail']['rcpts']
    books.lines = [line(books.client, verdict='Z')]
    assert books.faults() == set()
    books.client['seconds'] = 1.2
    assert 'a wrong verdict' in books.faults()


def test_a_timeout_by_a_pause(books):
    books.client.update(reply='Ztimeout', seconds=20.01)
    books.lines = [line(books.client, verdict='Z')]
    assert books.faults() == {'a wrong verdict'}
    books.times.pause = 60
    assert books.faults() == set()


def test_held_up(books):
    books.client = client(action='discard', how='', reply='Kdiscarded m')
    books.clients, books.servers = [books.client], []
    books.lines = [line(books.client)]
    assert books.faults() == set()
    books.client['seconds'] = 11
    assert books.faults() == {'a mail was held up'}


def test_two_servers(books):
    books.servers.append(server(whole=False, said=None, sure=False))
    assert books.faults() == {'two servers had bytes of it'}


@pytest.mark.parametrize('key, value', [
    ('head', 'X-Soak: other\n'), ('digest', '00'), ('sender', 'x@y'),
    ('rcpts', [])])
def test_changed_on_the_way(books, key, value):
    books.server[key] = value
    assert books.faults() == {'it was changed on the way'}


def test_logged_twice(books):
    books.lines.append(line(books.client, 2))
    assert books.faults() == {'logged twice'}


def test_an_id_twice(books):
    other = client('n')
    books.clients.append(other)
    books.servers.append(server('n'))
    books.lines.append(line(other))
    assert books.faults() == {'an id twice'}


def test_not_logged(books):
    books.lines.clear()
    assert books.faults() == {'an answer is not in the log'}


def test_left_and_not_logged(books):
    books.client.update(outcome='left', reply=None)
    books.lines.clear()
    assert books.faults() == {'a whole mail is not in the log'}


def test_a_part_is_logged(books):
    books.lines = [line(books.client)]
    books.client.update(outcome='left', reply=None, whole=False)
    assert books.faults() == {'a part of a mail is in the log'}


@pytest.mark.parametrize('more, old, new', [
    ('', 'uid=8', 'uid=9'), ('', SENDER, 'x@y'), ('', 'nrcpt=1', 'nrcpt=2'),
    ('', 'verdict=K', 'verdict=D'), ('', 'text="m', 'text="n'),
    ('', 'size=15', 'size=16')])
def test_the_log_differs(books, more, old, new):
    assert old in books.lines[0]
    books.lines[0] = books.lines[0].replace(old, new)
    assert 'the log differs' in books.faults()


@pytest.mark.parametrize('outcome', [
    'closed', 'bad: half a verdict', 'bad: more than a verdict',
    'bad: no verdict in time'])
def test_no_whole_verdict(books, outcome):
    books.client.update(outcome=outcome, reply=None)
    assert 'no verdict' in books.faults()


def test_given_up_though_a_server_had_it(books):
    books.client.update(outcome='left', reply=None)
    books.lines = [line(books.client, verdict=None, text='client gone')]
    assert books.faults() == {'a mail is given up'}
    books.server.update(whole=False, said=None, sure=False)
    assert books.faults() == set()


def test_a_lie(books):
    books.clients.append(client(
        'l', mail=None, kind='lie', lie='garbage', whole=False,
        wanted=['Dmalformed input'], reply='Dmalformed input'))
    said = 'id=5f-2 listener=/q.sock pid=7 uid=8 gid=8 verdict=D ' \
        'text="malformed input" where=receive ms=0.0'
    assert books.faults() == {'an answer is not in the log'}
    books.lines.append(said)
    assert books.faults() == set()
    books.lines.append(said.replace('5f-2', '5f-3'))
    assert books.faults() == {'a line of no mail'}
    books.lines.pop()
    books.clients[-1]['reply'] = 'Kok'
    assert 'a lie is answered wrongly' in books.faults()


def test_a_lie_that_takes_too_long(books):
    books.clients.append(client(
        'l', mail=None, kind='lie', lie='garbage', whole=False, seconds=4,
        wanted=['Dmalformed input'], reply='Ztimeout'))
    books.lines.append('id=5f-2 listener=/q.sock pid=7 uid=8 gid=8 '
                       'verdict=Z text="timeout" where=receive ms=4000.0')
    assert books.faults() == {'a lie is answered wrongly'}
    books.times.pause = 60
    assert books.faults() == set()


@pytest.mark.parametrize('text, what', [
    ('==1==ERROR: AddressSanitizer: heap-use-after-free',
     'a checker complains'),
    ('something new', 'a message nobody expected'),
    ('id=5f-9 listener="', 'a malformed line'),
    ('id=5f-9 listener=/q pid=1 uid=1 gid=1 from="" to="x@y" nrcpt=1 size=1 '
     'verdict=K text="ok" ms=1.0', 'a mail that nobody sent')])
def test_log_lines(books, text, what):
    books.lines.append(text)
    assert what in books.faults()


def program(books, action, data, **more):
    """A mail that a program took."""
    books.client = client(action=action, reply='Kok m', **more)
    books.clients, books.servers = [books.client], []
    books.lines = [line(books.client).replace('=connect', '=' + action)]
    (books.spool / 'm.had').mkdir()
    (books.spool / 'm.in').write_bytes(data)
    (books.spool / 'm.said').write_text('K')


def test_programs(books):
    head = head_after('m', '', 'K', len(MESSAGE), b'X-Id: m\n', 7, 8, True)
    program(books, 'raw', head + MESSAGE)
    assert books.faults() == set()
    (books.spool / 'm.in').write_bytes(head + MESSAGE[:-1])
    assert books.faults() == {'it was changed on the way'}
    (books.spool / 'm.in').write_bytes(head + MESSAGE)
    (books.spool / 'm.again').write_text('K')
    assert books.faults() == {'two programs had it'}
    (books.spool / 'm.again').unlink()
    (books.spool / 'm.said').unlink()
    assert books.faults() == {'K, but no program took it'}


def test_exec_program(books):
    head = head_after('m', '', 'K', len(MESSAGE), b'X-Id: m\n', 7, 8, True)
    rcpt = recipient('m', '', 'exec', 'K', len(MESSAGE)).encode()
    data = request(head + MESSAGE, SENDER.encode(), (rcpt,))
    program(books, 'exec', data)
    assert books.faults() == set()
    (books.spool / 'm.in').write_bytes(data[:-2])
    assert books.faults() == {'a program got no request'}


def test_transactions(books):
    books.client = client(steps='tx')
    books.clients = [books.client]
    books.server['rcpts'] = books.client['mail']['rcpts']
    books.lines = [line(books.client, more=' account=tx')]
    books.taken = {'m'}
    assert books.faults() == set()
    books.taken = set()
    assert books.faults() == {'a transaction is lost'}
    books.taken = {'m', 'undone-m'}
    assert books.faults() == {'a transaction was not undone'}


# ----- after --kill -----


@pytest.fixture
def boxes(tmp_path):
    new = tmp_path / 'maildir-a' / 'new'
    new.mkdir(parents=True)
    sent = dict(id='m', rcpt='m+a@kill.test', sender='m@kill.test',
                size=len(MESSAGE), digest=DIGEST, verdict='Kok name',
                tries={'K': 1})
    file = b'Return-Path: <m@kill.test>\nDelivered-To: m+a@kill.test\n' + \
        MESSAGE

    def check(file=file, name='name', log='', **more):
        for old in new.iterdir():
            old.unlink()
        if file:
            (new / name).write_bytes(file)
        (tmp_path / 'sender0.journal').write_text(
            json.dumps(copy.deepcopy(sent) | more) + '\n')
        (tmp_path / 'stderr').write_text(log)
        result = Mailboxes(tmp_path)
        result.check()
        return {what for what, _, _ in result.faults}
    check.file = file
    return check


def test_mailbox(boxes):
    assert boxes() == set()
    assert boxes(file=None) == {'A MAIL IS MISSING'}
    assert boxes(name='another') == {'A MAIL IS MISSING'}
    assert boxes(file=boxes.file[:-1]) == {'it was changed on the way'}
    assert boxes(file=b'X: y\n' + boxes.file) == {'it was changed on the way'}
    assert boxes(verdict=None) == {'a mail was never taken'}
    assert boxes(verdict='Kok') == {'a K of no server'}
    assert boxes(tries={'K': 1, 'bad: 5:Kok': 1}) == {'half a verdict'}


def test_mailbox_and_log(boxes):
    log = ('id=5f-1 listener=/q pid=1 uid=0 gid=0 from="m@kill.test" '
           'to="m+a@kill.test" nrcpt=1 size=15 verdict=K text="ok name" '
           'ms=1.0\n')
    assert boxes(log=log) == set()
    assert boxes(log=log.replace('ok name', 'ok lost')) == \
        {'A MAIL IS MISSING'}
