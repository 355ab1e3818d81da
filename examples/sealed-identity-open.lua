-- SPDX-License-Identifier: BSD-2-Clause
--
-- For the abuse desk: reads a mail and prints who submitted it, as
-- sealed-identity.lua has sealed it.  abuse-desk.sk, made by
-- sealed-identity-keys.lua, lies in this script's folder.
--
--   cm4all-qrelay --check --config sealed-identity-open.lua <mail.eml

local file = assert(io.open('abuse-desk.sk'))
local sk = assert(sodium.hex2bin((file:read('a'):gsub('%s', ''))),
                  'abuse-desk.sk is not hexadecimal')
file:close()
local pk = sodium.crypto_scalarmult_base(sk)

-- The first one is the relay's: it inserts above all that the client sent,
-- which may have had a forged one.
local header = ('\n' .. io.read('a')):gsub('\r', ''):match('^(.-\n)\n')
local hex = header and header:match('\nX%-Sealed%-Identity: *(%x+)\n')
local box = hex and sodium.hex2bin(hex)
if not box or #box < 48 then
  error('this mail has no whole X-Sealed-Identity header')
end

local identity = sodium.crypto_box_seal_open(box, pk, sk)
if not identity then
  error('sealed for another key, or damaged')
end
io.write(identity, '\n')

-- The work is done, and this is no relay: leave before qmqp_listen() is missed.
os.exit(true)
