-- SPDX-License-Identifier: BSD-2-Clause
-- The daemon's configuration in the soak.  The first recipient says what to do
-- with a mail (mail.py).  Above this stand, as global variables: folder, tcp,
-- abstract, conninfo, shared, program, spool, hang, calm, two, and each server's
-- address as server_NAME; and the limits that are drawn: max_connections,
-- max_connections_per_uid, max_memory.

max_size = 1048576
max_recipients = 50
receive_timeout = receive
handler_timeout = 0.3
lua_memory = 67108864

local db
if conninfo then
  db = pg:new(conninfo, 'public', {connections=shared})
  db:listen('soak', function(payload, name)
    if payload and name == 'soak' then
      db:execute('INSERT INTO heard VALUES ($1)', {payload}, {timeout=5})
    end
  end, {on_reconnect=true})
end

local kept = {}
local servers = {}
for name, value in pairs(_G) do
  local server = type(name) == 'string' and name:match('^server_(.+)$')
  if server then
    servers[server] = server ~= 'two' and qmqp_resolve(value) or nil
  end
end
if server_two then
  servers.two = qmqp_resolve(server_two)
end

local function note(m, word)
  m.account = (m.account and m.account .. '.' or '') .. word
end

local steps = {}

function steps.sleep(m, id, ms)
  sleep(ms / 1000)
end

function steps.cgroup(m)
  local group = m.cgroup
  if m.remote then
    assert(not group and not m.pid and not m.uid)
    return
  end
  assert(m.pid and m.uid and m.gid)
  if group then
    assert(type(group.path) == 'string')
    pcall(function() return group.xattr.soak, group.parent end)
  end
end

function steps.sender(m, id)
  m.sender = 'new-' .. id .. '@sender.test'
end

function steps.hdr(m, id, n)
  for i = 1, n do
    m:insert_header('X-Soak-' .. i, id)
  end
end

function steps.garbage(m)
  local t = {}
  for i = 1, 2000 do
    t[i] = {m.sender .. i}
  end
  local s = ('x'):rep(100000)
  return #s + #t
end

-- Mails and actions that scripts keep.
function steps.stale(m, id)
  local old = kept.mail
  if old and old ~= kept.now then
    local ok, why = pcall(function() return old.sender end)
    if not ok then
      assert(why:find('stale object', 1, true), why)
    end
  end
  kept.mail = m
end

function steps.resolve()
  assert(tostring(qmqp_resolve('localhost:628')):find('628', 1, true))
end

function steps.query(m, id)
  local result = db:execute('SELECT $1::text AS id', {id}, {timeout=3})
  if result then
    assert(result:fetch().id == id, "another mail's row")
  end
  note(m, result and 'query' or 'noquery')
end

function steps.slow(m, id)
  local result = db:execute('SELECT $1::text AS id, pg_sleep(0.1)', {id},
                            {timeout=3})
  if result then
    assert(result:fetch().id == id, "another mail's row")
  end
end

function steps.bad()
  local result, why = db:execute('SELECT 1/0', nil, {timeout=3})
  assert(not result and why)
end

function steps.notify(m, id)
  db:execute("SELECT pg_notify('soak', $1)", {id}, {timeout=3})
end

function steps.tx(m, id)
  local ok, done = pcall(db.transaction, db, function(tx)
    assert(tx:execute('INSERT INTO taken VALUES ($1)', {id}))
    assert(tx:execute('SELECT pg_sleep(0.002)'))
    return 'done'
  end, {timeout=4})
  note(m, ok and done == 'done' and 'tx' or 'notx')
end

function steps.rollback(m, id)
  local ok, done = pcall(db.transaction, db, function(tx)
    tx:execute('INSERT INTO taken VALUES ($1)', {'undone-' .. id})
    error('undo it')
  end, {timeout=4})
  assert(not (ok and done), 'a failed transaction has succeeded')
end

local actions = {}

function actions.discard(m, id)
  return m:discard('discarded ' .. id)
end

function actions.reject(m, id)
  return m:reject('rejected ' .. id)
end

function actions.defer(m, id)
  return m:defer('deferred ' .. id)
end

function actions.exec(m, id, how)
  return m:exec(program, 'exec', spool, id, how,
                {env={PATH='/usr/bin:/bin'}, timeout=hang})
end

function actions.raw(m, id, how)
  return m:exec_raw(program, 'raw', spool, id, how,
                    {env={PATH='/usr/bin:/bin'}, timeout=hang})
end

function actions.script(m, id, how)
  if how == 'error' then
    error('the soak fails ' .. id)
  elseif how == 'number' then
    return 42
  elseif how == 'yield' then
    coroutine.yield(1)
  elseif how == 'spin' then
    while true do pcall(function() while true do end end) end
  end
end

function actions.to(m, id, how, server)
  local to = servers[server]
  if server == 'two' and #id % 2 == 0 then
    to = qmqp_resolve(server_two)
  end
  return m:connect(to, {timeout=how:find('^hang') and hang or calm,
                        connect_timeout=hang})
end

local function handler(m)
  kept.now = m
  local id, todo, action, how, size =
    m.recipients[1]:match('^([^+]+)%+([^+]*)%+([^+]*)%+([^+]*)%+(%d+)@')
  assert(m.size == tonumber(size))
  for step in todo:gmatch('[^.]+') do
    local name, n = step:match('^(%a+)(%d*)$')
    steps[name](m, id, tonumber(n))
  end
  m:insert_header('X-Soak', ('%s %s %s'):format(id, how, size))
  local verb, server = action:match('^(%a+)%-?(.*)$')
  return actions[verb](m, id, how, server)
end

qmqp_listen('$SOCK', handler)
qmqp_listen(tcp, handler)
qmqp_listen(abstract, handler)

local reloads = 0

function reload()
  reloads = reloads + 1
  if reloads % 7 == 3 then
    error('the reload fails')
  end
  if db then
    db:execute('INSERT INTO reloads VALUES ($1)', {reloads}, {timeout=3})
  else
    sleep(0.01)
  end
  print('reload ' .. reloads)
end
