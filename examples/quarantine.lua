-- SPDX-License-Identifier: BSD-2-Clause
--
-- Accounts that were taken over are shut out at once, on every machine: the list
-- is a table in PostgreSQL (quarantine.sql makes it), and a NOTIFY says when it
-- has changed.  Each relay holds a copy, so that a mail costs no query and mail
-- goes on without the database, with the list as it was last seen.

local db = pg:new(os.getenv('QRELAY_DATABASE') or 'dbname=mail')
local server = qmqp_resolve(os.getenv('QRELAY_SERVER') or '192.0.2.7')

local quarantine = nil  -- reason by uid
local asked, seen = 0, 0

-- Reads the list.  Two changes close together make two of these run at the same
-- time, and the answers may come in any order: an older one must not come last
-- and stay.
local function load_list()
  asked = asked + 1
  local mine = asked
  local result, message = db:execute('SELECT uid, reason FROM quarantine',
                                     nil, {timeout = 10})
  if not result then
    print('quarantine: ' .. message)
  elseif mine > seen then
    local list, n = {}, 0
    for row in result:rows() do
      list[tonumber(row.uid)] = row.reason
      n = n + 1
    end
    quarantine, seen = list, mine
    print('quarantine: ' .. n .. ' accounts')
  end
end

-- Listen first and read then: nothing can change unseen in between.  After a lost
-- connection there may have been changes that nobody told us.
db:listen('quarantine', load_list, {on_reconnect = true})
load_list()

-- Nobody is let through unseen: without a list the start fails, and systemd tries
-- again every five seconds, while mails wait at the socket.
assert(quarantine, 'the list of accounts in quarantine cannot be read')

-- By hand, should it ever be in doubt: systemctl reload cm4all-qrelay
reload = load_list

-- The socket is /run/cm4all/qrelay/socket, from cm4all-qrelay.socket.
qmqp_listen(systemd, function(m)
  local reason = quarantine[m.uid]
  if reason then
    return m:reject('this account is in quarantine: ' .. reason)
  end
  return m:connect(server)
end)
