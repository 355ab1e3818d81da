-- SPDX-License-Identifier: BSD-2-Clause
--
-- Hands each mail to a program with sendmail's interface: this
-- machine's own mail server, or msmtp, or qrelay-sendmail.  Postfix's
-- needs sendmail.conf, which says why; to let Postfix take mails by QMQP
-- is better.

local SENDMAIL = os.getenv('QRELAY_SENDMAIL') or '/usr/sbin/sendmail'

qmqp_listen(systemd, function(m)
  -- An address may look like an option.  There is no shell to fool;
  -- what follows -f is a value whatever it looks like, and behind --
  -- there are no options.
  -- -i: a line with a single dot is part of the message, not its end.
  local args = {'-i', '-f', m.sender, '--'}
  table.move(m.recipients, 1, #m.recipients, #args + 1, args)

  -- Clients wait for a minute.  Postfix's sendmail that cannot write to
  -- the queue tries for ever.
  table.insert(args, {timeout = 50})
  return m:exec_raw(SENDMAIL, table.unpack(args))
end)
