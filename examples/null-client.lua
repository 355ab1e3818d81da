-- SPDX-License-Identifier: BSD-2-Clause
--
-- A machine without a mail server of its own: whatever its programs send goes to
-- the mail hub, and none of them can pretend to be another machine's.  Every
-- sender gets this machine's name, so that bounces and complaints find it.

local HUB = os.getenv('QRELAY_HUB') or '192.0.2.25'
local NAME = os.getenv('QRELAY_NAME') or 'web1.example.org'

local hub = qmqp_resolve(HUB)

-- root, or www-data@localhost: what programs write that know no better
local function complete(address)
  local name = address:match('^([^@]+)$') or address:match('^(.+)@localhost$')
  return name and name .. '@' .. NAME
end

-- The socket is /run/cm4all/qrelay/socket, from cm4all-qrelay.socket.
qmqp_listen(systemd, function(m)
  -- '' is the sender of bounces and has to stay
  m.sender = complete(m.sender) or m.sender
  m:insert_header('X-Submitted-By',
                  string.format('uid=%d host=%s', m.uid or -1, NAME))
  return m:connect(hub)
end)
