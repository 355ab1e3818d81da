-- SPDX-License-Identifier: BSD-2-Clause
-- The daemon's configuration while it is killed.  The recipient names the
-- server.  Above this stand: tcp, sink_a, sink_b, sink (the program),
-- maildir_x, timeout.

local servers = {a = qmqp_resolve(sink_a), b = qmqp_resolve(sink_b)}

local function handler(m)
  local server = m.recipients[1]:match('%+(%a)@kill%.test$')
  if server == 'x' then
    return m:exec(sink, '--stdio', '--maildir', maildir_x)
  elseif #m.sender % 3 == 0 then
    sleep(0.01)
  end
  return m:connect(servers[server], {timeout=timeout})
end

qmqp_listen('$SOCK', handler)
qmqp_listen(tcp, handler)
