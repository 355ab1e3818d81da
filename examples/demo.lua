-- SPDX-License-Identifier: BSD-2-Clause
--
-- What `make demo` runs: says in each mail who submitted it, and hands it on to
-- another QMQP server.

-- Where accepted mails go: a socket path here, '192.0.2.7' or '[::1]:628' in
-- real life.  The demo's server is qrelay-sink, which delivers to a Maildir.
local sink = qmqp_resolve(os.getenv('QRELAY_DEMO_SINK')
                          or '/run/qrelay-sink.sock')

-- A path without a leading slash is relative to this script's folder.
qmqp_listen('qrelay.sock', function(m)
  -- pid is nil for a client in a container that hides its processes
  m:insert_header('X-Submitted-By',
                  string.format('uid=%d pid=%s', m.uid, m.pid or 'unknown'))

  -- Try this: the demo's mail is refused, and its client told why.
  -- if m.sender:find('@example%.org$') then
  --   return m:reject('nothing from example.org today')
  -- end

  return m:connect(sink)
end)
