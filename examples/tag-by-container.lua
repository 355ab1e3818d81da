-- SPDX-License-Identifier: BSD-2-Clause
--
-- Every customer has a control group, in which the containers run; its name is
-- an attribute that root has set on the group:
--
--   mkdir /sys/fs/cgroup/customers/17
--   setfattr -n user.customer -v 'alice' /sys/fs/cgroup/customers/17
--
-- Each mail says in a header, and in our log, whose container sent it.  Clients
-- outside of any customer's group are refused.

local NAME = 'X-Customer'

-- Where accepted mails go: '192.0.2.7', '[::1]:628' or a socket path.
local server = qmqp_resolve(os.getenv('QRELAY_SERVER') or '192.0.2.7')

-- An attribute is worth as much as the owner of its group: a customer who was
-- given a group of his own may set any attribute on it, and on those he makes
-- beneath it.  So only groups count that root owns; and of those the outermost,
-- for whatever is set further in was set within what it was given to.
local function customer_of(cgroup)
  local found = nil
  while cgroup do
    if cgroup.uid == 0 then
      found = cgroup.xattr.customer or found
    end
    cgroup = cgroup.parent
  end
  return found
end

-- The socket is /run/cm4all/qrelay/socket, from cm4all-qrelay.socket.  To let a
-- container in, bind-mount that folder into it, not the socket alone.
qmqp_listen(systemd, function(m)
  -- The group may be impossible to tell (see the manual): that is an error, the
  -- client gets a temporary failure, and the log says why.
  local customer = customer_of(m.cgroup)
  if not customer then
    return m:reject('only the containers of our customers may send here')
  end

  m.account = customer
  -- A client may write such a header, too: the first one is ours.
  m:insert_header(NAME, customer)
  return m:connect(server)
end)
