-- SPDX-License-Identifier: BSD-2-Clause
--
-- For quarantine.lua: the accounts that may not send, with the reason.
--
--   psql -f quarantine.sql mail
--
-- From then on, at the help desk:
--
--   INSERT INTO quarantine VALUES (1017, 'password stolen, call 555-0100');
--   DELETE FROM quarantine WHERE uid = 1017;

CREATE TABLE quarantine (
  uid bigint PRIMARY KEY,
  reason text NOT NULL
);

-- Whatever changes it, and however: the relays hear of it when it is committed.
CREATE FUNCTION tell_quarantine() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  NOTIFY quarantine;
  RETURN NULL;
END
$$;

CREATE TRIGGER tell AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE
  ON quarantine FOR EACH STATEMENT EXECUTE FUNCTION tell_quarantine();
