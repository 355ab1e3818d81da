---@meta qrelay
-- SPDX-License-Identifier: BSD-2-Clause
--
-- All that cm4all-qrelay adds to Lua, for editors that use the Lua language server:
-- put this folder into its `workspace.library`.  It is never executed.

---The sockets that systemd has handed over: `qmqp_listen(systemd, handler)`.
---@type qrelay.systemd
systemd = nil

---@class (exact) qrelay.systemd

-- ---- limits: read once, when the script has finished ----

---Bytes of a message, 1024 to 1 GiB; the default is 16 MiB.
---@type integer
max_size = 16777216

---Recipients of a mail.
---@type integer
max_recipients = 1024

---Above it clients wait in the backlog.
---@type integer
max_connections = 1024

---Above it: `Ztoo many connections`; the default is a quarter of `max_connections`.
---@type integer?
max_connections_per_uid = nil

---Bytes of mails held; the default is 512 MiB.
---@type integer
max_memory = 536870912

---Seconds without a byte of the client; ten times that in all.
---@type number
receive_timeout = 60

---Seconds of CPU a mail.
---@type number
handler_timeout = 1

---Bytes of the Lua state; the default is 256 MiB.
---@type integer
lua_memory = 268435456

---Seconds that mails may go on when the daemon stops.
---@type number
shutdown_timeout = 5

-- ---- listening ----

---@alias qrelay.handler fun(m: qrelay.mail): qrelay.action

---@class (exact) qrelay.listen_options
---@field mode? integer|string permissions of a socket file; the digits are octal: 660
---@field backlog? integer 1 to 65535
---@field name? string sockets of systemd with this FileDescriptorName

---Listens on a socket; only while the script starts.
---@param where string|qrelay.address|qrelay.systemd path, '@name', 'IP[:port]', '[v6]:port'
---@param handler qrelay.handler
---@param options? qrelay.listen_options
function qmqp_listen(where, handler, options) end

---The address of a server.  A host name makes the caller wait.
---@param address string 'IP[:port]', '[v6]:port', 'host[:port]', '/path', '@name'
---@return qrelay.address
---@nodiscard
function qmqp_resolve(address) end

---An address, or the several of a host name; `tostring` prints the first.
---@class (exact) qrelay.address

---Suspends the caller, and nobody else.
---@param seconds number 0 to 3600
function sleep(seconds) end

---Called for SIGHUP, if the script defines it.
---@type fun()|nil
reload = nil

-- ---- mails ----

---@class (exact) qrelay.mail
---@field sender string envelope sender, '' for a bounce; may be assigned
---@field recipients string[] a fresh table for each read
---@field pid integer? of the client; nil on TCP, or if it is not visible
---@field uid integer? nil on TCP
---@field gid integer? nil on TCP
---@field cgroup qrelay.cgroup? nil on TCP
---@field remote string? the client's address on TCP
---@field account string? for the log; may be assigned
---@field size integer bytes of the message
local mail = {}

---Inserts a header at the front.
---@param name string
---@param value any a string, a number, or what has __tostring
function mail:insert_header(name, value) end

---@class (exact) qrelay.connect_options
---@field timeout? number seconds until the reply, handler included; 55
---@field connect_timeout? number seconds for each address; 20

---Relays the mail by QMQP.
---@param address string|qrelay.address
---@param options? qrelay.connect_options
---@return qrelay.action
---@nodiscard
function mail:connect(address, options) end

---@class (exact) qrelay.exec_options
---@field env? table<string, string|number> all of the environment
---@field timeout? number seconds; 3600

---Gives the mail to a program that speaks QMQP on its stdio.
---@param program string absolute path
---@param ... string|number|qrelay.exec_options arguments; options may come last
---@return qrelay.action
---@nodiscard
function mail:exec(program, ...) end

---Gives the message to a program such as sendmail; its exit status decides.
---@param program string absolute path
---@param ... string|number|qrelay.exec_options arguments; options may come last
---@return qrelay.action
---@nodiscard
function mail:exec_raw(program, ...) end

---Accepts the mail and throws it away.
---@param text? string|number
---@return qrelay.action
---@nodiscard
function mail:discard(text) end

---Refuses the mail for good.
---@param text? string|number
---@return qrelay.action
---@nodiscard
function mail:reject(text) end

---Refuses the mail for now.
---@param text? string|number
---@return qrelay.action
---@nodiscard
function mail:defer(text) end

