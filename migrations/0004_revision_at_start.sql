-- The VM's revision when it was last started. While XAPI is away, a guest that reboots may be about to get the arguments of
-- that start again: the row has overtaken them where it was changed since. NULL for a start before this migration.
ALTER TABLE last_starts ADD COLUMN vm_revision INTEGER;
