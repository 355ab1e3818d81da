# SPDX-License-Identifier: BSD-2-Clause
"""editors/qrelay.lua names exactly what the daemon has.

What there is, the daemon is asked: by walking its tables, and the methods of its
objects through debug.getmetatable().  Attributes, which are no table in the
daemon, are taken from the source and read in a handler.
"""
import re

import pytest
from harness.env import TREE

TEXT = (TREE / 'editors' / 'qrelay.lua').read_text()

# Of Lua 5.4 itself.
STANDARD = set('''_G _VERSION assert collectgarbage coroutine debug dofile error
getmetatable io ipairs load loadfile math next os package pairs pcall print
rawequal rawget rawlen rawset require select setmetatable string table tonumber
tostring type utf8 warn xpcall'''.split())
STANDARD_TABLE = set('concat insert move pack remove sort unpack'.split())

# Set by the script, if at all: not there when it starts.
OPTIONAL = {'max_connections_per_uid', 'reload'}


def defined_globals():
    return set(re.findall(r'^(\w+) = ', TEXT, re.M)) | \
        set(re.findall(r'^function (\w+)\(', TEXT, re.M))


def defined_methods(name):
    return set(re.findall(rf'^function {name}[.:](\w+)\(', TEXT, re.M))


def defined_fields(name):
    match = re.search(rf'^---@class \(exact\) qrelay\.{name}\n((?:---.*\n)*)',
                      TEXT, re.M)
    return set(re.findall(r'^---@field (\w+)', match[1], re.M))


WALK = '''
local function keys(t)
  local names = {}
  for name in pairs(t) do
    names[#names + 1] = name
  end
  return table.concat(names, ' ')
end

-- methods: a table, or the upvalue of a function
local function methods(object)
  local index = debug.getmetatable(object).__index
  if type(index) == 'function' then
    index = select(2, debug.getupvalue(index, 1))
  end
  return keys(index)
end

print('globals: ' .. keys(_G))
print('table: ' .. keys(table))
print('sodium: ' .. keys(sodium))
print('pg: ' .. keys(pg))
local db = pg:new('host=/nonexistent')
print('db: ' .. methods(db))
-- of the classes that only a database can make, the registered names
for _, class in ipairs {'tx', 'result'} do
  local class_table = debug.getregistry()['qrelay.pg.' .. class]
  print(class .. ': ' .. keys(class_table.__index))
end
'''


@pytest.fixture
def actual(qrelay):
    """{'globals': {names}, ...} of the running daemon."""
    q = qrelay(WALK + '''
qmqp_listen('$SOCK', function(m)
  print('mail: ' .. methods(m))
  return m:discard()
end)''')
    assert q.submit() == b'Kdiscarded'
    q.wait_message('mail: ')
    found = re.findall(r'^script: (\w+): (.*)$', q.output(), re.M)
    return {name: set(names.split()) for name, names in found}


def test_globals(actual):
    assert actual['globals'] - STANDARD == defined_globals() - OPTIONAL
    assert STANDARD <= actual['globals']


@pytest.mark.parametrize('name', ['sodium', 'pg', 'db', 'tx', 'result',
                                  'mail'])
def test_functions(actual, name):
    fields = defined_fields('pg') if name == 'pg' else set()
    assert actual[name] == defined_methods(name) | fields
    assert actual[name]


def test_table(actual):
    assert actual['table'] - STANDARD_TABLE == defined_methods('table')


def c_names(file, array):
    text = (TREE / 'src' / 'lua' / file).read_text()
    return set(re.findall(r'\{"(\w+)"', re.search(
        rf'{array}\[\] = \{{(.*?)^\}};', text, re.M | re.S)[1]))


