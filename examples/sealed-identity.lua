-- SPDX-License-Identifier: BSD-2-Clause
--
-- Says in each mail who submitted it, but sealed: only the abuse desk can read
-- it.  Whoever receives a mail learns nothing about our users from it, and this
-- relay cannot open what it has sealed.
--
--   sealed-identity-keys.lua  makes the desk's keys (run it there, once)
--   sealed-identity-open.lua  opens the header of a mail (run it there, too)
--
-- Copy abuse-desk.pk, which the first of them writes, to this script's folder.
-- It is not secret, but give it to relays only: a box says nothing about who
-- sealed it, so whoever has the key can write such a header.

local NAME = 'X-Sealed-Identity'

-- RFC 5322 2.1.1: a line has 998 bytes at most.  What the name and ': ' leave
-- of it holds two digits for each byte of the box, which is 48 bytes longer
-- than what is in it.
local ROOM = (998 - #NAME - #': ') // 2 - 48

-- Where accepted mails go: '192.0.2.7', '[::1]:628' or a socket path.
local server = qmqp_resolve(os.getenv('QRELAY_SERVER') or '192.0.2.7')

-- Read at start, where a wrong key is found at once, not with the first mail.
local function read_key(path)
  local file = assert(io.open(path))
  local key = sodium.hex2bin((file:read('a'):gsub('%s', '')))
  file:close()
  assert(key and #key == 32, path .. ' does not hold 64 hexadecimal digits')
  return key
end

local pk = read_key('abuse-desk.pk')

-- One line a fact; what is not known of a client is left out.  A pid is used
-- again and again, so the time belongs to it.  The cgroup comes last: it may be
-- long, and what is too long is cut at its end.
local function identity(m)
  local lines = {'time=' .. os.time()}
  for _, key in ipairs {'pid', 'uid', 'gid', 'remote', 'account'} do
    local value = m[key]
    if value ~= nil then
      lines[#lines + 1] = key .. '=' .. tostring(value)
    end
  end
  if m.cgroup then
    lines[#lines + 1] = 'cgroup=' .. m.cgroup.path
  end
  return table.concat(lines, '\n'):sub(1, ROOM)
end

-- The socket is /run/cm4all/qrelay/socket, from cm4all-qrelay.socket.
qmqp_listen(systemd, function(m)
  local box = sodium.crypto_box_seal(identity(m), pk)
  m:insert_header(NAME, sodium.bin2hex(box))
  return m:connect(server)
end)
