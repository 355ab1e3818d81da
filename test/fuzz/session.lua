-- SPDX-License-Identifier: BSD-2-Clause
-- The script of fuzz_session.c.  What it does with a mail stands in the local
-- part of the first recipient, a letter a step; session_mail.c knows them, too.

qmqp_listen(server(2), function(m) return handle(m) end)

local one, two = qmqp_resolve(server(0)), qmqp_resolve(server(1))
local nowhere = qmqp_resolve(server(3))
local kept, kept_for

local steps = {
  h = function(m) m:insert_header('X-A', '1') end,
  f = function(m) m.sender = 'f@x' end,
  a = function(m) m.account = 'a' end,
  s = function() sleep(0) end,
  l = function() sleep(10) end,
  p = function() assert(pcall(sleep, 0)) end,
  k = function(m) kept, kept_for = m, m.recipients[1] end,
  u = function()
    -- another mail's object never tells of this one
    local fine, r = pcall(function() return kept.recipients[1] end)
    assert(not fine or r == kept_for)
  end,
}

local ends = {
  d = function(m) return m:discard() end,
  r = function(m) return m:reject() end,
  z = function(m) return m:defer() end,
  c = function(m) return m:connect(one) end,
  C = function(m) return m:connect(two) end,
  n = function(m) return m:connect(nowhere) end,
  b = function(m) return m:connect(several(nowhere, one)) end,
  B = function(m) return m:connect(several(one, two)) end,
  t = function(m)
    return m:connect(one, {timeout = 5, connect_timeout = 1})
  end,
  e = function() error('error') end,
  x = function() return 7 end,
  y = function() coroutine.yield() end,
}

function handle(m)
  for c in m.recipients[1]:sub(1, 8):gmatch('.') do
    if ends[c] then return ends[c](m) end
    if c == '@' then return end
    if steps[c] then steps[c](m) end
  end
end

function reload() sleep(0) end
