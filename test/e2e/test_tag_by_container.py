# SPDX-License-Identifier: BSD-2-Clause
"""examples/tag-by-container.lua: whose container a mail is from, whatever a
customer does in a group that was given to him."""
import contextlib
import os

import pytest
from cgroups import NOBODY, kernel
from cgroups import submitter, tree  # noqa: F401
from harness.env import TREE
from harness.server import answering

pytestmark = pytest.mark.skipif(
    kernel() < (6, 5), reason='SO_PEERPIDFD came with Linux 6.5')

ALICE = 1234
REFUSED = b'Donly the containers of our customers may send here'


@contextlib.contextmanager
def as_user(uid):
    """Files are looked at, made and owned as an ordinary user does."""
    os.setegid(uid)
    os.seteuid(uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)


@pytest.fixture
def sink(server):
    return server(answering(b'Kok'))


@pytest.fixture(params=['root', 'nobody'])
def example(request, qrelay, sink, folder):
    """The example, as it is, in a folder of its own."""
    text = (TREE / 'examples' / 'tag-by-container.lua').read_text()
    text = text.replace('(systemd,', "('qrelay.sock',")
    prefix = ()
    if request.param == 'nobody':
        prefix = NOBODY
        os.chown(folder, 65534, 65534)
    q = qrelay(text, directory=folder, prefix=prefix,
               env={'QRELAY_SERVER': sink.address})
    q.sock = str(folder / 'qrelay.sock')
    q.runs_as = request.param
    return q


@pytest.fixture
def delegated(tree):
    """alice's group, root's, and in it one that was given to her."""
    tree.make('customers/17', customer='alice')
    tree.make('customers/17/hers')
    os.chown(tree.dir('customers/17/hers'), ALICE, ALICE)
    os.chown(tree.dir('customers/17/hers') / 'cgroup.procs', ALICE, ALICE)
    return tree.dir('customers/17/hers')


def customers(sink):
    """The first such header of each mail that was relayed."""
    result = []
    for r in sink.requests:
        lines = [x for x in r.message.split(b'\n\n')[0].split(b'\n')
                 if x.startswith(b'X-Customer: ')]
        result.append(lines[0][len(b'X-Customer: '):])
    return result


def test_tags(example, sink, tree, submitter):
    tree.make('customers/17/web', customer='inner')
    tree.make('customers/17', customer='alice')
    tree.make('customers/18', customer='bob')
    for group in ('customers/17', 'customers/17/web', 'customers/18'):
        assert submitter(group, example.sock, uid=ALICE).submit() == b'Kok', \
            example.output()
    assert customers(sink) == [b'alice', b'alice', b'bob']
    assert [m['account'] for m in example.mails(3)] == \
        [b'alice', b'alice', b'bob']


def test_header_of_the_client(example, sink, tree, submitter):
    tree.make('customers/17', customer='alice')
    one = submitter('customers/17', example.sock)
    assert one.submit(b'X-Customer: bob\n\nx\n') == b'Kok'
    assert customers(sink) == [b'alice']


def test_outside(example, sink, tree, submitter):
    tree.make('elsewhere')
    assert submitter('elsewhere', example.sock).submit() == REFUSED
    assert sink.requests == []


def test_owner_of_a_delegated_group(example, sink, tree, submitter,
                                    delegated):
    """What she sets on her group, or makes in it, does not count."""
    with as_user(ALICE):
        os.setxattr(delegated, 'user.customer', b'bob')
        (delegated / 'child').mkdir()
        os.setxattr(delegated / 'child', 'user.customer', b'bob')
        with pytest.raises(PermissionError):
            os.setxattr(delegated.parent, 'user.customer', b'bob')
    assert (delegated / 'child').stat().st_uid == ALICE
    for group in ('customers/17/hers', 'customers/17/hers/child'):
        assert submitter(group, example.sock, uid=ALICE).submit() == b'Kok'
    assert customers(sink) == [b'alice', b'alice']


def test_delegated_without_a_customer(example, sink, tree, submitter):
    """Nothing above it names anybody: nor can its owner."""
    tree.make('users/alice')
    group = tree.dir('users/alice')
    os.chown(group, ALICE, ALICE)
    with as_user(ALICE):
        os.setxattr(group, 'user.customer', b'bob')
        (group / 'child').mkdir()
        os.setxattr(group / 'child', 'user.customer', b'bob')
    for name in ('users/alice', 'users/alice/child'):
        one = submitter(name, example.sock, uid=ALICE)
        assert one.submit() == REFUSED
    assert sink.requests == []


@pytest.mark.parametrize('mode', [0o711, 0o700, 0])
def test_closes_her_group(example, sink, tree, submitter, delegated, mode):
    """Who shuts an ordinary user's relay out gets no mail through, and never
    one with another name."""
    with as_user(ALICE):
        (delegated / 'child').mkdir()
        os.setxattr(delegated / 'child', 'user.customer', b'bob')
    os.chmod(delegated, mode)
    seen = mode == 0o711 or example.runs_as == 'root'
    one = submitter('customers/17/hers/child', example.sock, uid=ALICE)
    assert one.submit() == (b'Kok' if seen else b'Zscript failed')
    assert customers(sink) == ([b'alice'] if seen else [])
    if not seen:
        example.wait_message('may not be read')
    os.chmod(delegated, 0o755)