---What a handler returns.
---@class (exact) qrelay.action

---A control group of cgroup2.  `tostring` prints its path.
---@class (exact) qrelay.cgroup
---@field path string
---@field xattr table<string, string?> `xattr.x` is short for `xattr['user.x']`
---@field parent qrelay.cgroup?
---@field uid integer owner; trust attributes only where it is 0

-- ---- libsodium ----

---@class (exact) qrelay.sodium
sodium = {}

---@param bytes string
---@return string hexadecimal
---@nodiscard
function sodium.bin2hex(bytes) end

---@param text string
---@return string? bytes nil if it is not hexadecimal
---@nodiscard
function sodium.hex2bin(text) end

---@param n integer 1 to 1 MiB
---@return string
---@nodiscard
function sodium.randombytes(n) end

---@return string pk
---@return string sk
---@nodiscard
function sodium.crypto_box_keypair() end

---@param message string|number
---@param pk string
---@return string ciphertext
---@nodiscard
function sodium.crypto_box_seal(message, pk) end

---@param ciphertext string
---@param pk string
---@param sk string
---@return string? message nil if it was not sealed for this key
---@nodiscard
function sodium.crypto_box_seal_open(ciphertext, pk, sk) end

---@param sk string
---@return string pk
---@nodiscard
function sodium.crypto_scalarmult_base(sk) end

---@return string pk
---@return string sk
---@nodiscard
function sodium.crypto_sign_keypair() end

---@param message string|number
---@param sk string
---@return string signature
---@nodiscard
function sodium.crypto_sign_detached(message, sk) end

---@param signature string
---@param message string|number
---@param pk string
---@return boolean
---@nodiscard
function sodium.crypto_sign_verify_detached(signature, message, pk) end

-- ---- PostgreSQL ----

---@class (exact) qrelay.pg
---@field null lightuserdata NULL, where nil cannot be: in arrays and parameters
pg = {}

---@class (exact) qrelay.pg_options
---@field connections? integer that share the queries, 1 to 6; 2
---@field prepare? boolean
---@field init? string SQL for each new connection

---Connects when it is first needed.
---@param conninfo string
---@param schema? string
---@param options? qrelay.pg_options
---@return qrelay.db
---@nodiscard
function pg:new(conninfo, schema, options) end

---@param t table
---@return string
---@nodiscard
function pg:encode_array(t) end

---@param s string
---@return table
---@nodiscard
function pg:decode_array(s) end

---@class (exact) qrelay.db
local db = {}

---@class (exact) qrelay.timeout
---@field timeout? number seconds; 20

---@param sql string
---@param params? table
---@param options? qrelay.timeout
---@return qrelay.result? result
---@return string message if there is no result
---@return string? sqlstate
function db:execute(sql, params, options) end

---Commits when `f` returns, rolls back when it raises.
---@param f fun(tx: qrelay.tx): ...
---@param options? qrelay.timeout
---@return any ... of `f`, or true; nil, message, sqlstate if a query failed
function db:transaction(f, options) end

---@class (exact) qrelay.notification_options
---@field on_reconnect? boolean call `f(nil, name)` when notifications may be missing

---@param name string
---@param f fun(payload: string?, name: string, pid: integer?)
---@param options? qrelay.notification_options
---@return true? ok
---@return string message if the first attempt to connect failed
function db:listen(name, f, options) end

---@class (exact) qrelay.tx
local tx = {}

---@param sql string
---@param params? table
---@param options? qrelay.timeout
---@return qrelay.result? result
---@return string message if there is no result
---@return string? sqlstate
function tx:execute(sql, params, options) end

---@class (exact) qrelay.result
local result = {}

---The next row, or nil.
---@param row? table to be filled
---@param mode? 'a'|'n' keys are column names, or numbers
---@return table<string|integer, string?>?
function result:fetch(row, mode) end

---For loops over the rows.
---@param mode? 'a'|'n'
---@return fun(): table<string|integer, string?>?
---@nodiscard
function result:rows(mode) end

---@return integer
---@nodiscard
function result:numrows() end

---@return integer
---@nodiscard
function result:affected() end

---@return string[]
---@nodiscard
function result:getcolnames() end

---@return boolean whether it was open
function result:close() end

-- ---- for scripts written for LuaJIT ----

unpack = table.unpack
loadstring = load

---@param t table
---@return integer
---@nodiscard
function table.getn(t) end

---@param t table
---@return number
---@nodiscard
function table.maxn(t) end