def test_attributes(qrelay):
    mail, cgroup = defined_fields('mail'), defined_fields('cgroup')
    assert mail == c_names('mail_class.c', 'attributes')
    assert cgroup == c_names('cgroup_class.c', 'fields')
    reads = '\n'.join(f'local _ = m.{name}' for name in mail - {'cgroup'})
    q = qrelay(handler=reads + '\nreturn m:discard()')
    assert q.submit() == b'Kdiscarded', q.output()


@pytest.mark.parametrize('name, file', [
    ('listen_options', 'listen_lib.c'),
    ('connect_options', 'action_class.c'),
    ('exec_options', 'action_class.c'),
    ('pg_options', 'pg_db_class.c'),
    ('timeout', 'pg_wait.c'),
    ('notification_options', 'pg_listen_method.c'),
])
def test_options(name, file):
    text = (TREE / 'src' / 'lua' / file).read_text()
    lists = [set(re.findall(r'"(\w+)"', words)) for words in
             re.findall(r'names\[\] = \{([^}]*)NULL\}', text)]
    assert defined_fields(name) in lists


def test_limits():
    """The manual's table of global variables says what limits.h says."""
    limits = dict(re.findall(r'#define (LIMIT_\w+) ([\d.]+)', (
        TREE / 'src' / 'base' / 'limits.h').read_text()))
    rows = re.findall(r'\* - ``(\w+)``\n +- (.*)\n +- (\S+) \.\.\. (\S+)\n', (
        TREE / 'doc' / 'manual' / 'globals.rst').read_text())
    assert len(rows) == 9
    for name, default, least, most in rows:
        upper = 'LIMIT_' + name.upper()
        seconds = name.endswith('_timeout')
        if f'{upper}_DEFAULT' in limits:
            assert default.split()[0] == limits[f'{upper}_DEFAULT']
        if seconds:
            expected = limits['LIMIT_DURATION_MIN'], limits[
                'LIMIT_DURATION_MAX']
        else:
            same = {'max_connections_per_uid': 'LIMIT_MAX_CONNECTIONS'}.get(
                name, upper)
            expected = (limits.get(f'{same}_MIN', '1'),
                        limits.get(f'{same}_MAX',
                                   limits['LIMIT_MAX_MEMORY_MAX']))
        assert (least, most) == expected, name


def source(*folders):
    return '\n'.join(path.read_text() for folder in folders for path in
                     sorted((TREE / 'src' / folder).glob('*.c')))


def test_verdicts():
    """Each text that the code answers with stands in the manual's list."""
    text = source('daemon', 'relay', 'lua')
    texts = set(re.findall(r"'[KZD]', \"([^\"]+)\"", text))
    texts |= set(re.findall(r'\bfail\(d, [^;]*"([^"]+)"\);', text))
    texts |= set(re.findall(r'return "([^"]+)"', (
        TREE / 'src' / 'proto' / 'qmqp_request.c').read_text()))
    assert {'script failed', 'connect failed', 'relay failed', 'discarded',
            'malformed input', 'too busy'} <= texts
    page = (TREE / 'doc' / 'manual' / 'verdicts.rst').read_text()
    for one in texts:
        assert re.search(rf'``[KZD]{re.escape(one)}``', page), one
    for one in re.findall(r'session_abandon\([^;]*?"([^"]+)"\)', text):
        assert f'``{one}``' in page


def test_log_keys():
    """So do the keys of the log, and the steps of `where`."""
    page = (TREE / 'doc' / 'manual' / 'log.rst').read_text()
    keys = re.findall(r'log_line_\w+\(&?\w+,\s*"(\w+)"', source('daemon'))
    assert len(set(keys)) >= 17
    for key in keys:
        assert f'``{key}``' in page or f'{key}="' in page or \
            f'``{key}=' in page or f' {key}=' in page, key
    steps = set(re.findall(r'(?:where|, |\? |: |return )"(accept|receive|'
                           r'handle|deliver|connect|send|reply|exec)"',
                           source('daemon')))
    assert len(steps) == 8
    for step in steps:
        assert f'   * - ``{step}``\n' in page, step
