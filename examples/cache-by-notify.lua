-- SPDX-License-Identifier: BSD-2-Clause
--
-- Asks the database once for each user, and again when it says that something has
-- changed.  The database needs a table
--
--   CREATE TABLE blocked (uid bigint PRIMARY KEY, reason text NOT NULL);
--
-- and a trigger that tells:
--
--   CREATE FUNCTION blocked_changed() RETURNS trigger LANGUAGE plpgsql AS $$
--   BEGIN NOTIFY blocked; RETURN NULL; END $$;
--   CREATE TRIGGER blocked_changed
--   AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON blocked
--   FOR EACH STATEMENT EXECUTE FUNCTION blocked_changed();

local db = pg:new(os.getenv('QRELAY_DATABASE') or 'dbname=mail')

-- Where accepted mails go: '192.0.2.7', '[::1]:628' or a socket path.
local server = qmqp_resolve(os.getenv('QRELAY_SERVER') or '192.0.2.7')

-- uid -> reason, or false.  A new table each time it is emptied: an answer that
-- was asked for before goes into the old one.
local cache = {}
local n = 0

local function empty()
  cache, n = {}, 0
end

-- While the connection was lost something may have been missed.
db:listen('blocked', empty, {on_reconnect = true})

local function reason_for(uid)
  local mine = cache
  if mine[uid] == nil then
    local result, message = db:execute(
      'SELECT reason FROM blocked WHERE uid = $1', {uid})
    if not result then
      return nil, message
    end
    local row = result:fetch()
    mine[uid] = row and row.reason or false
    n = n + 1
    if n > 100000 then
      empty() -- uids are the clients' choice: the cache has a bound
    end
    return row and row.reason or false
  end
  return mine[uid]
end

qmqp_listen(systemd, function(m)
  local reason, message = reason_for(m.uid or -1)
  if reason == nil then
    print('database: ' .. message)
    return m:defer('try again later')
  elseif reason then
    return m:reject('blocked: ' .. reason)
  end
  return m:connect(server)
end)
