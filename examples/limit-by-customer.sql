-- SPDX-License-Identifier: BSD-2-Clause
--
-- For limit-by-customer.lua: who may send how much, and who has sent what.
--
--   psql -f limit-by-customer.sql mail

CREATE TABLE customers (
  uid bigint PRIMARY KEY,
  name text NOT NULL,
  per_hour integer NOT NULL CHECK (per_hour >= 0)  -- recipients
);

CREATE TABLE sent (
  uid bigint REFERENCES customers,
  hour timestamptz,
  recipients integer NOT NULL,
  PRIMARY KEY (uid, hour)
);

-- Counts these recipients unless they are too many.  One statement, so that
-- mails which come at the same time, on several machines, cannot all slip below
-- the limit.  Its row says who the customer is and whether he may; no row: there
-- is no such customer.
CREATE FUNCTION take(who bigint, n integer,
                     OUT name text, OUT allowed boolean)
RETURNS SETOF record LANGUAGE sql AS $$
  WITH customer AS (
    SELECT c.uid, c.name, c.per_hour FROM customers c WHERE c.uid = who
  ), counted AS (
    INSERT INTO sent AS s (uid, hour, recipients)
    SELECT uid, date_trunc('hour', now()), n FROM customer WHERE n <= per_hour
    ON CONFLICT (uid, hour) DO UPDATE
      SET recipients = s.recipients + excluded.recipients
      WHERE s.recipients + excluded.recipients <=
            (SELECT per_hour FROM customer)
    RETURNING 1
  )
  SELECT customer.name, EXISTS (SELECT FROM counted) FROM customer
$$;
