-- SPDX-License-Identifier: BSD-2-Clause
--
-- Makes the abuse desk's keys for sealed-identity.lua, in this script's folder:
--
--   (umask 077; cm4all-qrelay --check --config sealed-identity-keys.lua)
--
-- abuse-desk.sk is the secret key and never leaves the desk; abuse-desk.pk goes
-- to the relays.  Keys that are there already are not overwritten.

local function write(path, key)
  local file = assert(io.open(path, 'w'))
  assert(file:write(sodium.bin2hex(key), '\n'))
  assert(file:close())
end

if io.open('abuse-desk.sk') then
  error('abuse-desk.sk exists already')
end

local pk, sk = sodium.crypto_box_keypair()
write('abuse-desk.sk', sk)
write('abuse-desk.pk', pk)
io.write('abuse-desk.sk and abuse-desk.pk are ready\n')

-- The work is done, and this is no relay: leave before qmqp_listen() is missed.
os.exit(true)
