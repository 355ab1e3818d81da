-- SPDX-License-Identifier: BSD-2-Clause
--
-- What qrelay does with each mail: qrelay-config(5).  After a change:
--
--   cm4all-qrelay --check && systemctl restart cm4all-qrelay
--
-- Until somebody writes what is to happen here, mails stay with their senders,
-- who try again later.

-- Where mails go: '192.0.2.7', '[2001:db8::7]:628' or '/run/server.sock'.
-- local server = qmqp_resolve('192.0.2.7')

-- The socket is /run/cm4all/qrelay/socket, from cm4all-qrelay.socket.
qmqp_listen(systemd, function(m)
  -- return m:connect(server)
  return m:defer('qrelay is not configured: see /etc/cm4all/qrelay/config.lua')
end)
