-- SPDX-License-Identifier: BSD-2-Clause
--
-- Maintenance mode: while the file `maintenance` lies beside this script, mails
-- stay with their senders, who are told what its first line says.
--
--   echo 'back at 14:00' >/etc/cm4all/qrelay/maintenance
--   systemctl reload cm4all-qrelay
--
-- and the other way round:
--
--   rm /etc/cm4all/qrelay/maintenance
--   systemctl reload cm4all-qrelay

local FOLDER = os.getenv('QRELAY_FOLDER') or '/etc/cm4all/qrelay'
local server = qmqp_resolve(os.getenv('QRELAY_SERVER') or '192.0.2.7')

local closed = nil  -- the text for senders while we are closed

-- Called by `systemctl reload`: only here a file is looked at, not with each
-- mail, since a handler holds up all the others.
function reload()
  local file = io.open(FOLDER .. '/maintenance')
  if not file then
    closed = nil
  else
    local line = file:read('l')
    file:close()
    closed = line and line ~= '' and line or 'closed for maintenance'
  end
  print(closed and 'maintenance: ' .. closed or 'open')
end

-- A restart must not open what was closed.
reload()

-- The socket is /run/cm4all/qrelay/socket, from cm4all-qrelay.socket.
qmqp_listen(systemd, function(m)
  if closed then
    return m:defer(closed)
  end
  return m:connect(server)
end)
