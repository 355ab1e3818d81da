-- SPDX-License-Identifier: BSD-2-Clause
--
-- The tables of limits-by-customer.lua.  Give the relay's database user no more
-- than it needs:
--
--   GRANT SELECT ON customer TO qrelay;
--   GRANT SELECT, INSERT, UPDATE ON mail_count TO qrelay;

CREATE TABLE customer (
	uid bigint PRIMARY KEY,    -- of its processes
	name text NOT NULL,
	max_recipients integer NOT NULL DEFAULT 10000  -- a day
);

CREATE TABLE mail_count (
	uid bigint NOT NULL REFERENCES customer ON DELETE CASCADE,
	day date NOT NULL DEFAULT current_date,
	recipients bigint NOT NULL DEFAULT 0,
	PRIMARY KEY (uid, day)
);
