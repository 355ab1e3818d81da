-- SPDX-License-Identifier: BSD-2-Clause
--
-- How many recipients each customer may write to in a day, kept in PostgreSQL: all
-- relays that use the database share the count.  See limits-by-customer.sql for
-- the tables.
--
-- One statement counts and judges: two mails at the same moment, even on two
-- relays, cannot both take what is left for one.

local SQL = [[
INSERT INTO mail_count AS c (uid, recipients)
SELECT uid, $2::bigint FROM customer WHERE uid = $1 AND $2 <= max_recipients
ON CONFLICT (uid, day) DO UPDATE
SET recipients = c.recipients + excluded.recipients
WHERE c.recipients + excluded.recipients <=
  (SELECT max_recipients FROM customer WHERE uid = excluded.uid)
RETURNING recipients]]

local db = pg:new(os.getenv('QRELAY_DATABASE') or 'dbname=mail')

-- Where accepted mails go: '192.0.2.7', '[::1]:628' or a socket path.
local server = qmqp_resolve(os.getenv('QRELAY_SERVER') or '192.0.2.7')

qmqp_listen(systemd, function(m)
  if not m.uid then
    return m:reject('local users only')
  end
  local known, message = db:execute(
    'SELECT name FROM customer WHERE uid = $1', {m.uid})
  if not known then
    -- the client keeps the mail and tries again; nothing is lost
    print('database: ' .. message)
    return m:defer('try again later')
  end
  local customer = known:fetch()
  if not customer then
    return m:reject('you may not send mail')
  end
  m.account = customer.name

  local counted, message = db:execute(SQL, {m.uid, #m.recipients})
  if not counted then
    print('database: ' .. message)
    return m:defer('try again later')
  end
  if counted:numrows() == 0 then
    return m:reject('daily limit of recipients reached')
  end
  return m:connect(server)
end)
