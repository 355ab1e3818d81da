# SPDX-License-Identifier: BSD-2-Clause
"""The sodium table in a running daemon, and the examples that use it."""
import os
import pathlib
import re
import shutil
import subprocess

import pytest
from harness.daemon import StartError
from harness.env import DAEMON, TREE, WRAPPER, slow
from harness.qmqp import MESSAGE, SENDER

EXAMPLES = TREE / 'examples'
KEYS = 'pk, sk = sodium.crypto_box_keypair()'


def test_manual(qrelay):
    """What the manual shows, word for word."""
    q = qrelay(pre='''
pk, sk = sodium.crypto_box_keypair()
ciphertext = sodium.crypto_box_seal('hello world', pk)
message = sodium.crypto_box_seal_open(ciphertext, pk, sk)
assert(pk == sodium.crypto_scalarmult_base(sk))
''', handler='return m:discard(message)')
    assert q.submit() == b'Khello world'


def test_seal_in_handler(qrelay):
    q = qrelay(pre=KEYS, handler='''
local box = sodium.crypto_box_seal(m.sender, pk)
local opened = sodium.crypto_box_seal_open(box, pk, sk)
return m:discard(#box .. ' ' .. opened)''')
    assert q.submit() == b'K%d %s' % (48 + len(SENDER), SENDER)
    # the sender of a bounce: an empty message in the box
    assert q.submit(sender=b'').rstrip() == b'K48'


def test_foreign_box_is_nil(qrelay):
    q = qrelay(pre=KEYS, handler='''
local box = sodium.crypto_box_seal('x', (sodium.crypto_box_keypair()))
return m:discard(tostring(sodium.crypto_box_seal_open(box, pk, sk)))''')
    assert q.submit() == b'Knil'


def test_signature(qrelay):
    q = qrelay(pre='pk, sk = sodium.crypto_sign_keypair()', handler='''
local verify = sodium.crypto_sign_verify_detached
local sig = sodium.crypto_sign_detached(m.sender, sk)
return m:discard(table.concat({
  #sig, tostring(verify(sig, m.sender, pk)),
  tostring(verify(sig, m.sender .. '!', pk)),
  tostring(verify(sig:sub(2), m.sender, pk))}, ' '))''')
    assert q.submit() == b'K64 true false false'


def test_hex_and_random(qrelay):
    q = qrelay(handler='''
local hex = sodium.bin2hex(sodium.randombytes(16))
return m:discard(hex .. ' ' .. sodium.hex2bin('6f6B') .. ' ' ..
                 tostring(sodium.hex2bin('6f6')))''')
    replies = {q.submit() for _ in range(4)}
    assert len(replies) == 4
    for reply in replies:
        assert re.fullmatch(rb'K[0-9a-f]{32} ok nil', reply)


def test_error_in_handler(qrelay):
    """Fails the mail with a message that helps; the daemon goes on."""
    q = qrelay(pre=KEYS, handler='''
if m.sender == 'bad@example.org' then
  sodium.crypto_box_seal('x', 'key')
end
return m:discard()''')
    assert q.submit(sender=b'bad@example.org') == b'Zscript failed'
    q.wait_message('pk: 32 bytes expected, got 3')
    assert re.search(r"config\.lua:\d+: bad argument #2 to '[\w.]+'",
                     q.output())
    assert q.submit() == b'Kdiscarded'


def test_error_at_start(qrelay):
    with pytest.raises(StartError) as e:
        qrelay(pre="sodium.crypto_scalarmult_base('short')")
    assert e.value.code == 1
    assert 'sk: 32 bytes expected, got 5' in e.value.output
    assert re.search(r'config\.lua:\d+:', e.value.output)


@pytest.mark.parametrize('call', [
    'sodium.bin2hex(data)',
    'sodium.crypto_box_seal(data, pk)',
])
def test_out_of_memory(qrelay, call):
    """What does not fit into lua_memory is an error of that handler."""
    q = qrelay(lua_memory=12 << 20,
               pre=KEYS + "\ndata = ('a'):rep(5 << 20)",
               handler=f'''
if m.sender == '' then {call} end
return m:discard()''')
    assert q.submit(sender=b'') == b'Zscript failed'
    q.wait_message('not enough memory')
    assert q.submit() == b'Kdiscarded'


