-- SPDX-License-Identifier: BSD-2-Clause
--
-- Two ways out: mails of our own domains go through our hub, which signs them;
-- all others through a hub with addresses of its own, so that what customers
-- send does not harm our reputation.  A mail goes to one server and one alone:
-- one that does not answer is a temporary failure, never a reason to try the
-- other.

local own_hub = qmqp_resolve(os.getenv('QRELAY_OWN_HUB') or '192.0.2.25')
local other_hub = qmqp_resolve(os.getenv('QRELAY_OTHER_HUB') or '192.0.2.26')

local OWN = {
  ['example.org'] = true,
  ['example.net'] = true,
}

-- What follows the last @; domains know no upper case.
local function domain_of(address)
  local domain = address:match('@([^@]*)$')
  return domain and domain:lower():gsub('%.$', '')
end

-- The socket is /run/cm4all/qrelay/socket, from cm4all-qrelay.socket.
qmqp_listen(systemd, function(m)
  -- a bounce has no sender: its way is that of those who are not us
  local domain = domain_of(m.sender)
  if domain and OWN[domain] then
    return m:connect(own_hub)
  end
  return m:connect(other_hub)
end)
