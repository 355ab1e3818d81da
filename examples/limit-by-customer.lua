-- SPDX-License-Identifier: BSD-2-Clause
--
-- So many recipients an hour for each customer, counted in PostgreSQL and hence
-- for all machines together; limit-by-customer.sql makes the tables.  Beyond the
-- limit a mail is deferred: a newsletter is late, a stolen password does little
-- harm.
--
-- The database is the only one to count, and it counts a mail before it goes
-- out: one that the server then refuses has used its share up, too.

local db = pg:new(os.getenv('QRELAY_DB') or 'host=/run/postgresql dbname=mail')
local server = qmqp_resolve(os.getenv('QRELAY_SERVER') or '192.0.2.7')

-- The socket is /run/cm4all/qrelay/socket, from cm4all-qrelay.socket.
qmqp_listen(systemd, function(m)
  -- While this waits, other mails go on.
  local result, message = db:execute(
    'SELECT name, allowed FROM take($1, $2)', {m.uid, #m.recipients},
    {timeout = 5})
  if not result then
    -- Without the database nobody is let through unlimited: he tries again.
    print('limit-by-customer: ' .. message)
    return m:defer('the limits cannot be looked up, try again later')
  end

  local customer = result:fetch()
  if not customer then
    return m:reject('no customer has uid ' .. m.uid)
  end
  m.account = customer.name  -- for our log
  if customer.allowed ~= 't' then
    return m:defer('too many recipients this hour')
  end
  return m:connect(server)
end)