# ---- the examples ----

def run_script(path, stdin=b''):
    return subprocess.run(
        [*WRAPPER, str(DAEMON), '--check', '--config', str(path)],
        input=stdin, capture_output=True, timeout=slow(20), check=False)


@pytest.fixture
def desk(folder):
    """The abuse desk's folder, with its keys made."""
    for path in EXAMPLES.glob('sealed-identity-*.lua'):
        shutil.copy(path, folder)
    made = run_script(folder / 'sealed-identity-keys.lua')
    assert made.returncode == 0, made.stderr
    return folder


def open_mail(desk, mail):
    return run_script(desk / 'sealed-identity-open.lua', mail)


def own_cgroup():
    for line in pathlib.Path('/proc/self/cgroup').read_text().splitlines():
        if line.startswith('0::'):
            return line[3:]
    return None


def relay_sealed(qrelay, server, desk, change=lambda text: text):
    s = server()
    text = (EXAMPLES / 'sealed-identity.lua').read_text()
    q = qrelay(change(text).replace('(systemd,', "('qrelay.sock',"), env={'QRELAY_SERVER': s.address},
               files={'abuse-desk.pk': (desk / 'abuse-desk.pk').read_text()})
    reply = q.submit(b'X-Sealed-Identity: ' + b'00' * 80 + b'\n' + MESSAGE,
                     address=str(q.dir / 'qrelay.sock'))
    assert reply == b'Kok'
    return s.requests[0].message


def test_sealed_identity(qrelay, server, desk):
    mail = relay_sealed(qrelay, server, desk)
    # ours stands before the one that the client forged
    assert re.match(rb'X-Sealed-Identity: [0-9a-f]+\n', mail)
    opened = open_mail(desk, mail)
    assert opened.returncode == 0, opened.stderr
    facts = dict(line.split('=', 1)
                 for line in opened.stdout.decode().splitlines())
    assert facts.pop('time').isdigit()
    expected = {'pid': str(os.getpid()), 'uid': str(os.geteuid()),
                'gid': str(os.getegid())}
    if own_cgroup() is not None:
        expected['cgroup'] = own_cgroup()
    assert facts == expected


def test_sealed_identity_is_cut(qrelay, server, desk):
    """However long the identity is, the header fits into a line."""
    def one_more_fact(text):
        head, time, rest = text.partition("'time=' .. os.time()")
        assert time
        return head + time + " .. '\\nlong=' .. ('x'):rep(900)" + rest

    mail = relay_sealed(qrelay, server, desk, one_more_fact)
    line = mail.split(b'\n')[0]
    assert 990 <= len(line) <= 998
    opened = open_mail(desk, mail)
    assert opened.returncode == 0, opened.stderr
    assert b'\nlong=xxx' in opened.stdout


def test_sealed_identity_wrong_key(qrelay, server, desk):
    mail = relay_sealed(qrelay, server, desk)
    (desk / 'abuse-desk.sk').write_text('11' * 32 + '\n')
    opened = open_mail(desk, mail)
    assert opened.returncode == 1
    assert b'sealed for another key' in opened.stderr
    assert opened.stdout == b''


def test_sealed_identity_absent(desk):
    opened = open_mail(desk, MESSAGE)
    assert opened.returncode == 1
    assert b'no whole X-Sealed-Identity header' in opened.stderr


def test_sealed_identity_bad_key(qrelay):
    """A relay without a usable key does not start."""
    text = (EXAMPLES / 'sealed-identity.lua').read_text()
    with pytest.raises(StartError) as e:
        qrelay(text)
    assert 'abuse-desk.pk: No such file' in e.value.output
    with pytest.raises(StartError) as e:
        qrelay(text, files={'abuse-desk.pk': '1234\n'})
    assert 'does not hold 64 hexadecimal digits' in e.value.output


def test_keys_are_not_overwritten(desk):
    before = (desk / 'abuse-desk.sk').read_bytes()
    again = run_script(desk / 'sealed-identity-keys.lua')
    assert again.returncode == 1
    assert b'exists already' in again.stderr
    assert (desk / 'abuse-desk.sk').read_bytes() == before
